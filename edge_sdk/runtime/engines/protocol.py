"""What every engine is: named float arrays in, named float arrays out, and nothing raised but ``EngineError``."""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]


class TensorInfo(msgspec.Struct, frozen=True):
    """Name, shape and element type of a tensor; a size that is free (the batch) is a string."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class Engine(Protocol):
    """A loaded model."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Tensors that :meth:`run` takes."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Tensors that :meth:`run` gives."""

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; every failure is an ``EngineError``."""

    def close(self) -> None:
        """Free the model; :meth:`run` raises afterwards. Closing twice is harmless."""
