"""How well bundles decide published lists of pairs, fold by fold, on people who are new to them.

Every picture is embedded once, by the runtime's own ``Verifier``. The threshold of a fold is chosen on other folds of
the same list, scored by the same bundle, and never on the tested one. Several bundles share a list by cross-fitting:
each tests the folds whose people its weights do not know, as its run says. A pair with a picture that the device would
refuse counts as rejected, as the device decides it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet
from edge_sdk.calibration.thresholds import rate
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.pair_lists import PairList
from edge_sdk.export.data.people import datasets_of
from edge_sdk.export.data.same_people import SamePeople
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.verification.folds import FoldAccuracy, MeanAccuracy, decide, each_by_the_others
from edge_sdk.export.evaluation.verification.knowledge import Knowledge, notes
from edge_sdk.export.evaluation.verification.measurements import Measurement, measure
from edge_sdk.export.evaluation.verification.samples import (
    AcquisitionFailure,
    Count,
    EmbeddedSamples,
    embed,
    faces_in,
)
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.cutting import Faces
from edge_sdk.runtime.operating_point import verify_points


@dataclass(frozen=True)
class TestedBundle:
    """What scored, and which folds of each list, by the list's name."""

    bundle_id: str
    variant: str
    engine: str
    folds: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class PairMeasurement:
    """One list.

    Attributes:
        measurement: Of the tested pairs' scores, whatever bundle gave them; ``data`` is the list's name.
        accuracy: Over the folds.
        over_people: The share of right decisions over all tested pairs, with an interval over people.
        folds: What was decided, by fold.
        people: In the tested folds; those of ``measurement`` are the first ones of the pairs.
        identical: Pairs of the tested folds that were left out, for their two pictures are one file.
        absent: Pairs that were left out for another reason.
        rejected: Tested pairs with a picture that cannot be used.
        untested: Folds that nobody may test, for their people are known.
    """

    measurement: Measurement
    accuracy: MeanAccuracy
    over_people: Interval
    folds: tuple[FoldAccuracy, ...]
    people: int
    identical: int
    absent: int
    rejected: int
    untested: tuple[int, ...]


@dataclass(frozen=True)
class PairReport:
    """Everything that goes into the JSON file."""

    bundles: tuple[TestedBundle, ...]
    seed: int
    replicates: int
    lists: tuple[PairMeasurement, ...]
    notes: tuple[str, ...]
    failures: tuple[AcquisitionFailure, ...]

    @property
    def bundle_id(self) -> str:
        """Of all bundles."""
        return " and ".join(dict.fromkeys(one.bundle_id for one in self.bundles))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True)
class PairEvaluation:
    """A report, and the scores of each of its lists for curves."""

    report: PairReport
    scores: tuple[ScoreSet, ...]


@dataclass(frozen=True)
class _Part:
    """What one bundle made of its folds of one list: the scores of tested pairs, and which are decided wrongly."""

    scores: ScoreSet
    wrong: NDArray[np.bool_]
    decided: tuple[FoldAccuracy, ...]
    rejected: int


def evaluate_pairs(
    bundles: Sequence[str | Path | Bundle],
    lists: Sequence[PairList],
    *,
    runs: Sequence[Path] = (),
    same: SamePeople | None = None,
    engine: str = "auto",
    precision: str | None = None,
    threads: int = 1,
    replicates: int = 1000,
    seed: int = 0,
    faces: Faces | None = None,
    progress: Count | None = None,
) -> PairEvaluation:
    """Measure bundles on lists of pairs.

    Args:
        bundles: One, or several that were trained on different people.
        lists: The pairs.
        runs: The run that each bundle was exported from, in the same order; it says whom the weights know. Without
            runs one bundle tests all folds, and the report says what that may rest on.
        same: Who is in several data sets.
        engine, precision, threads: As for :class:`edge_sdk.runtime.Verifier`.
        faces: Likewise; by default as :func:`~edge_sdk.export.evaluation.verification.samples.faces_in` says.
        replicates, seed: Of the bootstrap.
        progress: Called with the number of pictures done and in all.

    Raises:
        BundleError, EngineError: A bundle cannot be run so.
        DatasetError: The people of a list are all known to the bundles, so that none of its folds can be tested.
        ScoreError: No picture can be used, or a class is missing.
        UsageError: Several bundles without their runs, or a run that is not the bundle's.
    """
    opened = [Bundle.open(bundle) for bundle in bundles]
    for bundle, pairs in itertools.product(opened, lists):
        require_modality(bundle, pairs.data)
    known = _knowledge(opened, runs, same or SamePeople())
    shares = [_share(pairs, known) for pairs in lists]
    wanted = [_pictures(lists, [share[k] for share in shares]) for k in range(len(opened))]
    total, done = sum(map(len, wanted)), 0
    parts: list[list[_Part]] = [[] for _ in lists]
    tested, failures, points = [], list[AcquisitionFailure](), dict[str, float]()
    for number, bundle in enumerate(opened):
        shown = faces or faces_in(bundle.manifest.source, wanted[number])
        with Verifier(bundle, engine=engine, precision=precision, threads=threads, faces=shown) as runtime:
            base = done

            def count(one: int, _: int, base: int = base) -> None:
                if progress is not None:
                    progress(base + one, total)

            embedded = embed(runtime, wanted[number], progress=count)
            done += len(wanted[number])
            failures += embedded.failures
            for pairs, share, found in zip(lists, shares, parts, strict=True):
                if share[number]:
                    found.append(_decided(runtime, pairs, share[number], embedded))
            points = {name: point.threshold for name, point in verify_points(runtime.variant, 1).items()}
            folds = {pairs.name: share[number] for pairs, share in zip(lists, shares, strict=True)}
            tested.append(TestedBundle(bundle.id, runtime.variant.id, runtime.engine, folds))
    if len(opened) > 1:
        points = {}  # each bundle has its own
    measured = [
        _measured(pairs, found, points, replicates=replicates, seed=seed)
        for pairs, found in zip(lists, parts, strict=True)
    ]
    datasets = datasets_of(person for pairs in lists for person in pairs.data.subjects)
    said = [note for k, bundle in enumerate(opened) for note in notes(bundle, datasets, known[k])]
    report = PairReport(
        bundles=tuple(tested),
        seed=seed,
        replicates=replicates,
        lists=tuple(one for one, _ in measured),
        notes=tuple(dict.fromkeys(said)),
        failures=tuple(dict.fromkeys(failures)),
    )
    return PairEvaluation(report, tuple(scores for _, scores in measured))


def require_modality(bundle: Bundle, data: Dataset) -> None:
    """Raise UsageError unless a bundle takes the samples of some data."""
    expected = bundle.manifest.modality
    if others := sorted({sample.modality for sample in data.samples} - {expected}):
        raise UsageError(f"{bundle.id} takes samples of the modality {expected}; {data.name} holds {', '.join(others)}")


def _knowledge(bundles: Sequence[Bundle], runs: Sequence[Path], same: SamePeople) -> list[Knowledge | None]:
    if runs and len(runs) != len(bundles):
        raise UsageError(f"{len(bundles)} bundle(s) and {len(runs)} run(s): give the run of each, in the same order")
    if len(bundles) > 1 and not runs:
        raise UsageError("several bundles share the folds by whom they know: give the run of each (--runs)")
    if not bundles:
        raise UsageError("no bundle given")
    if not runs:
        return [None]
    return [Knowledge.read(run, bundle, same) for run, bundle in zip(runs, bundles, strict=True)]


def _share(pairs: PairList, known: Sequence[Knowledge | None]) -> list[tuple[int, ...]]:
    """The folds that each bundle scores; with a hold-out those of its validation among them."""
    chosen: list[list[int]] = [[] for _ in known]
    if (held := pairs.holdout) is not None:
        people = pairs.people(held.test), pairs.people(held.validation)
        may = [one is None or (one.allows_test(people[0]) and one.allows_threshold(people[1])) for one in known]
        if any(may):
            chosen[may.index(True)] = [*held.validation, *held.test]
    else:
        for number in pairs.numbers:
            people_here = pairs.people([number])
            may = [one is None or one.allows_test(people_here) for one in known]
            if any(may):
                chosen[may.index(True)].append(number)
        # One fold alone has no other that could choose its threshold.
        chosen = [folds if len(folds) > 1 else [] for folds in chosen]
    if not any(chosen):
        raise DatasetError(
            f"{pairs.name}: the bundle(s) learned from people of every fold that could be tested; train runs that "
            "leave folds out (`edge-sdk train --fold 1/2 --published-folds`)"
        )
    return [tuple(folds) for folds in chosen]


def _pictures(lists: Sequence[PairList], folds: Sequence[tuple[int, ...]]) -> list[Sample]:
    """The pictures of these folds, each once."""
    found: dict[Path, Sample] = {}
    for pairs, numbers in zip(lists, folds, strict=True):
        if numbers:
            found.update({sample.path: sample for sample in pairs.of(numbers).data.samples})
    return list(found.values())


def _decided(runtime: Verifier, pairs: PairList, folds: tuple[int, ...], embedded: EmbeddedSamples) -> _Part:
    part = pairs.of(folds)
    scores, rejected = _scores(runtime, part, embedded)
    found = ScoreSet(scores, part.mated, part.subjects[:, 0])
    held = pairs.holdout
    decided = (
        (decide(found, part.folds, held.validation, held.test),) if held else each_by_the_others(found, part.folds)
    )
    tested = np.isin(part.folds, [fold for one in decided for fold in one.folds])
    threshold = np.zeros(len(part))
    for one in decided:
        threshold[np.isin(part.folds, one.folds)] = one.threshold
    wrong = (scores >= threshold) != part.mated
    return _Part(
        ScoreSet(scores[tested], part.mated[tested], part.subjects[tested, 0]),
        wrong[tested],
        decided,
        int(np.count_nonzero(rejected & tested)),
    )


def _scores(runtime: Verifier, pairs: PairList, embedded: EmbeddedSamples) -> tuple[Floats, NDArray[np.bool_]]:
    """The scores of pairs, and which have none: a picture cannot be used, and they get less than all others."""
    row = {sample.path: number for number, sample in enumerate(embedded.samples)}
    place = np.array([row.get(sample.path, -1) for sample in pairs.data.samples])
    first, second = place[pairs.first], place[pairs.second]
    rejected = (first < 0) | (second < 0)
    values = np.zeros(len(pairs))
    for k in np.flatnonzero(~rejected):
        one, other = first[k], second[k]
        values[k] = runtime.compare(embedded.embeddings[one : one + 1], embedded.embeddings[other : other + 1]).score
    if rejected.any():
        values[rejected] = values[~rejected].min(initial=1.0) - 1.0
    return values, rejected


def _measured(
    pairs: PairList, parts: Sequence[_Part], points: dict[str, float], *, replicates: int, seed: int
) -> tuple[PairMeasurement, ScoreSet]:
    pooled = verification.concatenate([part.scores for part in parts])
    decided = tuple(sorted((one for part in parts for one in part.decided), key=lambda one: one.folds))
    errors = rate(np.concatenate([part.wrong for part in parts]), pooled.subjects, replicates=replicates, seed=seed)
    tested = {fold for one in decided for fold in one.folds}
    left_out = [pair for pair in pairs.left_out if pair.fold in tested]
    identical = sum(pair.identical for pair in left_out)
    found = PairMeasurement(
        measurement=measure(pooled, pairs.name, "random", 1, points=points, replicates=replicates, seed=seed),
        accuracy=MeanAccuracy.of(decided),
        over_people=Interval(1 - errors.value, 1 - errors.high, 1 - errors.low),
        folds=decided,
        people=len(pairs.people(tested)),
        identical=identical,
        absent=len(left_out) - identical,
        rejected=sum(part.rejected for part in parts),
        untested=tuple(sorted(set(pairs.holdout.test if pairs.holdout else pairs.numbers) - tested)),
    )
    return found, pooled
