"""Mixed precision: keep the layers that int8 hurts most in float, no more of them than the accuracy budget asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.quantization.methods import Error, Quantizable
from edge_sdk.calibration.quantization.sensitivity import sensitivity
from edge_sdk.errors import GuardrailError
from edge_sdk.manifest import AccuracyDifference

LARGEST_SHARE = 0.5
"""With more than half of its layers in float a model is not an int8 model any more."""


@dataclass(frozen=True, slots=True)
class MixedPrecision:
    """An int8 model within its budget; the layers in float, most harmful first, and the drifts that were judged."""

    model: bytes
    float_layers: tuple[str, ...]
    drifts: tuple[AccuracyDifference, ...]


def keep_float(
    model: Quantizable,
    judge: Callable[[bytes], tuple[AccuracyDifference, ...]],
    error: Error,
    *,
    method: str = "minmax",
) -> MixedPrecision:
    """Of a model that is over its budget, keep the most harmful layers in float until `judge` finds it within.

    Layers are ranked by `sensitivity`, once, and added one at a time, so that as few as possible stay float. Within
    means that the estimates of all drifts are: this is a search on few people, and the verdict, which also asks for
    certainty, is the guardrail's.

    Args:
        judge: Measures drifts on people for *layer selection*. Whoever gives the verdict on the result must use
            others: each attempt is another chance to pass by luck.
        error: Of an int8 model, to rank the layers with.

    Raises:
        GuardrailError: The budget does not hold with half of the layers in float; with the table of the last attempt.
            Or there are no layers that may stay float, or nothing was measured.
    """
    layers = tuple(one.layer for one in sensitivity(model, error, method=method))
    if not layers:
        raise GuardrailError("int8 costs more accuracy than the budget allows, and no layer may stay float")
    drifts: tuple[AccuracyDifference, ...] = ()
    for count in range(1, max(1, int(len(layers) * LARGEST_SHARE)) + 1):
        candidate = model.quantize(method, layers[:count])
        drifts = judge(candidate)
        if not drifts:
            raise GuardrailError("the guardrail measured nothing")
        if all(drift.delta <= drift.budget for drift in drifts):
            return MixedPrecision(candidate, layers[:count], drifts)
    raise GuardrailError(
        f"int8 costs more accuracy than the budget allows even with {count} of {len(layers)} layers in float "
        f"({', '.join(layers[:count])}): calibrate with samples like those of the field, or train with "
        f"quantisation in mind (edge-sdk train --from RUN --qat)\n{guardrail.table(drifts).plain()}"
    )
