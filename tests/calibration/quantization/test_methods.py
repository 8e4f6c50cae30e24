"""Which calibration method is taken: the one of least measured error."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from edge_sdk.calibration.quantization.methods import choose_method
from edge_sdk.errors import UsageError


class Named:
    """A quantiser whose models are the names of the methods."""

    layers = ("first", "second")

    def quantize(self, method: str, keep_float: Collection[str] = ()) -> bytes:
        return " ".join([method, *keep_float]).encode()

    def quantize_only(self, layer: str, method: str) -> bytes:
        return self.quantize(method, set(self.layers) - {layer})


def test_choose_takes_the_method_of_least_error_and_the_first_of_equal_ones() -> None:
    errors = {b"mse": 0.3, b"percentile_99.9": 0.1, b"minmax": 0.1}
    chosen, trials = choose_method(Named(), errors.__getitem__, ["mse", "percentile_99.9", "minmax"])
    assert chosen == b"percentile_99.9"
    assert [(t.method, t.error) for t in trials] == [("percentile_99.9", 0.1), ("minmax", 0.1), ("mse", 0.3)]
    assert trials[0].size == len(chosen)


def test_no_choice_without_methods_or_by_an_error_that_is_no_number() -> None:
    with pytest.raises(UsageError, match="NaN"):
        choose_method(Named(), lambda _: float("nan"), ["minmax"])
    with pytest.raises(UsageError, match="no calibration methods"):
        choose_method(Named(), lambda _: 0.0, [])
