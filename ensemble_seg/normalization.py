"""Batch normalisation in one pass over the data, where TensorFlow has a kernel for it."""

import keras

# Of an image's three channels the kernel makes ten times the work that Keras does.
FEWEST_CHANNELS = 16


@keras.saving.register_keras_serializable(package="ensemble_seg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, computed by TensorFlow's fused kernel.

    Keras 3 makes some forty passes over the data, forward and backward; the kernel makes one each
    way, with sums in float32. Results are the same up to rounding. What the kernel cannot do, such
    as masks or fewer than 16 channels, is left to the layer it derives from.

    Example:
        >>> layer = FusedBatchNormalization()
        >>> layer(keras.ops.ones((1, 2, 2, 16)), training=True)[0, 0, 0, :3].numpy().tolist()
        [0.0, 0.0, 0.0]
    """

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
