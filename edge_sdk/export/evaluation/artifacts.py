"""What the exporter leaves to a run's task: how artifacts are scored on people, and what the bundle says of it.

Making artifacts, choosing calibration methods and layers to keep float, and writing are the same for people told apart
(:mod:`~edge_sdk.export.evaluation.verification.artifacts`), for live faces told from attacks
(:mod:`~edge_sdk.export.evaluation.spoof.artifacts`) and for faces found in pictures
(:mod:`~edge_sdk.export.evaluation.locate.artifacts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edge_sdk.errors import UsageError
from edge_sdk.export.evaluation.artifact_protocol import ArtifactEvaluator, MeasuredVariant, TaskInterface
from edge_sdk.export.evaluation.locate.artifacts import LocateEvaluator
from edge_sdk.export.evaluation.spoof.artifacts import SpoofEvaluator
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.evaluation.verification.likelihood_artifacts import LikelihoodEvaluator
from edge_sdk.export.evaluation.verification.pair_artifacts import PairEvaluator
from edge_sdk.export.formats.artifacts import Graphs
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.scoring.base import Score, Task

__all__ = ["EVALUATORS", "ArtifactEvaluator", "MeasuredVariant", "TaskInterface", "build_evaluator"]


class EvaluatorFactory(Protocol):
    """Makes the evaluator of a run."""

    def __call__(self, trained: FinishedRun, graphs: Graphs, score: Score) -> ArtifactEvaluator:
        """Raises DatasetError where the people lack what the task is measured by."""
        ...


EVALUATORS: Mapping[Task, EvaluatorFactory] = {
    "verify": VerificationEvaluator,
    "spoof": SpoofEvaluator,
    "locate": LocateEvaluator,
}


def build_evaluator(trained: FinishedRun) -> ArtifactEvaluator:
    """The evaluator of a run's score.

    Raises:
        UsageError: The recipe's score is none of its task, or there is no export of such a score yet.
        DatasetError: The people lack what the task is measured by.
        ScoreError, TrainingError: They are too few for what the score needs beside the network.
    """
    recipe = trained.recipe
    if recipe.task not in recipe.score.tasks:
        raise UsageError(f"{recipe.name}: the score {recipe.score.kind} is not for the task {recipe.task}")
    if recipe.likelihood is not None:
        return LikelihoodEvaluator.of(trained)
    if recipe.branch:
        return PairEvaluator(trained, trained.graphs(), recipe.score)
    if recipe.task == "verify" and "embedding" not in recipe.score.roles.values():
        raise UsageError(
            f"{recipe.name}: there is no export of a {recipe.modality} model with the score {recipe.score.kind} yet"
        )
    return EVALUATORS[recipe.task](trained, trained.graphs(), recipe.score)
