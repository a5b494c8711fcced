import keras
import numpy as np
import pytest

from ensemble_seg.hardware.adam import FusedAdam


def adam(weights, gradients, rates, beta_1=0.9, beta_2=0.999, epsilon=1e-7, decay=0.0):
    """Adam in float64, as Kingma and Ba write it before section 2.1, epsilon hat.

    `decay` is the weight decay of AdamW (Loshchilov and Hutter, algorithm 2).
    """
    weights = np.asarray(weights, "float64")
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        step = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        weights = weights - step * m / (np.sqrt(v) + epsilon) - rate * decay * weights
    return weights, m, v


@pytest.mark.parametrize("beta_1, beta_2, epsilon", [(0.9, 0.999, 1e-7), (0.8, 0.9, 1e-3)])
def test_ten_steps_are_those_of_the_paper(beta_1, beta_2, epsilon):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 5)).astype("float32")
    gradients = rng.normal(size=(10, 3, 5)).astype("float32")
    optimizer = FusedAdam(0.01, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    weight = keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])

    expected, m, v = adam(start, gradients, [0.01] * 10, beta_1, beta_2, epsilon)

    np.testing.assert_allclose(weight, expected, rtol=2e-6, atol=2e-7)
    _, _, momentum, velocity = optimizer.variables
    np.testing.assert_allclose(momentum, m, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(velocity, v, rtol=1e-5, atol=1e-7)


def test_a_learning_rate_may_change_from_step_to_step():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 4)
    optimizer, weight = FusedAdam(schedule), keras.Variable([1.0, -1.0])
    gradients = np.array([[1.0, 0.5], [0.3, -2.0], [-1.0, 0.1]], "float32")
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    rates = [0.1 * (1 + np.cos(np.pi * step / 4)) / 2 for step in range(3)]
    np.testing.assert_allclose(weight, adam([1.0, -1.0], gradients, rates)[0], rtol=1e-5)


def test_weight_decay_is_that_of_adamw():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 4)
    optimizer, weight = FusedAdam(schedule, weight_decay=2.0), keras.Variable([1.0, -1.0])
    gradients = np.array([[1.0, 0.5], [0.3, -2.0], [-1.0, 0.1]], "float32")
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    rates = [0.1 * (1 + np.cos(np.pi * step / 4)) / 2 for step in range(3)]
    expected, _, _ = adam([1.0, -1.0], gradients, rates, decay=2.0)
    np.testing.assert_allclose(weight, expected, rtol=1e-5)


def test_amsgrad_is_left_to_keras():
    weights = []
    for optimizer in (FusedAdam(0.1, amsgrad=True), keras.optimizers.Adam(0.1, amsgrad=True)):
        weight = keras.Variable([1.0])
        for gradient in (3.0, 0.1, 0.1):
            optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
        weights.append(float(weight[0]))
    assert weights[0] == weights[1]
