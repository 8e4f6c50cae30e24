"""Walkers who do not exist: acceleration as a phone in a pocket measures it, for tests, demonstrations, golden inputs.

Each walker has a stride of its own: a period, and amplitudes and phases of six harmonics along three axes, as people
have them about a common shape. Walks of one walker differ in speed, in how the phone lies, and a little in everything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.errors import UsageError
from edge_sdk.export.data import cache
from edge_sdk.export.data.layouts import Entry

VERSION = 1
"""Of the walks: in the name of their folder, so that others are never taken for them."""
PER_WALKER = 8
SECONDS, RATE_HZ = 30.0, 26.0
GRAVITY = 9.81

_AMPLITUDES = np.array([[0.8, 0.4, 0.5, 0.3, 0.2, 0.2], [0.3, 2.4, 0.3, 0.9, 0.2, 0.4], [0.4, 1.3, 0.3, 0.7, 0.2, 0.3]])
"""m/s^2 of harmonics of a stride (two steps): sideways, up, forwards. Both steps alike would leave the even ones."""
_PHASES = np.array([[0.0, 1.0, 0.5, 2.0, 1.0, 0.5], [0.5, 0.0, 1.5, 0.8, 2.5, 1.2], [1.0, 1.6, 0.2, 2.4, 0.6, 2.8]])


class SyntheticWalker:
    """One made-up person; equal numbers walk alike."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng((2010, number))
        self._number = number
        self._period = rng.uniform(0.98, 1.22)  # seconds a stride
        self._amplitudes = _AMPLITUDES * np.exp(rng.normal(0, 0.4, _AMPLITUDES.shape))
        self._phases = _PHASES + rng.normal(0, 0.7, _PHASES.shape)
        self._pose = rng.normal(0, 0.25, 3)

    def walk(self, repetition: int, seconds: float = SECONDS) -> bytes:
        """A walk as a CSV file: time stamp in ms, ax, ay and az in m/s^2, at uneven times."""
        rng = np.random.default_rng((2011, self._number, repetition))
        count = round(seconds * RATE_HZ)
        times = np.rint(np.cumsum(1000 / RATE_HZ + rng.uniform(-6, 6, count)))
        period = self._period * np.exp(rng.normal(0, 0.03))
        knots = np.arange(0, times[-1] + 2000, 2000)
        hurry = np.interp(times, knots, rng.normal(0, 0.1, knots.size))
        turns = 2 * np.pi * times / 1000 / period + hurry + rng.uniform(0, 2 * np.pi)
        amplitudes = self._amplitudes * np.exp(rng.normal(0, 0.06, self._amplitudes.shape))
        phases = self._phases + rng.normal(0, 0.08, self._phases.shape)
        waves = np.cos(turns[:, None, None] * np.arange(1, amplitudes.shape[1] + 1) + phases)
        values = (amplitudes * waves).sum(axis=2) + np.array([0, GRAVITY, 0])
        values = values @ _rotation(self._pose + rng.normal(0, 0.06, 3)).T + rng.normal(0, 0.12, (count, 3))
        lines = (f"{time:.0f},{a:.4f},{b:.4f},{c:.4f}\n" for time, (a, b, c) in zip(times, values, strict=True))
        return "".join(lines).encode()


def render(spec: str, progress: cache.Count = cache.uncounted) -> list[Entry]:
    """Write the walks of ``N`` or ``N@SEED`` walkers into the cache folder, those not yet there, and list them.

    The folder is ``walks-vVERSION/SEED`` in :func:`edge_sdk.files.cache_folder`, laid out as ``WALKER/K.csv``.

    Args:
        progress: Called with the number of walkers done and in all.

    Raises:
        UsageError: The specification cannot be read, or asks for no walkers.
    """
    count, _, seed = spec.partition("@")
    if not (count.isdecimal() and int(count) > 0 and (seed or "0").isdecimal()):
        raise UsageError(f'"walks:{spec}" cannot be read; expected walks:N or walks:N@SEED, N at least 1')
    root = files.cache_folder() / f"walks-v{VERSION}" / str(int(seed or 0))
    entries: list[Entry] = []
    for index in range(int(count)):
        walker = SyntheticWalker(int(seed or 0) * 1_000_003 + index)
        for repetition in range(PER_WALKER):
            path = root / str(index) / f"{repetition}.csv"
            if not cache.trusted(path):
                cache.store_bytes(path, walker.walk(repetition))
            entries.append(Entry(f"{root.name}-{index}", genuine=True, path=path))
        progress(index + 1, int(count))
    return entries


def _rotation(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(3, 3)``: about an axis, by its length in radians."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: NDArray[np.float64] = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    return turned
