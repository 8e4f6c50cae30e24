"""Mixed precision: keep the layers that int8 hurts most in float, no more of them than the accuracy budget asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.observe import Observed
from edge_sdk.calibration.quantize import quantize
from edge_sdk.calibration.sensitivity import sensitivity
from edge_sdk.errors import GuardrailError
from edge_sdk.manifest import Drift

LARGEST_SHARE = 0.5
"""With more than half of its layers in float a model is not an int8 model any more."""


@dataclass(frozen=True, slots=True)
class Cured:
    """An int8 model within its budget; the layers in float, most harmful first, and the drifts that were judged."""

    model: bytes
    float_nodes: tuple[str, ...]
    drifts: tuple[Drift, ...]


def cure(
    observed: Observed,
    judge: Callable[[bytes], tuple[Drift, ...]],
    error: Callable[[bytes], float],
    *,
    method: str = "minmax",
    symmetric: bool = False,
    keep_float_ops: Collection[str] = (),
) -> Cured:
    """Quantise all layers; while `judge` does not let the model pass, keep the next most harmful one in float.

    One layer is added at a time, so that as few as possible stay float; layers are ranked by `sensitivity`, once, and
    only if they must be.

    Args:
        judge: The guardrail on people for *layer selection*. Whoever judges the result must use others: each attempt
            is another chance to pass by luck.
        error: Of an int8 model, to rank the layers with; see `sensitivity.distance_to_float`.
        method: As for `quantize`, like the other arguments; keep_float_ops stay float in any case and are not counted.

    Raises:
        GuardrailError: The budget does not hold with half of the layers in float; with the table of the last attempt.
            Or nothing was measured.
    """

    def attempt(kept: tuple[str, ...]) -> Cured:
        keep = {*keep_float_ops, *kept}
        model = quantize(observed, method=method, symmetric=symmetric, keep_float_ops=keep)
        drifts = judge(model)
        if not drifts:
            raise GuardrailError("the guardrail measured nothing")
        return Cured(model, kept, drifts)

    result = attempt(())
    if guardrail.passes(result.drifts):
        return result
    ranking = sensitivity(observed, error, method=method, symmetric=symmetric, keep_float_ops=keep_float_ops)
    nodes = tuple(layer.node for layer in ranking)
    for count in range(1, int(len(nodes) * LARGEST_SHARE) + 1):
        result = attempt(nodes[:count])
        if guardrail.passes(result.drifts):
            return result
    raise GuardrailError(
        f"int8 costs more accuracy than the budget allows even with {len(result.float_nodes)} of {len(nodes)} layers "
        f"in float ({', '.join(result.float_nodes)}): calibrate with samples like those of the field, or train with "
        f"quantisation in mind\n{guardrail.table(result.drifts)}"
    )
