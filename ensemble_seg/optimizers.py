"""Adam, with the learning rate rising and falling as a preset says."""

import keras

from .hardware.adam import FusedAdam
from .presets import Preset


def build_optimizer(preset: Preset, total_steps: int) -> keras.optimizers.Optimizer:
    """Return Adam, as published, with the preset's warm-up, decay and weight decay, if any.

    Args:
        preset: its learning_rate, warmup, decay, epochs and weight_decay are used.
        total_steps: of the whole training, warm-up and decay.

    Example:
        >>> from ensemble_seg import preset
        >>> optimizer = build_optimizer(preset("quick"), 100)
        >>> round(float(optimizer.learning_rate), 6)
        0.001
    """
    rate, warmup = preset.learning_rate, total_steps * preset.warmup // preset.epochs
    if warmup or preset.decay:
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate,
            total_steps - warmup,
            alpha=0.0 if preset.decay else 1.0,
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    return FusedAdam(rate, weight_decay=preset.weight_decay or None)
