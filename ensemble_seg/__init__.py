"""Two U-Nets, lesion crops, an exponential loss and soft voting: a medical segmentation method.

Reimplements Roshan et al., "A deep ensemble medical image segmentation with novel sampling method
and loss function", Computers in Biology and Medicine 172 (2024) 108305.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from . import plots
from .checking import check_pairs
from .crops import lesion_crops
from .datasets import Dataset, Split, load_dataset
from .downloading import download
from .ensembling import WeightedAverage, average_probabilities, build_ensemble, fit_weights
from .evaluation import (
    Scores,
    evaluate,
    paired_difference,
    predict_split,
    score,
    score_table,
)
from .folding import k_folds
from .inspecting import inspect_dataset
from .intervals import Interval
from .losses import LOSSES, ExponentialLoss, exponential_loss, loss_by_name
from .models import precision_policy, unet
from .pairing import Box, Pair
from .phantoms import draw_phantom, write_phantoms
from .predicting import predict_folder, predict_image
from .presets import Preset, preset
from .reading import read_image, read_mask
from .runs import Run, load_run, run_path, save_model
from .sampling import Counts, crop_split, imbalance_ratio, lesion_box, lesion_boxes, sampled
from .training import load_or_train, train
from .views import eight_views

__version__ = "0.1.0"

__all__ = [
    "LOSSES",
    "Box",
    "Counts",
    "Dataset",
    "ExponentialLoss",
    "Interval",
    "Pair",
    "Preset",
    "Run",
    "Scores",
    "Split",
    "WeightedAverage",
    "average_probabilities",
    "build_ensemble",
    "check_pairs",
    "crop_split",
    "download",
    "draw_phantom",
    "eight_views",
    "evaluate",
    "exponential_loss",
    "fit_weights",
    "imbalance_ratio",
    "inspect_dataset",
    "k_folds",
    "lesion_box",
    "lesion_boxes",
    "lesion_crops",
    "load_dataset",
    "load_or_train",
    "load_run",
    "loss_by_name",
    "paired_difference",
    "plots",
    "precision_policy",
    "predict_folder",
    "predict_image",
    "predict_split",
    "preset",
    "read_image",
    "read_mask",
    "run_path",
    "sampled",
    "save_model",
    "score",
    "score_table",
    "train",
    "unet",
    "write_phantoms",
]
