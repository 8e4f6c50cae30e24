"""What the exporter leaves to a run's task: how artifacts are scored on people, and what the bundle says of it.

Making artifacts, choosing calibration methods and layers to keep float, and writing are the same for people told apart
(:mod:`~edge_sdk.export.evaluation.verification.artifacts`) and for live faces told from attacks
(:mod:`~edge_sdk.export.evaluation.spoof.artifacts`).
"""

from __future__ import annotations

from edge_sdk.errors import UsageError
from edge_sdk.export.evaluation.artifact_protocol import ArtifactEvaluator, Interface, Measured
from edge_sdk.export.evaluation.spoof.artifacts import SpoofEvaluator
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.formats.artifacts import Graphs
from edge_sdk.export.recipes import Recipe
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import EmbeddingDistance

__all__ = ["ArtifactEvaluator", "Interface", "Measured", "examiner", "is_liveness"]


def examiner(trained: FinishedRun, graphs: Graphs) -> ArtifactEvaluator:
    """The examiner of a run's task.

    Args:
        graphs: Of its network; the float ONNX graph is made when it is needed, behind all checks.

    Raises:
        UsageError: There is none for the recipe's score.
        DatasetError: The people lack what the task is measured by.
    """
    score, recipe = trained.recipe.score, trained.recipe
    if isinstance(score, EmbeddingDistance):
        return VerificationEvaluator(trained, graphs, score)
    if not is_liveness(recipe):
        kind = score.kind
        raise UsageError(f"{recipe.name}: there is no export of a {recipe.modality} model with the score {kind} yet")
    return SpoofEvaluator(trained, graphs, score)


def is_liveness(recipe: Recipe) -> bool:
    """Whether a recipe tells live samples from attacks."""
    return recipe.task == "spoof"
