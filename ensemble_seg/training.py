"""Compile, fit, and go on where a training was interrupted."""

import sys
from collections.abc import Sequence
from pathlib import Path

import keras
from keras import ops
from tqdm import tqdm

from .common.files import require_writable
from .common.stopping import uninterrupted
from .datasets import Dataset, Split
from .encoders.backbones import require_backbone
from .hardware.adam import FusedAdam
from .hardware.devices import (
    MeanOverDevices,
    check_shares,
    copy_weights,
    on_devices,
)
from .hardware.precision import precision_policy
from .inspection.readiness import Seen, lesion_problems
from .keeping.configs import run_config
from .keeping.stops import StopAtNaN, StopWhenAsked, stops_explained
from .losses import loss_by_name
from .models import unet
from .presets import Preset
from .reading.checking import CheckedMask, checked_masks
from .reading.pairs import Pair
from .runs import KeepState, Run, RunFolder, run_path
from .sampling import sampling_data


def train(
    model: keras.Model,
    data: Dataset,
    preset: Preset,
    name: str = "main",
    runs_dir: str | Path | None = None,
    devices: Sequence[str] | None = None,
) -> Run:
    """Fit a model, or go on with a training that was interrupted.

    The state after each epoch is kept in the run folder; the next call with the same arguments
    goes on from there and sees the batches it would have seen. Where the run is finished already,
    its weights are loaded and nothing is trained.

    Args:
        model: from `unet`. Its weights are replaced by the trained ones.
        data: train is fitted, validation watched after each epoch, test not touched.
        preset: how; see `Preset`.
        name: of the run, "main" or "sampling".
        runs_dir: ENSEMBLE_SEG_RUNS_DIR, or "runs", where it is None.
        devices: train on several, ["GPU:0", "GPU:1"], that share each batch among them. The result
            does not depend on them beyond rounding, nor does the run folder.

    Returns:
        Run with the history and the path `runs_dir/data set/preset/name`.

    Raises:
        ValueError: files that cannot be trained on (named, before anything is written), or a run
            folder of other data or settings, or devices that are not there or do not fit the batch.
    """
    data, loss = data.limit(preset.limit), loss_by_name(preset.loss)
    folder = RunFolder(run_path(data, preset, name, runs_dir))
    config = run_config(data, preset, name, model)
    if not folder.is_finished:
        folder.refuse_if_held()
        seen = _checked(data, preset, devices)
        ambiguous = sum(mask.ambiguous for mask in seen.values())
        with (
            on_devices(model, devices) as trained,
            folder.held(),
            stops_explained(name, preset, folder.kept),
            uninterrupted() as answer,
        ):
            if not folder.is_finished:  # by a process that held the folder until now
                folder.begin(
                    {**config, "ambiguous_mask_pixels": ambiguous}, 4 * model.count_params()
                )
                loss = MeanOverDevices(loss) if devices else loss
                _fit(trained, data, preset, loss, folder, model, answer)
    folder.refuse_another(config)
    run = folder.load()
    model.set_weights(run.model.get_weights())
    return run


def check_before_training(
    data: Dataset,
    preset: Preset,
    runs_dir: str | Path | None = None,
    devices: Sequence[str] | None = None,
) -> None:
    """Raise where both models cannot be trained, as far as that is known before the first epoch.

    The same test of the masks is part of `inspect_dataset`. `train` tests again what it needs.

    Args:
        data, preset, runs_dir, devices: as in `load_or_train`.

    Raises:
        ValueError: bad files, masks without what a model needs, an unknown loss or backbone,
            devices that do not fit, a run folder of other data or settings.
        RuntimeError: another process trains in a run folder.
        OSError: a run folder cannot be written to.
    """
    loss_by_name(preset.loss)
    require_backbone(preset.backbone, preset.size)
    data = data.limit(preset.limit)
    folders = {name: RunFolder(run_path(data, preset, name, runs_dir)) for name in TRAINING_DATA}
    if all(folder.is_finished for folder in folders.values()):
        return
    seen = _checked(data, preset, devices, sampling=True)
    crops = sum(mask.is_kept(preset.threshold) for mask in _seen(data.train, seen))
    check_shares(devices, preset.batch_size, crops)
    for name, folder in folders.items():
        folder.refuse_if_held()
        require_writable(folder.path)
        if folder.is_begun:
            folder.refuse_another(run_config(TRAINING_DATA[name](data, preset), preset, name))


def load_or_train(
    name: str,
    data: Dataset,
    preset: Preset,
    runs_dir: str | Path | None = None,
    devices: Sequence[str] | None = None,
) -> Run:
    """Return the finished run of that name; train it first, saying so, where it is missing.

    Args:
        name: "main" is trained on data.train, "sampling" on its lesion crops.
        data, preset, runs_dir, devices: as in `train`. Pass whole images for "sampling" too.

    Returns:
        Run; `run.model` is the trained model.

    Raises:
        ValueError: an unknown name, or as `train`.
    """
    if name not in TRAINING_DATA:
        raise ValueError(f"Unknown model '{name}'. Expected one of {', '.join(TRAINING_DATA)}.")
    data = TRAINING_DATA[name](data.limit(preset.limit), preset)
    folder = RunFolder(run_path(data, preset, name, runs_dir))
    if folder.is_finished:
        folder.refuse_another(run_config(data, preset, name))
        print(f"{name}: loaded from {folder.path}")
        return folder.load()
    print(f"{name}: no finished run in {folder.path}, so it is trained now.")
    return train(unet(preset, name), data, preset, name, runs_dir, devices)


TRAINING_DATA = {"main": lambda data, preset: data, "sampling": sampling_data}


def compile_model(
    model: keras.Model, preset: Preset, loss: keras.losses.Loss, total_steps: int
) -> None:
    """Compile a model as `train` does: lesion Dice watched, no XLA (slower on processors).

    With float16 the loss is scaled, so that small gradients do not become 0. The optimizer's
    variables are made here. Made inside the first step, as Keras does, they cost
    a second trace of the whole step.

    Args:
        model: from `unet`.
        preset: its learning_rate, warmup, decay, epochs and weight_decay are used.
        loss: to minimise.
        total_steps: of the whole training, warm-up and decay.
    """
    dice = keras.metrics.MeanMetricWrapper(lesion_dice, name="dice")
    optimizer = build_optimizer(preset, total_steps)
    if precision_policy(preset.precision) == "mixed_float16":
        # Keras does so for a model of that policy, but not for its copy on several devices.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
    model.compile(optimizer, loss, metrics=[dice], jit_compile=False)
    model.optimizer.build(model.trainable_variables)


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


@keras.saving.register_keras_serializable(package="ensemble_seg")
def lesion_dice(y_true, y_pred):
    """Dice of the lesion class of each image of a batch, (B,): 1 where both masks are empty.

    Args:
        y_true, y_pred: (B, H, W, 2) one-hot masks and softmax maps.
    """
    truth = ops.cast(y_true[..., 1] > 0.5, "float32")
    predicted = ops.cast(y_pred[..., 1] > y_pred[..., 0], "float32")
    total = ops.sum(truth, axis=(1, 2)) + ops.sum(predicted, axis=(1, 2))
    overlap = 2.0 * ops.sum(truth * predicted, axis=(1, 2))
    return ops.where(total > 0, overlap / ops.maximum(total, 1.0), 1.0)


def _checked(
    data: Dataset, preset: Preset, devices: Sequence[str] | None, sampling: bool = False
) -> dict[Pair, CheckedMask]:
    """Read all files; raise where they cannot be trained on. Returns what the masks hold."""
    for split in (data.train, data.validation):
        if not len(split):
            raise ValueError(f"{data.name}: expected images in the {split.name} part, found none.")
    check_shares(devices, preset.batch_size, len(data.train), len(data.validation))
    parts = (data.train, data.validation, data.test)
    seen = checked_masks([pair for part in parts for pair in part.pairs], data.lesion_values)
    masks = {part.name: _seen(part, seen) for part in (data.train, data.validation)}
    problems = lesion_problems(masks, preset, sampling, data.lesion_values)
    if problems:
        raise ValueError(f"{data.name}: {problems[0]}")
    return seen


def _seen(split: Split, masks: dict[Pair, CheckedMask]) -> list[Seen]:
    return [Seen(pair, masks[pair].pixels, masks[pair].lesion, box) for pair, box in split.windows]


def _fit(
    model: keras.Model, data: Dataset, preset: Preset, loss, folder: RunFolder, saved, answer
) -> None:
    keras.utils.set_random_seed(preset.seed)
    steps = -(-len(data.train) // preset.batch_size)
    compile_model(model, preset, loss, steps * preset.epochs)
    done, history = folder.resume(model, preset)
    best = saved if preset.keep == "best" else None
    model.fit(
        data.train.to_tf(preset, training=True, first_epoch=done),
        validation_data=data.validation.to_tf(preset),
        initial_epoch=done,
        epochs=preset.epochs,
        steps_per_epoch=steps,
        callbacks=[
            StopAtNaN(preset, folder.kept),
            StopWhenAsked(answer),
            KeepState(folder, history, best),
            _progress_bar(folder.name),
        ],
        shuffle=False,
        verbose=0,
    )
    copy_weights(model, saved)
    folder.finish(None if best else saved)


def _progress_bar(name: str) -> keras.callbacks.Callback:
    from tqdm.keras import TqdmCallback  # not above: in Jupyter its import may warn

    return TqdmCallback(verbose=0, tqdm_class=tqdm, desc=name, file=sys.stdout, mininterval=0)
