"""The artifacts of a finished training run, scored on people: what the rows of a table are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.cohort import normalised_scores
from edge_sdk.calibration.metrics.pairs import Forgeries, build_pairs, score_pairs
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.errors import ScoreError
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.formats.float_onnx import to_onnx
from edge_sdk.export.formats.inference import Embeddings, embed
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.finished import calibration_images
from edge_sdk.export.training.run import TrainingRun

ComparisonKind = tuple[Forgeries, int]

SINGLE: ComparisonKind = ("skilled", 1)
COMPARISONS: tuple[ComparisonKind, ...] = (SINGLE, ("skilled", 3), ("skilled", 5), ("random", 1))
"""Kind of forgeries and number of references."""


@dataclass(frozen=True)
class TestScores:
    """Scores by comparison, and the thresholds of the model that gave them, by name.

    Comparisons that the people's signatures are too few for are left out.
    """

    scores: Mapping[ComparisonKind, ScoreSet]
    thresholds: Mapping[str, float] = field(default_factory=dict)


def joined(parts: Sequence[TestScores]) -> TestScores:
    """The scores of several tests as those of one; the thresholds only if they are the same for all."""
    scores = {
        comparison: verification.concatenate([part.scores[comparison] for part in parts])
        for comparison in parts[0].scores
        if all(comparison in part.scores for part in parts)
    }
    alike = all(part.thresholds == parts[0].thresholds for part in parts)
    return TestScores(scores, parts[0].thresholds if alike else {})


def artifacts(run: TrainingRun) -> dict[str, bytes]:
    """The kept weights as ONNX: ``fp32``, and ``int8`` calibrated on images of training people."""
    network = run.network()
    checkpoint.load_network(run.folder / "best.safetensors", network)
    model = to_onnx(network, run.preset.input_shape)
    return {"fp32": model, "int8": quantize(model, calibration_images(run.train, run.preset, run.seed))}


@dataclass(frozen=True, eq=False)
class Scorer:
    """One artifact of a run.

    Attributes:
        top: Size of the cohort that scores are normalised by (:mod:`edge_sdk.calibration.metrics.cohort`); it is drawn
            from the genuine signatures of the training people. ``None`` leaves the scores as they are.
    """

    model: bytes
    run: TrainingRun
    top: int | None = None

    def test(self, people: Dataset, thresholds: Mapping[str, float]) -> TestScores:
        """All of :data:`COMPARISONS` that ``people`` have signatures for; each picture is embedded once."""
        embeddings = self._embed(people)
        scores: dict[ComparisonKind, ScoreSet] = {}
        for comparison in COMPARISONS:
            try:
                scores[comparison] = self._scores(people, embeddings, comparison)
            except ScoreError:
                if comparison == SINGLE:
                    raise
        return TestScores(scores, thresholds)

    def thresholds(self, people: Dataset) -> dict[str, float]:
        """Of the highest accuracy (DeepSign paper, section 5.2) and balanced accuracy, on skilled forgeries."""
        scores = self._scores(people, self._embed(people), SINGLE)
        return {
            "best_accuracy": verification.best_accuracy_threshold(scores),
            "best_balanced_accuracy": verification.best_balanced_accuracy_threshold(scores),
        }

    def _embed(self, people: Dataset) -> Embeddings:
        return embed(self.model, prepared(people.samples, self.run.preset.preprocessing))

    @cached_property
    def _cohort(self) -> Embeddings:
        genuine = tuple(sample for sample in self.run.train.samples if sample.genuine)
        return self._embed(Dataset(self.run.train.name, genuine))

    def _scores(self, people: Dataset, embeddings: Embeddings, comparison: ComparisonKind) -> ScoreSet:
        forgeries, references = comparison
        subjects = [sample.subject for sample in people.samples]
        genuine = [sample.genuine for sample in people.samples]
        pairs = build_pairs(subjects, genuine, forgeries=forgeries, references=references)
        if self.top is None:
            return score_pairs(pairs, embeddings, subjects)
        return normalised_scores(pairs, embeddings, subjects, self._cohort, top=self.top)
