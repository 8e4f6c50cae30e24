"""People told apart by a decision network: what a branch makes of two samples goes into a second graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import manifest, modalities
from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.quantization.methods import choose_method
from edge_sdk.export.data.cache import compact, prepared
from edge_sdk.export.evaluation.artifact_protocol import FurtherGraph, MeasuredVariant, TaskInterface
from edge_sdk.export.evaluation.verification.artifacts import GOLDEN_TOLERANCE, VerificationEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind, check
from edge_sdk.export.formats.float_onnx import GRAPH
from edge_sdk.export.formats.inference import Embeddings, output
from edge_sdk.export.formats.pair_graph import QUERY, two_inputs
from edge_sdk.export.formats.pair_graph import REFERENCE as FIRST
from edge_sdk.preprocess import apply
from edge_sdk.runtime.engines import OwnedEngine, Tensors, load_engine
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

HEAD, LOGIT = "head", "logit"
_AT_ONCE = 64
"""Pairs in a call of an engine whose batch is free."""


@dataclass(frozen=True, eq=False)
class OpenedHead:
    """The decision network on an engine, as a score asks for it."""

    engine: OwnedEngine
    densities: dict[str, GaussianMixture] = field(default_factory=dict)
    backgrounds: dict[str, Background] = field(default_factory=dict)

    def pair(self, references: NDArray[Any], queries: NDArray[Any]) -> Tensors:
        """See :class:`edge_sdk.scoring.base.ComparisonModel`."""
        batch = self.engine.inputs[0].shape[0]
        count = batch if isinstance(batch, int) and batch > 0 else _AT_ONCE
        rows = []
        for start in range(0, len(references), count):
            part = slice(start, start + count)
            rows.append(self.engine.run({FIRST: references[part], QUERY: queries[part]})[LOGIT].reshape(-1, 1))
        return {f"{HEAD}.{LOGIT}": np.concatenate(rows)}


@dataclass(frozen=True, eq=False)
class PairEvaluator(VerificationEvaluator):
    """As its base, but for what compares two embeddings, which is a graph that every variant has too.

    The graph is quantised on pairs of the calibration samples, by the method that changes its logits least.
    """

    _heads: dict[VariantKind, bytes] = field(default_factory=dict)

    def head(self, kind: VariantKind) -> bytes:
        """The decision network of a kind of variant, made once."""
        if kind not in self._heads:
            made = two_inputs(self._made(kind), kind.format)
            check(kind, made, lambda _: None)  # the exporter says what there is to say when it checks the branch
            self._heads[kind] = made
        return self._heads[kind]

    def scores(self, kind: VariantKind, model: bytes, role: str, protocol: Any = None) -> ScoreSet:
        samples, compared = self.trained.people(role).samples, protocol or self.protocols[0]
        with self._opened(kind) as head:
            return verification_scores(
                self._templates(kind, model, role),
                [sample.subject for sample in samples],
                [sample.genuine for sample in samples],
                groups=[sample.dataset for sample in samples],
                forgeries=compared.forgeries,
                references=compared.references,
                rule=self.score.rule,
                compare=lambda references, queries: self.score.pairs(references, queries, head),
            )

    def golden_score(self, measured: MeasuredVariant) -> tuple[float, float]:
        kind, pipeline = measured.kind, self.trained.preset.preprocessing
        modality = modalities.get(self.trained.recipe.modality)
        pair = [compact(pipeline, apply(pipeline, modality.decode(data))) for data in self.golden().values()]
        made = output(measured.model, np.stack(pair), engine=kind.engine, format=kind.format)
        with self._opened(kind) as head:
            return float(self.score.pairs(made[:1], made[1:], head)[0]), GOLDEN_TOLERANCE[kind.precision]

    def interface(self) -> TaskInterface:
        size = self._templates(REFERENCE, self.graphs.onnx, "thresholds").shape[1]
        embedding = manifest.Output(name=self.trained.recipe.branch, shape=("batch", size), role="embedding")
        feed = f"{GRAPH}.{embedding.name}"
        further = FurtherGraph(
            name=HEAD,
            inputs=(
                manifest.Input(name=FIRST, shape=embedding.shape, feed=feed, role="reference"),
                manifest.Input(name=QUERY, shape=embedding.shape, feed=feed),
            ),
            outputs=(manifest.Output(name=LOGIT, shape=("batch", 1), role="logit"),),
            made=self.head,
        )
        return TaskInterface(
            task="verify",
            source=self.trained.recipe.source(self.trained.preset),
            outputs=(embedding,),
            score=self.score,
            embedding_space_id=manifest.embedding_space_id(self.trained.preset.preprocessing, self.graphs.onnx),
            further=(further,),
        )

    @cached_property
    def _head_graphs(self) -> Graphs:
        made = output(self.graphs.onnx, self.graphs.samples)
        pairs = np.concatenate([np.hstack([made, other]) for other in (made, np.roll(made, 1, axis=0))])
        return Graphs(self.trained.network.comparison().eval(), pairs.shape[1:], pairs, (LOGIT,))

    def _made(self, kind: VariantKind) -> bytes:
        graphs = self._head_graphs
        if kind.precision == "fp32":
            return graphs.float(kind)
        expected = output(graphs.onnx, graphs.samples)

        def error(model: bytes) -> float:
            found = output(model, graphs.samples, engine=kind.engine, format=kind.format)
            return float(np.abs(found - expected).mean())

        return choose_method(graphs.quantizer(kind), error)[0]

    @contextlib.contextmanager
    def _opened(self, kind: VariantKind) -> Iterator[OpenedHead]:
        engine = load_engine(kind.engine, self.head(kind), kind.format, threads=2)
        try:
            yield OpenedHead(engine)
        finally:
            engine.close()

    def _embed(self, kind: VariantKind, model: bytes, role: str) -> Embeddings:
        made = self._templates(kind, model, role)
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)

    def _templates(self, kind: VariantKind, model: bytes, role: str) -> NDArray[np.float32]:
        """What the branch gives of a group's images, in their order, as the head takes it: ``(N, D)``."""

        def compute() -> NDArray[np.float32]:
            pictures = prepared(self.trained.people(role).samples, self.trained.preset.preprocessing)
            return output(model, pictures, engine=kind.engine, format=kind.format)

        return self._outputs.get(model, role, compute)
