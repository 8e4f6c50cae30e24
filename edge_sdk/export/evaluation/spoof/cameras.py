"""A one-class score before a camera that it has not learned: as it is, and fitted to that camera's live faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.spoof.leave_one_out import rescored
from edge_sdk.export.evaluation.spoof.samples import ScoredSample
from edge_sdk.manifest import CameraSeparation
from edge_sdk.runtime.engines import Tensors
from edge_sdk.scoring.base import Score
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture


def camera_separations(
    data: Dataset, tensors: Sequence[Tensors], score: Score, densities: Mapping[str, GaussianMixture]
) -> Iterator[CameraSeparation]:
    """What the manifest says of one data set: twice where the score has a density.

    Args:
        tensors: What the model makes of each sample, ``(1, ...)`` by name.

    Raises:
        DatasetError: No live faces, or no attacks.
        UsageError: Too few live faces to fit a density to.
    """
    if len({sample.genuine for sample in data.samples}) < 2:
        raise DatasetError(f"{data.name} has live faces alone, or attacks alone, so that nothing can be told apart")
    pictures = [
        ScoredSample(sample, score=float(score.score(row, densities)[0]), tensors=row)
        for sample, row in zip(data.samples, tensors, strict=True)
    ]
    yield _separation(data, pictures, "own")
    if score.density_outputs:
        yield _separation(data, rescored(pictures, score, densities), "refitted")


def _separation(
    data: Dataset, pictures: Sequence[ScoredSample], density: Literal["own", "refitted"]
) -> CameraSeparation:
    scores = AttackScores(
        [one.score for one in pictures],
        [one.sample.attack for one in pictures],
        [one.sample.subject for one in pictures],
    )
    (auroc,) = presentation_attack.bootstrap(scores, [lambda curves: curves.pooled.auroc()])
    return CameraSeparation(
        data=data.name,
        density=density,
        subjects=len(data.subjects),
        auroc=auroc.value,
        low=auroc.low,
        high=auroc.high,
    )
