"""Drawn walks: golden inputs of nobody."""

from __future__ import annotations

import numpy as np

SECONDS, RATE_HZ = 40, 26.0
GRAVITY = 9.81


def golden_pair() -> dict[str, bytes]:
    """Two walks of one made-up person as CSV files, by name: ``reference`` and ``query``."""
    return {f"{name}.csv": _walk(seed) for seed, name in enumerate(("reference", "query"))}


def _walk(seed: int) -> bytes:
    """Steps at 1.8 Hz with two harmonics and a sensor's noise, at uneven times."""
    rng = np.random.default_rng((2010, seed))
    gaps = 1000 / RATE_HZ + rng.uniform(-8, 8, round(SECONDS * RATE_HZ))
    times = np.rint(np.cumsum(gaps))
    turns = 2 * np.pi * 1.8 * times / 1000 + rng.uniform(0, 2 * np.pi)
    x = 0.8 * np.sin(turns / 2) + 0.3 * np.sin(turns)
    y = GRAVITY + 2.2 * np.sin(turns + 0.4) + 0.7 * np.sin(2 * turns)
    z = 1.1 * np.sin(turns + 1.3) + 0.4 * np.sin(2 * turns + 0.5)
    values = np.stack([x, y, z], axis=1) + rng.normal(0, 0.15, (len(times), 3))
    lines = (f"{time:.0f},{a:.4f},{b:.4f},{c:.4f}\n" for time, (a, b, c) in zip(times, values, strict=True))
    return "".join(lines).encode()
