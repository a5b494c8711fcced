"""Adam whose update is one operation a weight, and Muon for the kernels of convolutions."""

from collections.abc import Callable

import keras
from keras import ops

MOMENTUM = 0.95
NEWTON_SCHULZ = 3.4445, -4.7750, 2.0315  # by K. Jordan: they raise small singular values fastest
ITERATIONS = 5
ROOT_MEAN_SQUARE = 0.2  # of an update, about what Adam's has


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


@keras.saving.register_keras_serializable(package="ensemble_seg")
class Muon(FusedAdam):
    """Muon for the kernels of convolutions, Adam for all other weights.

    The momentum of a kernel is taken as a matrix of (height * width * inputs, outputs) whose
    singular values are made nearly equal, so that no direction of it is learned much faster than
    another. Updates have the size of Adam's: learning rates and weight decay carry over. The
    first and the last convolution, of at most 3 inputs or outputs, stay with Adam, as Muon's
    author advises. Keras' own Muon (3.15) leaves all convolutions to Adam.

    Reference:
        Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
        kellerjordan.github.io/posts/muon; size of the updates: Liu et al., arXiv 2502.16982

    Example:
        >>> optimizer, kernel = Muon(0.1), keras.Variable(keras.ops.zeros((1, 1, 4, 4)))
        >>> optimizer.apply([keras.ops.reshape(keras.ops.eye(4), (1, 1, 4, 4))], [kernel])
        >>> bool(kernel[0, 0, 0, 0] < -0.02), float(kernel[0, 0, 0, 1])
        (True, 0.0)
    """

    def update_step(self, gradient, variable, learning_rate):
        shape = variable.shape
        if len(shape) != 4 or min(shape[-2:]) <= 3:
            return super().update_step(gradient, variable, learning_rate)
        gradient = ops.cast(gradient, variable.dtype)
        momentum = self._momentums[self._get_variable_index(variable)]
        momentum.assign(MOMENTUM * momentum + gradient)
        ahead = ops.reshape(gradient + MOMENTUM * momentum, (-1, shape[-1]))  # Nesterov
        size = ROOT_MEAN_SQUARE * max(ahead.shape) ** 0.5
        update = ops.reshape(size * orthogonalized(ahead), shape)
        variable.assign(variable - ops.cast(learning_rate, variable.dtype) * update)


def orthogonalized(matrix):
    """Bring the nonzero singular values of a matrix near 1, about 0.7 to 1.2, by iteration.

    Each iteration takes x to a x + b (x x') x + c (x x')^2 x. They are collected as a factor with
    the shorter side of x, so that x itself is multiplied twice and not ten times.

    Args:
        matrix: (N, M), any real numbers. Singular values below about 1/1000 of its Frobenius norm
            stay smaller.

    Returns:
        (N, M), same dtype.

    Example:
        >>> bool(abs(orthogonalized(keras.ops.ones((2, 1)))[0, 0] - 0.5**0.5) < 0.3)
        True
    """
    a, b, c = NEWTON_SCHULZ
    x = matrix / (ops.sqrt(ops.sum(ops.square(matrix))) + 1e-7)
    wide = x.shape[0] < x.shape[1]
    gram = ops.matmul(x, ops.transpose(x)) if wide else ops.matmul(ops.transpose(x), x)
    identity = factor = ops.eye(gram.shape[0], dtype=gram.dtype)
    for _ in range(ITERATIONS):
        step = a * identity + b * gram + c * ops.matmul(gram, gram)
        factor = ops.matmul(factor, step)
        gram = ops.matmul(step, ops.matmul(gram, step))
    return ops.matmul(factor, x) if wide else ops.matmul(x, factor)


OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": FusedAdam,
    "muon": Muon,
}
