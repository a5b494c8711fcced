"""Draw docs/architecture.png again: python tools/architecture.py."""

from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from PIL import Image

from ensemble_seg import plots

PATH = Path(__file__).resolve().parents[1] / "docs" / "architecture.png"

if __name__ == "__main__":
    plots.architecture()
    drawn = BytesIO()
    plt.savefig(drawn, dpi=100)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(PATH, optimize=True)
