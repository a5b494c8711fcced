"""The network, loss, metrics and ensemble of the published notebooks, written from METHOD's facts.

Runs in the published stack's own environment. Weights are random: there is nothing to download.
"""

import contextlib
import os
import sys

import tensorflow as tf
from keras_unet_collection import models

os.environ.setdefault("SM_FRAMEWORK", "tf.keras")
with contextlib.redirect_stdout(sys.stderr):  # it says which framework it uses
    import segmentation_models as sm

SIZE = 256


def network(frozen: bool = True, name: str = "main") -> tf.keras.Model:
    """U-Net on ResNet101 with the arguments of the notebooks; the library freezes its encoder."""
    return models.unet_2d(
        (SIZE, SIZE, 3),
        [64, 128, 256, 512, 1024],
        n_labels=2,
        stack_num_down=2,
        stack_num_up=2,
        backbone="ResNet101",
        weights=None,
        freeze_backbone=frozen,
        activation="ReLU",
        output_activation="Softmax",
        batch_norm=True,
        pool="max",
        unpool="bilinear",
        name=name,
    )


def compiled(model: tf.keras.Model) -> tf.keras.Model:
    metrics = [sm.metrics.IOUScore(threshold=0.5), sm.metrics.FScore(threshold=0.5), soft_dice]
    model.compile(tf.keras.optimizers.Adam(1e-3), exponential_loss, metrics=metrics)
    return model


def exponential_loss(y_true, y_pred):
    p = tf.nn.softmax(y_pred)
    right, wrong = tf.exp(-y_true * p), tf.exp(-(1 - y_true) * (1 - p))
    return tf.reduce_mean(0.8 * right + wrong)


def soft_dice(y_true, y_pred):
    overlap = tf.reduce_sum(y_true * y_pred)
    return (2 * overlap + 1) / (tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) + 1)


class WeightedSum(tf.keras.layers.Layer):
    """The vote of the published ensemble: 1.01 times the first softmax map, 1 times the second."""

    def call(self, maps):
        return 1.01 * maps[0] + 1.0 * maps[1]


def ensemble() -> tf.keras.Model:
    """Two networks and their vote in one model, as the published Ensemble notebook joins them."""
    image = tf.keras.Input((SIZE, SIZE, 3))
    members = [network(name="main"), network(name="sampling")]
    return tf.keras.Model(image, WeightedSum()([member(image) for member in members]))
