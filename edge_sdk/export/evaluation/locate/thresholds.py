"""Operating points of a bundle's variant on a user's own pictures of which is known where faces are."""

from __future__ import annotations

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.thresholds import locate_points
from edge_sdk.calibration.unusable import UnusablePicture, named
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.fitted import FittedThresholds, require_people
from edge_sdk.export.evaluation.locate.matching import score_set
from edge_sdk.export.evaluation.locate.samples import Count, search

OPTIONS: tuple[str, ...] = ()
"""What else :func:`fit` takes for this task."""


def fit(
    bundle: Bundle, variant: str, data: Dataset, *, engine: str, threads: int = 1, progress: Count | None = None
) -> FittedThresholds:
    """Fit the thresholds of one variant, by the runtime's own locator.

    Raises:
        DatasetError: No picture with a face, one of which is not known where its faces are, or fewer than 5 people.
        EngineError: The engine refuses the variant, or fails.
    """
    searched = search(bundle, data, engine=engine, precision=variant, threads=threads, progress=progress)
    unusable = tuple(
        UnusablePicture(str(one.sample.path), one.sample.subject, (one.error,)) for one in searched.failures
    )
    outcomes = [picture.outcome for picture in searched.pictures]
    if not any(outcome.found for outcome in outcomes):
        raise DatasetError(f"{data.name}: no picture with a face that counts{named(unusable)}")
    require_people(data.name, [outcome.subject for outcome in outcomes], "with usable pictures", unusable)
    scores = score_set(outcomes)
    return FittedThresholds(
        variant=variant,
        engine=engine,
        points=locate_points(scores, data=f"{data.name}, {scores.subject_count} people"),
        impostors="false boxes",
        subjects=scores.subject_count,
        unusable=unusable,
    )
