"""What the exporter leaves to a run's task: how artifacts are scored on people, and what the bundle says of it.

Making artifacts, choosing calibration methods and layers to keep float, and writing are the same for people told apart
(:mod:`~edge_sdk.export.examiners.verification`) and for live faces told from attacks
(:mod:`~edge_sdk.export.examiners.liveness`).
"""

from __future__ import annotations

from edge_sdk.errors import UsageError
from edge_sdk.export.artifacts import Graphs
from edge_sdk.export.examiners.liveness import LivenessExaminer
from edge_sdk.export.examiners.protocol import Examiner, Interface, Measured
from edge_sdk.export.examiners.verification import VerificationExaminer
from edge_sdk.export.recipe import Recipe
from edge_sdk.export.trained import Trained
from edge_sdk.manifest import EmbeddingDistance, LogLikelihoodRatio

__all__ = ["Examiner", "Interface", "Measured", "examiner", "is_liveness"]


def examiner(trained: Trained, graphs: Graphs) -> Examiner:
    """The examiner of a run's task.

    Args:
        graphs: Of its network; the float ONNX graph is made when it is needed, behind all checks.

    Raises:
        UsageError: There is none for the recipe's score.
        DatasetError: The people lack what the task is measured by.
    """
    score, recipe = trained.recipe.score, trained.recipe
    if isinstance(score, EmbeddingDistance):
        return VerificationExaminer(trained, graphs, score)
    if not is_liveness(recipe):
        kind = score.__struct_config__.tag
        raise UsageError(f"{recipe.name}: there is no export of a {recipe.modality} model with the score {kind} yet")
    return LivenessExaminer(trained, graphs, score)


def is_liveness(recipe: Recipe) -> bool:
    """Whether a recipe tells live faces from attacks."""
    return recipe.modality == "face" and not isinstance(recipe.score, EmbeddingDistance | LogLikelihoodRatio)
