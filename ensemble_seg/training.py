"""Compile, fit, and go on where a training was interrupted."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from .data import Dataset, require_lesions
from .losses import loss_by_name
from .network import precision_policy, unet
from .presets import Preset
from .runs import (
    Run,
    held,
    load_run,
    read_history,
    refuse_another,
    replaced,
    run_config,
    run_path,
    save_model,
    states,
    write_history,
    write_text,
)
from .sampling import sampling_data

TRAINING_DATA = {"main": lambda data, preset: data, "sampling": sampling_data}


def train(
    model: keras.Model,
    data: Dataset,
    preset: Preset,
    name: str = "main",
    runs_dir: str | Path | None = None,
) -> Run:
    """Fit a model, or go on with a training that was interrupted.

    The state after each epoch is kept in the run folder; the next call with the same arguments
    goes on from there and sees the batches it would have seen. Where the run is finished already,
    its weights are loaded and nothing is trained.

    Args:
        model: from `unet`. Its weights are replaced by the trained ones.
        data: train is fitted, validation watched after each epoch, test not touched.
        preset: how; see `Preset`.
        name: of the run folder. For "sampling" pass `sampling_data(data, preset)`, as
            `load_or_train` does.
        runs_dir: ENSEMBLE_SEG_RUNS_DIR, or "runs", where it is None.

    Returns:
        Run with the history and the path `runs_dir/data set/preset/name`.

    Raises:
        ValueError: files that cannot be trained on (named, before anything is written), or a run
            folder of other data or settings.
        RuntimeError: another process trains in the folder, or the loss is not finite.
    """
    data = data.limit(preset.limit)
    folder = run_path(data, preset, name, runs_dir)
    config = run_config(data, preset, name)
    refuse_another(folder, config)
    if not (folder / "model.keras").is_file():
        require_lesions(data)
        with held(folder):
            if not (folder / "config.json").is_file():
                write_text(folder / "config.json", json.dumps(config, indent=2))
            if not (folder / "model.keras").is_file():
                _fit(model, data, preset, folder)
    for state in states(folder):
        state.unlink(missing_ok=True)
    run = load_run(folder)
    model.set_weights(run.model.get_weights())
    return run


def load_or_train(
    name: str, data: Dataset, preset: Preset, runs_dir: str | Path | None = None
) -> Run:
    """Return the finished run of that name; train it first, saying so, where it is missing.

    Args:
        name: "main" is trained on data.train, "sampling" on its lesion crops.
        data, preset, runs_dir: as in `train`. Pass whole images for "sampling" too.

    Returns:
        Run; `run.model` is the trained model.

    Raises:
        ValueError: an unknown name, or as `train`.
    """
    if name not in TRAINING_DATA:
        raise ValueError(f"Unknown model '{name}'. Expected one of {', '.join(TRAINING_DATA)}.")
    data = TRAINING_DATA[name](data.limit(preset.limit), preset)
    folder = run_path(data, preset, name, runs_dir)
    if (folder / "model.keras").is_file():
        refuse_another(folder, run_config(data, preset, name))
        print(f"{name}: loaded from {folder}")
        return load_run(folder)
    print(f"{name}: no finished run in {folder}, so it is trained now.")
    return train(unet(preset, name), data, preset, name, runs_dir)


def check_before_training(
    data: Dataset, preset: Preset, runs_dir: str | Path | None = None
) -> None:
    """Raise where both models cannot be trained, as far as that is known before the first epoch.

    Raises:
        ValueError: bad files, masks without what a model needs, a run folder of other data or
            settings.
    """
    data = data.limit(preset.limit)
    require_lesions(data)
    for name, training_data in TRAINING_DATA.items():
        folder = run_path(data, preset, name, runs_dir)
        refuse_another(folder, run_config(training_data(data, preset), preset, name))


def compile_model(
    model: keras.Model, preset: Preset, loss: keras.losses.Loss, total_steps: int
) -> None:
    """Compile a model as `train` does: Adam, lesion Dice watched, no XLA (slower on processors).

    Args:
        model: from `unet`.
        preset: its learning_rate, decay and precision are used.
        loss: to minimise.
        total_steps: of the whole training: with `decay` the learning rate falls to 0 over them.
    """
    rate = preset.learning_rate
    if preset.decay:
        rate = keras.optimizers.schedules.CosineDecay(rate, total_steps)
    optimizer = keras.optimizers.Adam(rate)
    if precision_policy(preset.precision) == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # small gradients become 0
    dice = keras.metrics.MeanMetricWrapper(lesion_dice, name="dice")
    model.compile(optimizer, loss, metrics=[dice], jit_compile=False)
    # Its variables, made inside the first step as Keras does, cost a second trace of the step.
    model.optimizer.build(model.trainable_variables)


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


class KeepState(keras.callbacks.Callback):
    """After each epoch: keep the best model, the history, and all that is needed to go on.

    The state is written last, under a name with its epoch: whatever is killed before, the epoch is
    trained again and writes the same.
    """

    def __init__(self, folder: Path, preset: Preset, history: dict[str, list[float]]):
        super().__init__()
        self.folder, self.preset, self.history = folder, preset, history

    def on_train_batch_end(self, batch, logs=None):
        self._require_finite(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self._require_finite(logs["loss"] + logs["val_loss"])
        best = max(self.history.get("val_dice", []), default=-1.0)
        if self.preset.keep == "best" and logs["val_dice"] > best:
            save_model(self.model, self.folder / "best.keras")
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
        write_history(self.folder / "history.csv", self.history)
        # Keras keeps the optimiser's state in the weights file of a compiled model.
        with replaced(self.folder / f"epoch-{epoch + 1:04d}.weights.h5") as partial:
            self.model.save_weights(partial)
        for older in states(self.folder)[:-1]:
            older.unlink()

    def _require_finite(self, loss: float) -> None:
        if not np.isfinite(loss):
            raise RuntimeError(
                f"{self.folder}: the loss is not finite. Choose a lower learning_rate (now "
                f"{self.preset.learning_rate:g}) or precision=float32."
            )


def _fit(model: keras.Model, data: Dataset, preset: Preset, folder: Path) -> None:
    steps = -(-len(data.train) // preset.batch_size)
    compile_model(model, preset, loss_by_name(preset.loss), steps * preset.epochs)
    done, history = 0, {}
    for state in states(folder)[-1:]:
        model.load_weights(state)
        done = int(state.name.split(".")[0].removeprefix("epoch-"))
        history = {
            key: values[:done] for key, values in read_history(folder / "history.csv").items()
        }
        print(f"{folder.name}: goes on after epoch {done}")
    from tqdm.keras import TqdmCallback  # not above: in Jupyter its import may warn

    bar = TqdmCallback(verbose=0, tqdm_class=tqdm, desc=folder.name, file=sys.stdout, mininterval=0)
    model.fit(
        data.train.to_tf(preset, training=True, first_epoch=done),
        validation_data=data.validation.to_tf(preset),
        initial_epoch=done,
        epochs=preset.epochs,
        steps_per_epoch=steps,  # one dataset holds all epochs, each shuffled by itself
        callbacks=[KeepState(folder, preset, history), bar],
        shuffle=False,
        verbose=0,
    )
    if preset.keep == "best":
        (folder / "best.keras").replace(folder / "model.keras")
    else:
        save_model(model, folder / "model.keras")
