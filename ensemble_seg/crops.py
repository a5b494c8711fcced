"""The sampling method inside tf.data: whole images in, lesion crops out, all in the graph."""

from collections.abc import Iterable
from dataclasses import dataclass

from .sampling import DROPPED, EMPTY, KEPT, Counts, checked_margin


def lesion_crops(
    threshold: float = 3.0,
    margin: int | Iterable[int] = (20, 10),
    each_lesion: bool = False,
) -> "LesionCrops":
    """Return a transformation for `tf.data.Dataset.apply` that crops images around their lesions.

    Args:
        threshold: images with background / lesion >= threshold are kept; empty masks never are.
        margin: pixels of context on each side; the first that fits is taken, 0 where none does.
        each_lesion: one crop for each 8-connected lesion, instead of all of an image in one.

    Raises:
        ValueError: a margin that is negative or not whole.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> mask = np.zeros((1, 64, 64), "uint8")
        >>> mask[0, 30:34, 30:34] = 1
        >>> full = tf.data.Dataset.from_tensor_slices((np.ones((1, 64, 64, 3)), mask))
        >>> [crop.shape for image, crop in full.apply(lesion_crops())]
        [TensorShape([44, 44])]
        >>> lesion_crops().count(full)
        Counts(kept=1, dropped=0, empty=0, crops=1)
    """
    return LesionCrops(threshold, checked_margin(margin), each_lesion)


@dataclass(frozen=True)
class LesionCrops:
    """Transformation made by `lesion_crops`: call it on a dataset, or `count` what it will do.

    Takes elements (image, mask): (H, W, 3) of any dtype and (H, W) of 0 and 1, sizes free.
    Gives elements of the same dtypes, cut to the lesion's window and not resized.
    """

    threshold: float
    margin: tuple[int, ...]
    each_lesion: bool

    def __call__(self, dataset):
        import tensorflow as tf

        def cut(image, mask):
            def window(box):
                rows, columns = slice(box[0], box[2]), slice(box[1], box[3])
                return image[rows, columns], mask[rows, columns]

            return tf.data.Dataset.from_tensor_slices(self._boxes(mask)).map(window)

        kept = dataset.filter(lambda image, mask: tf.equal(self._fate(mask), KEPT))
        return kept.flat_map(cut)

    def count(self, dataset) -> Counts:
        """Go through a dataset of (image, mask) once and count what is kept, dropped and empty."""
        import tensorflow as tf

        def add(total, example):
            fate, boxes = self._fate(example[1]), tf.shape(self._boxes(example[1]))[0]
            crops = tf.where(tf.equal(fate, KEPT), boxes, 0)
            return total + tf.concat([tf.one_hot(fate, 3, dtype=tf.int32), [crops]], axis=0)

        total = dataset.reduce(tf.zeros(4, tf.int32), add)
        return Counts(*map(int, total.numpy()))

    def _fate(self, mask):
        import tensorflow as tf

        lesion = tf.math.count_nonzero(mask, dtype=tf.int32)
        background = tf.cast(tf.size(mask) - lesion, tf.float64)
        enough = background >= self.threshold * tf.cast(lesion, tf.float64)
        fate = tf.where(enough, KEPT, DROPPED)
        return tf.where(lesion > 0, fate, EMPTY)

    def _boxes(self, mask):
        import tensorflow as tf

        points = tf.where(tf.cast(mask, tf.bool))
        if self.each_lesion:
            lesion = tf.gather_nd(connected_components(mask), points)
            _, lesion = tf.unique(lesion)
        else:
            lesion = tf.zeros(tf.shape(points)[0], tf.int32)
        number = tf.reduce_max(tf.concat([[-1], lesion], axis=0)) + 1
        first = tf.math.unsorted_segment_min(points, lesion, number)
        last = tf.math.unsorted_segment_max(points, lesion, number) + 1
        return self._widen(first, last, tf.shape(mask, out_type=tf.int64))

    def _widen(self, first, last, shape):
        import tensorflow as tf

        before, after = tf.zeros_like(first), tf.zeros_like(last)
        for pixels in reversed(self.margin):
            before = tf.where(first >= pixels, tf.cast(pixels, tf.int64), before)
            after = tf.where(shape - last >= pixels, tf.cast(pixels, tf.int64), after)
        return tf.concat([first - before, last + after], axis=1)


def connected_components(mask):
    """Number the 8-connected components of a mask with graph operations.

    Every lesion pixel starts with a number of its own; the highest number spreads along whole
    runs of a row, whole runs of a column, and to the eight neighbours, until nothing changes.

    Args:
        mask: (H, W) tensor of 0 and 1.

    Returns:
        (H, W) int32: 0 on background, one positive number for each component.
    """
    import tensorflow as tf

    lesion = tf.cast(mask, tf.bool)
    size = tf.size(mask)
    numbers = tf.reshape(size - tf.range(size), tf.shape(mask))

    def spread_in_rows(numbers, lesion):
        starts = lesion & ~tf.pad(lesion, [[0, 0], [1, 0]])[:, :-1]
        run = tf.reshape(tf.cumsum(tf.reshape(tf.cast(starts, tf.int32), [-1])), [-1])
        flat, inside = tf.reshape(numbers, [-1]), tf.reshape(lesion, [-1])
        highest = tf.math.unsorted_segment_max(flat, tf.where(inside, run, 0), size + 1)
        return tf.where(lesion, tf.reshape(tf.gather(highest, run), tf.shape(numbers)), 0)

    def spread(numbers, _):
        near = tf.cast(numbers, tf.float64)[None, ..., None]
        near = tf.nn.max_pool2d(near, 3, 1, "SAME")[0, ..., 0]
        wider = tf.where(lesion, tf.cast(near, tf.int32), 0)
        wider = spread_in_rows(wider, lesion)
        wider = tf.transpose(spread_in_rows(tf.transpose(wider), tf.transpose(lesion)))
        return wider, tf.reduce_any(wider != numbers)

    start = (tf.where(lesion, numbers, 0), tf.constant(True))
    return tf.while_loop(lambda _, changed: changed, spread, start)[0]
