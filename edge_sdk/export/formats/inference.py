"""Artifacts run on pre-processed samples, by the engine that serves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data.cache import expanded
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.manifest import Format
from edge_sdk.runtime.engines import Tensors, load_engine

Embeddings = NDArray[np.float32]


def run(
    model: bytes,
    images: NDArray[Any],
    *,
    engine: str = "onnxruntime",
    format: Format = "onnx",  # noqa: A002 - the manifest's word
    threads: int = 2,
) -> Iterator[Tensors]:
    """Input and outputs by name, ``(1, ...)`` each, of pre-processed samples as the cache keeps them.

    That is ``uint8 (N, C, H, W)`` of images and ``float32 (N, T, C)`` of recordings. One sample at a time, as the
    device does.
    """
    loaded = load_engine(engine, model, format, threads=threads)
    try:
        for image in images:
            tensors = {INPUT: expanded(np.asarray(image)[None])}
            yield tensors | loaded.run(tensors)
    finally:
        loaded.close()


def embed(
    model: bytes,
    images: NDArray[Any],
    *,
    engine: str = "onnxruntime",
    format: Format = "onnx",  # noqa: A002 - the manifest's word
    threads: int = 2,
) -> Embeddings:
    """Unit embeddings ``(N, D)`` of pre-processed samples, as :func:`run` takes them.

    Of a model whose one output is something else, such as reconstructions: these, flat and scaled to unit length.
    """
    made = output(model, images, engine=engine, format=format, threads=threads)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def output(
    model: bytes,
    images: NDArray[Any],
    *,
    engine: str = "onnxruntime",
    format: Format = "onnx",  # noqa: A002 - the manifest's word
    threads: int = 2,
) -> NDArray[np.float32]:
    """The one output of pre-processed samples, as :func:`run` takes them, flat: ``(N, D)``."""
    rows = []
    for tensors in run(model, images, engine=engine, format=format, threads=threads):
        (name,) = tensors.keys() - {INPUT}
        rows.append(tensors[name])
    return np.concatenate(rows).reshape(len(images), -1)
