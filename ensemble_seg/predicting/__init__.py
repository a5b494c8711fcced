"""From image files to masks: one image, a folder, or the score of a split."""

from .folders import overlay, predict_folder
from .scoring import border_table, evaluate, own_size_masks
from .segmenter import Prediction, Segmenter, predict_image

__all__ = [
    "Prediction",
    "Segmenter",
    "border_table",
    "evaluate",
    "overlay",
    "own_size_masks",
    "predict_folder",
    "predict_image",
]
