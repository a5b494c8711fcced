"""The arms of the study and the claims that are put to the test, as data.

An arm is one training, or a vote of finished trainings. All trainings of a data set take the same
number of steps and keep the weights by one rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

RATES = (3e-4, 1e-3, 3e-3)  # of each loss the one with the best validation Dice is taken
RATE_SEED = 1000  # of the trainings that choose it; no seed of the study


@dataclass(frozen=True)
class Training:
    """One network."""

    name: str
    loss: str = "exponential"
    windows: str = "whole"  # see `parts.training_windows`
    offset: int = 0  # added to the seed of weights, order and augmentation, not to the split's
    rate: float = 0.0  # of learning; 0 for the one that is chosen for the loss

    @property
    def rates(self) -> list["Training"]:
        """The trainings that choose its learning rate."""
        choice = () if self.rate else RATES
        return [Training(f"rate-{self.loss}-{rate:g}", self.loss, rate=rate) for rate in choice]


@dataclass(frozen=True)
class Vote:
    """Predictions of finished trainings of one seed, main model first.

    How: "average"; "tempered", each member by a temperature of its own first; "views", each member
    with eight views; "zoom", the second where the first found a lesion.
    """

    name: str
    members: tuple[str, ...] = ("main", "sampling")
    weights: tuple[float, ...] | None = (1.01, 1.0)  # None: the best on validation images
    how: str = "average"


class Claim(NamedTuple):
    """That an arm is better than its control, in words."""

    text: str
    arm: str
    control: str


LOSSES = ("cross-entropy", "dice", "focal", "tversky", "cross-entropy-dice")
_ALL = (
    Training("main"),
    *(Training(name, name) for name in LOSSES),
    Training("single-softmax", "exponential-single-softmax"),
    Training("asymmetric", "exponential-asymmetric"),
    Training("sampling", windows="lesion"),
    Training("random-crops", windows="random"),
    Training("main-second", offset=500),
    Training("worse", rate=RATES[0] / 10),  # on purpose: the plan `check` must find it
    Vote("ensemble"),
    Vote("two-mains", ("main", "main-second")),
    Vote("ensemble-fitted", weights=None),
    Vote("ensemble-tempered", how="tempered"),
    Vote("main-views", ("main",), (1.0,), "views"),
    Vote("zoom", how="zoom"),
)
ARMS: dict[str, Training | Vote] = {arm.name: arm for arm in _ALL}

LOSS = Claim("published loss beats cross-entropy", "main", "cross-entropy")
CROPS = Claim("lesion crops beat random crops of the same sizes", "sampling", "random-crops")
VOTE = Claim("main + sampling beats two main models (same cost)", "ensemble", "two-mains")
FIRST = (LOSS.text, CROPS.text, VOTE.text)  # these decide
PLANS: dict[str, tuple[Claim, ...]] = {
    "loss": (
        LOSS,
        Claim("published loss beats Dice loss", "main", "dice"),
        Claim("published loss beats focal loss", "main", "focal"),
        Claim("published loss beats Tversky loss", "main", "tversky"),
        Claim("published loss beats cross-entropy + Dice", "main", "cross-entropy-dice"),
        Claim("the second softmax of the published loss helps", "main", "single-softmax"),
        Claim("class weights of 1 : 3 help the published loss", "asymmetric", "main"),
    ),
    "sampling": (
        Claim("sampling model beats the main model, on whole images", "sampling", "main"),
        CROPS,
    ),
    "ensemble": (
        VOTE,
        Claim("main + sampling beats the main model alone (half the cost)", "ensemble", "main"),
        Claim("main + sampling beats eight views of the main model", "ensemble", "main-views"),
        Claim("weights from validation data beat 1.01 : 1", "ensemble-fitted", "ensemble"),
        Claim("temperatures before the vote help", "ensemble-tempered", "ensemble"),
        Claim("zoom ensemble beats two main models (same cost)", "zoom", "two-mains"),
        Claim("zoom ensemble beats main + sampling", "zoom", "ensemble"),
    ),
    "check": (
        Claim("planted effect: main beats one that learns too slowly", "main", "worse"),
        Claim("planted null: main beats itself with other weights", "main", "main-second"),
    ),
}
PLANS["all"] = PLANS["loss"] + PLANS["sampling"] + PLANS["ensemble"]


def arms_of(claims: Iterable[Claim]) -> list[Training | Vote]:
    """Return what claims compare, with the members of votes."""
    names: dict[str, None] = {}
    for claim in claims:
        for arm in (ARMS[claim.arm], ARMS[claim.control]):
            names |= dict.fromkeys((arm.name, *(arm.members if isinstance(arm, Vote) else ())))
    return [ARMS[name] for name in names]
