"""The arms of the study and the claims that are put to the test, as data.

An arm is one training, or a vote of finished trainings. All trainings of a data set take the same
number of steps (`length` times as many where that is the arm) and keep the weights by one rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..common.errors import invalid, suggest
from ..datasets import Dataset
from ..losses import LOSSES, ExponentialLoss

RATES = (3e-4, 1e-3, 3e-3)  # of each loss the one with the best validation Dice is taken
RATE_SEED = 1000  # of the trainings that choose it; no seed of the study
OTHER_SEED = 500  # added for weights, order and augmentation of a second main model
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2)  # lesion pixels of the phantoms of the plan `imbalance`
WIDE = (160, 80, 40, 20, 10)  # pixels; the published margins are 20 and 10
WORSE = "worse-on-purpose"  # a tenth of the weight for lesion pixels: the plan `check` must find it
LOSSES.setdefault(WORSE, lambda: ExponentialLoss(class_weights=(1.0, 0.1)))


@dataclass(frozen=True)
class Training:
    """One network.

    Attributes:
        name: of the arm.
        loss: a key of `ensemble_seg.LOSSES`.
        windows: what it is trained on: "whole" images, "lesion" crops, "random" crops of the same
            sizes, "wide" lesion crops (`WIDE` margins), "third" or "third-shifted" (a third of the
            images are lesion crops).
        length: how often the steps of the others.
        offset: added to the seed of weights, order and augmentation, not to that of the split.
        groups: how the split keeps images together: "given" groups, "image" (each for itself) or
            "apart" (near duplicates are one group).
        random: start from random weights, whatever the preset says.
        rate: learning rate; 0 for the one that was chosen for the loss.
    """

    name: str
    loss: str = "exponential"
    windows: str = "whole"
    length: int = 1
    offset: int = 0
    groups: str = "given"
    random: bool = False
    rate: float = 0.0

    @property
    def rates(self) -> list["Training"]:
        """The trainings that choose its learning rate."""
        if self.rate:
            return []
        label = "-".join(["rate", self.loss, *["random"] * self.random])
        same = {"loss": self.loss, "random": self.random}
        return [Training(f"{label}-{rate:g}", rate=rate, **same) for rate in RATES]


@dataclass(frozen=True)
class Vote:
    """Predictions of finished trainings of one seed, main model first.

    Attributes:
        name: of the arm.
        members: names of trainings.
        weights: of the members; None for those with the best validation Dice.
        how: "average"; "tempered", each member by a temperature of its own first; "views", each
            member with eight views; "zoom", the second where the first found a lesion.
    """

    name: str
    members: tuple[str, ...]
    weights: tuple[float, ...] | None = (1.01, 1.0)
    how: str = "average"


@dataclass(frozen=True)
class Claim:
    """That an arm is better than its control, in words."""

    text: str
    arm: str
    control: str


@dataclass(frozen=True)
class Plan:
    """Arms, and the claims about them."""

    arms: tuple[Training | Vote, ...]
    claims: tuple[Claim, ...]


MAIN, SAMPLING = Training("main"), Training("sampling", windows="lesion")
WIDER = Training("sampling-wide", windows="wide")
SECOND = Training("main-second", offset=OTHER_SEED)
ENSEMBLE, TWO = Vote("ensemble", ("main", "sampling")), Vote("two-mains", ("main", "main-second"))
CROSS_ENTROPY = Training("cross-entropy", "cross-entropy")
ASYMMETRIC = Training("asymmetric", "exponential-asymmetric")
BEATS_CROSS_ENTROPY = Claim("published loss beats cross-entropy", "main", "cross-entropy")
WEIGHTS_HELP = Claim("class weights of 1 : 3 help the published loss", "asymmetric", "main")
BEATS_TWO = Claim("main + sampling beats two main models (same cost)", "ensemble", "two-mains")
BEATS_MAIN = Claim("main + sampling beats the main model alone (half the cost)", "ensemble", "main")

BEATS_RANDOM = Claim("lesion crops beat random crops of the same sizes", "sampling", "random-crops")
FIRST = tuple(claim.text for claim in (BEATS_CROSS_ENTROPY, BEATS_RANDOM, BEATS_TWO))  # decide
LEVEL = "-percent"  # ends the names of the phantoms of one lesion fraction

LOSS = Plan(
    (
        MAIN,
        CROSS_ENTROPY,
        Training("dice", "dice"),
        Training("focal", "focal"),
        Training("tversky", "tversky"),
        Training("cross-entropy-dice", "cross-entropy-dice"),
        Training("single-softmax", "exponential-single-softmax"),
        ASYMMETRIC,
    ),
    (
        BEATS_CROSS_ENTROPY,
        Claim("published loss beats Dice loss", "main", "dice"),
        Claim("published loss beats focal loss", "main", "focal"),
        Claim("published loss beats Tversky loss", "main", "tversky"),
        Claim("published loss beats cross-entropy + Dice", "main", "cross-entropy-dice"),
        Claim("the second softmax of the published loss helps", "main", "single-softmax"),
        WEIGHTS_HELP,
    ),
)
CROPS = Plan(
    (
        MAIN,
        SAMPLING,
        Training("random-crops", windows="random"),
        WIDER,
        Training("third", windows="third"),
        Training("third-shifted", windows="third-shifted"),
    ),
    (
        Claim("sampling model beats the main model, on whole images", "sampling", "main"),
        BEATS_RANDOM,
        Claim("wider margins help the sampling model", "sampling-wide", "sampling"),
        Claim("one model with a third of lesion crops beats main", "third", "main"),
        Claim("the same with shifted crops beats main", "third-shifted", "main"),
    ),
)
VOTES = Plan(
    (
        MAIN,
        SAMPLING,
        WIDER,
        SECOND,
        Training("main-long", length=2),
        Training("third", windows="third"),
        ENSEMBLE,
        TWO,
        Vote("ensemble-wide", ("main", "sampling-wide")),
        Vote("ensemble-fitted", ("main", "sampling"), None),
        Vote("ensemble-tempered", ("main", "sampling"), how="tempered"),
        Vote("main-views", ("main",), (1.0,), "views"),
    ),
    (
        BEATS_TWO,
        BEATS_MAIN,
        Claim("main + sampling beats one main trained twice as long", "ensemble", "main-long"),
        Claim("main + sampling beats eight views of the main model", "ensemble", "main-views"),
        Claim("main + sampling beats one model with a third of crops", "ensemble", "third"),
        Claim("the same with wider margins beats two mains", "ensemble-wide", "two-mains"),
        Claim("weights from validation data beat 1.01 : 1", "ensemble-fitted", "ensemble"),
        Claim("temperatures before the vote help", "ensemble-tempered", "ensemble"),
    ),
)
ZOOM = Plan(
    (Vote("zoom", ("main", "sampling"), how="zoom"),),
    (
        Claim("zoom ensemble beats two main models (same cost)", "zoom", "two-mains"),
        Claim("zoom ensemble beats main + sampling", "zoom", "ensemble"),
    ),
)
IMBALANCE = Plan(
    (MAIN, CROSS_ENTROPY, ASYMMETRIC, SAMPLING, SECOND, ENSEMBLE, TWO),
    (BEATS_CROSS_ENTROPY, WEIGHTS_HELP, BEATS_TWO, BEATS_MAIN),
)
BY_IMAGE = Plan(
    (MAIN, Training("by-image", groups="image")),
    (Claim("a split by image instead of by group raises the score", "by-image", "main"),),
)
DUPLICATES = Plan(
    (MAIN, Training("duplicates-apart", groups="apart")),
    (Claim("near duplicates across parts raise the score", "main", "duplicates-apart"),),
)
START = Plan(
    (
        MAIN,
        Training("random", random=True),
        Training("random-cross-entropy", "cross-entropy", random=True),
        Training("random-sampling", windows="lesion", random=True),
        Training("random-second", offset=OTHER_SEED, random=True),
        Vote("random-ensemble", ("random", "random-sampling")),
        Vote("random-two-mains", ("random", "random-second")),
    ),
    (
        Claim("ImageNet weights beat a random start", "main", "random"),
        Claim("from random weights: " + BEATS_CROSS_ENTROPY.text, "random", "random-cross-entropy"),
        Claim("from random weights: " + BEATS_TWO.text, "random-ensemble", "random-two-mains"),
    ),
)
CHECK = Plan(
    (MAIN, SECOND, Training("worse", WORSE)),
    (
        Claim("planted effect: published loss beats one made worse on purpose", "main", "worse"),
        Claim("planted null: main beats itself with other weights", "main", "main-second"),
    ),
)
IMBALANCED = "imbalance"
NAMES = ("loss", "sampling", "ensemble", IMBALANCED, "split", "start", "all", "check")


def plan_for(name: str, data: Dataset) -> Plan:
    """Return what a plan means for a data set. "imbalance" is for the phantoms drawn for it.

    Args:
        name: one of `NAMES`; "all" is all of them but "imbalance" and "check".
        data: whose groups decide which split is compared.

    Raises:
        ValueError: an unknown plan.

    Example:
        >>> from ensemble_seg import load_dataset
        >>> [claim.arm for claim in plan_for("sampling", load_dataset("phantoms")).claims]
        ['sampling', 'sampling', 'sampling-wide', 'third', 'third-shifted']
    """
    if name not in NAMES:
        expected = f"one of {', '.join(NAMES)}"
        raise invalid("plan", expected, name, suggest(name, NAMES).strip())
    split = BY_IMAGE if has_groups(data) else DUPLICATES
    plans = {"loss": [LOSS], "sampling": [CROPS], "ensemble": [VOTES, ZOOM], "split": [split]}
    plans |= {IMBALANCED: [IMBALANCE], "check": [CHECK], "start": [START]}
    plans["all"] = [LOSS, CROPS, VOTES, ZOOM, split, START]
    return joined(plans[name])


def joined(plans: Iterable[Plan]) -> Plan:
    """Put plans together; what appears twice is taken once."""
    plans = list(plans)
    arms = dict.fromkeys(arm for plan in plans for arm in plan.arms)
    return Plan(tuple(arms), tuple(dict.fromkeys(c for plan in plans for c in plan.claims)))


def decides(plan: Plan, arm: Training | Vote) -> bool:
    """Return whether a claim that decides needs this arm, or a vote of such a claim."""
    names = {
        name for claim in plan.claims if claim.text in FIRST for name in (claim.arm, claim.control)
    }
    votes = [vote for vote in plan.arms if isinstance(vote, Vote) and vote.name in names]
    return arm.name in names.union(*(vote.members for vote in votes))


def has_groups(data: Dataset) -> bool:
    """Return whether a group (a patient, say) has several images."""
    groups = [group for part in (data.train, data.validation, data.test) for group in part.groups]
    return len(set(groups)) < len(groups)
