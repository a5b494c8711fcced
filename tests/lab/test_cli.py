import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import save, write_disks
from PIL import Image
from tiny import small_model, threshold_model

import ensemble_seg as es
from ensemble_lab import cli
from ensemble_lab.cli import main
from ensemble_lab.views import eight_views
from ensemble_lab.zoom import fit_zoom, predict_zoom, zoom_ensemble
from ensemble_seg.runs import run_config, write_text

PRESET = "smoke,size=32,limit=0"
COMMANDS = ("import", "check", "sample", "train", "evaluate", "predict", "export", "phantoms")
COMMANDS += ("download", "study")


PAIR = (110, 150)  # what the two models take for lesion: grey values below


def finished(folder, runs):
    """Write run folders of two models that need no training; return the options that find them."""
    data, preset = es.load_dataset(folder), es.preset(PRESET)
    for name, limit in zip(cli.MODELS, PAIR, strict=True):
        path = es.run_path(data, preset, name, runs)
        es.save_model(threshold_model(limit, 0.1), path / "model.keras")
        seen = es.sampling_data(data, preset) if name == "sampling" else data
        write_text(path / "config.json", json.dumps(run_config(seen, preset, name)))
        write_text(path / "history.csv", "epoch,loss\n1,0.5\n")
    return ["--dataset", str(folder), "--preset", PRESET, "--runs-dir", str(runs)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set, both models, their run folders, and the options that find them."""
    folder = tmp_path_factory.mktemp("trained")
    disks, runs = write_disks(folder), folder / "runs"
    pair = [threshold_model(limit, 0.1) for limit in PAIR]
    options = finished(disks, runs)
    return SimpleNamespace(
        disks=disks, runs=runs, pair=pair, data=es.load_dataset(disks), options=options
    )


def table(capsys, *arguments):
    """Run a command and return the rows of its table by their first cell, and all that it says."""
    capsys.readouterr()
    assert main(list(arguments)) == 0
    said = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in said.splitlines() if line.startswith("|")]
    return {row[0].strip(): row[1:] for row in rows[2:]}, said


def run(*arguments, **options):
    command = [sys.executable, "-m", "ensemble_lab.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, **options)


def test_help_is_quick_and_names_all_commands():
    begin = time.perf_counter()
    found = run("--help", text=True)
    assert time.perf_counter() - begin < 2  # 0.1 s on a quiet machine; TensorFlow's import takes 5
    assert found.returncode == 0
    assert all(f"\n    {command} " in found.stdout for command in COMMANDS)
    heavy = "import sys, ensemble_lab.cli; print({'numpy', 'keras', 'PIL'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", heavy], text=True) == "set()\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: ensemble-seg {command}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["fly"], ["train", "--speed", "9"], ["sample"]])
def test_wrong_usage_is_exit_2(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --preset quik", "train: Unknown preset 'quik'. Did you mean 'quick'?"),
        ("train --preset quick,size=100", "Nearest: 96 or 128"),
        ("train --preset quick,loss=foo", "`loss`"),
        ("check kvasir", "check: Unknown data set 'kvasir'. Did you mean 'kvasir-seg'?"),
        ("train --dataset lgg-mri --data-dir nowhere", "no folder {here}/nowhere/lgg-mri. Get it"),
        ("evaluate --runs-dir nowhere", "no finished run (model.keras). Train it first."),
        ("predict {here} --out {here}/new --runs-dir nowhere", "expected images"),
        ("predict {here}/no.png --out {here}/new", "No such file or directory"),
        ("predict {image} --out {here}/new --model no.keras", "no.keras"),
        ("predict {image} --out {here}/new --model no.onnx", "no.onnx: no such model."),
        ("predict {image} --model a.keras --zoom", "--model goes without --zoom"),
        ("predict {image} --model a.keras --eight-views", "--model goes without --zoom"),
        ("export no.keras {here}/no.onnx", "no.keras"),
        ("phantoms {here}/disks", "is not empty"),
        ("download kvasir", "Did you mean 'kvasir-seg'?"),
    ],
)
def test_bad_input_is_one_message_and_exit_1(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = save(tmp_path / "disks" / "a.png", np.zeros((9, 9, 3), "uint8"))
    words = [word.format(here=tmp_path, image=image) for word in arguments.split()]
    assert main(words) == 1
    said = capsys.readouterr()
    assert message.format(here=tmp_path) in said.err
    assert said.err.startswith(f"ensemble-seg {words[0]}: ") and said.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_of_a_long_error_the_last_line_is_shown(monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("Traceback\n  of a library\nthe reason")

    monkeypatch.setattr("ensemble_lab.download.download", fail)
    assert main(["download", "kvasir-seg"]) == 1
    assert capsys.readouterr().err == "ensemble-seg download: the reason\n"


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    monkeypatch.setattr("ensemble_lab.download.download", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["download", "kvasir-seg"])


def test_ctrl_c_is_130(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ensemble_lab.download.download", interrupt)
    assert main(["download", "kvasir-seg"]) == 130
    assert capsys.readouterr().err.startswith("ensemble-seg download: interrupted")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_a_training_process(disks, tmp_path):
    words = ["train", "--dataset", str(disks), "--runs-dir", str(tmp_path)]
    words += ["--preset", "smoke,size=32,epochs=9000"]
    program = (
        "import sys, ensemble_lab.cli, ensemble_seg.training as training, tiny\n"
        "training.unet = lambda preset, name: tiny.small_model(preset)\n"
        f"sys.exit(ensemble_lab.cli.main({words}))"
    )
    words = [sys.executable, "-c", program]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    log = tmp_path / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file, env=env)
    begin = sent = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < 90:
        time.sleep(0.2)
        if list(tmp_path.glob("disks/*/main/history.csv")) and time.monotonic() - sent > 10:
            process.send_signal(signal.SIGINT)  # one that meets a callback of h5py is lost
            sent = time.monotonic()
    process.kill()
    assert process.returncode == 130
    last = log.read_text(encoding="utf-8").splitlines()[-1]
    assert last.startswith("ensemble-seg train: interrupted")


def test_check_reports_and_ends_with_1_where_training_is_impossible(disks, tmp_path, capsys):
    picture, manifest = tmp_path / "check.png", tmp_path / "groups.csv"
    options = ["--picture", str(picture), "--write-manifest", str(manifest)]
    assert main(["check", str(disks), "--preset", "quick,threshold=14", *options]) == 0
    said = capsys.readouterr().out
    assert "20: 14 train, 2 validation, 4 test" in said and "ratio >= 14 " in said
    assert Image.open(picture).width > 500
    assert len(manifest.read_text(encoding="utf-8").splitlines()) == 21
    for number in (3, 5):
        (disks / "masks" / f"disk_0{number}.png").write_bytes(b"")
    assert main(["check", str(disks)]) == 1
    said = capsys.readouterr()
    assert "disk_03.png: " in said.out and "disk_05.png: " in said.out
    assert said.err == "ensemble-seg check: training is impossible; problems: 2, listed above\n"


def test_a_report_in_another_encoding_is_whole(tmp_path):
    """`ensemble-seg check FOLDER > file` in Windows' cp1252, and a picture, from a notebook."""
    folder = tmp_path / "снимки"
    for number in range(6):
        mask = np.zeros((40, 40), "uint8")
        mask[5:15, 5 + number : 15] = 255
        save(folder / "images" / f"{number}.png", np.full((40, 40, 3), number, "uint8"))
        save(folder / "masks" / f"{number}.png", mask)
    settings = {"PYTHONIOENCODING": "cp1252", "MPLBACKEND": "module://no_such.backend"}
    settings["HOME"] = str(tmp_path)
    found = run("check", "~/снимки", "--picture", "~/p.png", env={**os.environ, **settings})
    assert found.returncode == 0
    assert b"/??????" in found.stdout
    assert found.stdout.decode("cp1252").splitlines()[-1] == "Training is possible."
    assert (tmp_path / "p.png").is_file()


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_disks(tmp_path)
    assert main(["phantoms", "~/drawn", "--count", "6"]) == 0
    assert main(["sample", "~/disks", "~/crops", "--data-dir", "~"]) == 0
    network = "~/net.keras"
    es.save_model(threshold_model(120), tmp_path / "net.keras")
    assert main(["predict", "~/disks/images", "--out", "~/masks", "--model", network]) == 0
    options = ["--picture", "~/p.png", "--write-manifest", "~/m.csv"]
    assert main(["check", "~/disks", *options]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"disks", "drawn", "crops", "net.keras", "masks", "p.png", "m.csv"}


def test_phantoms_draws_a_data_set(tmp_path):
    out = tmp_path / "set"
    assert main(["phantoms", str(out), "--count", "6", "--fraction", "0.05"]) == 0
    shares = [es.read_mask(path).mean() for path in sorted((out / "masks").iterdir())]
    np.testing.assert_allclose(shares, 0.05, rtol=0.15)


def test_sample_writes_crops(disks, tmp_path, capsys):
    options = ["--each-lesion", "--margin", "3", "1", "--threshold", "14"]
    assert main(["sample", str(disks), str(tmp_path / "crops"), *options]) == 0
    number = len(list((tmp_path / "crops" / "images").iterdir()))
    masks = [es.read_mask(path) for path in (disks / "masks").iterdir()]
    assert number == sum(14 <= es.imbalance_ratio(mask) < np.inf for mask in masks)
    assert f"crops: {number} crops of {number} images; " in capsys.readouterr().out


def test_train_says_what_is_not_read_once_and_saves_the_ensemble(
    disks, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("ensemble_seg.training.unet", lambda preset, name: small_model(preset))
    (disks / "patients.csv").touch()
    options = ["--dataset", str(disks), "--preset", "smoke,size=32,limit=4"]
    assert main(["train", *options, "--runs-dir", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert said.count("not read: patients.csv") == 1
    (path,) = (tmp_path / "runs").glob("disks/*/ensemble/model.keras")
    assert f"ensemble: saved in {path}" in said
    runs = [es.load_run(next((tmp_path / "runs").glob(f"disks/*/{name}"))) for name in cli.MODELS]
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = es.average_probabilities([run.model(images) for run in runs], (1.01, 1.0))
    np.testing.assert_allclose(es.load_model(path)(images), expected, atol=1e-5)


def test_evaluate_prints_the_scores_of_the_trained_models(trained, tmp_path, capsys):
    cases = tmp_path / "cases"
    rows, said = table(capsys, "evaluate", *trained.options, "--cases", str(cases))
    assert list(rows) == ["main", "sampling", "ensemble"]
    models = [*trained.pair, es.build_ensemble(trained.pair)]
    for name, model in zip(rows, models, strict=True):
        scores = es.evaluate(model, trained.data.test)
        assert rows[name][0].strip() == str(scores.summary()["dice"])
        assert (cases / f"{name}.csv").read_text(encoding="utf-8") == scores.to_csv()
    assert f"4 test images, 32 x 32 pixels, data hash {trained.data.hash[:12]}" in said


def test_evaluate_at_own_size_and_the_borders(trained, capsys):
    options = [*trained.options, "--own-size", "--borders"]
    pytest.importorskip("surface_distance")
    assert main(["evaluate", *options]) == 0
    said = capsys.readouterr().out
    pairs = trained.data.test.pairs
    found = [es.predict_image(trained.pair[1], es.read_image(pair.image)).mask for pair in pairs]
    truth = [es.read_mask(pair.mask) for pair in pairs]
    expected = es.Scores.from_masks(np.stack(truth), np.stack(found)).summary()["dice"]
    assert f"| sampling | {expected} |" in said
    assert "4 test images, own size" in said and "| model | ISIC score" in said


def test_with_eight_views_every_row_is_of_eight_views(trained, capsys):
    rows, said = table(capsys, "evaluate", *trained.options, "--eight-views", "--zoom")
    assert "each row by eight views" in said
    pair = [eight_views(model) for model in trained.pair]
    zoom = zoom_ensemble(*pair, *fit_zoom(*pair, trained.data.validation))
    models = dict(zip(rows, [*pair, es.build_ensemble(pair), zoom], strict=True))
    assert list(models) == ["main", "sampling", "ensemble", "zoom"]
    for name, model in models.items():
        dice = es.evaluate(model, trained.data.test).summary()["dice"]
        assert rows[name][0].strip() == str(dice)


def test_evaluate_refuses_models_of_other_data(trained, tmp_path, capsys):
    disks = write_disks(tmp_path)
    for folder in ("images", "masks"):
        (disks / folder / "new.png").write_bytes((disks / folder / "disk_00.png").read_bytes())
    options = ["--dataset", str(disks), "--preset", PRESET, "--runs-dir", str(trained.runs)]
    assert main(["evaluate", *options]) == 1
    assert "holds a run with other data" in capsys.readouterr().err


def test_names_of_cases_that_repeat_in_two_folders(tmp_path, capsys):
    """001.png of two patients: the cases are called by their paths."""
    lines = ["image,mask,group,split"]
    for number, part in enumerate(["train", "validation", "test", "test"]):
        write_disks(tmp_path / f"p{number}")
        names = [f"p{number}/disks/{kind}/disk_00.png" for kind in ("images", "masks")]
        lines.append(",".join([*names, f"p{number}", part]))
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    options = finished(tmp_path, tmp_path / "runs")
    for own_size in ([], ["--own-size"]):
        assert main(["evaluate", *options, *own_size, "--cases", str(tmp_path / "cases")]) == 0
        with open(tmp_path / "cases" / "main.csv", encoding="utf-8", newline="") as file:
            names = [row["name"] for row in csv.DictReader(file)]
        assert names == [f"p{number}/disks/images/disk_00.png" for number in (2, 3)]


def test_predict_writes_what_the_ensemble_sees(trained, tmp_path, capsys):
    images, out = str(trained.disks / "images"), tmp_path / "out"
    assert main(["predict", images, "--out", str(out), *trained.options]) == 0
    assert f"disagreement/ in {out}, images: 20" in capsys.readouterr().out
    ensemble = es.build_ensemble(trained.pair)
    for path in (trained.disks / "images").iterdir():
        expected = es.predict_image(ensemble, es.read_image(path)).mask
        np.testing.assert_array_equal(es.read_mask(out / "masks" / f"{path.stem}.png"), expected)
    assert main(["predict", images, "--out", str(out), "--runs-dir", "nowhere"]) == 1
    assert "out: is not empty" in capsys.readouterr().err


def test_predict_with_zoom(trained, tmp_path):
    path = trained.disks / "images" / "disk_03.png"
    options = ["--out", str(tmp_path / "out"), "--zoom", *trained.options]
    assert main(["predict", str(path), *options]) == 0
    zoom = zoom_ensemble(*trained.pair, *fit_zoom(*trained.pair, trained.data.validation))
    expected = predict_zoom(zoom, [es.read_image(path)])[0].mask
    found = es.read_mask(tmp_path / "out" / "masks" / "disk_03.png")
    np.testing.assert_array_equal(found, expected)
    (saved,) = trained.runs.glob("disks/*/zoom/model.keras")
    np.testing.assert_array_equal(
        predict_zoom(es.load_model(saved), [es.read_image(path)])[0].mask, expected
    )


def test_one_odd_image_is_said_and_the_others_go_on(trained, tmp_path, capsys):
    for number in range(3):
        source = trained.disks / "images" / f"disk_0{number}.png"
        save(tmp_path / "images" / source.name, es.read_image(source))
    (tmp_path / "images" / "disk_01.png").write_bytes(b"odd")
    options = ["--out", str(tmp_path / "out"), *trained.options]
    assert main(["predict", str(tmp_path / "images"), *options]) == 1
    said = capsys.readouterr()
    assert str(tmp_path / "images" / "disk_01.png") in said.out and "images: 2" in said.out
    assert said.err == "ensemble-seg predict: images that cannot be read: 1, listed above\n"
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 2


def test_an_exported_model_predicts_the_same(trained, tmp_path, capsys):
    network, exported = tmp_path / "net.keras", tmp_path / "exported"
    es.save_model(trained.pair[0], network)
    assert main(["export", str(network), str(exported)]) == 0
    assert "from Keras' probabilities" in capsys.readouterr().out
    masks = []
    for model in (network, exported):
        out = tmp_path / f"by_{model.name}"
        options = ["--out", str(out), "--model", str(model)]
        assert main(["predict", str(trained.disks / "images"), *options]) == 0
        masks.append([es.read_mask(path) for path in sorted((out / "masks").iterdir())])
    assert len(masks[0]) == 20
    np.testing.assert_array_equal(*masks)


def test_download_names_the_folder(tmp_path, capsys):
    (tmp_path / "Kvasir-SEG").mkdir()
    assert main(["download", "kvasir-seg", "--data-dir", str(tmp_path)]) == 0
    assert f"{tmp_path / 'Kvasir-SEG'} is there already" in capsys.readouterr().out
