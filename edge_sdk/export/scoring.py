"""Artifacts scored on people, by the engine that serves them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics import ScoreSet
from edge_sdk.calibration.pairs import Forgeries, verification_scores
from edge_sdk.export.artifacts import Kind
from edge_sdk.export.datasets.cache import prepared
from edge_sdk.export.float_onnx import INPUT
from edge_sdk.export.trained import Trained
from edge_sdk.manifest import Format
from edge_sdk.runtime.engines import load_engine

Embeddings = NDArray[np.float32]


def embed(
    model: bytes,
    images: NDArray[np.uint8],
    *,
    engine: str = "onnxruntime",
    format: Format = "onnx",  # noqa: A002 - the manifest's word
    threads: int = 2,
) -> Embeddings:
    """Unit embeddings ``(N, D)`` of pre-processed ``uint8 (N, H, W)`` images, one at a time as the device does.

    Of a model whose one output is something else, such as reconstructions: these, flat and scaled to unit length.
    """
    loaded = load_engine(engine, model, format, threads=threads)
    try:
        (output,) = (tensor.name for tensor in loaded.outputs)
        rows = [loaded.run({INPUT: image[None, None].astype(np.float32) / np.float32(255)})[output] for image in images]
    finally:
        loaded.close()
    stacked = np.concatenate(rows).reshape(len(images), -1)
    return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True), np.float32)


@dataclass(frozen=True, eq=False)
class Panel:
    """The groups of people of a run's split; each embeds each image once with each model.

    The roles are those of :class:`edge_sdk.export.splits.Split`.
    """

    trained: Trained
    _embedded: dict[tuple[bytes, str], Embeddings] = field(default_factory=dict)

    def embed(self, kind: Kind, model: bytes, role: str) -> Embeddings:
        """Unit embeddings of a group's images, in their order."""
        if (model, role) not in self._embedded:
            images = prepared(self.trained.people(role).samples, self.trained.preset.preprocessing)
            self._embedded[model, role] = embed(model, images, engine=kind.engine, format=kind.format)
        return self._embedded[model, role]

    def scores(self, kind: Kind, model: bytes, role: str, forgeries: Forgeries = "skilled") -> ScoreSet:
        """Scores with one reference."""
        samples = self.trained.people(role).samples
        return verification_scores(
            self.embed(kind, model, role),
            [sample.subject for sample in samples],
            [sample.genuine for sample in samples],
            forgeries=forgeries,
            metric=self.trained.score.metric,
        )

    def describe(self, role: str) -> str:
        """Who was compared with what, for the manifest."""
        return f"{self.trained.data.name}, {role} people, skilled forgeries"
