"""Batch normalisation in one pass over the data, where TensorFlow has a kernel for it."""

import keras

# Of an image's three channels the kernel makes ten times the work that Keras does.
FEWEST_CHANNELS = 16


@keras.saving.register_keras_serializable(package="ensemble_seg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, computed by TensorFlow's fused kernel.

    Keras 3 writes mean, variance, scale and shift as some forty operations forward and backward,
    each a pass over the data; for bfloat16 each input is cast to float32 and back as well. The
    fused kernel does it in one operation each way and keeps its sums in float32. Results are the
    same up to rounding. Weights, arguments and configuration are those of the layer it derives
    from, which also does the work in all other cases: another backend, a mask, another rank or
    axis, fewer than 16 channels, `renorm` or `synchronized`.

    Call arguments:
        inputs: (B, H, W, C) float.
        training: normalise with the batch's own mean and variance and update the moving ones.

    Example:
        >>> layer = FusedBatchNormalization()
        >>> layer(keras.ops.ones((1, 2, 2, 1)), training=True)[0, 0, 0].numpy().tolist()
        [0.0]
    """

    def __init__(self, *args, name: str | None = None, **kwargs):
        # DenseNet calls a layer conv1/bn, which Keras 3 refuses.
        super().__init__(*args, name=name and name.replace("/", "_"), **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not self._has_kernel(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        scale = tf.cast(self.gamma, "float32") if self.scale else tf.ones(inputs.shape[-1])
        shift = tf.cast(self.beta, "float32") if self.center else tf.zeros(inputs.shape[-1])
        own = bool(training and self.trainable)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            scale,
            shift,
            mean=None if own else tf.cast(self.moving_mean, "float32"),
            variance=None if own else tf.cast(self.moving_variance, "float32"),
            epsilon=self.epsilon,
            is_training=own,
        )
        if own:
            number = tf.cast(tf.size(inputs) // inputs.shape[-1], "float32")
            # The kernel divides by number - 1, Keras by number.
            variance *= (number - 1) / number
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        return tf.cast(outputs, self.compute_dtype)

    def _has_kernel(self, inputs, mask) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and mask is None
            and len(inputs.shape) == 4
            and inputs.shape[-1] >= FEWEST_CHANNELS
            and self.axis in (-1, 3)
            and inputs.dtype in ("float32", "bfloat16", "float16")
            and not (getattr(self, "renorm", False) or self.synchronized)
        )

    def _move(self, moving, batch) -> None:
        moving.assign(moving * self.momentum + batch * (1 - self.momentum))
