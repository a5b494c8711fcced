"""What is stored in the notebooks: outputs without noise, small pictures, a hash of each cell."""

import base64
import hashlib
import io
import re

WIDEST, COLOURS = 900, 200  # pixels and colours of a picture, those below not counted
KEPT = "E69F00 56B4E9 009E73 F0E442 0072B2 D55E00 CC79A7 000000 FFFFFF"  # what figures speak with
WIDGET = "application/vnd.jupyter.widget-view+json"
ALT_WORDS = 40
NOISE = re.compile(r"^.*(\d%\||\bit/s|\bs/it).*\n?", re.M)  # progress bars


def source_hash(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def store(notebook, ran, preset: str, folders: dict[str, str]) -> None:
    """Take the outputs of `ran` over into the notebook.

    Args:
        notebook, ran: the same cells.
        preset: that they were made with.
        folders: paths of this machine, and what is written for them.
    """
    for number, (cell, result) in enumerate(zip(notebook.cells, ran.cells, strict=True)):
        if cell.cell_type == "code":
            cell.execution_count = result.execution_count
            said = description(notebook.cells[number + 1 :])
            cleaned = [clean(output, folders, said) for output in joined(result.outputs)]
            cell.outputs = [output for output in cleaned if output]
            cell.metadata["source_hash"] = source_hash(cell.source)
    notebook.metadata["outputs_made_with"] = preset


def still(notebook) -> None:
    """Leave of each widget its picture, which needs no running notebook and no network."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data.pop(WIDGET, None)


def joined(outputs) -> list:
    """Put pieces of one stream together, each line as it looked in the end."""
    kept = []
    for output in outputs:
        if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return kept


def clean(output, folders: dict[str, str], said: str):
    """Return an output as it is to be stored, or None."""
    if output.output_type == "stream":
        output.text = NOISE.sub("", plain(output.text, folders))
        return output if output.name == "stdout" and output.text.strip() else None
    if output.output_type in ("display_data", "execute_result"):
        data = output.data
        data.pop(WIDGET, None)
        if "image/png" in data:
            data["image/png"] = small(data["image/png"])
            alt = output.metadata.get("image/png", {}).get("alt") or said
            output.metadata = {"image/png": {"alt": alt}}
            data["text/plain"] = alt
        elif "text/plain" in data:
            data["text/plain"] = plain(data["text/plain"], folders)
    return output


def plain(text: str, folders: dict[str, str]) -> str:
    for path, name in folders.items():
        text = text.replace(path, name)
    return text


def description(following) -> str:
    """Return the beginning of what the prose below a figure says, for those who do not see it."""
    prose = next((cell.source for cell in following if cell.cell_type == "markdown"), "")
    words = re.sub(r"\*What to see\.\*|[*`$#>]", "", prose.split("\n\n")[0]).split()
    return " ".join(words[:ALT_WORDS]) + (" ..." if len(words) > ALT_WORDS else "")


def small(encoded: str) -> str:
    """Return a PNG picture, in base64, with fewer pixels and colours."""
    import numpy as np
    from PIL import Image
    from scipy.spatial import cKDTree

    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(ground, picture).convert("RGB")
    if picture.width > WIDEST:
        size = (WIDEST, round(picture.height * WIDEST / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    palette = picture.quantize(COLOURS).getpalette()[: 3 * COLOURS] + list(bytes.fromhex(KEPT))
    pixels = np.asarray(picture).astype("int32") @ (1 << 16, 1 << 8, 1)
    colours, place = np.unique(pixels, return_inverse=True)
    colours = colours[:, None] >> (16, 8, 0) & 255
    nearest = cKDTree(np.reshape(palette, (-1, 3))).query(colours)[1]  # Pillow's is not exact
    few = Image.fromarray(nearest[place].reshape(pixels.shape).astype("uint8"))
    few.putpalette(palette)
    file = io.BytesIO()
    few.save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def section_times(notebook) -> dict[str, float]:
    """Return the seconds that the code cells below each heading took."""
    from datetime import datetime

    times, section = {}, "before the first heading"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^## (\d.*)$", cell.source, re.M)
            section = headings[-1] if headings else section
        stamps = cell.metadata.get("execution", {})
        ends = [stamps.get(f"iopub.status.{end}") for end in ("busy", "idle")]
        if cell.cell_type == "code" and all(ends):
            begin, end = (datetime.fromisoformat(stamp.replace("Z", "+00:00")) for stamp in ends)
            times[section] = times.get(section, 0.0) + (end - begin).total_seconds()
    return times
