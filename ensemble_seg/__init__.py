"""Two U-Nets, lesion crops, an exponential loss and soft voting: a medical segmentation method.

Reimplements Roshan et al., "A deep ensemble medical image segmentation with novel sampling method
and loss function", Computers in Biology and Medicine 172 (2024) 108305.
"""

import importlib

from .batches import batches, training_batches
from .data import Dataset, Split, load_dataset
from .ensembling import WeightedAverage, average_probabilities, build_ensemble, fit_weights
from .evaluation import (
    Interval,
    Scores,
    evaluate,
    paired_difference,
    predict_split,
    score,
    score_table,
)
from .losses import LOSSES, ExponentialLoss, exponential_loss, loss_by_name
from .network import precision_policy, unet
from .pairing import Pair
from .phantoms import draw_phantom, write_phantoms
from .predicting import overlay, predict_image, predict_images
from .presets import Preset, preset
from .reading import Box, read_image, read_mask
from .runs import Run, load_model, load_run, run_path, save_model
from .sampling import (
    Counts,
    crop_split,
    imbalance_ratio,
    lesion_box,
    lesion_boxes,
    lesion_crops,
    sampling_data,
)
from .training import check_before_training, load_or_train, train

__version__ = "0.1.0"
__all__ = [name for name in dir() if name[0] != "_"] + ["plots"]


def __getattr__(name: str) -> object:
    if name == "plots":  # not above: matplotlib's import takes a while
        return importlib.import_module(".plots", __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
