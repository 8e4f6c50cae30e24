"""How the frames of a stream become one decision, where that was tuned on recordings: a rule and its limits."""

import math
from typing import Annotated

import msgspec

from edge_sdk.manifest.operating_points import Positive, Rate
from edge_sdk.schema import Name, Strict, Text, require

MAX_WINDOW = 10_000
Frames = Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW)]
LONGEST_S = 86_400.0
"""No limit of a stream is longer: a day."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=LONGEST_S)]
Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
TestRate = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]


def k_of_n_problem(live: int, spoof: int, window: int) -> str | None:
    """What is wrong with LIVE from `live`, SPOOF from `spoof` of the last `window` frames; None if nothing is."""
    if min(live, spoof) >= 1 and max(live, spoof) <= window < live + spoof:
        return None
    return (
        f"{live} live or {spoof} spoof of {window} frames: each must be in 1..{window} "
        "and their sum above the window, or both could be true at once"
    )


def boundaries(apcer: float, bpcer: float) -> tuple[float, float]:
    """The sums at which Wald's test ends SPOOF, negative, and LIVE, of rates in (0, 0.5); in nats."""
    return math.log(bpcer / (1 - apcer)), math.log((1 - bpcer) / apcer)


def limit_problem(limit: float, apcer: float, bpcer: float) -> str | None:
    """What is wrong with the most that one frame may add to Wald's sum; None if nothing is."""
    lower, upper = boundaries(apcer, bpcer)
    most = min(upper, -lower)
    return None if 0 < limit < most else f"limit is {limit}; between 0 and {most:.3f} no frame decides alone"


class KOfNRule(Strict, frozen=True, kw_only=True, tag_field="kind", tag="k_of_n"):
    """LIVE from `live` of the last `window` scores, SPOOF from `spoof` others.

    A score counts as live from the threshold in use plus `margin` on.
    """

    live: Frames
    spoof: Frames
    window: Frames
    margin: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        problem = k_of_n_problem(self.live, self.spoof, self.window)
        require(problem is None, str(problem))


class SequentialRule(Strict, frozen=True, kw_only=True, tag_field="kind", tag="sequential"):
    """Wald's test: a frame counts ``slope * (score - threshold in use) + offset``, clipped to ``[-limit, limit]``."""

    slope: Annotated[float, msgspec.Meta(gt=0, le=1e9)]
    offset: Number
    apcer: TestRate
    bpcer: TestRate
    limit: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        problem = limit_problem(self.limit, self.apcer, self.bpcer)
        require(problem is None, str(problem))


class RuleProvenance(Strict, frozen=True, kw_only=True):
    """On whose recordings a rule was tuned, with one variant at one operating point, and its errors on these very ones.

    An attack's recording is an error if it is LIVE at any time, and ``apcer`` is that of the worst species; a live
    person's, unless its first decision is LIVE.
    """

    data: Text
    subjects: Positive
    variant: Name
    operating_point: Name
    apcer: Rate
    bpcer: Rate
    species: Annotated[dict[Name, Rate], msgspec.Meta(max_length=1000)]
    version: Name

    def __post_init__(self) -> None:
        super().__post_init__()
        worst = max((rate.value for rate in self.species.values()), default=None)
        require(worst == self.apcer.value, "apcer is not the maximum over the attack species")


class DecisionOverTime(Strict, frozen=True, kw_only=True):
    """A stream's rule and limits, which the runtime takes where its user names none.

    ``gap_s``, ``cooldown_s`` and ``deadline_s`` are those of :class:`edge_sdk.runtime.temporal.Limits`.
    """

    rule: KOfNRule | SequentialRule
    gap_s: Seconds
    cooldown_s: Seconds
    deadline_s: Seconds
    tuned: RuleProvenance
