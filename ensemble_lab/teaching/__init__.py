"""For the notebooks: checks of the exercises, pictures to turn, what the study found."""

from .checks import check
from .drawing import draw_reliability, draw_study, draw_where_lesions_lie
from .widgets import turn_box, turn_imbalance, turn_losses, turn_vote, turn_zoom

__all__ = [
    "check",
    "draw_reliability",
    "draw_study",
    "draw_where_lesions_lie",
    "turn_box",
    "turn_imbalance",
    "turn_losses",
    "turn_vote",
    "turn_zoom",
]
