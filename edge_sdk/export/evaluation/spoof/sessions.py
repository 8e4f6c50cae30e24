"""Decisions over time: the recordings of the data as streams through the temporal rule.

The scores are those already measured; flags, tracks and times are what
:meth:`edge_sdk.runtime.detector.SpoofDetector.stream` would make of the frames at a fixed rate. The decision of a
session is its *first* LIVE or SPOOF, and its latency the frames until then. A session without one is undecided and
never counts as LIVE: of a live person it is an error, of an attack it is none. An attack is an error if it is LIVE at
*any* time, also after a first SPOOF.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_sdk.calibration.thresholds import rate
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.spoof.samples import ScoredSample
from edge_sdk.manifest import Rate
from edge_sdk.results import SpoofDecision, StreamDecision
from edge_sdk.runtime.faces import Tracker
from edge_sdk.runtime.freeze import REMEMBERED
from edge_sdk.runtime.temporal import Limits, Observation, Rule, TemporalDecision

_FINAL = (SpoofDecision.LIVE, SpoofDecision.SPOOF)


@dataclass(frozen=True)
class SessionDecision:
    """One recording. attack: its species, None of a live person. after: frames until the decision, that one counted."""

    data: str
    subject: str
    attack: str | None
    name: str
    frames: int
    decision: Literal["live", "spoof"] | None
    after: int | None
    ever_live: bool


@dataclass(frozen=True)
class DecisionLatency:
    """Until the first LIVE or SPOOF, over sessions that got one; seconds since the first frame."""

    median_frames: float
    p90_frames: float
    median_s: float
    p90_s: float


@dataclass(frozen=True)
class SessionSummary:
    """Sessions of one class of one data set.

    Attributes:
        attack: A species, or None for live people.
        live, spoof, undecided: How many sessions by their decision.
        ever_live: How many were LIVE at any time, be it after a SPOOF.
        error: APCER, sessions *ever* LIVE, for an attack; BPCER, sessions *not* decided LIVE, for live people.
    """

    data: str
    attack: str | None
    subjects: int
    sessions: int
    live: int
    spoof: int
    undecided: int
    ever_live: int
    error: Rate
    latency: DecisionLatency | None


RecordingKey = tuple[str, str, str | None, str]
"""A recording's data set, person, species of the attack (None: live) and name."""


def recordings(samples: Iterable[Sample]) -> dict[RecordingKey, list[Sample]]:
    """The recordings among the pictures, whose order is that of their frames; pictures of none are left out."""
    found: dict[RecordingKey, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.session is not None:
            found[sample.dataset, sample.subject, sample.attack, sample.session].append(sample)
    return dict(found)


def observed(frames: Sequence[ScoredSample], gap_s: float, frame_rate: float) -> list[Observation]:
    """What a stream of `frame_rate` frames a second shows the temporal rule.

    Of repeated frames only those that repeat as a whole are noticed.
    """
    tracker = Tracker(gap_s=gap_s)
    seen: dict[bytes, None] = {}
    found = []
    for number, frame in enumerate(frames):
        time, flags, boxes = number / frame_rate, frame.flags, frame.boxes
        if frame.digest in seen:
            flags, boxes = ("frozen", *flags), ()
            del seen[frame.digest]
        if frame.digest is not None:
            seen[frame.digest] = None
        if len(seen) > REMEMBERED:
            del seen[next(iter(seen))]
        tracks = tracker.update(time, boxes)
        found.append(Observation(time, tracks[0] if len(tracks) == 1 else None, frame.score, flags))
    return found


def decided(stream: Iterable[Observation], rule: Rule, limits: Limits) -> Iterator[StreamDecision]:
    """The decision after each frame of a stream."""
    decision = TemporalDecision(rule, limits)
    return map(decision.update, stream)


def replay(frames: Sequence[ScoredSample], rule: Rule, limits: Limits, frame_rate: float) -> Iterator[StreamDecision]:
    """The decision after each frame of a recording, as :func:`observed` sees it."""
    return decided(observed(frames, limits.gap_s, frame_rate), rule, limits)


def is_error(stream: Iterable[Observation], rule: Rule, limits: Limits, *, attack: bool) -> bool:
    """Whether a recording of an attack is LIVE at any time, or one of a live person has another first decision."""
    decisions = (result.decision for result in decided(stream, rule, limits))
    if attack:
        return SpoofDecision.LIVE in decisions
    return next((one for one in decisions if one in _FINAL), None) is not SpoofDecision.LIVE


def decide_sessions(
    samples: Sequence[ScoredSample], rule: Rule, limits: Limits, frame_rate: float
) -> tuple[SessionDecision, ...]:
    """Decide each recording among the pictures, whose order is that of its frames; pictures of none are left out."""
    found = []
    scored = {frame.sample: frame for frame in samples}
    for (data, subject, attack, name), own in recordings(scored).items():
        frames = [scored[sample] for sample in own]
        decisions = [result.decision for result in replay(frames, rule, limits, frame_rate)]
        live, spoof = (_first(decisions, wanted) for wanted in (SpoofDecision.LIVE, SpoofDecision.SPOOF))
        first = min((number for number in (live, spoof) if number), default=None)
        decision: Literal["live", "spoof"] | None = None if first is None else "live" if first == live else "spoof"
        found.append(SessionDecision(data, subject, attack, name, len(frames), decision, first, live is not None))
    return tuple(found)


def summarise(
    found: Sequence[SessionDecision], data: str, frame_rate: float, *, replicates: int = 1000, seed: int = 0
) -> SessionSummary:
    """Count sessions of one class, at least one."""
    attack, decisions = found[0].attack, [session.decision for session in found]
    wrong = np.array([one.ever_live if attack else one.decision != "live" for one in found])
    people = np.array([session.subject for session in found])
    after = np.array([session.after for session in found if session.after is not None])
    return SessionSummary(
        data=data,
        attack=attack,
        subjects=np.unique(people).size,
        sessions=len(found),
        live=decisions.count("live"),
        spoof=decisions.count("spoof"),
        undecided=decisions.count(None),
        ever_live=sum(session.ever_live for session in found),
        error=rate(wrong, people, replicates=replicates, seed=seed),
        latency=_latency(after, frame_rate) if after.size else None,
    )


def _first(decisions: Sequence[SpoofDecision], wanted: SpoofDecision) -> int | None:
    """After how many frames it was first so."""
    return decisions.index(wanted) + 1 if wanted in decisions else None


def _latency(after: np.ndarray, frame_rate: float) -> DecisionLatency:
    median, p90 = np.quantile(after, [0.5, 0.9]).tolist()
    return DecisionLatency(median, p90, (median - 1) / frame_rate, (p90 - 1) / frame_rate)
