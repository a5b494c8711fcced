"""The network, loss, ensemble and metrics on JAX, where TensorFlow cannot be imported."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_TENSORFLOW = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
sys.meta_path.insert(0, Refuse())
"""
VALUES = """
import json
import keras
import numpy as np
import ensemble_seg as es
from ensemble_seg.training import lesion_dice

with np.load(sys.argv[1]) as file:
    truth, maps, other = file["truth"], file["maps"], file["other"]
ensemble = es.WeightedAverage([3, 1])([maps, other])
asymmetric = es.ExponentialLoss(class_weights=(1.0, 3.0))
print(json.dumps({
    "backend": keras.backend.backend(),
    "precision": es.precision_policy(),
    "loss": float(es.ExponentialLoss()(truth, maps)),
    "single": float(es.ExponentialLoss(double_softmax=False)(truth, maps)),
    "asymmetric": float(asymmetric(truth, maps)),
    "ensemble": np.asarray(ensemble).tolist(),
    "dice": np.asarray(lesion_dice(truth, maps)).tolist(),
    "score": es.Scores.from_masks(truth.argmax(-1), maps.argmax(-1)).per_image["dice"].tolist(),
    "tensorflow": "tensorflow" in sys.modules,
}))
"""
SCRIPT = """
import runpy
runpy.run_module("benchmarks.jax_throughput", run_name="__main__", alter_sys=True)
"""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not there: pip install jax"
)


def on_jax(code, *arguments):
    """Run code in a process that computes with JAX on the processor; return what it printed."""
    env = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    env = {key: value for key, value in env.items() if key != "SM_FRAMEWORK"}
    command = [sys.executable, "-c", NO_TENSORFLOW + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_loss_ensemble_and_metrics_give_numpys_values(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.eye(2)[rng.integers(0, 2, (3, 8, 8))]
    lesion, second = rng.uniform(size=(2, 3, 8, 8))
    maps, other = (np.stack([1 - p, p], axis=-1) for p in (lesion, second))
    np.savez(tmp_path / "arrays.npz", truth=truth, maps=maps, other=other)
    found = json.loads(on_jax(VALUES, tmp_path / "arrays.npz"))

    # Of two classes the loss is 0.9 (1 + exp(-p)), p being the probability of the true class;
    # the published form takes the softmax of the probabilities once more.
    p = (truth * maps).sum(axis=-1)
    p_again = np.exp(p) / (np.exp(p) + np.exp(1 - p))
    pixel = 0.9 * (1 + np.exp(-p_again))
    assert found["loss"] == pytest.approx(pixel.mean(), rel=1e-5)
    assert found["single"] == pytest.approx((0.9 * (1 + np.exp(-p))).mean(), rel=1e-5)
    weights = np.where(truth[..., 1] == 1, 3, 1)
    assert found["asymmetric"] == pytest.approx((weights * pixel).mean(), rel=1e-5)
    np.testing.assert_allclose(found["ensemble"], 0.75 * maps + 0.25 * other, rtol=1e-5)
    mask, drawn = truth[..., 1] == 1, lesion > 0.5
    both, total = (mask & drawn).sum((1, 2)), mask.sum((1, 2)) + drawn.sum((1, 2))
    np.testing.assert_allclose(found["dice"], 2 * both / total, rtol=1e-5)
    np.testing.assert_allclose(found["score"], 2 * both / total, rtol=1e-12)
    assert found["backend"] == "jax"
    assert found["precision"] == "float32"  # bfloat16 is no faster with JAX on processors
    assert not found["tensorflow"]


def test_the_script_trains_and_votes():
    sizes = ["--backbone", "resnet18", "--size", 64, "--batch", 2, "--steps", 2, "--rounds", 2]
    printed = on_jax(SCRIPT, *sizes, "--precision", "float32", "mixed_bfloat16")
    assert printed.count("resnet18, 64 x 64, batch 2, ") == 2
    for what in ("training", "ensemble inference"):
        rates = re.findall(rf"  {what}: ([\d.]+) images/s", printed)
        assert len(rates) == 2
        assert all(float(rate) > 0 for rate in rates)
    losses = [float(loss) for loss in re.findall(r"a loss of ([\d.]+)", printed)]
    # Nothing learned: 0.9 (1 + exp(-0.5)), about 1.446; the bound is 1.333.
    assert all(1.333 < loss < 1.446 for loss in losses)
    assert len(losses) == 2
    assert "TensorFlow imported: no" in printed
