"""Images that belong together: by tables, names, folders and by what they show."""

import numpy as np
import pytest

from .conftest import lesion, picture, save

COLUMNS = "sequence_id slide wsi volume sample_id mouse_id clip_id accession barcode 患者 patient"


def pairs(folder, names):
    """Write a pair for each name."""
    for name in names:
        folder.pair(f"images/{name}.png", f"masks/{name}.png")
    return folder


@pytest.mark.parametrize("column", COLUMNS.split())
@pytest.mark.parametrize("value", ["{}", "P{}"])
def test_a_column_that_repeats(folder, column, value):
    rows = "".join(f"x{n},{value.format(n // 4)},{40 + n % 3}.0,{'mf'[n % 2]}\n" for n in range(12))
    pairs(folder, [f"x{n}" for n in range(12)]).text("t.csv", f"name,{column},age,sex\n{rows}")
    report = folder.read()
    assert folder.groups() == [4, 4, 4]
    assert column in report.rule


def test_visits_are_no_group(folder):
    rows = "".join(f"{n}.png,{n % 3}\n" for n in range(12))
    pairs(folder, range(12)).text("t.csv", f"file,visit_no\n{rows}")
    folder.read()
    assert len(folder.groups()) == 12


def test_of_patient_and_visit(folder):
    rows = "".join(f"{n};p{n // 6};{n // 3 % 2 + 1};v{n // 3}\n" for n in range(18))
    pairs(folder, range(18)).text("t.csv", f"file;patient;visit_no;study_id\n{rows}")
    folder.read()
    assert folder.groups() == [6, 6, 6]


def test_columns_disagree(folder):
    rows = "".join(f"{n},p{n // 4},s{n % 4}\n" for n in range(16))
    pairs(folder, range(16)).text("t.csv", f"file,patient_id,slide_id\n{rows}")
    message = folder.refused()
    assert '--group "patient_id"' in message
    folder.read(group="slide_id")
    assert folder.groups() == [4] * 4


NAMES = {
    "frames": "vid{0}_frame_{1:05}",
    "numbers": "{0}_{1}",
    "slices": "volume-{0:03}_slice_{1:03}",
    "joined": "p{0:02}s{1:02}",
    "letter": "slide_{2}_{1}",
    "tcga": "TCGA_CS_49{0}1_19960909_{1}",
    "roboflow": "IMG_{0}_jpg.rf.{0:08x}{1:08x}",
    "qupath": "{2} [x={1},y=0,w=64,h=64]",
    "tiles": "s{0}_x{1}_y{1}",
    "folders": "case{0}/x{0}{1}y",
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_that_begin_alike(folder, kind):
    names = [NAMES[kind].format(a, b, "ABC"[a]) for a in range(3) for b in range(4)]
    pairs(folder, names).read()
    assert folder.groups() == [4, 4, 4]


def test_left_and_right(folder):
    pairs(folder, [f"Image_{n:02}{side}" for n in range(4) for side in "LR"]).read()
    assert folder.groups() == [2] * 4


@pytest.mark.parametrize(
    "names", [["benign ({})", "normal ({})"], ["testA_{}", "train_{}"], ["ISIC_00{}"]]
)
def test_kinds_are_no_groups(folder, names):
    names = [name.format(n) for name in names for n in range(12 // len(names))]
    pairs(folder, names).read()
    assert len(folder.groups()) == 12


def test_names_disagree(folder):
    pairs(folder, [f"p{a}_v{b}_s{c}" for a in range(3) for b in range(2) for c in range(3)])
    assert "--group" in folder.refused()
    folder.read(group=r"p\d")
    assert folder.groups() == [6, 6, 6]


def test_folders_with_names_are_asked_for(folder):
    for n in range(12):
        name = ["anna", "bert", "carl", "dora", "emil", "finn"][n // 2]
        folder.pair(f"{name}/images/{n}.png", f"{name}/masks/{n}.png")
    assert "--group folder" in folder.refused()
    assert folder.read(group="folder").groups == 6


def test_chosen(folder):
    pairs(folder, [f"{a}_{b}" for a in range(3) for b in range(3)])
    assert "--group q" in folder.refused(group="q")
    folder.read(group="none")
    assert [row["group"] for row in folder.rows()] == [
        f"{a}_{b}" for a in range(3) for b in range(3)
    ]


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_share_a_group(folder, turn, mirrored):
    pairs(folder, "abcd")
    for name, change in (
        ("a", lambda x: x),
        ("z", lambda x: np.rot90(x[:, ::-1] if mirrored else x, turn)),
    ):
        save(change(picture(99, 64, 64)), folder.root / f"images/{name}.png")
        save(change(lesion(99, 64, 64)) * 255, folder.root / f"masks/{name}.png")
    report = folder.read()
    assert folder.groups() == [1, 1, 1, 2]
    assert "copies" in report.text()


def test_a_group_in_two_parts(folder):
    for part in ("train", "test"):
        for n in range(3):
            folder.pair(f"{part}/images/p{n}_{part[1]}1.png", f"{part}/masks/p{n}_{part[1]}1.png")
    assert "--ignore-parts" in folder.refused(group=r"p\d")
    assert folder.read(group=r"p\d", ignore_parts=True).parts == {"": 6}
