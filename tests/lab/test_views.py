import subprocess
import sys

import keras
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_lab.views import Views, eight_views


def images(count=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, 32, 32, 3)).astype("float32")


def all_turns(batch):
    """The eight symmetries by NumPy's own turns and flips, each with its inverse."""
    for turns in range(4):
        turned = np.rot90(batch, turns, (1, 2))
        yield turned, lambda maps, turns=turns: np.rot90(maps, -turns, (1, 2))
        yield turned[:, ::-1], lambda maps, turns=turns: np.rot90(maps[:, ::-1], -turns, (1, 2))


def network(seed):
    """Two convolutions in place of a U-Net."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 5, padding="same", activation="softmax")(x))


@pytest.fixture(scope="module")
def model():
    return network(0)


def test_is_the_mean_over_all_turns_and_flips(model):
    batch = images()
    maps = [back(np.asarray(model(turned.copy()))) for turned, back in all_turns(batch)]
    assert np.ptp(maps, axis=0).max() > 0.01  # the views do differ
    found = np.asarray(eight_views(model)(batch))
    np.testing.assert_allclose(found, np.mean(maps, axis=0), atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_turned_images_get_turned_maps(model):
    voting, batch = eight_views(model), images()
    expected = np.asarray(voting(batch))
    for turned, back in all_turns(batch):
        np.testing.assert_allclose(back(np.asarray(voting(turned.copy()))), expected, atol=1e-6)


def test_images_of_a_batch_do_not_mix(model):
    voting, batch = eight_views(model), images()
    together = voting.predict(batch, batch_size=2, verbose=0)
    for number in range(len(batch)):
        alone = voting.predict(batch[number : number + 1], verbose=0)[0]
        np.testing.assert_allclose(together[number], alone, atol=1e-6)


def test_a_batch_of_known_size_becomes_eight_times_as_large():
    image = keras.Input((8, 8, 3), batch_size=2)
    assert Views()(image).shape == (16, 8, 8, 3)


def test_a_model_that_knows_no_direction_stays_as_it_is():
    image = keras.Input((8, 8, 3))
    pixelwise = keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(image))
    batch = images()[:, :8, :8] / 255
    np.testing.assert_allclose(eight_views(pixelwise)(batch), pixelwise(batch), atol=1e-6)


def test_of_an_ensemble_each_member_gets_its_views(model):
    members = [model, network(1)]
    voting = eight_views(es.build_ensemble(members, [3, 1]))
    maps = [np.asarray(eight_views(member)(images())) for member in members]
    np.testing.assert_allclose(voting(images()), (3 * maps[0] + maps[1]) / 4, atol=1e-6)
    doubt = es.predict_image(voting, images()[0].astype("uint8")).disagreement
    assert doubt.max() > 0


def test_saved_it_loads_in_a_new_process_and_predicts_bit_equal(model, tmp_path):
    voting = es.build_ensemble([eight_views(model)], [1])
    np.save(tmp_path / "images.npy", images())
    np.save(tmp_path / "here.npy", voting.predict(images(), verbose=0))
    es.save_model(voting, tmp_path / "model.keras")
    script = (
        "import sys, keras, numpy as np, ensemble_lab.views\n"
        "model = keras.saving.load_model(sys.argv[1] + '/model.keras', safe_mode=True)\n"
        "there = model.predict(np.load(sys.argv[1] + '/images.npy'), verbose=0)\n"
        "print(np.array_equal(there, np.load(sys.argv[1] + '/here.npy')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "True"


def test_models_that_cannot_be_turned_are_refused():
    for shape, pixels in (((32, 64, 3), 1), ((32, 32, 3), 2)):
        image = keras.Input(shape)
        model = keras.Model(image, keras.layers.AveragePooling2D(pixels)(image))
        with pytest.raises(ValueError, match="`model`. Expected one from square images to maps"):
            eight_views(model)
