"""People told apart by a comparison of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from edge_sdk import manifest, modalities
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.resampling import bootstrap
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.calibration.person_model import fit_background
from edge_sdk.calibration.thresholds import REFERENCES, points_by_references
from edge_sdk.errors import ScoreError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.cache import compact, prepared
from edge_sdk.export.data.samples import IMPOSTORS, impostor_kinds
from edge_sdk.export.evaluation.artifact_protocol import MeasuredVariant, TaskInterface, interval
from edge_sdk.export.evaluation.model_outputs import ModelOutputs
from edge_sdk.export.evaluation.verification.comparers import DensityModel, VerificationProtocol, enrolled_by
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind
from edge_sdk.export.formats.float_onnx import OUTPUT
from edge_sdk.export.formats.inference import Embeddings, embed
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.preprocess import apply
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.base import Score
from edge_sdk.tables import Table

# The same file on another processor's kernels: float rounding, and for int8 a rounding step here and there.
GOLDEN_TOLERANCE: dict[manifest.Precision, float] = {"fp32": 1e-3, "int8": 0.02, "int8-io": 0.02, "int8-sym": 0.02}


@dataclass(frozen=True, eq=False)
class VerificationEvaluator:
    """Compares one reference with one query; each model embeds each image once."""

    trained: FinishedRun
    graphs: Graphs
    score: Score
    unit: str = "mean cosine distance to float"
    _outputs: ModelOutputs = field(default_factory=ModelOutputs)

    def distance(self, kind: VariantKind, model: bytes) -> float:
        expected = self._embed(REFERENCE, self.graphs.onnx, "validation")
        return float(1 - (self._embed(kind, model, "validation") * expected).sum(axis=1).mean())

    def points(self, kind: VariantKind, model: bytes) -> tuple[manifest.OperatingPoint, ...]:
        def scores(protocol: Any) -> ScoreSet:
            return self.scores(kind, model, "thresholds", protocol)

        return self.points_of(scores, f"{self.trained.data.name}, thresholds people")

    def points_of(self, scores: Callable[[Any], ScoreSet], whose: str) -> tuple[manifest.OperatingPoint, ...]:
        """Of the scores of each of :attr:`by_references`, of people who are described."""
        protocols = self.by_references
        return points_by_references(
            lambda count: scores(protocols[count]),
            tuple(protocols),
            data=lambda count: f"{whose}, {self.compared(protocols[count])}",
        )

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
        return self.tables(measured, lambda protocol: self.scores(measured.kind, measured.model, "test", protocol))

    def tables(self, measured: MeasuredVariant, scores: Callable[[Any], ScoreSet]) -> tuple[Table, ...]:
        """As :meth:`test_tables`, of the scores of each of :attr:`protocols`."""
        rows = []
        for protocol in self.protocols:
            try:
                found = scores(protocol)
            except ScoreError:
                if protocol.references == 1:
                    raise
                continue  # nobody has so many samples
            rates = (interval(bootstrap(found, statistic)) for statistic in (Curves.auroc, Curves.eer))
            counts = map(str, (protocol.references, found.subject_count, len(found)))
            rows.append((measured.kind.id, protocol.forgeries, *counts, *rates))
        head = ("variant", "forgeries", "references", "people", "comparisons", "AUROC", "EER")
        return (Table(head, rows, text=("variant", "forgeries")),)

    def golden(self) -> Mapping[str, bytes]:
        made = catalogue.of(self.trained.recipe.modality).golden["verify"]()
        return {f"golden/{name}": data for name, data in made.items()}

    def golden_score(self, measured: MeasuredVariant) -> tuple[float, float]:
        kind, pipeline = measured.kind, self.trained.preset.preprocessing
        modality = modalities.get(self.trained.recipe.modality)
        pair = [compact(pipeline, apply(pipeline, modality.decode(data))) for data in self.golden().values()]
        embeddings = embed(measured.model, np.stack(pair), engine=kind.engine, format=kind.format)
        score = self.score.matrix(embeddings[:1], embeddings[1:], self._model)[0, 0]
        return float(score), GOLDEN_TOLERANCE[kind.precision]

    def interface(self) -> TaskInterface:
        size = self._embed(REFERENCE, self.graphs.onnx, "thresholds").shape[1]
        return TaskInterface(
            task="verify",
            source=self.trained.recipe.source(self.trained.preset),
            outputs=(manifest.Output(name=OUTPUT, shape=("batch", size), role="embedding"),),
            score=self.score,
            embedding_space_id=manifest.embedding_space_id(self.trained.preset.preprocessing, self.graphs.onnx),
            files={path: background.encode() for path, background in self._model.backgrounds.items()},
        )

    @cached_property
    def protocols(self) -> tuple[Any, ...]:
        """What is compared with what, the one that the guardrail judges by first: with one reference."""
        kinds = impostor_kinds(self.trained.data.samples)
        return tuple(VerificationProtocol(kind, count) for count in REFERENCES for kind in kinds)

    @property
    def by_references(self) -> dict[int, Any]:
        """What operating points are measured by, by the number of references, the fewest first."""
        hardest = self.protocols[0].forgeries
        return {one.references: one for one in self.protocols if one.forgeries == hardest}

    def compared(self, protocol: Any) -> str:
        """One of :attr:`protocols`, for people; operating points say themselves how many references there were."""
        return IMPOSTORS[protocol.forgeries]

    def scores(self, kind: VariantKind, model: bytes, role: str, protocol: Any = None) -> ScoreSet:
        """Scores of the people of a role, by default of the first of :attr:`protocols`.

        Samples of different data sets are never compared: the scanner would give them away.
        """
        samples, compared = self.trained.people(role).samples, protocol or self.protocols[0]
        return verification_scores(
            self._embed(kind, model, role),
            [sample.subject for sample in samples],
            [sample.genuine for sample in samples],
            groups=[sample.dataset for sample in samples],
            forgeries=compared.forgeries,
            references=compared.references,
            rule=self.score.rule,
            matrix=partial(self.score.matrix, model=self._model),
            enrolled=enrolled_by(self.score, self._model),
        )

    @cached_property
    def _model(self) -> DensityModel:
        """With the backgrounds of the training people, by the float network, as their files hold them."""
        if not self.score.background_files:
            return DensityModel()
        samples = self.trained.people("train").samples
        fitted = fit_background(
            self._embed(REFERENCE, self.graphs.onnx, "train"),
            [sample.subject for sample in samples],
            [sample.genuine for sample in samples],
            seed=self.trained.seed,
        )
        found = Background.decode(fitted.encode())
        return DensityModel(backgrounds=dict.fromkeys(self.score.background_files, found))

    def _embed(self, kind: VariantKind, model: bytes, role: str) -> Embeddings:
        """Unit embeddings of a group's images, in their order."""

        def compute() -> Embeddings:
            pictures = prepared(self.trained.people(role).samples, self.trained.preset.preprocessing)
            return embed(model, pictures, engine=kind.engine, format=kind.format)

        return self._outputs.get(model, role, compute)

    def _describe(self, role: str) -> str:
        """Who was compared with what, for the manifest."""
        return f"{self.trained.data.name}, {role} people, {self.compared(self.protocols[0])}"
