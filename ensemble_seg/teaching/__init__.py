"""For the notebooks alone: checks of the exercises, pictures to turn. Nothing else imports it."""

from .checks import Verdict, check, judge
from .drawing import draw_reliability, draw_where_lesions_lie
from .study import draw_study
from .widgets import turn_box, turn_imbalance, turn_losses, turn_vote, turn_zoom

__all__ = [
    "Verdict",
    "check",
    "draw_reliability",
    "draw_study",
    "draw_where_lesions_lie",
    "judge",
    "turn_box",
    "turn_imbalance",
    "turn_losses",
    "turn_vote",
    "turn_zoom",
]
