"""How the time of one call is split among its stages."""

from __future__ import annotations

import time
from typing import Literal

from edge_sdk.results import Timings

Stage = Literal["decode", "preprocess", "inference", "postprocess"]


class Stopwatch:
    """Runs from when it is made; every moment belongs to one stage."""

    def __init__(self) -> None:
        self._spent: dict[Stage, float] = {"decode": 0.0, "preprocess": 0.0, "inference": 0.0, "postprocess": 0.0}
        self._start = self._last = time.perf_counter()

    def lap(self, stage: Stage) -> None:
        """The time since the last lap was spent in ``stage``."""
        now = time.perf_counter()
        self._spent[stage] += now - self._last
        self._last = now

    def timings(self) -> Timings:
        """What was spent until the last lap."""
        return Timings(
            decode_ms=self._spent["decode"] * 1e3,
            preprocess_ms=self._spent["preprocess"] * 1e3,
            inference_ms=self._spent["inference"] * 1e3,
            postprocess_ms=self._spent["postprocess"] * 1e3,
            total_ms=(self._last - self._start) * 1e3,
        )
