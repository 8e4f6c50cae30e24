"""Is it a live face? One decision from many frames, without pictures: from times, tracks and scores.

Scores are *higher = more live*. What they add up to is a rule's business: :class:`KOfN`, the default, counts the last
frames; :class:`SequentialTest` sums log-likelihood ratios until they suffice. What the clock, the track and unusable
frames mean is :class:`TemporalDecision`'s, and the same for every rule.

It fails closed. LIVE comes only of a frame that itself has a score, a face of its own and a sound time, and only of
enough such frames of one track. Whatever is wrong with a frame is a reason not to count it, never an error.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from numbers import Real
from typing import Protocol

from edge_sdk.errors import UsageError
from edge_sdk.manifest import KOfNRule, Manifest, SequentialRule
from edge_sdk.manifest.over_time import LONGEST_S, boundaries, k_of_n_problem, limit_problem
from edge_sdk.results import SpoofDecision, StreamDecision

LIVE, SPOOF, UNCERTAIN, NO_FACE = SpoofDecision


@dataclass(frozen=True)
class Observation:
    """What was found in one frame.

    ``time`` is the camera's, in seconds from anywhere. ``track`` names the face, None if there is none, or none to name
    (two faces, a black frame). ``flags`` say what is wrong with the frame; with any, ``score`` does not count.
    """

    time: float
    track: int | None = None
    score: float | None = None
    flags: tuple[str, ...] = ()


class Evidence(Protocol):
    """What a rule knows of one face."""

    def add(self, score: float) -> SpoofDecision:
        """Take in the finite score of one frame; LIVE, SPOOF, or UNCERTAIN as long as it is not enough."""


class Rule(Protocol):
    """How scores become a decision."""

    def start(self) -> Evidence:
        """Nothing is known yet."""


# --- K of N ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KOfN:
    """LIVE while ``live`` of the last ``window`` scores are at least ``threshold``, SPOOF when ``spoof`` are below.

    It decides as soon as either is so, if need be before the window is full. ``live + spoof > window``, lest both be
    true of the same frames; ``live + spoof = window + 1`` decides on every full window.

    Raises:
        UsageError: Settings that contradict each other.
    """

    threshold: float
    live: int = 7
    spoof: int = 4
    window: int = 10

    def __post_init__(self) -> None:
        _require(math.isfinite(self.threshold), f"threshold is {self.threshold}; it must be finite")
        problem = k_of_n_problem(self.live, self.spoof, self.window)
        _require(problem is None, str(problem))

    def __str__(self) -> str:
        frames = f"LIVE from {self.live}, SPOOF from {self.spoof} of {self.window} frames"
        return f"{frames}, live from {self.threshold:#.4g} on"

    def start(self) -> Evidence:
        """An empty window."""
        return _Votes(self)


class _Votes:
    def __init__(self, rule: KOfN) -> None:
        self._rule = rule
        self._votes: deque[bool] = deque(maxlen=rule.window)

    def add(self, score: float) -> SpoofDecision:
        self._votes.append(score >= self._rule.threshold)
        live = sum(self._votes)
        if live >= self._rule.live:
            return LIVE
        return SPOOF if len(self._votes) - live >= self._rule.spoof else UNCERTAIN


# --- sequential test -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SequentialTest:
    """Wald's sequential probability ratio test (Annals of Mathematical Statistics 16, 1945), one after the other.

    A frame counts ``log p(score | live) / p(score | attack) = slope * score + offset``, calibrated beforehand on other
    people and clipped to ``[-limit, limit]``: a logistic regression's log-odds, less those of live in its data. A test
    ends LIVE when the sum reaches ``log((1 - bpcer) / apcer)``, SPOOF when it falls to ``log(bpcer / (1 - apcer))``;
    then the next one starts at 0. LIVE stands as long as the sum of the test that follows is not negative.

    ``apcer`` and ``bpcer`` are the error rates asked of *one* test. Wald's bounds, ``apcer / (1 - bpcer)`` and
    ``bpcer / (1 - apcer)``, hold for independent frames. Neighbouring frames of a video are not: divide slope and
    offset by the number of frames that tell as much as one. No single frame may decide, so ``limit`` is below both
    boundaries.

    Raises:
        UsageError: Rates outside (0, 0.5), a slope that is not positive, or a limit that lets one frame decide.
    """

    slope: float
    offset: float
    apcer: float = 0.01
    bpcer: float = 0.05
    limit: float = 1.5

    def __post_init__(self) -> None:
        _require(0 < self.slope < math.inf, f"slope is {self.slope}; higher scores are more live, so it is positive")
        _require(math.isfinite(self.offset), f"offset is {self.offset}; it must be finite")
        _require(0 < self.apcer < 0.5 and 0 < self.bpcer < 0.5, "apcer and bpcer must be in (0, 0.5)")
        problem = limit_problem(self.limit, self.apcer, self.bpcer)
        _require(problem is None, str(problem))

    def __str__(self) -> str:
        return (
            f"sequential test of {self.slope:#.4g} * score {self.offset:+#.4g} within {self.limit:g}: LIVE from "
            f"{self.upper:.2f}, SPOOF from {self.lower:.2f} nats"
        )

    @property
    def upper(self) -> float:
        """The sum at which a test ends LIVE, in nats."""
        return boundaries(self.apcer, self.bpcer)[1]

    @property
    def lower(self) -> float:
        """The sum at which a test ends SPOOF, in nats; negative."""
        return boundaries(self.apcer, self.bpcer)[0]

    def start(self) -> Evidence:
        """A test without frames."""
        return _Walk(self)


class _Walk:
    def __init__(self, rule: SequentialTest) -> None:
        self._rule = rule
        self._sum = 0.0
        self._live = False

    def add(self, score: float) -> SpoofDecision:
        rule = self._rule
        self._sum += min(max(rule.slope * score + rule.offset, -rule.limit), rule.limit)
        if self._sum >= rule.upper:
            self._sum, self._live = 0.0, True
        elif self._sum <= rule.lower:
            self._sum, self._live = 0.0, False
            return SPOOF
        elif self._sum < 0:
            self._live = False
        return LIVE if self._live else UNCERTAIN


# --- the clock, the track and the frames that do not count ----------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """Seconds, all positive, a day at most.

    ``gap_s``: the longest a face may go without a score before what was known of it is forgotten, and the longest step
    of the clock. ``cooldown_s``: how long SPOOF stands. ``deadline_s``: within which a face gets a decision.
    """

    gap_s: float = 1.0
    cooldown_s: float = 3.0
    deadline_s: float = 5.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            number = isinstance(value, Real) and not isinstance(value, bool)
            _require(
                number and 0 < value <= LONGEST_S,
                f"{name} is {value!r}; it must be a positive number, and {LONGEST_S:g} at most",
            )


def placed(rule: KOfNRule | SequentialRule, threshold: float) -> KOfN | SequentialTest:
    """A manifest's rule about a threshold."""
    if isinstance(rule, KOfNRule):
        return KOfN(threshold + rule.margin, live=rule.live, spoof=rule.spoof, window=rule.window)
    offset = rule.offset - rule.slope * threshold
    return SequentialTest(rule.slope, offset, apcer=rule.apcer, bpcer=rule.bpcer, limit=rule.limit)


def rule_of(manifest: Manifest, threshold: float) -> KOfN | SequentialTest:
    """The rule that a bundle was tuned for, about a threshold; :class:`KOfN` at the threshold where it has none.

    Raises:
        UsageError: About this threshold every score that there is counts as live.
    """
    if manifest.over_time is None:
        return KOfN(threshold)
    rule, lowest = placed(manifest.over_time.rule, threshold), manifest.score.range[0]
    decides = lowest < rule.threshold if isinstance(rule, KOfN) else rule.slope * lowest + rule.offset < 0
    _require(decides, f"about a threshold of {threshold:g} the bundle's rule accepts everything; give a rule")
    return rule


def limits_of(manifest: Manifest) -> Limits:
    """The limits that a bundle was tuned for; those of :class:`Limits` where it has none."""
    tuned = manifest.over_time
    return Limits(gap_s=tuned.gap_s, cooldown_s=tuned.cooldown_s, deadline_s=tuned.deadline_s) if tuned else Limits()


class TemporalDecision:
    """Follows one face and says after each frame what is known of it.

    Reasons, beside the frame's own flags:

    ``evidence``
        LIVE or SPOOF by the rule, and the only reason LIVE ever has.
    ``cooldown``
        SPOOF a short while ago. It stands for whoever is in front of the camera: taking the attack away and coming back
        is no way round it. Without a face the decision is NO_FACE.
    ``undecided``
        Not enough frames yet, or they disagree.
    ``deadline``
        No decision within :attr:`Limits.deadline_s`: UNCERTAIN, and the next frame starts another attempt.
    ``track_lost``
        Another face than before, or none for longer than :attr:`Limits.gap_s`: what was known is forgotten.
    ``no_face``, ``no_score``
        There is none, or not a finite one.
    ``stale``
        The time of the frame before: the same frame again.
    ``time_jump``
        A time that is not finite, runs backwards, or jumps by more than :attr:`Limits.gap_s`; in a stream also a
        machine that was suspended for as long. Everything starts anew, except that a cooldown lasts: time that nobody
        watched does not count.

    A frame with a flag or one of the last four reasons does not count.

    It follows one camera. Calls from several threads take turns, and count in the order in which they come.
    """

    def __init__(self, rule: Rule, limits: Limits | None = None) -> None:
        _require(hasattr(rule, "start"), f"the rule is {rule!r}; pass KOfN, SequentialTest or another Rule")
        self._rule = rule
        self._limits = limits or Limits()
        self._time: float | None = None
        self._track: int | None = None
        self._evidence = rule.start()
        self._cooldown = 0.0  # seconds left
        self._waited = 0.0  # seconds without a decision
        self._unscored = 0.0  # seconds since the last frame that counted
        self._lock = threading.Lock()

    def update(self, seen: Observation) -> StreamDecision:
        """Take in one frame, in the order of time."""
        with self._lock:
            return self._update(seen)

    def _update(self, seen: Observation) -> StreamDecision:
        objections = self._advance(seen)
        absent = "no_face" in objections
        reasons = objections + self._follow(seen.track, absent=absent)
        if not objections:
            self._unscored = 0.0
        if self._cooldown > 0:
            self._waited = 0.0
            return StreamDecision(NO_FACE if absent else SPOOF, ("cooldown", *reasons))
        if absent:
            return StreamDecision(NO_FACE, reasons)
        if objections or seen.score is None:
            return self._wait(reasons)
        decision = self._evidence.add(seen.score)
        if decision is UNCERTAIN:
            return self._wait(("undecided", *reasons))
        self._waited = 0.0
        if decision is SPOOF:
            self._cooldown = self._limits.cooldown_s
            self._evidence = self._rule.start()
        return StreamDecision(decision, ("evidence",))

    def _advance(self, seen: Observation) -> tuple[str, ...]:
        """Move the clock; return why the frame cannot be counted."""
        objections = list(seen.flags)
        step = 0.0 if self._time is None else seen.time - self._time
        if not (math.isfinite(seen.time) and 0 <= step <= self._limits.gap_s):
            objections.append("time_jump")
            self._begin(None)
            step = 0.0
        elif seen.time == self._time:
            objections.append("stale")
        self._time = seen.time if math.isfinite(seen.time) else None
        self._cooldown = max(0.0, self._cooldown - step)
        self._waited += step
        self._unscored += step
        if not seen.flags and seen.track is None:
            objections.append("no_face")
        elif not seen.flags and (seen.score is None or not math.isfinite(seen.score)):
            objections.append("no_score")
        return tuple(objections)

    def _follow(self, track: int | None, *, absent: bool) -> tuple[str, ...]:
        """Forget a face that is gone, and return that as a reason."""
        known, forget = self._track, self._unscored > self._limits.gap_s
        if (track is not None and track != known) or (absent and forget):
            self._begin(track)
            return ("track_lost",) if known is not None else ()
        if forget:
            self._evidence = self._rule.start()
        return ()

    def _wait(self, reasons: tuple[str, ...]) -> StreamDecision:
        if self._waited >= self._limits.deadline_s:
            self._begin(self._track)
            reasons = (*reasons, "deadline")
        return StreamDecision(UNCERTAIN, reasons)

    def _begin(self, track: int | None) -> None:
        self._track = track
        self._evidence = self._rule.start()
        self._waited = 0.0
        self._unscored = 0.0


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
