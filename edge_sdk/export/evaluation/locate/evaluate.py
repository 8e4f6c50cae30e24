"""How well a bundle finds faces in pictures of people it has never seen, by the engine that will run it.

Every picture is searched once, by the runtime's own ``Locator``. Thresholds come from the bundle and never from the
data under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.thresholds import rate
from edge_sdk.errors import ScoreError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.locate.matching import PictureOutcome, score_set
from edge_sdk.export.evaluation.locate.samples import Count, SearchedPicture, search
from edge_sdk.manifest import LocatePoint, Rate, UnsupportedPoint
from edge_sdk.runtime.operating_point import choose_points

ALL = "all"


@dataclass(frozen=True)
class LocateDataSummary:
    """The pictures of one data set.

    Attributes:
        faces: Those that count, for they are large enough.
        point_error: Median of the mean distance of a found face's points, as a share of its box's side; None without.
    """

    name: str
    subjects: int
    pictures: int
    faces: int
    point_error: float | None


@dataclass(frozen=True)
class LocatePointRates:
    """What is found at one of the bundle's thresholds.

    Attributes:
        missed: Of the faces that count.
        pictures_with_false_box: Of all pictures.
        false_boxes: In all pictures together.
    """

    data: str
    point: str
    threshold: float
    missed: Rate | None
    pictures_with_false_box: Rate
    false_boxes: int


@dataclass(frozen=True)
class LocateMistake:
    """A picture in which a face was missed, or something else taken for one, at the default operating point."""

    path: str
    data: str
    subject: str
    missed: int
    false: int


@dataclass(frozen=True)
class LocateReport:
    """Everything that goes into the JSON file."""

    bundle_id: str
    artifact: str
    engine: str
    operating_point: str | None
    threshold: float | None
    seed: int
    replicates: int
    data: tuple[LocateDataSummary, ...]
    points: tuple[LocatePointRates, ...]
    unsupported: dict[str, str]
    mistakes: tuple[LocateMistake, ...]
    unreadable: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True, eq=False)
class LocateEvaluation:
    """A report, and the pictures behind it, for drawing."""

    report: LocateReport
    pictures: tuple[SearchedPicture, ...]


def evaluate(
    bundle: str | Bundle,
    data: Dataset,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int = 1,
    replicates: int = 1000,
    seed: int = 0,
    progress: Count | None = None,
) -> LocateEvaluation:
    """Measure one artifact of a bundle on ``data``, per data set and, if there are several, on all together.

    Raises:
        DatasetError: Where the faces of a picture are is not known.
        BundleError, EngineError: The bundle cannot be run so.
        ScoreError: Not one picture can be read.
    """
    searched = search(bundle, data, engine=engine, precision=precision, threads=threads, progress=progress)
    if not searched.pictures:
        raise ScoreError(f"none of {len(data.samples)} pictures can be read")
    names = sorted({picture.sample.dataset for picture in searched.pictures})
    parts = {name: [one.outcome for one in searched.pictures if one.sample.dataset == name] for name in names}
    if len(names) > 1:
        parts[ALL] = [one.outcome for one in searched.pictures]
    supported = [point for point in searched.variant.operating_points if isinstance(point, LocatePoint)]
    default = next(iter(choose_points(searched.variant, None, LocatePoint)), None)
    report = LocateReport(
        bundle_id=searched.bundle.id,
        artifact=searched.variant.id,
        engine=searched.engine,
        operating_point=default.name if default else None,
        threshold=default.threshold if default else None,
        seed=seed,
        replicates=replicates,
        data=tuple(_summary(name, part) for name, part in parts.items()),
        points=tuple(
            _rates(part, name, point, replicates=replicates, seed=seed)
            for name, part in parts.items()
            for point in supported
        ),
        unsupported={
            point.name: point.reason
            for point in searched.variant.operating_points
            if isinstance(point, UnsupportedPoint)
        },
        mistakes=tuple(_mistakes(searched.pictures, default.threshold)) if default else (),
        unreadable={str(one.sample.path): one.error for one in searched.failures},
    )
    return LocateEvaluation(report, searched.pictures)


def _summary(name: str, outcomes: Sequence[PictureOutcome]) -> LocateDataSummary:
    errors = [error for outcome in outcomes for error in outcome.point_errors]
    return LocateDataSummary(
        name,
        subjects=len({outcome.subject for outcome in outcomes}),
        pictures=len(outcomes),
        faces=sum(len(outcome.found) for outcome in outcomes),
        point_error=float(np.median(errors)) if errors else None,
    )


def _rates(
    outcomes: Sequence[PictureOutcome], data: str, point: LocatePoint, *, replicates: int, seed: int
) -> LocatePointRates:
    scores = score_set(outcomes)
    wrong = (scores.scores >= point.threshold) != scores.mated
    missed, false = (
        rate(wrong[chosen], scores.subjects[chosen], replicates=replicates, seed=seed) if chosen.any() else None
        for chosen in (scores.mated, ~scores.mated)
    )
    assert false is not None, "there are pictures"
    count = sum(confidence >= point.threshold for outcome in outcomes for confidence in outcome.false)
    return LocatePointRates(data, point.name, point.threshold, missed, false, count)


def _mistakes(pictures: Sequence[SearchedPicture], threshold: float) -> list[LocateMistake]:
    found = []
    for picture in pictures:
        missed = sum(confidence < threshold for confidence in picture.outcome.found)
        false = sum(confidence >= threshold for confidence in picture.outcome.false)
        if missed or false:
            sample = picture.sample
            found.append(LocateMistake(str(sample.path), sample.dataset, sample.subject, missed, false))
    return found
