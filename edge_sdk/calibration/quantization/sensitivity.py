"""Which layers int8 hurts: the error of the model with one layer quantised and all others float.

One layer *quantised*, not one layer float: where two layers each ruin a model, keeping either of them float changes
little and would hide both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_sdk.calibration.quantization.methods import Error, Quantizer
from edge_sdk.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The error that quantising this layer alone, with its activation function, makes; lower is better."""

    layer: str
    error: float


def sensitivity(model: Quantizer, error: Error, *, method: str = "minmax") -> tuple[Sensitivity, ...]:
    """The layers with weights, most harmful first; of equal ones the first in the graph first.

    Costs one quantisation and one `error` a layer. Raises UsageError for an error that is NaN.
    """

    def measure(layer: str) -> Sensitivity:
        value = float(error(model.quantize_only(layer, method)))
        if math.isnan(value):
            raise UsageError(f"the error with only {layer} quantised is NaN")
        return Sensitivity(layer, value)

    return tuple(sorted(map(measure, model.layers), key=lambda one: -one.error))
