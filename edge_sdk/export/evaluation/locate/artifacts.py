"""Faces found in pictures that say where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import manifest, modalities
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics.resampling import bootstrap
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.calibration.thresholds import locate_points, rate
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.cache import compact, prepared
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.artifact_protocol import MeasuredVariant, TaskInterface, interval
from edge_sdk.export.evaluation.locate.matching import FLOOR, PictureOutcome, match, score_set
from edge_sdk.export.evaluation.model_outputs import ModelOutputs
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind
from edge_sdk.export.formats.inference import run
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import FaceBoxes
from edge_sdk.preprocess import Fit, apply
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.runtime.engines import Tensors, load_engine
from edge_sdk.runtime.locator import golden_score, located
from edge_sdk.scoring.base import Score
from edge_sdk.tables import Table

MEASURING = ("validation", "thresholds", "guardrail", "test")

# The same file on another processor's kernels: float rounding, and for int8 a rounding step here and there. The score
# is a mean over shares of the network's input.
GOLDEN_TOLERANCE: dict[manifest.Precision, float] = {"fp32": 1e-4, "int8": 0.01, "int8-io": 0.01, "int8-sym": 0.01}

Shape = tuple[int, ...]
Located = tuple[LocatedFace, ...]


@dataclass(frozen=True, eq=False)
class LocateEvaluator:
    """Looks for faces in each picture of a group once with each model.

    Raises:
        DatasetError: A group of people has no pictures with faces of which is known where they are.
        UsageError: The score does not locate faces, or the pre-processing does not end with ``fit``.
    """

    trained: FinishedRun
    graphs: Graphs
    score: Score
    unit: str = "share of the surest box that moves, and change of its confidence"
    _outputs: ModelOutputs = field(default_factory=ModelOutputs)
    _shapes: dict[str, list[Shape]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role in MEASURING:
            if not any(sample.faces for sample in self._samples(role)):
                raise DatasetError(
                    f"the {role} people of {self.trained.data.name} have no picture with faces of which is known where "
                    "they are, so that nothing can be measured"
                )
        if not isinstance(self.score, FaceBoxes) or not isinstance(self.trained.preset.preprocessing[-1], Fit):
            raise UsageError(
                f"{self.trained.recipe.name}: faces are located by face_boxes, in pictures that end with fit"
            )

    def distance(self, kind: VariantKind, model: bytes) -> float:
        """How far int8 takes the surest box of each picture: 1 - overlap, by its confidence, and that one's change."""
        pairs = zip(
            self._found(REFERENCE, self.graphs.onnx, "validation"), self._found(kind, model, "validation"), strict=True
        )
        changes = [_change(expected, found) for expected, found in pairs]
        return float(np.mean(changes))

    def points(self, kind: VariantKind, model: bytes) -> tuple[manifest.OperatingPoint, ...]:
        return locate_points(self.scores(kind, model, "thresholds"), data=self._describe("thresholds"))

    def accuracy_difference(
        self, kind: VariantKind, model: bytes, role: str, *thresholds: float
    ) -> manifest.AccuracyDifference:
        expected, found = thresholds or (None, None)
        return guardrail.compare(
            self.scores(REFERENCE, self.graphs.onnx, role),
            self.scores(kind, model, role),
            data=f"{self._describe(role)}, on {kind.engine}",
            budget=self.trained.recipe.budget,
            threshold_float=expected,
            threshold_quantised=found,
        )

    def test_tables(self, measured: MeasuredVariant) -> tuple[Table, ...]:
        outcomes = self._outcomes(measured.kind, measured.model, "test")
        scores = score_set(outcomes)
        errors = [error for outcome in outcomes for error in outcome.point_errors]
        ranks = (interval(bootstrap(scores, statistic)) for statistic in (Curves.auroc, Curves.eer))
        found = Table(
            ("variant", "people", "pictures", "faces", "AUROC", "EER", "point error", "90 %"),
            [
                (
                    *(measured.kind.id, str(scores.subject_count), str(len(outcomes)), str(scores.mated_count)),
                    *ranks,
                    *(f"{np.quantile(errors, share):.3f}" if errors else "" for share in (0.5, 0.9)),
                )
            ],
            text=("variant",),
            note="Faces against the surest false box of each picture. Point error: median of the mean distance of a "
            "face's five points, as a share of its box's side.",
        )
        points = [point for point in measured.points if isinstance(point, manifest.LocatePoint)]
        rates = Table(
            ("variant", "point", "missed faces", "pictures with a false box", "false boxes a picture"),
            [(measured.kind.id, point.name, *_rates(outcomes, point.threshold)) for point in points],
            text=("variant", "point"),
            note="At the bundle's thresholds, fitted on other people:",
        )
        return found, rates

    def golden(self) -> Mapping[str, bytes]:
        made = catalogue.of(self.trained.recipe.modality).golden["locate"]()
        return {f"golden/{name}": data for name, data in made.items()}

    def golden_score(self, measured: MeasuredVariant) -> tuple[float, float]:
        pipeline = self.trained.preset.preprocessing
        modality = modalities.get(self.trained.recipe.modality)
        pictures = [compact(pipeline, apply(pipeline, modality.decode(data))) for data in self.golden().values()]
        made = run(measured.model, np.stack(pictures), engine=measured.kind.engine, format=measured.kind.format)
        scores = [golden_score(self._boxes, tensors, self._fit) for tensors in made]
        return float(np.mean(scores)), GOLDEN_TOLERANCE[measured.kind.precision]

    def interface(self) -> TaskInterface:
        engine = load_engine("onnxruntime", self.graphs.onnx, "onnx", threads=1)
        shapes = {tensor.name: tensor.shape[1:] for tensor in engine.outputs}
        engine.close()
        return TaskInterface(
            task="locate",
            source=self.trained.recipe.source(self.trained.preset),
            outputs=tuple(
                manifest.Output(name=name, shape=("batch", *shapes[name]), role=role)
                for name, role in self.score.roles.items()
            ),
            score=self.score,
        )

    def scores(self, kind: VariantKind, model: bytes, role: str) -> ScoreSet:
        """Those of true faces, then those of pictures; see :func:`~.matching.score_set`."""
        return score_set(self._outcomes(kind, model, role))

    @property
    def _boxes(self) -> FaceBoxes:
        assert isinstance(self.score, FaceBoxes), "checked when it was made"
        return self.score

    @property
    def _fit(self) -> Fit:
        fit = self.trained.preset.preprocessing[-1]
        assert isinstance(fit, Fit), "checked when it was made"
        return fit

    def _outcomes(self, kind: VariantKind, model: bytes, role: str) -> list[PictureOutcome]:
        samples = self._samples(role)
        found = self._found(kind, model, role)
        return [match(*one) for one in zip(samples, self._sizes(role), found, strict=True)]

    def _found(self, kind: VariantKind, model: bytes, role: str) -> list[Located]:
        """The boxes in each picture of a group, from a low confidence on."""

        def compute() -> NDArray[Any]:
            pictures = prepared(self._samples(role), self.trained.preset.preprocessing)
            made = run(model, pictures, engine=kind.engine, format=kind.format)
            rows = np.empty(len(pictures), object)
            rows[:] = [self._located(*one) for one in zip(made, self._sizes(role), strict=True)]
            return rows

        return list(self._outputs.get(model, role, compute))

    def _located(self, tensors: Tensors, shape: Shape) -> Located:
        height, width = shape[:2]
        return located(self._boxes.candidates(tensors, FLOOR), self._fit.place(height, width), height, width)

    def _samples(self, role: str) -> list[Sample]:
        """Those of a group whose faces are known; others may be there to learn from."""
        return [sample for sample in self.trained.people(role).samples if sample.faces is not None]

    def _sizes(self, role: str) -> list[Shape]:
        """The shape of each picture of a group."""
        if role not in self._shapes:
            self._shapes[role] = [sample.read().shape for sample in self._samples(role)]
        return self._shapes[role]

    def _describe(self, role: str) -> str:
        """Whose pictures were searched, for the manifest."""
        return f"{self.trained.data.name}, {role} people"


def _change(expected: Located, found: Located) -> float:
    """In [0, 2]; 0 for the same box with the same confidence. A box that is not sure at all may lie anywhere."""
    first, second = (max(faces, key=lambda face: face.confidence, default=None) for faces in (expected, found))
    if first is None or second is None:
        return 2 * max((face.confidence for face in (first, second) if face is not None), default=0.0)
    moved = 1 - first.overlap(second)
    return max(first.confidence, second.confidence) * moved + abs(first.confidence - second.confidence)


def _rates(outcomes: Sequence[PictureOutcome], threshold: float) -> Iterator[str]:
    """Missed faces and pictures with a false box, with their intervals, and the mean number of false boxes."""
    scores = score_set(outcomes)
    wrong = (scores.scores >= threshold) != scores.mated
    for chosen in (scores.mated, ~scores.mated):
        yield interval(rate(wrong[chosen], scores.subjects[chosen]))
    count = sum(confidence >= threshold for outcome in outcomes for confidence in outcome.false)
    yield f"{count / len(outcomes):.3f} ({count})"
