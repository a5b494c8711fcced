"""What is stored in the notebooks: outputs without noise, small pictures, a hash of each cell."""

import base64
import hashlib
import io
import re

from PIL import Image

WIDEST, COLOURS = 900, 200  # pixels and colours of a picture, those below not counted
KEPT = "E69F00 56B4E9 009E73 F0E442 0072B2 D55E00 CC79A7 000000 FFFFFF"  # what figures speak with
WIDGET = "application/vnd.jupyter.widget-view+json"
NOISE = re.compile(r"^.*(\d%\||\bit/s|\bs/it).*\n?", re.M)  # progress bars


def source_hash(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def store(notebook, ran, preset: str, folders: dict[str, str]) -> None:
    """Take the outputs of `ran`, the same cells, over into the notebook.

    `folders`: paths of this machine, and what is written for them.
    """
    still(ran)
    for number, (cell, result) in enumerate(zip(notebook.cells, ran.cells, strict=True)):
        if cell.cell_type == "code":
            cell.execution_count = result.execution_count
            said = description(notebook.cells[number + 1 :])
            cleaned = [clean(output, folders, said) for output in result.outputs]
            cell.outputs = [output for output in cleaned if output]
            cell.metadata["source_hash"] = source_hash(cell.source)
    notebook.metadata["outputs_made_with"] = preset


def still(notebook) -> None:
    """Join printed lines as they looked in the end; leave of each widget its picture."""
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    CoalesceStreamsPreprocessor(enabled=True).preprocess(notebook, {})
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop(WIDGET, None)


def clean(output, folders: dict[str, str], said: str):
    """Return an output as it is to be stored, or None."""
    if output.output_type == "stream":
        text = NOISE.sub("", output.text)
        for path, name in folders.items():
            text = text.replace(path, name)
        output.text = text
        return output if output.name == "stdout" and text.strip() else None
    if "image/png" in output.get("data", {}):
        alt = output.metadata.get("image/png", {}).get("alt") or said
        output.data |= {"image/png": small(output.data["image/png"]), "text/plain": alt}
        output.metadata = {"image/png": {"alt": alt}}
    return output


def description(following) -> str:
    """Return the beginning of what the prose below a figure says, for those who do not see it."""
    prose = next((cell.source for cell in following if cell.cell_type == "markdown"), "")
    words = re.sub(r"\*What to see\.\*|[*`$#>]", "", prose.split("\n\n")[0]).split()
    return " ".join(words[:40]) + (" ..." if len(words) > 40 else "")


def small(encoded: str) -> str:
    """Return a PNG picture, in base64, with fewer pixels and colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(ground, picture).convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)))
    palette = Image.new("P", (1, 1))
    colours = picture.quantize(COLOURS).getpalette()[: 3 * COLOURS]
    palette.putpalette([*bytes.fromhex(KEPT), *colours])
    file = io.BytesIO()
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
