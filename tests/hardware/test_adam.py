import keras
import numpy as np
import pytest

from ensemble_seg.hardware.adam import FusedAdam, Muon, orthogonalized


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


def muon(kernel, gradients, rate, decay=0.0):
    """Muon in float64: the iteration written out for the singular values, none of the matrices."""
    matrix = np.asarray(kernel, "float64").reshape(-1, kernel.shape[-1])
    momentum = np.zeros_like(matrix)
    for gradient in gradients.astype("float64").reshape(len(gradients), *matrix.shape):
        momentum = 0.95 * momentum + gradient
        left, values, right = np.linalg.svd(gradient + 0.95 * momentum, full_matrices=False)
        values /= np.sqrt(np.sum(values**2))
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        size = 0.2 * np.sqrt(max(matrix.shape))
        matrix = matrix - rate * decay * matrix - rate * size * (left * values) @ right
    return matrix.reshape(kernel.shape)


@pytest.mark.parametrize("shape", [(3, 3, 5, 7), (1, 1, 4, 40), (1, 1, 6, 6)])
def test_muon_makes_the_singular_values_of_a_kernels_update_alike(shape):
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape).astype("float32")
    gradients = rng.normal(size=(4, *shape)).astype("float32")
    optimizer, kernel = Muon(0.01, weight_decay=2.0), keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [kernel])
    np.testing.assert_allclose(kernel, muon(start, gradients, 0.01, 2.0), atol=2e-6)


@pytest.mark.parametrize("shape", [(7, 7, 3, 8), (3, 3, 8, 2), (8, 8), (8,)])
def test_muon_leaves_first_and_last_convolution_and_all_else_to_adam(shape):
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape).astype("float32")
    gradients = rng.normal(size=(4, *shape)).astype("float32")
    optimizer, weight = Muon(0.01), keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    np.testing.assert_allclose(weight, adam(start, gradients, [0.01] * 4)[0], rtol=2e-6, atol=2e-7)


def test_singular_values_end_near_one_however_unlike_they_were():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(side, 8)))[0] for side in (30, 12))
    matrix = (left * np.geomspace(1, 0.01, 8)) @ right.T
    result = np.array(orthogonalized(keras.ops.convert_to_tensor(matrix.astype("float32"))))
    inside = left.T @ result @ right
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-4)
    assert np.diag(inside).min() > 0.65 and np.diag(inside).max() < 1.25
    np.testing.assert_allclose(left @ inside @ right.T, result, atol=1e-4)


def test_no_gradient_is_no_update():
    optimizer, kernel = Muon(0.01), keras.Variable(np.ones((3, 3, 4, 4), "float32"))
    optimizer.apply([keras.ops.zeros((3, 3, 4, 4))], [kernel])
    np.testing.assert_array_equal(kernel, 1)
