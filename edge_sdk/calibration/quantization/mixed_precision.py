"""Mixed precision: keep the layers that int8 hurts most in float, no more of them than the accuracy budget asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.quantization.methods import Error, Quantizer, choose_method
from edge_sdk.calibration.quantization.sensitivity import sensitivity
from edge_sdk.calibration.thresholds import MIN_SUBJECTS
from edge_sdk.errors import GuardrailError
from edge_sdk.manifest import AccuracyDifference

LARGEST_SHARE = 0.5
"""With more than half of its layers in float a model is not an int8 model any more."""


@dataclass(frozen=True, slots=True)
class MixedPrecision:
    """An int8 model within its budget, its calibration, the layers in float (most harmful first), and what it costs."""

    model: bytes
    method: str
    float_layers: tuple[str, ...]
    differences: tuple[AccuracyDifference, ...]


def keep_float(
    model: Quantizer,
    measure: Callable[[bytes], tuple[AccuracyDifference, ...]],
    error: Error,
    *,
    method: str = "minmax",
    methods: Sequence[str] = (),
) -> MixedPrecision:
    """Of a model that is over its budget, keep the most harmful layers in float until it is within the budget.

    Layers are ranked by `sensitivity`, once, and added one at a time, so that as few as possible stay float: the fewest
    with which every difference passes, as the guardrail will ask of other people. Where none does, the fewest with
    which every estimate is within the budget; so too with fewer than `MIN_SUBJECTS` people, who are sure of nothing.

    Args:
        measure: Accuracy differences of an int8 model against float, on people for *layer selection*. The guardrail
            must use other people for the result: each attempt is another chance to pass by luck.
        error: Of an int8 model, to rank the layers with, and to choose among `methods`.
        method: Of the ranking.
        methods: Of which one is chosen anew with each set of layers in float: ranges that a harmful layer needed may
            not be the best without it. None but `method` by default.

    Raises:
        GuardrailError: The budget does not hold with half of the layers in float; with the table of the last attempt.
            Or there are no layers that may stay float, or nothing was measured.
    """
    layers = tuple(one.layer for one in sensitivity(model, error, method=method))
    if not layers:
        raise GuardrailError("int8 costs more accuracy than the budget allows, and no layer may stay float")
    differences: tuple[AccuracyDifference, ...] = ()
    within: MixedPrecision | None = None
    for count in range(1, max(1, int(len(layers) * LARGEST_SHARE)) + 1):
        kept = layers[:count]
        candidate, trials = choose_method(model, error, methods or (method,), keep_float=kept)
        differences = measure(candidate)
        if not differences:
            raise GuardrailError("the guardrail measured nothing")
        found = MixedPrecision(candidate, trials[0].method, kept, differences)
        if guardrail.passes(differences):
            return found
        if within is None and all(difference.delta <= difference.budget for difference in differences):
            within = found
        if within is not None and min(difference.subjects for difference in differences) < MIN_SUBJECTS:
            break
    if within is not None:
        return within
    raise GuardrailError(
        f"int8 costs more accuracy than the budget allows even with {count} of {len(layers)} layers in float "
        f"({', '.join(layers[:count])}): calibrate with samples like those of the field, or train with "
        f"quantisation in mind (edge-sdk train --from RUN --qat)\n{guardrail.table(differences).plain()}"
    )
