"""What every quantiser offers, whatever the format, and the choice of a calibration method by measured error."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_sdk.calibration.quantization.ranges import METHODS
from edge_sdk.errors import UsageError

Error = Callable[[bytes], float]
"""Of an int8 model; lower is better."""


class Quantizer(Protocol):
    """A float model with the statistics of its calibration samples; makes int8 models of one kind."""

    @property
    def layers(self) -> Sequence[str]:
        """The layers with weights that may stay float, in the graph's order; none where everything must be integer."""

    def quantize(self, method: str, keep_float: Collection[str] = ()) -> bytes:
        """An int8 model with ranges by a method of `ranges.METHODS` and some of `layers` in float."""

    def quantize_only(self, layer: str, method: str) -> bytes:
        """A model in which nothing but this layer, with its activation function, is int8."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method tried by `choose_method`: the measured error (lower is better) and the file's size in bytes."""

    method: str
    error: float
    size: int


def choose_method(
    model: Quantizer, error: Error, methods: Sequence[str] = METHODS, *, keep_float: Collection[str] = ()
) -> tuple[bytes, tuple[MethodResult, ...]]:
    """Quantise by each method and keep the one of least measured `error`; on a tie the first one named.

    keep_float: layers of `model` that stay float.
    Returns the int8 model, and the trials from best to worst. Raises UsageError for no methods or an error that is NaN.
    """
    if not methods:
        raise UsageError("no calibration methods to choose from")
    tried: list[tuple[MethodResult, bytes]] = []
    for method in methods:
        candidate = model.quantize(method, keep_float)
        trial = MethodResult(method, float(error(candidate)), len(candidate))
        if math.isnan(trial.error):
            raise UsageError(f"the error of calibration method {method} is NaN")
        tried.append((trial, candidate))
    tried.sort(key=lambda pair: pair[0].error)
    return tried[0][1], tuple(trial for trial, _ in tried)
