"""Adam whose update is one operation a weight."""

import keras


@keras.saving.register_keras_serializable(package="ensemble_seg")
class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, updated by TensorFlow's fused kernel.

    Keras 3 writes an update as a dozen operations, each a pass over the weights; the kernel is one
    pass. The formula is the same, and so are arguments and state. On another backend, or with
    `amsgrad`, Keras' own update is used.

    Example:
        >>> optimizer = FusedAdam(0.1)
        >>> weight = keras.Variable([1.0])
        >>> optimizer.apply([keras.ops.ones(1)], [weight])
        >>> round(float(weight[0]), 6)
        0.9
    """

    def update_step(self, gradient, variable, learning_rate):
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self.beta_1, variable.dtype) ** step,
            beta2_power=tf.cast(self.beta_2, variable.dtype) ** step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
