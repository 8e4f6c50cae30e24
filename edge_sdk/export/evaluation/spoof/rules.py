"""A stream's rule, tuned on recordings of people: the least BPCER of all rules whose APCER is at most a target.

Rules are of two families, K of N and Wald's sequential test, in shapes that are listed here. Each shape has a margin:
a score counts as live only this much above the threshold in use. The higher it is, the fewer attacks are ever LIVE,
and the more live people are refused; so for each shape two searches by halves find the lowest margin that keeps the
target, and the highest that refuses no more people. The one in their middle is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.thresholds import MIN_SUBJECTS, rate
from edge_sdk.errors import DatasetError, ScoreError
from edge_sdk.export.evaluation.spoof.recorded import FaceRecording
from edge_sdk.export.evaluation.spoof.samples import Count
from edge_sdk.export.evaluation.spoof.sessions import is_error
from edge_sdk.manifest import KOfNRule, Rate, SequentialRule
from edge_sdk.manifest.over_time import boundaries
from edge_sdk.runtime.temporal import Limits, Rule, placed

AnyRule = KOfNRule | SequentialRule
Shape = Callable[[float], AnyRule]
"""A rule but for its margin."""

WINDOWS = (5, 10, 15, 20)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Of a window's frames that are enough for LIVE."""
LIMITS = (0.25, 0.5, 1.0)
"""The most that a frame may add to Wald's sum, in nats."""
REACHES = (0.5, 1.0, 2.0, 4.0)
"""How far from the margin a frame adds the most, in standard deviations of a live recording's scores."""
RATES = (0.001, 0.01, 0.05)
"""Asked of one of Wald's tests, APCER and BPCER."""
MARGINS = 64


@dataclass(frozen=True)
class RuleErrors:
    """Errors of a rule on recordings: of live people, and of attacks by species and data set."""

    bpcer: Rate
    species: dict[str, Rate]

    @property
    def apcer(self) -> Rate:
        """Of the worst species."""
        return max(self.species.values(), key=lambda one: one.value)


@dataclass(frozen=True)
class TunedRule:
    """What was chosen among `shapes`, and its errors on the recordings it was chosen on."""

    rule: AnyRule
    errors: RuleErrors
    shapes: int


def tune(
    recordings: Sequence[FaceRecording],
    threshold: float,
    limits: Limits,
    *,
    apcer: float,
    before: Rule | None = None,
    progress: Count | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> TunedRule:
    """The rule of least BPCER among those whose APCER, of every species in every data set, is at most `apcer`.

    Of equals it is the one of least APCER, then the first of :func:`shapes`.

    Args:
        recordings: Of live people and of attacks.
        threshold: The one in use, about which margins lie.
        limits: Gap, cooldown and deadline, which are given and not tuned.
        apcer: The target.
        before: Another rule, and of a species of which it lets more pass than `apcer`, as many may pass again; None is
            no such rule.
        progress: Called with the number of shapes tried and in all.

    Raises:
        DatasetError: Too few recordings or people for this target.
        ScoreError: No frame has a score, or every rule would refuse all live people.
    """
    _require_enough(recordings, apcer)
    scores = [np.array([f.score for f in one.frames if f.score is not None], float) for one in recordings]
    scores = [one[np.isfinite(one)] - threshold for one in scores]
    together = np.concatenate(scores)
    if not together.size:
        raise ScoreError("no frame of the recordings has a score")
    spreads = [
        one.std() for one, recording in zip(scores, recordings, strict=True) if not recording.attack and one.size
    ]
    search = _Search(recordings, threshold, limits, margins(together), apcer=apcer, before=before)
    tried = list(shapes(float(np.median(spreads)) or 1.0))
    best: tuple[float, float, int] | None = None
    chosen: AnyRule | None = None
    for number, shape in enumerate(tried):
        found = search.best(shape)
        key = (found.bpcer, found.apcer, number) if found else None
        if found and key and key[0] < 1 and (best is None or key < best):
            best, chosen = key, found.rule
        if progress is not None:
            progress(number + 1, len(tried))
    if chosen is None:
        raise ScoreError(f"at an APCER of {apcer:g} every rule refuses all live people: the scores do not part them")
    return TunedRule(chosen, errors(recordings, placed(chosen, threshold), limits, replicates, seed), len(tried))


def margins(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Margins to try, ascending: quantiles of the frames' scores less the threshold, and even steps across gaps."""
    quantiles = np.quantile(scores, np.linspace(0.002, 0.998, MARGINS))
    return np.unique(np.concatenate([quantiles, np.linspace(quantiles[0], quantiles[-1], MARGINS)]))


def shapes(spread: float) -> Iterator[Shape]:
    """All shapes, none of which needs more frames for LIVE than the longest window has.

    Args:
        spread: Standard deviation of live frames' scores within a recording.
    """
    for window in WINDOWS:
        for live in dict.fromkeys(max(1, round(share * window)) for share in SHARES):
            least = window + 1 - live
            for spoof in dict.fromkeys((least, (least + window + 1) // 2, window)):
                yield partial(_k_of_n, live, spoof, window)
    for limit in LIMITS:
        for reach in REACHES:
            for apcer in RATES:
                for bpcer in RATES:
                    if boundaries(apcer, bpcer)[1] > limit * max(WINDOWS):
                        continue
                    yield partial(_sequential, limit / (reach * spread), limit, apcer, bpcer)


def errors(
    recordings: Sequence[FaceRecording], rule: Rule, limits: Limits, replicates: int = 1000, seed: int = 0
) -> RuleErrors:
    """Error rates of a rule, with intervals over people."""
    wrong: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for one in recordings:
        key = f"{one.attack} ({one.data})" if one.attack else ""
        wrong[key].append((is_error(one.frames, rule, limits, attack=one.attack is not None), one.subject))
    rates = {
        key: rate(np.array([w for w, _ in own]), np.array([s for _, s in own]), replicates=replicates, seed=seed)
        for key, own in wrong.items()
    }
    bpcer = rates.pop("")
    return RuleErrors(bpcer, rates)


@dataclass(frozen=True)
class _Found:
    rule: AnyRule
    apcer: float
    bpcer: float


class _Search:
    def __init__(
        self,
        recordings: Sequence[FaceRecording],
        threshold: float,
        limits: Limits,
        margins: NDArray[np.float64],
        *,
        apcer: float,
        before: Rule | None,
    ) -> None:
        self._threshold, self._limits, self._margins = threshold, limits, margins
        self._live = [one for one in recordings if one.attack is None]
        attacks: dict[tuple[str, str | None], list[FaceRecording]] = defaultdict(list)
        for one in recordings:
            if one.attack is not None:
                attacks[one.data, one.attack].append(one)
        self._attacks = list(attacks.values())
        self._targets = [max(apcer, self._share(own, before)) if before else apcer for own in self._attacks]

    def best(self, shape: Shape) -> _Found | None:
        """This shape at its best margin; None if no margin keeps the targets."""
        last = len(self._margins) - 1
        if not self._keeps(self._at(shape, last)):
            return None
        low = _first(last, lambda index: self._keeps(self._at(shape, index)))
        bpcer = self._share(self._live, self._at(shape, low))
        high = _first(last - low + 1, lambda step: self._refuses_more(shape, low + step, bpcer)) + low - 1
        rule = shape(float(self._margins[(low + max(low, high)) // 2]))
        at = self._placed(rule)
        apcer = max(self._share(own, at) for own in self._attacks)
        return _Found(rule, apcer, self._share(self._live, at)) if self._keeps(at) else None

    def _refuses_more(self, shape: Shape, index: int, bpcer: float) -> bool:
        return index >= len(self._margins) or self._share(self._live, self._at(shape, index)) > bpcer

    def _at(self, shape: Shape, index: int) -> Rule:
        return self._placed(shape(float(self._margins[index])))

    def _placed(self, rule: AnyRule) -> Rule:
        return placed(rule, self._threshold)

    def _keeps(self, rule: Rule) -> bool:
        return all(self._share(own, rule) <= target for own, target in zip(self._attacks, self._targets, strict=True))

    def _share(self, own: Sequence[FaceRecording], rule: Rule) -> float:
        return sum(is_error(o.frames, rule, self._limits, attack=o.attack is not None) for o in own) / len(own)


def _first(last: int, holds: Callable[[int], bool]) -> int:
    """The first index up to `last` for which it holds, where it holds for all behind it; it does for the last."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _k_of_n(live: int, spoof: int, window: int, margin: float) -> KOfNRule:
    return KOfNRule(live=live, spoof=spoof, window=window, margin=margin)


def _sequential(slope: float, limit: float, apcer: float, bpcer: float, margin: float) -> SequentialRule:
    return SequentialRule(slope=slope, offset=-slope * margin, apcer=apcer, bpcer=bpcer, limit=limit)


def _require_enough(recordings: Sequence[FaceRecording], apcer: float) -> None:
    live = {one.subject for one in recordings if one.attack is None}
    attacks = [one for one in recordings if one.attack is not None]
    if min(len(live), len({one.subject for one in attacks})) < MIN_SUBJECTS:
        raise DatasetError(
            f"recordings of {len(live)} live people, and {len({one.subject for one in attacks})} whose attacks are "
            f"recorded: a rule for other people needs {MIN_SUBJECTS} of each"
        )
    if len(attacks) < 1 / apcer:
        raise DatasetError(f"{len(attacks)} recordings of attacks: an APCER of {apcer:g} needs {1 / apcer:.0f}")
