"""A training that has to stop says why, what is kept, and how to go on."""

import contextlib
from collections.abc import Callable, Iterator

import keras
import numpy as np

from ..common.errors import is_out_of_memory
from ..presets import Preset


class StopAtNaN(keras.callbacks.Callback):
    """Stop at the first loss that is not finite, before a state of such weights is kept.

    Args:
        preset: of the training, for the message.
        kept: returns a sentence on what is kept.
    """

    def __init__(self, preset: Preset, kept: Callable[[], str]):
        super().__init__()
        self.preset, self.kept, self.epoch = preset, kept, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self._require_finite("the loss", logs["loss"], f"epoch {self.epoch}, step {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self._require_finite(name, value, f"the end of epoch {self.epoch}")

    def _require_finite(self, what: str, value, when: str) -> None:
        if np.isfinite(value):
            return
        preset = self.preset
        float32 = "" if preset.precision == "float32" else "precision=float32, or "
        raise RuntimeError(
            f"Training stopped at {when}: {what} is not finite ({float(value)}). {self.kept()} "
            f"Choose a lower learning_rate (now {preset.learning_rate:g}), {float32}another loss "
            f"(now {preset.loss}); with a changed setting a new run begins."
        )


class StopWhenAsked(keras.callbacks.Callback):
    """Stop after a step, once a Ctrl-C or SIGTERM has come.

    Args:
        answer: from `uninterrupted`.
    """

    def __init__(self, answer: Callable[[], None]):
        super().__init__()
        self.answer = answer

    def on_train_batch_end(self, batch, logs=None):
        self.answer()

    def on_test_batch_end(self, batch, logs=None):
        self.answer()


@contextlib.contextmanager
def stops_explained(name: str, preset: Preset, kept: Callable[[], str]) -> Iterator[None]:
    """Say what is kept where a training is interrupted or memory does not suffice.

    Args:
        name: of the run.
        preset: its batch_size and size are named.
        kept: returns a sentence on what is kept.

    Raises:
        KeyboardInterrupt: of the kind that came in, with a message.
        RuntimeError: out of memory.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        text = f"The training of {name} was interrupted. {kept()} The same command goes on."
        raise type(stop)(text) from None
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RuntimeError(
            f"The training of {name} ran out of memory. {kept()} Choose a lower batch_size (now "
            f"{preset.batch_size}) or size (now {preset.size}); with a changed setting a new run "
            "begins. Or free memory, and the same command goes on."
        ) from error
