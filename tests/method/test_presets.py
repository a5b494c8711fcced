import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg.losses import LOSSES
from ensemble_seg.presets import LOSS_NAMES, checked_weights


def test_quick_is_the_default_and_the_environment_chooses(monkeypatch):
    assert es.preset().name == "quick"
    monkeypatch.setenv("ENSEMBLE_SEG_PRESET", "paper,epochs=3")
    assert es.preset() == es.preset("paper").replace(epochs=3)


def test_paper_is_the_published_configuration():
    paper = es.preset("paper")
    assert (paper.size, paper.backbone, paper.encoder_weights) == (256, "resnet101", "imagenet")
    assert (paper.batch_size, paper.epochs, paper.learning_rate) == (8, 50, 1e-3)
    assert (paper.threshold, paper.margin, paper.weights) == (3.0, (20, 10), (1.01, 1.0))
    assert (paper.loss, paper.augment, paper.keep) == ("exponential", False, "last")
    assert (paper.decay, paper.encoder_freeze, paper.limit, paper.seed) == (False, False, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"epochs": 40, "augment": True},
        {"margin": (5,), "weights": (0.5, 0.25)},
        {"encoder_weights": None, "backbone": "resnet34", "seed": 3},
        {"learning_rate": 3e-4, "threshold": 0.5, "decay": True, "loss": "tversky"},
    ],
)
@pytest.mark.parametrize("name", ["smoke", "quick", "paper"])
def test_a_label_reads_back_as_the_same_preset(name, changes):
    variant = es.preset(name).replace(**changes)
    assert es.preset(variant.label) == variant


def test_a_label_names_what_differs_and_nothing_else():
    quick = es.preset("quick")
    assert quick.label == "quick"
    assert quick.replace(seed=1).label == "quick,seed=1"
    assert quick.replace(epochs=quick.epochs).label == "quick"
    assert es.preset("quick,encoder_weights=None") == quick.replace(encoder_weights=None)


BAD = {
    "size": [100, 10, 0, -32, 64.0, "64"],
    "batch_size": [0, -1, 1.5, "four", True],
    "epochs": [2.5, 0, -3, "many", True, None],
    "seed": [-1, 0.5, "x", None],
    "limit": [-1, 2.5, "all"],
    "learning_rate": [0, 0.0, -0.0, -1e-3, float("nan"), float("inf"), "fast", True],
    "threshold": [-1, float("nan"), "x"],
    "margin": [(-1,), (20, -1), (2.5,), ("a",), -3, 2.5, "wide", None],
    "weights": [(1,), (1, 1, 1), (0, 0), (-1, 2), (float("nan"), 1), ("a", "b"), 1.0, "even", None],
    "augment": ["no", "yes", 1, None],
    "decay": ["no", 0],
    "encoder_freeze": ["no", 0],
    "loss": ["nope", "l1", None, ""],
    "backbone": ["resnet19", "senet154", "", None],
    "encoder_weights": ["imagnet", "mine.weights.h5", "", 1],
    "keep": ["first", None, True],
    "precision": ["bfloat16", "half", None],
}
CASES = [(field, value) for field, values in BAD.items() for value in values]
RIGHT_AS_TEXT = [("size", "64")]


@pytest.mark.parametrize(("field", "value"), CASES)
def test_a_bad_value_is_refused_on_construction_and_named(field, value):
    for make in (es.preset("smoke").replace, lambda **given: es.Preset("mine", **given)):
        with pytest.raises(ValueError, match=f"`{field}`. Expected"):
            make(**{field: value})


@pytest.mark.parametrize(("field", "value"), [case for case in CASES if case not in RIGHT_AS_TEXT])
def test_a_bad_value_in_a_label_is_refused_and_named(field, value):
    text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
    with pytest.raises(ValueError, match=f"`{field}`. Expected"):
        es.preset(f"quick,{field}={text}")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("quik", "Unknown preset 'quik'. Did you mean 'quick'. Presets: smoke, quick, paper."),
        ("quick,epoch=3", "Unknown preset field 'epoch'. Did you mean 'epochs'."),
        ("quick,warmup=3", "Unknown preset field 'warmup'."),
        ("quick,name=mine", "Unknown preset field 'name'."),
        ("quick,epochs", "`epochs`. Expected a value of type int. Received: epochs=''."),
        ("quick,size=100", "Expected a multiple of 32. Received: size=100. Nearest: 96 or 128."),
        ("quick,size=10", "Nearest: 32 or 64."),
        ("quick,loss=dise", "Received: loss='dise'. Did you mean 'dice'."),
        ("quick,backbone=resnet19", "Did you mean 'resnet1"),
    ],
)
def test_messages_say_what_to_write(label, message):
    with pytest.raises(ValueError, match=message):
        es.preset(label)
    with pytest.raises(ValueError, match="Unknown preset field 'sise'. Did you mean 'size'"):
        es.preset().replace(sise=64)
    assert tuple(LOSSES) == LOSS_NAMES  # which the messages name


def test_whole_numbers_of_numpy_are_numbers():
    variant = es.preset("smoke").replace(epochs=np.int64(3), learning_rate=np.float64(0.01))
    assert variant.label == "smoke,epochs=3,learning_rate=0.01"
    assert es.preset(variant.label) == variant


@pytest.mark.parametrize(
    "weights", [[-1, 2], [0, 0], [], [np.nan, 1], [np.inf, 1], [[1, 2]], "ab", None]
)
def test_weights_are_numbers_of_at_least_0_not_all_0(weights):
    with pytest.raises(ValueError, match="`mine`. Expected numbers of at least 0, not all 0"):
        checked_weights(weights, "mine")
    assert checked_weights(np.array([2, 1])) == (2.0, 1.0)
