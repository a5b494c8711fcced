import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import save
from PIL import Image

import ensemble_seg as es
from ensemble_lab import zoom
from ensemble_lab.zoom import LesionBox, PasteAndVote, ZoomIn, fit_zoom, predict_zoom, zoom_ensemble
from ensemble_seg.pairing import all_pairs

SIZE = 32


def resized(channels, shape):
    """Pillow's bilinear filter, which is anti-aliased where it reduces."""
    height, width = shape
    each = [
        Image.fromarray(channels[..., n].astype("float32")).resize((width, height), Image.BILINEAR)
        for n in range(channels.shape[-1])
    ]
    return np.stack([np.asarray(picture) for picture in each], axis=-1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def softmax_maps(rng, number=1):
    lesion = rng.random((number, SIZE, SIZE)).astype("float32")
    return np.stack([1 - lesion, lesion], axis=-1)


@pytest.mark.parametrize(
    ("margin", "box"),
    [
        (0, [5, 8, 12, 30]),
        (2, [3, 6, 14, 32]),
        ((4, 3), [1, 4, 16, 30]),  # neither 4 nor 3 fits on the right
        ((9, 5), [0, 3, 21, 30]),  # 9 does not fit above and to the left
        ((30,), [5, 8, 12, 30]),
    ],
)
def test_the_box_of_the_main_models_lesion(margin, box):
    maps = np.zeros((2, SIZE, SIZE, 2), "float32")
    maps[..., 0] = 0.6
    maps[0, 5, 8, 1] = maps[0, 11, 29, 1] = 0.7
    found = np.array(LesionBox(margin)(maps))
    np.testing.assert_array_equal(found, [box, [0, 0, 0, 0]])
    whole = np.zeros((SIZE, SIZE), "uint8")
    whole[5, 8] = whole[11, 29] = 1
    assert tuple(found[0].astype(int)) == es.lesion_box(whole, margin)


def test_zooming_in_is_cutting_and_resizing(rng):
    images = rng.uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")
    boxes = np.array([[3, 6, 14, 32], [0, 0, 32, 32], [0, 0, 0, 0]], "float32")
    found = np.array(ZoomIn()([images, boxes]))
    np.testing.assert_allclose(found[0], resized(images[0, 3:14, 6:32], (SIZE, SIZE)), atol=1e-3)
    np.testing.assert_allclose(found[1:], images[1:], atol=1e-3)


def test_maps_are_put_back_and_averaged_inside_the_box_alone(rng):
    whole, near = softmax_maps(rng, 2), softmax_maps(rng, 2)
    boxes = np.array([[3, 6, 14, 31], [0, 0, 0, 0]], "float32")
    found = np.array(PasteAndVote((1.0, 3.0))([whole, near, boxes]))
    expected = whole.copy()
    back = resized(near[0], (11, 25))
    expected[0, 3:14, 6:31] = 0.25 * whole[0, 3:14, 6:31] + 0.75 * back
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def stub(kind, name):
    """A model whose lesion is where the first channel is bright, or which sees lesion anywhere."""
    image = keras.Input((SIZE, SIZE, 3))
    lesion = image[..., :1] / 255.0 if kind == "bright" else keras.ops.ones_like(image[..., :1])
    return keras.Model(image, keras.ops.concatenate([1 - lesion, lesion], axis=-1), name=name)


def test_the_sampling_model_sees_the_box_and_is_not_asked_about_the_rest():
    model = zoom_ensemble(stub("bright", "main"), stub("all", "sampling"), (1, 3), margin=2)
    images = np.zeros((2, SIZE, SIZE, 3), "float32")
    images[0, 10:20, 12:18] = 255
    lesion = model.predict(images, verbose=0)[..., 1]
    expected = np.zeros((2, SIZE, SIZE))
    expected[0, 8:22, 10:20] = 0.75  # the sampling model alone sees lesion in the margin
    expected[0, 10:20, 12:18] = 1
    np.testing.assert_allclose(lesion, expected, atol=1e-5)


def test_of_one_image_at_the_size_of_the_network_it_is_the_same_by_hand():
    """Core 10:20, 12:18; box with a margin of 2; the sampling model sees lesion all over it."""
    model = zoom_ensemble(stub("bright", "main"), stub("all", "sampling"), (1, 3), margin=2)
    image = np.zeros((SIZE, SIZE, 3), "uint8")
    image[10:20, 12:18] = 255
    probability, _, difference = predict_zoom(model, [image])[0]
    vote, apart = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    vote[8:22, 10:20] = 0.75
    apart[8:22, 10:20] = 1
    vote[10:20, 12:18], apart[10:20, 12:18] = 1, 0
    np.testing.assert_allclose(probability, vote, atol=1e-5)
    np.testing.assert_allclose(difference, apart, atol=1e-5)
    dark, _, nothing = predict_zoom(model, [np.zeros((SIZE, SIZE, 3), "uint8")])[0]
    assert dark.max() == nothing.max() == 0


def test_margins_and_weights_are_the_published_ones_where_none_are_given():
    maps = np.zeros((1, 100, 100, 2), "float32")
    maps[0, 12:40, 50:95, 1] = 1
    for layer in (LesionBox(), zoom_ensemble(stub("all", "a"), stub("all", "b")).layers[2]):
        assert layer.margin == (20, 10)
    assert np.array(LesionBox()(maps)).tolist() == [[2, 30, 60, 95]]
    whole, near = np.zeros((1, 4, 4, 2)), np.ones((1, 4, 4, 2))
    found = np.array(PasteAndVote()([whole, near, np.array([[0.0, 0.0, 4.0, 4.0]])]))
    np.testing.assert_allclose(found, 1 / 2.01, rtol=1e-6)
    vote = zoom_ensemble(stub("all", "a"), stub("all", "b")).layers[-1]
    assert vote.weights_given == (1.01, 1.0)


def test_saved_it_is_one_file_and_loads_in_a_new_process_in_safe_mode(tmp_path, rng):
    model = zoom_ensemble(stub("bright", "main"), stub("bright", "sampling"), margin=4)
    es.save_model(model, tmp_path / "zoom.keras")
    images = rng.uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")
    np.savez(tmp_path / "arrays.npz", images=images, maps=model.predict(images, verbose=0))
    script = (
        "import sys, keras, numpy as np, ensemble_lab.zoom\n"
        "arrays = np.load(sys.argv[2])\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=True)\n"
        "found = model.predict(arrays['images'], verbose=0)\n"
        "sys.exit(not np.array_equal(found, arrays['maps']))\n"
    )
    command = [sys.executable, "-c", script, tmp_path / "zoom.keras", tmp_path / "arrays.npz"]
    subprocess.run(command, check=True, capture_output=True)


def test_models_and_settings_that_do_not_fit_are_refused():
    main, other = stub("bright", "main"), stub("all", "sampling")
    with pytest.raises(ValueError, match="`margin`. Expected non-negative whole pixels"):
        zoom_ensemble(main, other, margin=-1)
    with pytest.raises(ValueError, match="`weights`. Expected one for each of the 2 models"):
        zoom_ensemble(main, other, (1, 1, 1))


def test_weights_and_margin_are_chosen_on_the_images_given(tmp_path):
    for number in range(2):
        image, mask = np.zeros((SIZE, SIZE, 3), "uint8"), np.zeros((SIZE, SIZE), "uint8")
        image[12:20, 12:20] = 255
        mask[8:24, 8:24] = 255  # the main model sees the core, the sampling model all of its box
        save(tmp_path / "set" / "images" / f"{number}.png", image)
        save(tmp_path / "set" / "masks" / f"{number}.png", mask)
    split = es.Split(all_pairs(tmp_path / "set"), "validation", tmp_path / "set")
    main, sampling = stub("bright", "main"), stub("all", "sampling")
    weights, margin = fit_zoom(main, sampling, split, (0, 2, 4, 6), (0.25, 0.75, 1.0))
    assert (weights, margin) == ((0.25, 0.75), 4)
    model = zoom_ensemble(main, sampling, weights, margin)
    assert es.evaluate(model, split).per_image["dice"].tolist() == [1, 1]


def test_five_margins_are_tried_with_four_shares_each(tmp_path, monkeypatch):
    save(tmp_path / "images" / "0.png", np.zeros((SIZE, SIZE, 3), "uint8"))
    save(tmp_path / "masks" / "0.png", np.zeros((SIZE, SIZE), "uint8"))
    margins, votes = [], []

    def box(margin):
        margins.append(margin)
        return LesionBox(margin)

    def vote(weights):
        votes.append(weights)
        return PasteAndVote(weights)

    monkeypatch.setattr(zoom, "LesionBox", box)
    monkeypatch.setattr(zoom, "PasteAndVote", vote)
    split = es.Split(all_pairs(tmp_path), "validation", tmp_path)
    # Without a lesion all are alike, and the first is taken.
    found = fit_zoom(stub("bright", "main"), stub("all", "sampling"), split)
    assert found == ((0.75, 0.25), 4)
    assert margins == [4, 8, 12, 16, 24]
    assert votes == [(0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.0, 1.0)] * 5


def test_shapes_are_known_before_there_are_images():
    maps, image = keras.Input((SIZE, SIZE, 2), 3), keras.Input((SIZE, SIZE, 3), 3)
    box = LesionBox()(maps)
    assert box.shape == (3, 4)
    assert ZoomIn()([image, box]).shape == (3, SIZE, SIZE, 3)
    assert PasteAndVote()([maps, maps, box]).shape == (3, SIZE, SIZE, 2)


def test_the_box_is_cut_out_of_the_image_at_its_own_size():
    model = zoom_ensemble(stub("bright", "main"), stub("bright", "sampling"), (0, 1), margin=4)
    image = np.zeros((320, 640, 3), "uint8")
    image[100:160, 200:300] = 255
    result = predict_zoom(model, [image])[0]
    # The network sees a pixel of its input for 10 x 20 of the image; the crop is finer.
    truth = image[..., 0] > 0
    assert result.mask.shape == (320, 640)
    wrong = (result.mask > 0) != truth
    assert wrong.mean() < 0.003
    coarse = es.predict_image(stub("bright", "main"), image).mask > 0
    assert wrong.sum() < 0.5 * (coarse != truth).sum()
    assert result.disagreement[:50].max() == 0 and result.disagreement[100:160].max() > 0.2


def test_where_nothing_is_found_the_main_models_map_stays_at_own_size():
    model = zoom_ensemble(stub("bright", "main"), stub("all", "sampling"))
    result = predict_zoom(model, [np.full((50, 70, 3), 51, "uint8")])[0]
    np.testing.assert_allclose(result.probability, 0.2, atol=1e-5)
    assert not result.mask.any() and not result.disagreement.any()


def test_the_figure_has_five_panels_and_the_box_on_three(rng):
    image, crop = rng.uniform(0, 255, (2, SIZE, SIZE, 3))
    zoom.zoom_steps(image, np.array([2, 4, 12, 20]), crop, *rng.random((3, SIZE, SIZE)))
    axes = plt.gcf().axes
    assert [len(axis.patches) for axis in axes] == [1, 1, 0, 0, 1]
    assert axes[0].patches[0].get_bbox().bounds == (3.5, 1.5, 16, 10)
    plt.close()
