"""Which range of an activation int8 covers: one rule for every quantiser (numpy only).

A `Histogram` counts the values of a tensor, in bounded memory; `choose_range` turns it into the range
[low, high] that is spread over the integers. Every value outside is clipped to it, so a narrower range trades errors
of rare, large values for finer steps everywhere else.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.errors import UsageError

METHODS = ("minmax", "percentile_99.99", "percentile_99.9", "mse")
"""All values; all but the rarest 0.01 % or 0.1 % of the values; the least mean squared error of a value."""

Grid = Literal["affine", "symmetric"]
"""``affine``: 256 steps with a zero point, signed or not. ``symmetric``: -127..127 with the zero point 0."""

_HALF = 4096  # bins on each side of 0: at least 8 for each step of an int8 grid on one side
# Tried by "mse", as shares of the full range: steps of 4 %, down to where outliers are 256 times the useful values.
_SHARES = np.geomspace(1, 2**-8, 129)


def require_samples(samples: NDArray[np.float32]) -> None:
    """Raises UsageError unless these are calibration samples: (N, ...) float32, finite, at least one."""
    if samples.dtype != np.float32 or samples.ndim < 2 or not len(samples) or not np.isfinite(samples).all():
        raise UsageError(f"calibration needs finite float32 samples (N, ...), got {samples.dtype} {samples.shape}")


class Histogram:
    """Counts of all values of one tensor, in 8,192 bins whose width is a power of two and doubles as values grow.

    The result does not depend on the order of the values. Exact zeros, which every grid represents exactly and which
    a ReLU makes many of, are kept apart. low, high: the extreme values, and 0.
    """

    def __init__(self) -> None:
        self.count = self.zeros = 0
        self.low = self.high = 0.0
        self._width = 0.0
        self._bins: NDArray[np.int64] = np.zeros(2 * _HALF, np.int64)

    def add(self, values: ArrayLike) -> None:
        """Count `values`, of any shape. Raises UsageError if one is not finite."""
        flat = np.asarray(values).ravel()
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        if not math.isfinite(low) or not math.isfinite(high):
            raise UsageError("cannot choose a range for values that are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(self.high, -self.low))
        other = flat[flat != 0]
        self.count += flat.size
        self.zeros += flat.size - other.size
        if other.size:
            position = np.floor(other / np.float64(self._width)).astype(np.intp) + _HALF
            self._bins += np.bincount(position, minlength=self._bins.size)

    def _widen(self, peak: float) -> None:
        if not peak:
            return
        width = math.ldexp(1.0, math.frexp(peak / _HALF)[1])  # the power of two above
        self._width = self._width or width
        while self._width < width:
            pairs = self._bins.reshape(-1, 2).sum(axis=1)
            self._bins = np.pad(pairs, _HALF // 2)
            self._width *= 2

    def filled(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(middles, counts) of the bins that hold something, zeros not among them; middles rise."""
        occupied = np.flatnonzero(self._bins)
        return (occupied - _HALF + np.float64(0.5)) * self._width, self._bins[occupied]

    def quantile(self, share: float, *, magnitude: bool = False) -> float:
        """The least value that `share` of all values (or of their magnitudes) do not exceed, up to one bin's width."""
        middles, counts = self.filled()
        if magnitude:
            middles = np.abs(middles)
        middles, counts = np.append(middles, 0.0), np.append(counts, self.zeros)
        order = np.argsort(middles)
        reached = np.searchsorted(np.cumsum(counts[order]), share * self.count)
        return float(middles[order][min(int(reached), order.size - 1)])


def choose_range(histogram: Histogram, method: str, grid: Grid = "affine") -> tuple[float, float]:
    """The range (low, high), low <= 0 <= high, for a grid; for ``symmetric`` low = -high.

    ``percentile_P`` cuts (100 - P) / 2 percent on either side, of the magnitudes at once on a symmetric grid. ``mse``
    minimises the mean of (value - its nearest step)^2 over the histogram. Raises UsageError for an unknown method.
    """
    if method not in METHODS:
        raise UsageError(f"unknown calibration method {method!r}; there are {', '.join(METHODS)}")
    low, high = histogram.low, histogram.high
    if grid == "symmetric":
        low, high = -max(high, -low), max(high, -low)
    if not histogram.count or method == "minmax":
        return low, high
    if method == "mse":
        return _least_squares(histogram, low, high, grid)
    cut = 1 - float(method.removeprefix("percentile_")) / 100
    if grid == "symmetric":
        peak = min(high, histogram.quantile(1 - cut, magnitude=True))
        return -peak, peak
    # A bin's middle may lie outside the values, and both quantiles on one side of 0.
    return min(0.0, max(low, histogram.quantile(cut / 2))), max(0.0, min(high, histogram.quantile(1 - cut / 2)))


def _least_squares(histogram: Histogram, low: float, high: float, grid: Grid) -> tuple[float, float]:
    """One bound at a time, twice round: the two hardly depend on each other. The widest range wins a tie."""
    middles, counts = histogram.filled()
    if grid == "symmetric":
        peaks = high * _SHARES
        peak = float(peaks[np.argmin([_squared_error(middles, counts, -p, p, steps=254) for p in peaks])])
        return -peak, peak
    best_low, best_high = low, high
    for _ in range(2):
        if high > 0:
            highs = high * _SHARES
            best_high = float(highs[np.argmin([_squared_error(middles, counts, best_low, h) for h in highs])])
        if low < 0:
            lows = low * _SHARES
            best_low = float(lows[np.argmin([_squared_error(middles, counts, l_, best_high) for l_ in lows])])
    return best_low, best_high


def _squared_error(
    middles: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float, steps: int = 255
) -> float:
    scale = (high - low) / steps
    if not scale:
        return math.inf
    zero = round(-low / scale)
    nearest = (np.clip(np.rint(middles / scale) + zero, 0, steps) - zero) * scale
    return float(np.square(nearest - middles) @ counts)
