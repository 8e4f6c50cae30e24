"""Operating points of a bundle's variant on a user's own live faces and presentation attacks."""

from __future__ import annotations

from typing import Literal

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.thresholds import spoof_points
from edge_sdk.calibration.unusable import UnusablePicture, named
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.fitted import FittedThresholds, require_people
from edge_sdk.export.evaluation.spoof.samples import Count, score_samples
from edge_sdk.runtime import SpoofDetector

OPTIONS: tuple[str, ...] = ("faces",)
"""What else :func:`fit` takes for this task."""


def fit(
    bundle: Bundle,
    variant: str,
    data: Dataset,
    *,
    engine: str,
    threads: int = 1,
    faces: Literal["cropped", "cascade", "locator"] = "cropped",
    progress: Count | None = None,
) -> FittedThresholds:
    """Fit the thresholds of one variant, by the runtime's own detector.

    Args:
        faces: Whether pictures are crops of faces, or full frames that the cascade or the shipped locator searches.

    Raises:
        UsageError: The data are no faces.
        DatasetError: No attacks, no live faces, or fewer than 5 people in either.
        EngineError: The engine refuses the variant, or fails.
    """
    if any(sample.genuine == (sample.attack is not None) for sample in data.samples):
        raise UsageError(f"{data.name}: forgeries are no presentation attacks; give data sets of faces")
    with SpoofDetector(bundle, engine=engine, precision=variant, threads=threads, faces=faces) as detector:
        samples, _ = score_samples(detector, data.samples, None, progress=progress)
    unusable = tuple(
        UnusablePicture(str(one.sample.path), one.sample.subject, one.reasons) for one in samples if not one.scored
    )
    scored = [one for one in samples if one.scored]
    live = [one.sample.subject for one in scored if one.sample.genuine]
    attacked = [one.sample.subject for one in scored if not one.sample.genuine]
    if not attacked or not live:
        raise DatasetError(
            f"{data.name}: no usable {'attacks' if live else 'live faces'}; thresholds need both, as spoof:PATH has "
            f"them, or live faces and attacks rendered of them: --data live:PATH print+live:PATH{named(unusable)}"
        )
    require_people(data.name, live, "with usable live faces", unusable)
    require_people(data.name, attacked, "with usable attacks", unusable)
    scores = AttackScores(
        [one.score for one in scored],
        [one.sample.attack for one in scored],
        [one.sample.subject for one in scored],
    )
    subjects = scores.presented.subject_count
    kinds = ", ".join(scores.kinds)
    return FittedThresholds(
        variant=variant,
        engine=engine,
        points=spoof_points(scores, data=f"{data.name}, {subjects} people, attacks: {kinds}"),
        impostors=f"attacks: {kinds}",
        subjects=subjects,
        unusable=unusable,
    )
