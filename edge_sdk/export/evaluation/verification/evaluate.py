"""How well a bundle verifies people it has never seen, by the engine and precision that will run it.

Every picture is embedded once, by the runtime's own ``Verifier``; pairs are compared in embedding space. Thresholds
come from the bundle and never from the data under test. A picture that the device would refuse (unreadable, or without
a usable signature) is a *failure to acquire*: it is counted and listed, and takes part in no comparison, so that the
error rates below are those of the comparisons that happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.pairs import Forgeries
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.thresholds import REFERENCES
from edge_sdk.errors import OperatingPointError, ScoreError
from edge_sdk.export.data.identical import IdenticalPicture, without_identical
from edge_sdk.export.data.people import datasets_of
from edge_sdk.export.data.samples import Dataset, Sample, impostor_kinds
from edge_sdk.export.evaluation.verification import identification
from edge_sdk.export.evaluation.verification.comparers import ScoredComparisons, comparer_of
from edge_sdk.export.evaluation.verification.distances import PairAtDistance, pairs_by_distance
from edge_sdk.export.evaluation.verification.flagged import FlaggedSamples, flagged, without_unfamiliar
from edge_sdk.export.evaluation.verification.identification import IdentificationMeasurement
from edge_sdk.export.evaluation.verification.knowledge import Knowledge, notes
from edge_sdk.export.evaluation.verification.measurements import Measurement, measure
from edge_sdk.export.evaluation.verification.samples import (
    AcquisitionFailure,
    Count,
    VerificationDataSummary,
    embed,
    faces_in,
    summary,
)
from edge_sdk.manifest import Image, Variant, VerifyPoint
from edge_sdk.preprocess import Operation
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.cutting import Faces
from edge_sdk.runtime.operating_point import verify_points

ALL = "all"
EXAMPLES = 3  # samples of each data set in the report


@dataclass(frozen=True)
class SkippedProtocol:
    """A protocol that the data cannot carry, and why."""

    data: str
    forgeries: Forgeries
    references: int
    queries: int | None = None
    reason: str = ""

    @property
    def counted(self) -> str:
        """``1 reference(s)``, or ``10 + 5 rows``."""
        if self.queries is None:
            return f"{self.references} reference(s)"
        return f"{self.references} + {self.queries} rows"


@dataclass(frozen=True)
class WrongPair:
    """A comparison that was decided wrongly at the bundle's default operating point."""

    reference: str
    query: str
    forgeries: Forgeries
    mated: bool
    score: float


@dataclass(frozen=True)
class VerificationReport:
    """Everything that goes into the JSON file."""

    bundle_id: str
    artifact: str
    engine: str
    operating_point: str | None
    threshold: float | None
    seed: int
    replicates: int
    data: tuple[VerificationDataSummary, ...]
    flagged: tuple[FlaggedSamples, ...]
    measurements: tuple[Measurement, ...]
    without_unfamiliar: tuple[Measurement, ...]
    identification: tuple[IdentificationMeasurement, ...]
    identical: tuple[IdenticalPicture, ...]
    skipped: tuple[SkippedProtocol, ...]
    wrong_pairs: tuple[WrongPair, ...]
    distances: tuple[PairAtDistance, ...]
    failures: tuple[AcquisitionFailure, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True)
class VerificationEvaluation:
    """A report, the scores behind each of its measurements (for curves), and a few samples of each data set.

    ``operations`` are the bundle's pre-processing, through which the samples went, and ``region`` how the ink was cut
    out of those that are pages.
    """

    report: VerificationReport
    scores: tuple[ScoreSet, ...]
    operations: tuple[Operation, ...]
    examples: tuple[Sample, ...]
    region: InkRegion | None = None


def evaluate(
    bundle: str | Bundle,
    data: Dataset,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int = 1,
    workers: int = 0,
    references: Sequence[int] = REFERENCES,
    replicates: int = 1000,
    wrong_pairs: int = 6,
    seed: int = 0,
    faces: Faces | None = None,
    known: Knowledge | None = None,
    progress: Count | None = None,
) -> VerificationEvaluation:
    """Measure one artifact of a bundle on `data`, per data set and, if there are several, on all together.

    Protocols: impostors of each kind that the data have (skilled forgeries, random), with every number of `references`
    (see :func:`edge_sdk.calibration.metrics.pairs.build_pairs`), each at the thresholds that decide with
    so many. "All" joins the comparisons within each data set: nobody is compared across data sets, where the scanner
    would give people away. Of data with samples that are unlike those of the bundle, the first protocols are measured
    without them, too. `wrong_pairs` of each kind are listed, and pairs of low, middle and high distance of the
    first protocol. Of pictures that are one file a person's first is kept, and none that are of two people. Galleries
    for identification are drawn from each data set. `workers` is that of
    :func:`~edge_sdk.export.evaluation.verification.samples.embed`. `faces` is the verifier's, by default as
    :func:`~edge_sdk.export.evaluation.verification.samples.faces_in` says. With `known`, of the bundle's run, only
    people who are new to its weights are measured.

    Raises:
        BundleError, EngineError: The bundle cannot be run so.
        DatasetError: The weights know everybody.
        ScoreError: Not one protocol can be carried out.
    """
    bundle = Bundle.open(bundle)
    data, identical = without_identical(known.new_people(data) if known else data)
    faces = faces or faces_in(bundle.manifest.source, data.samples)
    with Verifier(bundle, engine=engine, precision=precision, threads=threads, faces=faces) as verifier:
        embedded = embed(verifier, data.samples, workers=workers, progress=progress)
        opened, artifact, engine = verifier.bundle, verifier.variant, verifier.engine
        comparer = comparer_of(opened)
        protocols = comparer.protocols(impostor_kinds(data.samples), references)
        try:
            default: VerifyPoint | None = verifier.operating_point_for(protocols[0].references)
        except OperatingPointError:
            default = None
    names = sorted({sample.dataset for sample in data.samples})
    measurements: list[tuple[Measurement, ScoreSet]] = []
    skipped: list[SkippedProtocol] = []
    wrong: list[WrongPair] = []
    first_protocol: list[tuple[ScoredComparisons, Sequence[Sample]]] = []
    for compared in protocols:
        found: list[ScoreSet] = []
        points = _thresholds(artifact, compared.references)
        for name in names:
            part = embedded.of(name)
            try:
                scored = comparer.scored(part, compared, seed)
                found.append(scored.scores)
                measurement = measure(scored.scores, name, *compared, points=points, replicates=replicates, seed=seed)
            except ScoreError as error:
                skipped.append(SkippedProtocol(name, *compared, reason=str(error)))
                continue
            measurements.append((measurement, scored.scores))
            if compared == protocols[0]:
                first_protocol.append((scored, part.samples))
            if compared[1:] == protocols[0][1:] and default is not None:
                first = compared == protocols[0]
                wrong += _wrong(scored, part.samples, compared.forgeries, default.threshold, mated=first)
        if len(found) > 1:
            joined = verification.concatenate(found)
            measurement = measure(joined, ALL, *compared, points=points, replicates=replicates, seed=seed)
            measurements.append((measurement, joined))
    if not measurements:
        raise ScoreError("; ".join(sorted({f"{entry.data}: {entry.reason}" for entry in skipped})))
    report = VerificationReport(
        bundle_id=opened.id,
        artifact=artifact.id,
        engine=engine,
        operating_point=default.name if default else None,
        threshold=default.threshold if default else None,
        seed=seed,
        replicates=replicates,
        data=tuple(summary(name, data.samples, embedded.failures) for name in names),
        flagged=flagged(embedded, names),
        measurements=tuple(measurement for measurement, _ in measurements),
        without_unfamiliar=without_unfamiliar(embedded, names, comparer, protocols, replicates=replicates, seed=seed),
        identification=tuple(
            one
            for name in names
            if comparer.matrix is not None
            for one in identification.measurements(
                embedded.of(name),
                name,
                comparer.matrix,
                points=_thresholds(artifact, 1),
                replicates=replicates,
                seed=seed,
            )
        ),
        identical=identical,
        skipped=tuple(skipped),
        wrong_pairs=_closest(wrong, wrong_pairs),
        distances=pairs_by_distance(first_protocol, default.threshold if default else None),
        failures=embedded.failures,
        notes=notes(bundle, datasets_of(data.subjects), known),
    )
    source = opened.manifest.source
    return VerificationEvaluation(
        report=report,
        scores=tuple(scores for _, scores in measurements),
        operations=opened.manifest.preprocessing,
        examples=tuple(itertools.chain.from_iterable(_examples(embedded.of(name).samples) for name in names)),
        region=source.region if isinstance(source, Image) else None,
    )


def _thresholds(variant: Variant, references: int) -> dict[str, float]:
    return {name: point.threshold for name, point in verify_points(variant, references).items()}


def _examples(samples: Sequence[Sample]) -> list[Sample]:
    """The first sample of each of the first people."""
    firsts: dict[str, Sample] = {}
    for sample in samples:
        firsts.setdefault(sample.subject, sample)
    return list(firsts.values())[:EXAMPLES]


def _wrong(
    scored: ScoredComparisons, samples: Sequence[Sample], forgeries: Forgeries, threshold: float, *, mated: bool
) -> list[WrongPair]:
    """All wrong decisions, those of genuine pairs among them only if ``mated``: they are the same for every kind."""
    scores = scored.scores
    wrong = (scores.scores >= threshold) != scores.mated
    if not mated:
        wrong &= ~scores.mated
    return [
        WrongPair(
            str(samples[scored.references[k]].path),
            str(samples[scored.queries[k]].path),
            forgeries,
            bool(scores.mated[k]),
            float(scores.scores[k]),
        )
        for k in np.flatnonzero(wrong)
    ]


def _closest(wrong: Sequence[WrongPair], limit: int) -> tuple[WrongPair, ...]:
    """Of each kind the pairs that are furthest on the wrong side, each picture once, so that no one dominates."""
    chosen: list[WrongPair] = []
    for mated, forgeries in ((False, ("skilled",)), (False, ("random",)), (True, ("skilled", "random"))):
        kind = [pair for pair in wrong if pair.mated is mated and pair.forgeries in forgeries]
        kind.sort(key=lambda pair: (pair.score if pair.mated else -pair.score, pair.reference, pair.query))
        shown: set[str] = set()
        for pair in kind:
            if len(shown) < 2 * limit and not shown & {pair.reference, pair.query}:
                shown |= {pair.reference, pair.query}
                chosen.append(pair)
    return tuple(chosen)
