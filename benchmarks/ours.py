"""How the rows use ensemble_seg: the one place that builds, compiles and predicts."""

import keras
import numpy as np

import ensemble_seg as es
from benchmarks.workloads import BATCH, without_tuning
from ensemble_seg.losses import loss_by_name
from ensemble_seg.training import compile_model

PRESET = es.preset("paper").replace(encoder_weights=None)


def compiled(preset: es.Preset) -> keras.Model:
    """A new model, compiled as `es.train` does."""
    model = es.unet(preset)
    compile_model(model, preset, loss_by_name(preset.loss), total_steps=1)
    return model


def ensemble() -> keras.Model:
    return es.build_ensemble([es.unet(PRESET.replace(seed=seed)) for seed in (0, 1)])


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Predict as `es.predict_split` does, from images at hand."""
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(images).batch(BATCH)
    return model.predict(without_tuning(batches), verbose=0)
