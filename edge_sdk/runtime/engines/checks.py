"""Checks of inputs, for vendors that take wrong ones in silence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import EngineError
from edge_sdk.runtime.engines import TensorInfo, Tensors


def require_finite(inputs: Tensors) -> None:
    """Raise ``EngineError`` if an input is not finite.

    Engines make an ordinary number of NaN: OpenVINO in float (its Relu gives 0), and all of them in int8
    (``findings/engines_nan_becomes_a_number.sh``), so that outputs do not show it.
    """
    for name, value in inputs.items():
        if not np.isfinite(value).all():
            raise EngineError(f"{name} holds values that are not finite")


def checked(inputs: Tensors, wanted: Sequence[TensorInfo]) -> Tensors:
    """Return the inputs as contiguous arrays in the order of ``wanted``.

    Raises:
        EngineError: An input is missing, unknown, not finite, or of another shape or type; free sizes fit any but 0.
    """
    require_finite(inputs)
    if inputs.keys() != {tensor.name for tensor in wanted}:
        names = ", ".join(tensor.name for tensor in wanted)
        raise EngineError(f"the model takes {names}, not {', '.join(inputs) or 'nothing'}")
    return {tensor.name: _checked(inputs[tensor.name], tensor) for tensor in wanted}


def _checked(value: NDArray[np.float32], wanted: TensorInfo) -> NDArray[np.float32]:
    fits = len(value.shape) == len(wanted.shape) and all(
        size == expected or (isinstance(expected, str) and size > 0)
        for size, expected in zip(value.shape, wanted.shape, strict=True)
    )
    if not fits or value.dtype != wanted.dtype:
        raise EngineError(f"{wanted.name} must be {wanted.dtype} {wanted.shape}, not {value.dtype} {value.shape}")
    return np.ascontiguousarray(value)
