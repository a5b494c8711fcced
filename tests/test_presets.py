import pytest

import ensemble_seg as es


def test_quick_is_the_default_and_the_environment_chooses(monkeypatch):
    assert es.preset().name == "quick"
    monkeypatch.setenv("ENSEMBLE_SEG_PRESET", "paper")
    assert es.preset().name == "paper"


def test_paper_preset_is_the_published_configuration():
    paper = es.preset("paper")
    assert (paper.size, paper.backbone, paper.encoder_weights) == (256, "resnet101", "imagenet")
    assert (paper.batch_size, paper.epochs, paper.learning_rate) == (8, 50, 1e-3)
    assert (paper.threshold, paper.margin, paper.weights) == (3.0, (20, 10), (1.01, 1.0))
    assert (paper.loss, paper.augment, paper.keep) == ("exponential", False, "last")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"epochs": 40, "augment": True},
        {"margin": (5,), "weights": (0.5, 0.25)},
        {"encoder_weights": None, "backbone": "resnet34", "seed": 3},
    ],
)
@pytest.mark.parametrize("name", ["smoke", "quick", "paper"])
def test_a_label_reads_back_as_the_same_preset(name, changes):
    variant = es.preset(name).replace(**changes)
    assert es.preset(variant.label) == variant


def test_variants_have_folders_of_their_own():
    quick = es.preset("quick")
    assert quick.label == "quick"
    assert quick.replace(seed=1).label == "quick,seed=1"
    assert quick.replace(epochs=quick.epochs).label == "quick"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("quik", "Unknown preset 'quik'. Did you mean 'quick'. Presets: smoke, quick, paper."),
        ("quick,epoch=3", "Unknown preset field 'epoch'. Did you mean 'epochs'."),
        ("quick,epochs=many", "`epochs`. Expected a value of type int. Received: epochs='many'."),
        ("quick,augment=yes", "`augment`. Expected a value of type bool."),
        ("quick,size=100", "`size`. Expected a multiple of 32. Received: size=100. Nearest: 96 or"),
        ("quick,size=10", "Nearest: 32 or 64"),
        ("quick,batch_size=0", "`batch_size`. Expected an integer of at least 1."),
        ("quick,learning_rate=-1", "`learning_rate`. Expected a positive number."),
        ("quick,weight_decay=-1", "`weight_decay`. Expected a number of at least 0."),
        ("quick,warmup=12", "`warmup`. Expected 0 or fewer than 12 epochs. Received: warmup=12."),
        ("quick,warmup=-1", "`warmup`"),
        ("quick,keep=first", "`keep`. Expected one of 'best', 'last'."),
        ("quick,learning_rate=nan", "`learning_rate`. Expected a positive number. Received"),
        ("quick,weights=1", "`weights`. Expected two numbers, of main and sampling model."),
        ("quick,weights=0x0", "`weights`. Expected numbers of at least 0, not all 0."),
        ("quick,augment=True,warp=-1", "`warp`. Expected a number of at least 0"),
        ("paper,warp=0.3", "Received: warp=0.3. It is a part of the augmentation: augment=True."),
        ("quick,limit=-1", "`limit`"),
    ],
)
def test_bad_labels(label, message):
    with pytest.raises(ValueError, match=message.replace("?", ".")):
        es.preset(label)


def test_replace_names_an_unknown_field():
    with pytest.raises(ValueError, match="Unknown preset field 'sise'. Did you mean 'size'"):
        es.preset().replace(sise=64)
