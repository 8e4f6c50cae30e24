"""What containers say of their frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_FRAMES = 4_000_000
"""More are not believed: 38 hours at 30 frames a second."""

MOST_PARTS = 1_000_000
"""Of a film no more boxes, chunks or elements are looked at."""


_ROUNDING_S = 0.005  # Matroska counts milliseconds


@dataclass(frozen=True, eq=False)
class Announced:
    """The frames that a container announces.

    Attributes:
        times: ``float64 (N,)``, in order: seconds of a frame since the first one.
        count: Of all frames; None where only the last ones were counted.
        cut: The file ends before the end of a part that it has begun.
    """

    times: NDArray[np.float64]
    count: int | None
    cut: bool

    def behind(self, latest: float, came: int, interval: float) -> list[float]:
        """The times of frames that should have come behind the last one.

        Args:
            latest: The latest time of a frame that came, in seconds since the first.
            came: How many frames came. A decoder may leave out some on the way, so these alone prove no loss.
            interval: Between two frames, in seconds.
        """
        later = self.times[self.times > latest + min(interval / 2, _ROUNDING_S)]
        if self.count is not None:
            later = later[len(later) - max(0, min(len(later), self.count - came)) :]
        if self.cut and not len(later):
            return [latest + interval]
        return [float(time) for time in later]
