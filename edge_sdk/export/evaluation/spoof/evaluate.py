"""How well a bundle tells live faces from attacks on people it has never seen, by the engine that will run it.

Every picture is scored once, by the runtime's own ``SpoofDetector``. Thresholds come from the bundle and never from the
data under test; what is read off the data themselves says so. A picture without a score (unreadable, no face, two, too
dark) is a *non-response*: it is counted by class, listed, and takes no part in the error rates (ISO/IEC 30107-3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.errors import OperatingPointError, ScoreError, UsageError
from edge_sdk.export.data.load import before_rendering
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.spoof.leave_one_out import rescored
from edge_sdk.export.evaluation.spoof.measurements import ANY, Separation, SpoofPointRates, point_rates, separation
from edge_sdk.export.evaluation.spoof.projection import ComparedOutput, compared_output
from edge_sdk.export.evaluation.spoof.samples import (
    Count,
    ExampleSample,
    NonResponse,
    ScoredSample,
    SpoofDataSummary,
    non_response,
    score_samples,
    summary,
)
from edge_sdk.export.evaluation.spoof.sessions import SessionDecision, SessionSummary, decide_sessions, summarise
from edge_sdk.manifest import BonaFidePoint, Manifest, SpoofPoint, UnsupportedPoint
from edge_sdk.runtime import SpoofDetector
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.temporal import KOfN, Limits, SequentialTest, limits_of, rule_of

ALL = "all"
FRAME_RATE = 20.0
"""A second, where nothing else is known: assumed, and so are all seconds that the report derives from it."""


@dataclass(frozen=True)
class SkippedSeparation:
    """Live faces and attacks that cannot be told apart in numbers, and why."""

    data: str
    species: str
    reason: str


@dataclass(frozen=True)
class Mistake:
    """A picture that was decided wrongly at the bundle's default operating point."""

    path: str
    data: str
    subject: str
    attack: str | None
    score: float


@dataclass(frozen=True)
class SpoofReport:
    """Everything that goes into the JSON file.

    ``faces`` says whether pictures were taken as crops (``cropped``), or who searched in them. ``rule`` and ``limits``,
    the bundle's own where it has some, made the decisions over time, at ``frame_rate`` frames a second; without an
    operating point there is neither a threshold nor a rule. With ``leave_one_out`` scores are of densities fitted anew,
    and there is no operating point. ``unsupported`` are points that the bundle's own data could not support, by name,
    with the reason.
    """

    bundle_id: str
    artifact: str
    engine: str
    faces: str
    leave_one_out: bool
    operating_point: str | None
    threshold: float | None
    rule: KOfN | SequentialTest | None
    limits: Limits
    frame_rate: float
    seed: int
    replicates: int
    data: tuple[SpoofDataSummary, ...]
    separations: tuple[Separation, ...]
    skipped: tuple[SkippedSeparation, ...]
    points: tuple[SpoofPointRates, ...]
    unsupported: dict[str, str]
    session_summaries: tuple[SessionSummary, ...]
    sessions: tuple[SessionDecision, ...]
    mistakes: tuple[Mistake, ...]
    non_responses: tuple[NonResponse, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True, eq=False)
class SpoofEvaluation:
    """A report, and what is drawn beside it: the scores behind each separation, all pictures, and a few examples."""

    report: SpoofReport
    scores: tuple[AttackScores, ...]
    samples: tuple[ScoredSample, ...]
    examples: tuple[ExampleSample, ...]
    compared: ComparedOutput | None
    manifest: Manifest


def evaluate(
    bundle: str | Bundle,
    data: Dataset,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int = 1,
    faces: FaceLocator | Literal["cropped", "cascade", "locator"] = "cropped",
    frame_rate: float = FRAME_RATE,
    leave_one_out: bool = False,
    replicates: int = 1000,
    mistakes: int = 6,
    seed: int = 0,
    progress: Count | None = None,
) -> SpoofEvaluation:
    """Measure one artifact of a bundle on `data`, per data set and, if there are several, on all together.

    Attacks that were rendered (``print+lfw``) are measured against the live faces they were made of, where those are
    among the data (``lfw``).

    Args:
        faces: Whether pictures are crops of faces, or full frames, and who searches in them; as the detector's.
        frame_rate: At which the frames of a recording are taken to follow each other, a second.
        leave_one_out: Fit densities of live faces anew for each person, see :mod:`.leave_one_out`; the bundle's
            thresholds are of other scores then, and are left out.
        mistakes: Pictures of each data set and class to list, each of another person, the worst first.

    Raises:
        BundleError, EngineError: The bundle cannot be run so.
        UsageError: The data are no faces, or the frames further apart than a stream's longest gap.
        ScoreError: Not one picture has a score.
    """
    opened = Bundle.open(bundle)
    limits = limits_of(opened.manifest)
    if not frame_rate > 1 / limits.gap_s:
        raise UsageError(f"at {frame_rate} frames a second each is a jump in time; give more than {1 / limits.gap_s:g}")
    if any(sample.genuine == (sample.attack is not None) for sample in data.samples):
        raise UsageError(f"{data.name}: forgeries are no presentation attacks; give data sets of faces")
    with SpoofDetector(opened, engine=engine, precision=precision, threads=threads, faces=faces) as detector:
        try:
            default: SpoofPoint | BonaFidePoint | None = detector.operating_point
        except OperatingPointError:
            default = None
        artifact, engine = detector.variant, detector.engine
        compared = compared_output(opened.manifest)
        kept = opened.manifest.score.outputs if leave_one_out else ()
        samples, examples = score_samples(detector, data.samples, compared, kept=kept, seed=seed, progress=progress)
        if leave_one_out:
            samples, default = rescored(samples, opened.manifest.score, detector.densities), None
    scored = [picture for picture in samples if picture.scored]
    if not scored:
        raise ScoreError(f"none of {len(samples)} pictures has a score; the first: {', '.join(samples[0].reasons)}")
    names = sorted({sample.dataset for sample in data.samples})
    parts = {name: _part(scored, name) for name in names}
    if len(names) > 1:
        parts[ALL] = scored
    separations, skipped = _separations(parts, replicates, seed)
    known = () if leave_one_out else artifact.operating_points
    points = {p.name: p.threshold for p in known if isinstance(p, SpoofPoint | BonaFidePoint)}
    rule = rule_of(opened.manifest, default.threshold) if default else None
    streams = decide_sessions(samples, rule, limits, frame_rate) if rule else ()
    report = SpoofReport(
        bundle_id=opened.id,
        artifact=artifact.id,
        engine=engine,
        faces=faces if isinstance(faces, str) else type(faces).__name__,
        leave_one_out=leave_one_out,
        operating_point=default.name if default else None,
        threshold=default.threshold if default else None,
        rule=rule,
        limits=limits,
        frame_rate=frame_rate,
        seed=seed,
        replicates=replicates,
        data=tuple(summary(name, samples, replicates=replicates, seed=seed) for name in names),
        separations=tuple(measured for measured, _ in separations),
        skipped=tuple(skipped),
        points=tuple(
            point_rates(_scores(part), name, point, threshold, replicates=replicates, seed=seed)
            for name, part in parts.items()
            if part
            for point, threshold in points.items()
        ),
        unsupported={p.name: p.reason for p in known if isinstance(p, UnsupportedPoint)},
        session_summaries=_session_summaries(streams, frame_rate, replicates, seed),
        sessions=streams,
        mistakes=_mistakes(scored, default.threshold, mistakes) if default else (),
        non_responses=tuple(non_response(picture) for picture in samples if not picture.scored),
    )
    return SpoofEvaluation(
        report, tuple(scores for _, scores in separations), samples, examples, compared, opened.manifest
    )


def _part(scored: Sequence[ScoredSample], name: str) -> list[ScoredSample]:
    """The pictures of a data set; of a rendered one also the live faces of its source."""
    source = before_rendering(name)
    return [p for p in scored if p.sample.dataset == name or (p.sample.genuine and p.sample.dataset == source)]


def _scores(pictures: Sequence[ScoredSample]) -> AttackScores:
    samples = [picture.sample for picture in pictures]
    return AttackScores(
        [picture.score for picture in pictures],
        [sample.attack for sample in samples],
        [sample.subject for sample in samples],
    )


def _separations(
    parts: Mapping[str, Sequence[ScoredSample]], replicates: int, seed: int
) -> tuple[list[tuple[Separation, AttackScores]], list[SkippedSeparation]]:
    """Live faces against each species, then against all of several, in each part."""
    found: list[tuple[Separation, AttackScores]] = []
    skipped: list[SkippedSeparation] = []
    for name, part in parts.items():
        kinds = sorted({picture.sample.attack for picture in part if picture.sample.attack})
        if not kinds:
            skipped.append(SkippedSeparation(name, ANY, "no attacks with a score: BPCER alone"))
            continue
        if not any(picture.sample.genuine for picture in part):
            skipped.append(SkippedSeparation(name, ANY, "no live faces with a score: APCER alone"))
            continue
        for species in (*kinds, ANY) if len(kinds) > 1 else kinds:
            scores = _scores([p for p in part if p.sample.attack in (None, species) or species == ANY])
            try:
                found.append((separation(scores, name, species, replicates=replicates, seed=seed), scores))
            except ScoreError as error:
                skipped.append(SkippedSeparation(name, species, str(error)))
    return found, skipped


def _session_summaries(
    streams: Sequence[SessionDecision], frame_rate: float, replicates: int, seed: int
) -> tuple[SessionSummary, ...]:
    """Live people before attacks, in each data set and, if there are several, in all."""
    groups: dict[tuple[str, str], list[SessionDecision]] = defaultdict(list)
    for session in streams:
        groups[session.data, session.attack or ""].append(session)
    if len({session.data for session in streams}) > 1:
        for session in streams:
            groups[ALL, session.attack or ""].append(session)
    order = sorted(groups, key=lambda key: (key[0] == ALL, key))
    return tuple(summarise(groups[key], key[0], frame_rate, replicates=replicates, seed=seed) for key in order)


def _mistakes(scored: Sequence[ScoredSample], threshold: float, limit: int) -> tuple[Mistake, ...]:
    """Of each data set's live faces and species those furthest on the wrong side, each of another person."""
    chosen: dict[tuple[str, str], dict[str, Mistake]] = defaultdict(dict)
    for picture in sorted(scored, key=lambda picture: -abs(picture.score - threshold)):
        sample = picture.sample
        people = chosen[sample.dataset, sample.attack or ""]
        wrong = (picture.score >= threshold) != sample.genuine
        if wrong and len(people) < limit and sample.subject not in people:
            people[sample.subject] = Mistake(
                str(sample.path), sample.dataset, sample.subject, sample.attack, picture.score
            )
    return tuple(mistake for key in sorted(chosen) for mistake in chosen[key].values())
