"""Networks that are built and trained in a second."""

import keras
import numpy as np

import ensemble_seg as es

TINY = es.preset("smoke").replace(size=32, epochs=3, precision="float32", limit=0)
RESUMED = TINY.replace(decay=True, augment=True)  # what a state has to restore


def small_model(preset=TINY, seed=0):
    """Two convolutions and a batch normalisation, from images to softmax maps."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((preset.size, preset.size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(x))


def threshold_model(limit, sharpness=1.0):
    """Lesion where the mean of the channels is below `limit`: a network that needs no training."""
    image = keras.Input((32, 32, 3))
    layer = keras.layers.Conv2D(2, 1, activation="softmax")
    model = keras.Model(image, layer(image), name=f"below_{limit}")
    kernel = np.array([[[[0.0, -sharpness / 3]] * 3]])
    layer.set_weights([kernel, np.array([0.0, limit * sharpness])])
    return model


def weights_of(model):
    """All weights of a model in one row."""
    return np.concatenate([weight.ravel() for weight in model.get_weights()])
