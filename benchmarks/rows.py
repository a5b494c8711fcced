"""The rows of the report: what is measured, and what it is compared with."""

import importlib.util
import shutil
import sys
import time
from pathlib import Path

from .measuring import Measured, Row, compare, run

NETWORKS = {"quick": "efficientnetlite0", "paper": "resnet101"}  # presets and their backbones
OURS = [sys.executable, "-m", "benchmarks.ours"]
PEER = [sys.executable, "-m", "benchmarks.peer"]
KERAS, EXPORTED, PYTORCH = "ours", "ours, exported to ONNX", "PyTorch"
LARGE, IMAGES = (800, 1000), 200  # of `predict`
NO_PEER = "no PyTorch beside it: pip install segmentation-models-pytorch"


def training(rounds: int, scratch: Path) -> list[Row]:
    return [_beside_peer("training", name, rounds, scratch) for name in NETWORKS]


def inference(rounds: int, scratch: Path) -> list[Row]:
    return [_beside_peer("inference", name, rounds, scratch) for name in NETWORKS]


def _beside_peer(task: str, name: str, rounds: int, scratch: Path) -> Row:
    from ensemble_seg import preset

    backbone, size = NETWORKS[name], preset(name).size
    label = f"{name},backbone={backbone},encoder_weights=None,batch_size=8"
    commands = {
        f"{KERAS}, precision auto": [*OURS, task, f"{label},precision=auto"],
        KERAS: [*OURS, task, f"{label},precision=float32"],
    }
    if task == "inference" and name == "quick":
        path = str(scratch / "network.onnx")
        run(*OURS, "network", f"{label},precision=float32", path)
        commands[EXPORTED] = [*OURS, "exported", path]
    has_peer = importlib.util.find_spec("segmentation_models_pytorch") is not None
    if has_peer:
        commands[PYTORCH] = [*PEER, task, backbone, str(size)]
    base = PYTORCH if has_peer else KERAS
    return Row(
        f"{task}, {backbone} U-Net, {size}x{size}, batch 8",
        "images/s",
        compare(commands, rounds, scratch),
        tuple((each, base) for each in commands if each != base),
        () if has_peer else (NO_PEER,),
    )


def predict(rounds: int, scratch: Path) -> list[Row]:
    """From the command to the last file."""
    from .ours import draw_pairs

    draw_pairs(scratch / "many", LARGE, IMAGES, 20)
    (scratch / "one").mkdir()
    shutil.copy(scratch / "many" / "images" / "0000.jpg", scratch / "one")
    models = {KERAS: str(scratch / "ensemble.keras"), EXPORTED: str(scratch / "ensemble.onnx")}
    run(*OURS, "save", models[KERAS])
    _command("export", models[KERAS], models[EXPORTED])
    found = []
    for folder, count, times in (("one", 1, rounds), ("many/images", IMAGES, 1)):
        measured = {name: Measured([]) for name in models}
        for _ in range(times):
            for name, model in models.items():
                out = scratch / "out"
                shutil.rmtree(out, ignore_errors=True)
                arguments = "predict", str(scratch / folder), "--model", model, "--out", str(out)
                measured[name].values.append(_command(*arguments))
        title = f"predict, from the command to the last file, {count} of 800x1000"
        found.append(Row(title, "s", measured, ((EXPORTED, KERAS),)))
    return found


def _command(*arguments: str) -> float:
    start = time.perf_counter()
    run(sys.executable, "-m", "ensemble_lab.cli", *arguments)
    return time.perf_counter() - start


def files(rounds: int, scratch: Path) -> list[Row]:
    """Files to batches of 256 x 256."""
    from .ours import draw_pairs

    found = []
    for title, shape, pairs, distinct in (
        ("352x352 JPEG", (352, 352), 1000, 100),
        ("6000x4000 JPEG", (4000, 6000), 40, 3),
    ):
        folder = scratch / title
        draw_pairs(folder, shape, pairs, distinct)
        readers = {KERAS: "first_pass", "a loop with Pillow": "loop", "tf.data with tf.io": "tf"}
        commands = {name: [*OURS, reader, str(folder)] for name, reader in readers.items()}
        measured = compare(commands, rounds, scratch)
        ratios = tuple((KERAS, name) for name in readers if name != KERAS)
        found.append(Row(f"files to batches of 256x256, {title}", "pairs/s", measured, ratios))
    return found


def notebooks(rounds: int, scratch: Path) -> list[Row]:
    """Once, whatever the rounds: it is minutes, not milliseconds."""
    start = time.perf_counter()
    settings = {"ENSEMBLE_SEG_PRESET": "quick", "ENSEMBLE_SEG_RUNS_DIR": str(scratch / "runs")}
    run(sys.executable, "tools/notebooks.py", "run", **settings)
    minutes = Measured([(time.perf_counter() - start) / 60])
    return [Row("three notebooks, quick, two trainings included", "min", {KERAS: minutes})]


def precision(rounds: int, scratch: Path) -> list[Row]:
    """Once: whether the same weights make the same masks in bfloat16 as in float32."""
    changed = {}
    for each in ("float32", "mixed_bfloat16"):
        label = f"quick,epochs=3,precision={each}"
        lines = run(*OURS, "precision", label, str(scratch / each)).splitlines()
        changed[f"trained in {each}"] = Measured([100 * float(lines[-1])])
    return [Row("pixels of phantoms that change class in the other precision", "%", changed)]


ROWS = {each.__name__: each for each in (training, inference, predict, files, notebooks, precision)}
