import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ensemble_seg as es
from ensemble_seg.__main__ import main


def test_sample_writes_crops_as_files(disks, tmp_path, capsys):
    assert main(["sample", str(disks), str(tmp_path / "crops")]) == 0
    rows = list(csv.DictReader((tmp_path / "crops" / "manifest.csv").read_text().splitlines()))
    assert f"{len(rows)} crops of" in capsys.readouterr().out
    for row in rows:
        image = np.asarray(Image.open(tmp_path / "crops" / row["image"]))
        box = [int(row[side]) for side in ("top", "left", "bottom", "right")]
        whole = es.read_image(disks / row["source"])
        np.testing.assert_array_equal(image, whole[box[0] : box[2], box[1] : box[3]])
        assert es.read_mask(tmp_path / "crops" / row["mask"]).any()
    assert "images/disk_07.png" not in {row["source"] for row in rows}
    assert len(es.load_dataset(tmp_path / "crops").train) > 0


def test_crops_of_one_image_stay_in_one_group(disks, tmp_path):
    mask = np.zeros((40, 48), "uint8")
    mask[2:6, 2:6] = mask[30:34, 30:34] = 255
    Image.fromarray(mask).save(disks / "masks" / "disk_07.png")
    out = tmp_path / "crops"
    assert main(["sample", str(disks), str(out), "--each-lesion", "--margin", "3"]) == 0
    rows = list(csv.DictReader((out / "manifest.csv").read_text().splitlines()))
    crops = [row for row in rows if row["source"] == "images/disk_07.png"]
    assert len(crops) == 2
    assert {row["group"] for row in crops} == {"disk_07"}
    assert len(rows) == len(list((out / "images").iterdir()))


def test_sample_never_overwrites(disks, tmp_path, capsys):
    assert main(["sample", str(disks), str(tmp_path)]) == 1
    assert "exists. Remove it or name another folder." in capsys.readouterr().err


def test_phantoms_draws_a_data_set(tmp_path):
    out = tmp_path / "set"
    assert main(["phantoms", str(out), "--count", "6", "--fraction", "0.05"]) == 0
    fractions = [es.read_mask(path).mean() for path in sorted((out / "masks").iterdir())]
    np.testing.assert_allclose(fractions, 0.05, rtol=0.15)


def table(capsys, command) -> list[list[str]]:
    capsys.readouterr()
    assert main(command) == 0
    return [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if "|" in line]


def test_train_evaluate_predict(disks, tmp_path, capsys):
    options = ["--dataset", str(disks), "--preset", "smoke,size=32", "--runs-dir", str(tmp_path)]
    assert main(["evaluate", *options]) == 1
    assert "no finished run (model.keras). Train it first." in capsys.readouterr().err
    assert main(["train", *options]) == 0
    assert main(["evaluate", *options]) == 0
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in ("main", "sampling", "ensemble"))
    for folder in ("images", "masks"):
        (disks / folder / "new.png").write_bytes((disks / folder / "disk_00.png").read_bytes())
    assert main(["evaluate", *options]) == 1
    assert "holds a run on other data" in capsys.readouterr().err
    for folder in ("images", "masks"):
        (disks / folder / "new.png").unlink()
    out = tmp_path / "predictions"
    assert main(["predict", str(disks / "images"), "--out", str(out), *options]) == 0
    assert len(list((out / "masks").iterdir())) == 20
    voting = ["--eight-views", *options]
    assert main(["predict", str(disks / "images"), "--out", str(out), *voting]) == 0
    members = [
        es.load_run(next(tmp_path.glob(f"{disks.name}/*/{name}"))).model
        for name in ("main", "sampling")
    ]
    views = es.build_ensemble([es.eight_views(member) for member in members])
    for path in sorted((disks / "images").iterdir()):
        expected = es.predict_image(views, es.read_image(path)).mask
        found = es.read_mask(out / "masks" / f"{path.stem}.png")
        np.testing.assert_array_equal(found, expected)
    once = table(capsys, ["evaluate", *options])
    often = table(capsys, ["evaluate", *voting])
    assert [row[0] for row in often] == [row[0] for row in once]
    assert often != once


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--preset", "quik"], "Unknown preset 'quik'. Did you mean 'quick'?"),
        (["train", "--dataset", "kvasir"], "Unknown data set 'kvasir'. Did you mean 'kvasir-seg'?"),
        (["train", "--preset", "quick,size=100"], "Nearest: 96 or 128"),
        (["train", "--preset", "quick,weights=-1x1"], "`weights`. Expected numbers of at least 0"),
        (["train", "--preset", "quick,margin=-3"], "`margin`. Expected non-negative whole pixels"),
        (["train", "--preset", "quick,loss=foo"], "Unknown loss 'foo'"),
        (["train", "--preset", "quick,epochs=none"], "`epochs`. Expected a value of type int"),
        (
            ["train", "--dataset", "lgg-mri"],
            f"'lgg-mri': no folder {Path.cwd()}/data/lgg-mri-segmentation. Get it with",
        ),
        (["predict", ".", "--model", "nowhere.keras"], "nowhere.keras: no such model"),
    ],
)
def test_bad_input_is_one_message_and_exit_1(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_wrong_usage_is_exit_2(capsys):
    for arguments in ([], ["fly"], ["train", "--speed", "9"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2


def test_check_prints_a_table_and_ends_with_1_where_training_is_impossible(disks, tmp_path, capsys):
    picture, manifest = tmp_path / "check.png", tmp_path / "groups.csv"
    options = ["--picture", str(picture), "--write-manifest", str(manifest)]
    assert main(["check", str(disks), *options]) == 0
    table = capsys.readouterr().out
    assert "pairs             20: 14 train, 2 validation, 4 test" in table
    assert "Training is possible." in table
    assert Image.open(picture).width > 500
    assert len(manifest.read_text().splitlines()) == 21
    (disks / "masks" / "disk_03.png").write_bytes(b"")
    assert main(["check", str(disks)]) == 1
    printed = capsys.readouterr()
    assert "disk_03.png: an empty file (0 bytes)" in printed.out
    assert printed.err.endswith(
        "ensemble_seg: Training is impossible; problems: 1, listed above.\n"
    )


def test_download_names_the_folder(disks, capsys):
    (disks / "Kvasir-SEG").mkdir()
    assert main(["download", "kvasir-seg", "--data-dir", str(disks)]) == 0
    assert f"kvasir-seg: in {disks / 'Kvasir-SEG'}" in capsys.readouterr().out
    assert main(["download", "kvasir"]) == 1
    assert "Did you mean 'kvasir-seg'?" in capsys.readouterr().err
