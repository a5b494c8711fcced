"""What make refresh keeps of an output; tools/stored.py."""

import base64
import io

import numpy as np
import pytest
import stored
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

WIDGET = "application/vnd.jupyter.widget-view+json"


def png(width=1800, height=400):
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (height, width, 3), "uint8")
    )
    file = io.BytesIO()
    picture.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def kept(*outputs, prose="*What to see.* **Three** `bars`.\n\nMore."):
    cells = [new_code_cell("1"), new_markdown_cell(prose)]
    notebook, ran = new_notebook(cells=cells), new_notebook(cells=[*map(dict, cells)])
    ran.cells = [new_code_cell("1", outputs=list(outputs), execution_count=1), cells[1]]
    stored.store(notebook, ran, "smoke", {"/tmp/abc": "runs"})
    assert notebook.cells[0].execution_count == 1
    assert notebook.cells[0].metadata["source_hash"] == stored.source_hash("1")
    assert notebook.metadata["outputs_made_with"] == "smoke"
    return notebook.cells[0].outputs


def test_the_hash_follows_every_sign_of_the_code():
    assert stored.source_hash("x = 1") == stored.source_hash("x = 1")
    assert stored.source_hash("x = 1") != stored.source_hash("x = 2")


def stream(text, name="stdout"):
    return new_output("stream", text=text, name=name)


def test_printed_lines_stay_and_paths_are_those_of_no_machine():
    (output,) = kept(stream("a\n"), stream("main: loaded from /tmp/abc/main\n"))
    assert output.text == "a\nmain: loaded from runs/main\n"


@pytest.mark.parametrize(
    "noise",
    [
        "main:   0%|     | 0/15\rmain: 100%|#####| 15/15 [00:03<00:00, 4.8 it/s]\n",
        "\r 50%|##  | 1/2",
    ],
)
def test_progress_bars_go(noise):
    assert kept(stream(noise)) == []
    (output,) = kept(stream(noise + "\nepochs: 15\n"))
    assert output.text.strip() == "epochs: 15"


def test_what_goes_to_stderr_goes():
    assert kept(stream("UserWarning: careful\n", "stderr")) == []


def test_a_picture_is_smaller_and_says_what_is_seen():
    data = {"image/png": png(), "text/plain": "<Figure size 1800x400>", WIDGET: {"model_id": "7"}}
    (output,) = kept(new_output("display_data", data))
    picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert picture.size == (900, 200) and picture.mode == "P"
    assert output.metadata["image/png"]["alt"] == output.data["text/plain"] == "Three bars."
    assert WIDGET not in output.data


def test_the_colours_that_mean_something_stay_what_they_are():
    noise, pale = np.random.default_rng(0).integers(0, 255, (2, 300, 300, 3), "uint8")
    pixels = np.concatenate([noise, np.maximum(pale, 250)])
    means = {(0, 0): "009E73", (0, 9): "0072B2", (9, 0): "E69F00", (400, 5): "FFFFFF"}
    for place, colour in means.items():
        pixels[place] = tuple(bytes.fromhex(colour))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    small = stored.small(base64.b64encode(file.getvalue()).decode())
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(small))).convert("RGB"))
    assert {place: bytes(shown[place]).hex().upper() for place in means} == means


def test_a_picture_with_words_of_its_own_keeps_them():
    data = {"image/png": png(60, 30)}
    alt = {"image/png": {"alt": "loss over p"}}
    (output,) = kept(new_output("display_data", data, metadata=alt))
    assert output.data["text/plain"] == "loss over p"
    assert Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).size == (60, 30)


def test_a_copy_needs_no_running_notebook():
    output = new_output("display_data", {"image/png": png(9, 9), WIDGET: {"model_id": "7"}})
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[output])])
    notebook.metadata["widgets"] = {"state": {}}
    stored.still(notebook)
    assert set(notebook.cells[0].outputs[0].data) == {"image/png"}
    assert "widgets" not in notebook.metadata


def test_times_are_added_up_by_section():
    def cell(begin, end):
        stamps = {"iopub.status.busy": begin, "iopub.status.idle": end}
        return new_code_cell("1", metadata={"execution": stamps})

    def long():
        return cell("2026-01-01T10:00:00.000000Z", "2026-01-01T10:00:02.500000Z")

    def short():
        return cell("2026-01-01T10:00:03.000000Z", "2026-01-01T10:00:04.000000Z")

    cells = [new_markdown_cell("## 1. Set up"), long(), short(), new_markdown_cell("Text"), short()]
    cells += [new_markdown_cell("*What to see.*\n\n## 2. Look"), long(), new_code_cell("2")]
    assert stored.section_times(new_notebook(cells=cells)) == {"1. Set up": 4.5, "2. Look": 2.5}
