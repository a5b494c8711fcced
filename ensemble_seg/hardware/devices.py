"""Several devices that train as one: tf.distribute.MirroredStrategy with the numbers of one device.

Three things would otherwise depend on the number of devices: the statistics of batch
normalisation, the loss where a batch is shared out unevenly, and the file that is saved.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import keras
from keras import ops

from ..common.errors import invalid


@contextlib.contextmanager
def on_devices(model: keras.Model, devices: Sequence[str] | None) -> Iterator[keras.Model]:
    """Give a copy of a model that has its weights on each device; `copy_weights` brings them back.

    Batch normalisation of the copy takes its statistics over the whole batch. Compile and fit it
    inside the `with` block. Without devices it is the model itself.

    Args:
        model: what is copied.
        devices: names such as "GPU:0", in TensorFlow's numbering; None or empty for no copy.

    Raises:
        ValueError: a device that is not there or is named twice, or another backend of Keras.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
        >>> with on_devices(model, ["CPU:0"]) as copy:
        ...     copy.layers[0].synchronized, model.layers[0].synchronized
        (True, False)
    """
    if not devices:
        yield model
        return
    with _strategy(tuple(devices)).scope():
        copy = keras.models.clone_model(model, clone_function=_synchronized, recursive=True)
        copy_weights(model, copy)
        yield copy


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give one model the weights of another of the same layers, which may be itself."""
    if source is not target:
        target.set_weights(source.get_weights())


class MeanOverDevices(keras.losses.Loss):
    """A loss whose gradient is that of the mean over the whole batch, however it is shared out.

    Keras adds up the gradients of each device's own mean, divided by the number of devices. Of
    five images shared out as three and two, the last two would count for more. The value stays
    the device's mean: Keras weighs it by the number of images where it keeps account.

    Args:
        loss: a Keras loss that averages over its batch.
    """

    def __init__(self, loss: keras.losses.Loss):
        super().__init__(name=loss.name)
        self.loss = loss

    def __call__(self, y_true, y_pred, sample_weight=None):
        import tensorflow as tf

        mean = self.loss(y_true, y_pred, sample_weight)
        replica = tf.distribute.get_replica_context()
        if replica is None:
            return mean
        images = ops.cast(ops.shape(y_pred)[0], mean.dtype)
        whole = replica.all_reduce(tf.distribute.ReduceOp.SUM, images)
        factor = images * replica.num_replicas_in_sync / whole
        return mean + (factor - 1.0) * (mean - ops.stop_gradient(mean))


def check_shares(devices: Sequence[str] | None, batch_size: int, *images: int) -> None:
    """Raise ValueError where Keras could not share out the first batch of so many images.

    It takes the shape of a device's share from that batch, and fails where shares differ. Later
    batches may be shared out unevenly.

    Example:
        >>> check_shares(["GPU:0", "GPU:1"], 8, 801, 100)
    """
    first = [min(number, batch_size) for number in images]
    if devices and any(number % len(devices) for number in first):
        raise invalid(
            "devices",
            "a number of devices among which the first batches of "
            f"{' and '.join(map(str, first))} images (training, validation) can be shared evenly",
            found=f"{len(devices)} devices",
            hint="Change batch_size, or name fewer devices.",
        )


@functools.cache  # a second strategy would number its messages between devices like the first
def _strategy(devices: tuple[str, ...]):
    if keras.backend.backend() != "tensorflow":
        raise invalid(
            "devices",
            "None: several devices need the TensorFlow backend",
            found=f"devices={devices!r} with KERAS_BACKEND={keras.backend.backend()}",
        )
    import tensorflow as tf

    known = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    if len(set(devices)) < len(devices) or not set(devices) <= set(known):
        raise invalid("devices", f"different names of {', '.join(known)}", devices)
    return tf.distribute.MirroredStrategy(devices)


def _synchronized(layer: keras.layers.Layer) -> keras.layers.Layer:
    copy = layer.__class__.from_config(layer.get_config())
    if isinstance(copy, keras.layers.BatchNormalization):
        copy.synchronized = True
    return copy
