"""What segments images with a Keras model, whichever engine computes its networks."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from ..common.errors import invalid
from ..ensembling import WeightedAverage, ensemble_members
from ..exporting import export_model
from ..reading.images import resize_image
from ..zooming import LesionBox, PasteAndVote, is_zoom, zoom_members
from .engines import ENGINE_OF, ENGINES, KERAS, exported_path, exported_segmenter, opened
from .segmenter import Prediction, Segmenter, enlarged

MANY = 6  # images for which it pays to compile a network
Run = Callable[[np.ndarray], np.ndarray]  # from a batch of images to softmax maps


def predict_image(model: keras.Model, image: np.ndarray) -> Prediction:
    """Predict the lesion of one image of any size; see `segmenter`.

    Args:
        model: from `unet`, `build_ensemble` or `zoom_ensemble`.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise invalid(
            "image",
            "an array (H, W, 3), RGB 0..255",
            found=f"shape {image.shape}",
            hint="ensemble_seg.read_image reads image files.",
        )
    return segmenter(model)([image])[0]


def segmenter(
    model: keras.Model, number: int = 1, engine: str = KERAS, files: Sequence[Path] = ()
) -> Segmenter:
    """Return what segments images with a model.

    Args:
        model: from `unet`, `build_ensemble` or `zoom_ensemble`.
        number: how many images are to come: for many of them the networks are compiled first,
            which takes a second or two and makes each call about five times as fast.
        engine: what computes the networks: "keras", "onnx" or "openvino". For the others each is
            exported once, beside its file and with that file's hash in the name.
        files: of the models, which another engine than Keras needs: one for each member, or the
            one of the whole ensemble.

    Raises:
        ValueError: an unknown engine, or one that needs the models' files and has none.
        RuntimeError: a package is missing, or its probabilities differ from Keras'.
    """
    if engine not in ENGINES:
        raise invalid("engine", f"one of {', '.join(ENGINES)}", engine)
    if engine != KERAS and not files:
        raise invalid("engine", "keras for a model without a file", engine, "Save it first.")
    size = model.input_shape[1]
    if is_zoom(model):
        members, find, vote = zoom_members(model)
        return ZoomSegmenter(size, _runs(members, number, engine, files), find, vote)
    if engine != KERAS and len(files) == 1:
        return exported_segmenter(_exported(model, exported_path(files[0], engine)))
    members, average = ensemble_members(model)
    return Segmenter(size, _voted(_runs(members, number, engine, files), average))


def _runs(
    members: Sequence[keras.Model], number: int, engine: str, files: Sequence[Path]
) -> list[Run]:
    if engine == KERAS:
        return [_run(member, compiled=number >= MANY) for member in members]
    if len(files) == len(members):
        paths = [exported_path(file, engine) for file in files]
    else:
        paths = [exported_path(files[0], engine, which) for which in range(len(members))]
    networks = [
        opened(_exported(member, path), engine) for member, path in zip(members, paths, strict=True)
    ]
    return [lambda batch, network=network: network.run(batch)[0] for network in networks]


def _run(model: keras.Model, compiled: bool) -> Run:
    if compiled:
        return model.predict_on_batch
    return lambda batch: keras.ops.convert_to_numpy(model(batch, training=False))


def _exported(model: keras.Model, path: Path) -> Path:
    if not path.is_file():
        engine = ENGINE_OF[path.suffix]
        print(f"{engine}: the network is exported once, to {path}")
        export_model(model, path, engine)
    return path


def _voted(runs: Sequence[Run], average: WeightedAverage) -> Run:
    def lesion_maps(batch: np.ndarray) -> np.ndarray:
        maps = [run(batch) for run in runs]
        several = maps if len(maps) > 1 else []
        return np.stack([np.array(average(maps)), *several])[..., 1]

    return lesion_maps


class ZoomSegmenter(Segmenter):
    """Segments images with a zoom ensemble, whose box is cut out of the image at its own size.

    Args:
        size: side of the networks' input, pixels.
        runs: the main model and the sampling model.
        find, vote: the zoom ensemble's layers.
    """

    def __init__(self, size: int, runs: Sequence[Run], find: LesionBox, vote: PasteAndVote):
        main, self.near = runs
        super().__init__(size, main)
        self.find, self.vote = find, vote

    def __call__(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Cut the boxes out of the images, segment them too, and average inside the boxes."""
        maps, found = self.maps(self.batch(images)), []
        for image, whole, box in zip(images, maps, np.array(self.find(maps)), strict=True):
            result = enlarged(whole[None, ..., 1], image.shape[:2])
            top, left, bottom, right = box / self.size * (*image.shape[:2], *image.shape[:2])
            if bottom > top:
                corners = int(top), int(left), math.ceil(bottom), math.ceil(right)
                crop = resize_image(image, self.size, corners)[None].astype("float32")
                _vote_inside(result, self.near(crop)[0, ..., 1], corners, self.vote)
            found.append(result)
        return found


def _vote_inside(result: Prediction, near: np.ndarray, corners: tuple, vote: PasteAndVote) -> None:
    """Average a map with what another model sees in a box of it."""
    top, left, bottom, right = corners
    picture = Image.fromarray(near).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    whole, mask, disagreement = (each[top:bottom, left:right] for each in result)
    disagreement[:] = np.abs(picture - whole)
    whole[:] = np.average([whole, picture], axis=0, weights=vote.weights_given)
    mask[:] = whole > 0.5
