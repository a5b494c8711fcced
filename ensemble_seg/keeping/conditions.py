"""What a run folder is fit for, told without changing anything in it."""

from pathlib import Path

from ..common.locks import NAME as LOCK
from ..common.locks import refuse_if_held
from .configs import NAME as CONFIG
from .configs import read_config, settings_of
from .histories import epochs_of, read_history
from .loading import require_whole_file
from .states import SUFFIX, read_state

FINISHED, UNFINISHED, HELD, DAMAGED = "finished", "unfinished", "held", "damaged"
MARKS = ("model.keras", CONFIG, "backup", LOCK)


def run_folders(runs_dir: Path) -> list[Path]:
    """Return the run folders, and those of saved ensembles, at any depth below a folder."""
    return sorted({path.parent for path in runs_dir.rglob("*") if path.name in MARKS})


def condition(folder: Path) -> tuple[str, str]:
    """Return the condition of a run folder, and what there is to say about it.

    Every byte of the models and states is read and compared with its checksum.

    Returns:
        FINISHED, UNFINISHED, HELD or DAMAGED; and how far it is, or what is wrong with which file.

    Example:
        >>> condition(Path("nowhere"))
        ('unfinished', 'no epoch has ended')
    """
    try:
        refuse_if_held(folder)
    except RuntimeError:
        return HELD, "another process works in it"
    try:
        if (folder / "model.keras").is_file():
            return FINISHED, _finished(folder)
        return UNFINISHED, _unfinished(folder)
    except (ValueError, OSError) as error:
        first = str(error).split(". ")[0].removesuffix(".")
        return DAMAGED, first.replace(f"{folder}/", "")


def _finished(folder: Path) -> str:
    """Return how many epochs a model was trained; raise ValueError where a file is damaged."""
    if not (folder / CONFIG).exists() and not (folder / "history.csv").exists():
        require_whole_file(folder / "model.keras")
        return "a model alone"
    config = read_config(folder)
    epochs = settings_of(config, folder)["epochs"]
    require_whole_file(folder / "model.keras", config.get("model_sha256"))
    found = epochs_of(read_history(folder / "history.csv"))
    if found != epochs:
        raise ValueError(f"{folder}/history.csv: {found} of {epochs} epochs can be read")
    return f"{epochs} epochs"


def _unfinished(folder: Path) -> str:
    states = sorted((folder / "backup").glob(f"epoch-*{SUFFIX}"))
    if not states and not (folder / CONFIG).exists():
        return "no epoch has ended"
    epochs = settings_of(read_config(folder), folder)["epochs"]
    if not states:
        return f"none of {epochs} epochs has ended"
    try:
        state = read_state(states[-1], epochs, read_history(folder / "history.csv"))
    except ValueError as error:
        raise ValueError(f"{states[-1].relative_to(folder)}: {error}") from error
    return f"{state.done} of {epochs} epochs"
