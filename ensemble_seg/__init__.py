"""Two U-Nets, lesion crops, an exponential loss and soft voting: a medical segmentation method.

Reimplements Roshan et al., "A deep ensemble medical image segmentation with novel sampling method
and loss function", Computers in Biology and Medicine 172 (2024) 108305.
"""

import importlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from .common.starting import reads_arguments

__version__ = "0.1.0"

if not reads_arguments():
    from .common.environment import require_environment

    require_environment()

    from .datasets import Dataset, Split, load_dataset
    from .datasets.folds import k_folds
    from .datasets.phantoms import draw_phantom, write_phantoms
    from .ensembling import (
        Views,
        WeightedAverage,
        average_probabilities,
        build_ensemble,
        eight_views,
        fit_weights,
    )
    from .evaluation import (
        Interval,
        Scores,
        cases_csv,
        paired_difference,
        predict_split,
        score,
        score_table,
        surface_scores,
    )
    from .fetching.downloads import download
    from .hardware.precision import precision_policy
    from .inspection.inspecting import inspect_dataset
    from .keeping.loading import load_model, save_model
    from .losses import LOSSES, ExponentialLoss, exponential_loss, loss_by_name
    from .models import unet
    from .predicting.folders import overlay, predict_folder
    from .predicting.networks import predict_image
    from .predicting.scoring import evaluate
    from .presets import Preset, preset
    from .reading.checking import check_pairs
    from .reading.images import read_image
    from .reading.masks import read_mask
    from .reading.pairs import Box, Pair
    from .reading.windows import read_window
    from .runs import Run, load_run, run_path
    from .sampling import (
        Counts,
        crop_split,
        imbalance_ratio,
        lesion_box,
        lesion_boxes,
        lesion_crops,
        sampling_data,
        shift_crops,
    )
    from .training import check_before_training, load_or_train, train
    from .zooming import fit_zoom, zoom_ensemble

    sampled = sampling_data  # its earlier name

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
    "Views",
    "WeightedAverage",
    "average_probabilities",
    "build_ensemble",
    "cases_csv",
    "check_before_training",
    "check_pairs",
    "crop_split",
    "download",
    "draw_phantom",
    "eight_views",
    "evaluate",
    "exponential_loss",
    "fit_weights",
    "fit_zoom",
    "imbalance_ratio",
    "inspect_dataset",
    "k_folds",
    "lesion_box",
    "lesion_boxes",
    "lesion_crops",
    "load_dataset",
    "load_model",
    "load_or_train",
    "load_run",
    "loss_by_name",
    "overlay",
    "paired_difference",
    "plots",
    "precision_policy",
    "predict_folder",
    "predict_image",
    "predict_split",
    "preset",
    "read_image",
    "read_mask",
    "read_window",
    "run_path",
    "sampled",
    "sampling_data",
    "save_model",
    "score",
    "score_table",
    "shift_crops",
    "surface_scores",
    "train",
    "unet",
    "write_phantoms",
    "zoom_ensemble",
]


def __getattr__(name: str) -> object:
    if name == "plots":  # not above: matplotlib's import takes a while
        return importlib.import_module(".plots", __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
