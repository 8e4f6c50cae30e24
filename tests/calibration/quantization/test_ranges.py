"""The rule that chooses what int8 covers, against explicit computations on all values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.calibration.quantization.ranges import METHODS, Histogram, choose_range
from edge_sdk.errors import UsageError


def histogram(*parts):
    result = Histogram()
    for part in parts:
        result.add(part)
    return result


def squared_error(values, low, high, *, symmetric=False):
    steps = 254 if symmetric else 255
    scale = (high - low) / steps
    zero = np.rint(-low / scale)
    return np.mean(((np.clip(np.rint(values / scale) + zero, 0, steps) - zero) * scale - values) ** 2)


@pytest.fixture
def values():
    """As behind a ReLU: half zeros, a long tail."""
    rng = np.random.default_rng(0)
    return np.maximum(rng.laplace(size=200_000), 0).astype(np.float32)


def test_minmax_is_exact_and_holds_zero(values):
    low, high = choose_range(histogram(values), "minmax")
    assert (low, high) == (0.0, float(values.max()))
    assert choose_range(histogram(values + 3, -values), "minmax", "symmetric") == (-high - 3, high + 3)
    assert choose_range(histogram([2.0, 5.0]), "minmax") == (0.0, 5.0)


@pytest.mark.parametrize(("method", "share"), [("percentile_99.9", 0.999), ("percentile_99.99", 0.9999)])
def test_percentiles_count_all_values(values, method, share):
    both = np.concatenate([values, -2 * values])
    low, high = choose_range(histogram(both), method)
    expected = np.quantile(both, [(1 - share) / 2, (1 + share) / 2])
    assert [low, high] == pytest.approx(expected.tolist(), rel=0.01)
    low, high = choose_range(histogram(both), method, "symmetric")
    assert high == -low == pytest.approx(np.quantile(np.abs(both), share), rel=0.01)


@pytest.mark.parametrize("symmetric", [False, True])
def test_mse_finds_the_least_squared_error(symmetric):
    values = np.random.default_rng(1).laplace(size=100_000).astype(np.float32)
    values[0] = 400.0  # an outlier
    low, high = choose_range(histogram(values), "mse", "symmetric" if symmetric else "affine")
    assert (low == -high) == symmetric
    found = squared_error(values, low, high, symmetric=symmetric)
    shares = np.geomspace(1, 2**-8, 129)
    lows = shares * (400 if symmetric else -values.min())
    best = min(
        squared_error(values, -bottom, bottom if symmetric else top, symmetric=symmetric)
        for bottom in lows[:: 1 if symmetric else 8]
        for top in ([0.0] if symmetric else 400 * shares[::2])
    )
    assert found <= 1.05 * best
    peak = 400 if symmetric else float(values.min())
    assert found < 0.9 * squared_error(values, -abs(peak), 400, symmetric=symmetric)


def test_mse_keeps_what_fills_the_grid():
    """Evenly spread values gain nothing from clipping."""
    values = np.linspace(-1, 1, 100_001)
    assert choose_range(histogram(values), "mse", "symmetric") == (-1, 1)


@given(
    st.lists(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20), min_size=1, max_size=4),
    st.sampled_from(METHODS),
    st.sampled_from(["affine", "symmetric"]),
)
def test_any_values_in_any_order(parts, method, grid):
    parts = [np.array(part, np.float32) for part in parts]
    low, high = choose_range(histogram(*parts), method, grid)
    assert (low, high) == choose_range(histogram(*reversed(parts)), method, grid)
    peak = max(float(np.abs(part).max()) for part in parts)
    assert -peak <= low <= 0 <= high <= peak


def test_no_values_and_zeros_have_an_empty_range():
    for method in METHODS:
        assert choose_range(Histogram(), method) == (0, 0)
        assert choose_range(histogram(np.zeros(9)), method, "symmetric") == (0, 0)


def test_what_cannot_be_used():
    with pytest.raises(UsageError, match="not finite"):
        histogram([1.0, np.nan])
    with pytest.raises(UsageError, match="not finite"):
        histogram([-np.inf])
    with pytest.raises(UsageError, match="unknown calibration method"):
        choose_range(histogram([1.0]), "guess")
