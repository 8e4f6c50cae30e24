"""Made walks, whose cycles are known by construction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.sensors import Recording

GRAVITY = 9.81


def even_times(seconds: float, rate_hz: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * rate_hz)) * 1000 / rate_hz + 1_356_000_000_000


def uneven_times(seconds: float, rate_hz: float, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    steps = 1000 / rate_hz + rng.uniform(-0.3, 0.3, round(seconds * rate_hz)) * 1000 / rate_hz
    return np.rint(np.cumsum(steps)) + 1_356_000_000_000


def acceleration(seconds: NDArray[np.float64], period_s: float, gravity: float = GRAVITY) -> NDArray[np.float64]:
    """Of a walk whose cycle of two steps takes ``period_s``: the higher hill of the magnitude is at 0, the lower one
    half a period later, for ever."""
    turn = 2 * np.pi * seconds / period_s
    up = gravity + 2.0 * np.cos(2 * turn) + 0.5 * np.cos(turn)
    ahead = 1.2 * np.sin(turn) + 0.6 * np.sin(2 * turn)
    aside = 0.5 * np.sin(turn + 0.7)
    return np.stack([aside, up, ahead], axis=1)


def walk(
    times_ms: NDArray[np.float64], period_s: float = 1.1, noise: float = 0.1, gravity: float = GRAVITY
) -> Recording:
    seconds = (times_ms - times_ms[0]) / 1000
    rng = np.random.default_rng(1)
    return Recording(acceleration(seconds, period_s, gravity) + rng.normal(0, noise, (len(times_ms), 3)), times_ms)
