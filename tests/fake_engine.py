"""An engine without an engine: a seeded random projection, described by a few bytes of JSON.

The fixture ``fake_engine`` lists it, so that ``engine="fake"`` runs it; ``"auto"`` never takes it.
"""

from __future__ import annotations

import math
from typing import get_args

import msgspec
import numpy as np

from edge_sdk.errors import EngineError
from edge_sdk.manifest import Format, Precision
from edge_sdk.runtime.engines import TensorInfo, Tensors, _Row

NAME = "fake"
ROW = _Row(
    __name__,
    tuple(f"{precision}.{form}" for form in get_args(Format) for precision in get_args(Precision)),
    packages=("no_such_package",),
    extra="none",
)


class FakeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fake's "artifact": encode it with :func:`msgspec.json.encode`.

    ``shape`` is that of one input without its batch. ``failure`` makes :meth:`FakeEngine.run` raise (``"error"``) or
    give NaN (``"nan"``) or zeros (``"zero"``).
    """

    shape: tuple[int, ...]
    input: str = "image"
    output: str = "embedding"
    dim: int = 16
    seed: int = 0
    failure: str | None = None


class FakeEngine:
    """``output = flatten(input) @ W`` with W drawn from ``seed``."""

    def __init__(self, model: FakeModel) -> None:
        self._model: FakeModel | None = model
        size = (math.prod(model.shape), model.dim)
        self._weights = np.random.default_rng(model.seed).standard_normal(size, dtype=np.float32)
        self.inputs = (TensorInfo(model.input, ("batch", *model.shape), "float32"),)
        self.outputs = (TensorInfo(model.output, ("batch", model.dim), "float32"),)

    def run(self, inputs: Tensors) -> Tensors:
        """Project; see :class:`edge_sdk.runtime.engines.Engine`."""
        model = self._model
        if model is None:
            raise EngineError("the engine is closed")
        if model.failure == "error":
            raise EngineError("asked to fail")
        if set(inputs) != {model.input} or inputs[model.input].shape[1:] != model.shape:
            raise EngineError(f"expected {self.inputs}")
        batch = inputs[model.input]
        projected = batch.reshape(len(batch), -1) @ self._weights
        filler = {"nan": np.float32(np.nan), "zero": np.float32(0)}.get(model.failure or "")
        return {model.output: projected if filler is None else np.full_like(projected, filler)}

    def close(self) -> None:
        """Refuse to run from now on."""
        self._model = None


def load(model: bytes, *, threads: int) -> FakeEngine:
    """Load a :class:`FakeModel`; ``threads`` is ignored."""
    del threads
    try:
        return FakeEngine(msgspec.json.decode(model, type=FakeModel))
    except msgspec.MsgspecError as exc:
        raise EngineError(f"not a fake model: {exc}") from exc
