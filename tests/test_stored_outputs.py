"""What make refresh keeps of an output; tools/stored.py."""

import base64
import io

import numpy as np
import pytest
import stored
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

WIDGET = "application/vnd.jupyter.widget-view+json"


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def picture(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def noise(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), "uint8")


def kept(*outputs, prose="*What to see.* **Three** `bars`.\n\nMore."):
    notebook = new_notebook(cells=[new_code_cell("1"), new_markdown_cell(prose)])
    ran = new_code_cell("1", outputs=list(outputs), execution_count=1)
    ran = new_notebook(cells=[ran, new_markdown_cell(prose)])
    stored.store(notebook, ran, "smoke", {"/tmp/abc": "runs"})
    assert notebook.cells[0].execution_count == 1
    assert notebook.cells[0].metadata["source_hash"] == stored.source_hash("1")
    return notebook.cells[0].outputs


def stream(text, name="stdout"):
    return new_output("stream", text=text, name=name)


def test_printed_lines_are_joined_and_paths_are_those_of_no_machine():
    (output,) = kept(stream("a\n"), stream("main: loaded from /tmp/abc/main\n"))
    assert output.text == "a\nmain: loaded from runs/main\n"


@pytest.mark.parametrize(
    "noise",
    [
        stream("main:   0%|     | 0/15\rmain: 100%|#####| 15/15 [00:03<00:00, 4.8 it/s]\n"),
        stream("\r 50%|##  | 1/2"),
        stream("UserWarning: careful\n", "stderr"),
    ],
)
def test_progress_bars_and_warnings_go(noise):
    assert kept(noise) == []
    (output,) = kept(noise, stream("\nepochs: 15\n"))
    assert output.text.strip() == "epochs: 15"


def test_a_picture_is_smaller_and_says_what_is_seen():
    data = {"image/png": png(noise(400, 1800)), "text/plain": "<Figure>", WIDGET: {"model_id": "7"}}
    (output,) = kept(new_output("display_data", data))
    small = picture(output.data["image/png"])
    assert small.size == (900, 200) and small.mode == "P"
    assert output.metadata["image/png"]["alt"] == output.data["text/plain"] == "Three bars."
    assert WIDGET not in output.data


def test_a_picture_with_words_of_its_own_keeps_them():
    alt = {"image/png": {"alt": "loss over p"}}
    (output,) = kept(new_output("display_data", {"image/png": png(noise(30, 60))}, metadata=alt))
    assert output.data["text/plain"] == "loss over p"
    assert picture(output.data["image/png"]).size == (60, 30)


def test_the_colours_that_mean_something_stay_what_they_are():
    pixels = noise(300, 300)
    means = {(0, 0): "009E73", (0, 9): "0072B2", (9, 0): "E69F00", (40, 5): "FFFFFF"}
    for place, colour in means.items():
        pixels[place] = tuple(bytes.fromhex(colour))
    small = np.asarray(picture(stored.small(png(pixels))).convert("RGB"))
    assert {place: bytes(small[place]).hex().upper() for place in means} == means
