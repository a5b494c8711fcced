import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

import ensemble_seg as es
from ensemble_seg.evaluation import bootstrap_mean


def masks(seed, number=12, density=0.4):
    return (np.random.default_rng(seed).random((number, 9, 7)) < density).astype("uint8")


@pytest.mark.parametrize(
    ("truth", "predicted", "dice", "iou", "precision", "recall"),
    [
        ("11000000", "11110000", 2 / 3, 1 / 2, 1 / 2, 1),  # as many false alarms as hits
        ("11110000", "11000000", 2 / 3, 1 / 2, 1, 1 / 2),  # as many missed as hits
        ("11100000", "10010000", 2 / 5, 1 / 4, 1 / 2, 1 / 3),
        ("10000000", "10000000", 1, 1, 1, 1),  # one pixel
        ("10000000", "01000000", 0, 0, 0, 0),
        ("10000000", "11000000", 2 / 3, 1 / 2, 1 / 2, 1),
        ("11111111", "11111111", 1, 1, 1, 1),
    ],
)
def test_scores_of_eight_pixels_by_hand(truth, predicted, dice, iou, precision, recall):
    masks = [np.array([[list(map(int, text))]]) for text in (truth, predicted)]
    scores = es.Scores.from_masks(*masks)
    expected = {"dice": dice, "iou": iou, "precision": precision, "recall": recall}
    assert {name: float(each[0]) for name, each in scores.per_image.items()} == pytest.approx(
        expected
    )
    assert {name: scores.pooled[name] for name in expected} == pytest.approx(expected)


def resampled(values, groups, number=5000, seed=0):
    """Mean, and 2.5th and 97.5th percentile of the means of groups drawn by NumPy."""
    members = [values[np.asarray(groups) == group] for group in sorted(set(groups))]
    draws = np.random.default_rng(seed).integers(len(members), size=(number, len(members)))
    means = [np.concatenate([members[n] for n in drawn]).mean() for drawn in draws]
    return [values.mean(), *np.percentile(means, [2.5, 97.5])]


def test_intervals_are_of_5000_resamples_of_groups_from_seed_0():
    groups = list("aabbbcddeefg")
    scores = es.Scores.from_masks(masks(0), masks(1), groups=groups)
    other = es.Scores.from_masks(masks(0), masks(2), groups=groups)
    for metric, values in scores.per_image.items():
        expected = resampled(values, groups)
        np.testing.assert_allclose(scores.summary()[metric], expected, rtol=1e-12)
    difference = scores.per_image["dice"] - other.per_image["dice"]
    found = es.paired_difference(scores, other)
    np.testing.assert_allclose(found, resampled(difference, groups), rtol=1e-12)
    found = es.paired_difference(scores, other, "iou", 3)
    difference = scores.per_image["iou"] - other.per_image["iou"]
    np.testing.assert_allclose(found, resampled(difference, groups, seed=3), rtol=1e-12)


def test_intervals_of_one_and_two_groups():
    values = np.array([0.0, 0.5, 1.0])
    assert bootstrap_mean(values, list("aaa")) == (0.5, 0.5, 0.5)
    # Two groups: both are the first in one of four draws, and both the second.
    assert bootstrap_mean(np.array([0.2, 0.8]), list("ab")) == (0.5, 0.2, 0.8)


def test_probabilities_are_scored_at_their_size_and_ties_are_background(disks):
    split = es.load_dataset(disks).test
    truth = split.masks(40)
    maps = np.stack([1.0 - truth, truth], axis=-1)
    scores = es.score(maps, split)
    assert scores.names == tuple(pair.image.stem for pair in split.pairs)
    assert scores.groups == tuple(split.groups)
    assert (scores.counts[:, :3] == [[lesion, 0, 0] for lesion in truth.sum((1, 2))]).all()
    tied = es.score(np.full_like(maps, 0.5), split)
    assert (tied.counts[:, :2] == 0).all()


def test_agrees_with_scikit_learn():
    truth, predicted = masks(0), masks(1)
    scores = es.Scores.from_masks(truth, predicted)
    theirs = {"dice": f1_score, "iou": jaccard_score, "precision": precision_score,
              "recall": recall_score}  # fmt: skip
    for metric, function in theirs.items():
        expected = [function(t.ravel(), p.ravel()) for t, p in zip(truth, predicted, strict=True)]
        np.testing.assert_allclose(scores.per_image[metric], expected)
        assert scores.pooled[metric] == pytest.approx(function(truth.ravel(), predicted.ravel()))
    both = jaccard_score(truth.ravel(), predicted.ravel(), average="macro")
    assert scores.pooled["mean_iou"] == pytest.approx(both)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32"])
def test_masks_of_all_types_are_counted_alike(kind):
    truth, predicted = masks(0), masks(1)
    cells = [(truth == a) & (predicted == b) for a, b in ((1, 1), (0, 1), (1, 0), (0, 0))]
    expected = np.stack(cells).sum(axis=(2, 3)).T
    turned = predicted.transpose(0, 2, 1).copy().transpose(0, 2, 1)  # not contiguous
    scores = es.Scores.from_masks(truth.astype(kind), turned.astype(kind))
    np.testing.assert_array_equal(scores.counts, expected)
    assert scores.counts.dtype == np.int64


@pytest.mark.parametrize(("truth", "predicted", "expected"), [(0, 0, 1), (0, 1, 0), (1, 0, 0)])
def test_rule_for_empty_masks(truth, predicted, expected):
    full = np.ones((1, 3, 3), int)
    scores = es.Scores.from_masks(truth * full, predicted * full)
    assert [values.tolist() for values in scores.per_image.values()] == [[expected]] * 4


def test_a_model_is_not_better_than_itself_and_others_must_be_of_the_same_images():
    c = es.Scores.from_masks(masks(0), masks(2))
    assert es.paired_difference(c, c) == (0, 0, 0)
    a = es.Scores.from_masks(masks(0), masks(1))
    b = es.Scores.from_masks(masks(0, 3), masks(1, 3))
    with pytest.raises(ValueError, match="scores of the same images"):
        es.paired_difference(a, b)
    with pytest.raises(ValueError, match="Unknown metric 'f1'. Metrics: dice, iou"):
        es.paired_difference(a, a, "f1")


@pytest.mark.parametrize("value", [0.2, 2, -1, np.nan])
def test_probabilities_are_no_masks(value):
    with pytest.raises(ValueError, match=r"one shape \(N, H, W\). Received: \(12, 9, 7\) and"):
        es.Scores.from_masks(masks(0), masks(0)[:, :5])
    maps = masks(0).astype("float64") * value
    for truth, predicted in ((masks(0), maps), (maps, masks(0))):
        with pytest.raises(ValueError, match="Expected masks of 0 and 1"):
            es.Scores.from_masks(truth, predicted)


def test_csv_has_a_row_for_each_image():
    scores = es.Scores.from_masks(masks(0, 2), masks(1, 2), ["a", "b"], ["p", "q"])
    rows = [line.split(",") for line in scores.to_csv().splitlines()]
    assert [row[:2] for row in rows] == [["name", "group"], ["a", "p"], ["b", "q"]]
    assert float(rows[1][2]) == pytest.approx(scores.per_image["dice"][0], abs=1e-6)
    third = es.Scores.from_masks([[[1, 1, 1, 0]]], [[[1, 0, 0, 1]]], ["a"], ["p"])
    assert third.to_csv() == (
        "name,group,dice,iou,precision,recall,tp,fp,fn,tn\na,p,0.4,0.25,0.5,0.333333,1,1,2,0\n"
    )


def test_evaluate_scores_the_models_masks_on_whole_images(disks):
    import keras

    data = es.load_dataset(disks)
    image = keras.Input((32, 32, 3))
    dark = keras.layers.Conv2D(2, 1, activation="softmax")
    model = keras.Model(image, dark(image))
    # Lesion where the mean of the channels is below 140.
    dark.set_weights([np.array([[[[0.0, -1 / 3]] * 3]]), np.array([0.0, 140.0])])
    scores = es.evaluate(model, data.test)
    assert scores.names == tuple(pair.image.stem for pair in data.test.pairs)
    assert scores.per_image["dice"].min() > 0.9
    table = es.score_table({"threshold": scores})
    assert f"| threshold | {scores.per_image['dice'].mean():.3f} [" in table


def test_interval_of_the_mean_covers_it_about_95_times_in_100():
    rng, covered = np.random.default_rng(0), 0
    for trial in range(300):
        values = rng.beta(4, 1, 60)
        interval = bootstrap_mean(values, list(map(str, range(60))), seed=trial, resamples=500)
        covered += interval.low <= 0.8 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98
