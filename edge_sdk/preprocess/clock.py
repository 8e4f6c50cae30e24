"""Rows of an accelerometer as they come: their times, their rate and their unit, or what is wrong with them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UnsupportedRecordingError
from edge_sdk.preprocess.walking import Floats

SLOWEST_MS, FASTEST_MS = 50.0, 0.95
"""Median time between rows: a step's landing takes about a tenth of a second; more than 1 kHz is no phone's sensor."""
CLOCK_MS = 1000.0
"""Rows may come late by less than this; a clock that goes further back was set."""
LIGHTEST, HEAVIEST = 6.5, 15.0
"""Median magnitude of a stretch in m/s^2, with gravity."""
SPIKE = 1000.0
"""Times the median magnitude of its stretch: more is no acceleration of a phone, in any unit."""


class RowClock:
    """Passes over rows whose time is not above all before them, and refuses times that no phone's sensor gives."""

    def __init__(self) -> None:
        self._latest_ms = -math.inf

    def take(self, times_ms: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Which rows of a block count, ``(T,)``, and the time of each that does since the one before, ``(C,)``.

        The first row of all counts, and comes after an infinite time.

        Args:
            times_ms: ``(T,)``, finite, T at least 1.

        Raises:
            UnsupportedRecordingError: A clock that was set back, or half of the rows and more are passed over.
        """
        latest = np.maximum.accumulate(np.concatenate([[self._latest_ms], times_ms]))
        with np.errstate(over="ignore"):  # infinitely late is late
            late = latest[:-1] - times_ms
        if late.max() > CLOCK_MS:
            raise UnsupportedRecordingError(
                f"time goes back by {late.max() / 1000:.1f} s: rows are in the order of their time, which is the first "
                "column; after a change of the clock begin another stream"
            )
        forward = late < 0
        if 2 * np.count_nonzero(forward) < len(times_ms):
            raise UnsupportedRecordingError(
                f"{np.count_nonzero(~forward)} of {len(times_ms)} time stamps repeat or go back: the first column is "
                "the time in milliseconds, and the rows are in its order"
            )
        with np.errstate(over="ignore"):  # infinitely long is a gap
            intervals = np.diff(times_ms[forward], prepend=latest[0])
        self._latest_ms = float(latest[-1])
        return forward, intervals


def check_rate(intervals_ms: Floats) -> None:
    """Refuse (UnsupportedRecordingError) fewer than 20 or more than 1,000 rows a second, in the median."""
    known = intervals_ms[np.isfinite(intervals_ms)]
    median = float(np.median(known)) if len(known) else SLOWEST_MS
    if median > SLOWEST_MS:
        raise UnsupportedRecordingError(
            f"{1000 / median:.3g} rows a second; gait needs at least {1000 / SLOWEST_MS:.0f}, with time stamps in "
            "milliseconds"
        )
    if median < FASTEST_MS:
        raise UnsupportedRecordingError(
            f"{1000 / median:.3g} rows a second, more than a phone's sensor gives: time stamps are in milliseconds"
        )


def check_spikes(values: Floats) -> None:
    """Refuse (UnsupportedRecordingError) rows ``(T, 3)`` one of which is damaged, such as 3e38 among 9.8.

    The mean over the line through them would be lost with it in every later row of the stretch.
    """
    magnitudes = np.linalg.norm(values, axis=1)
    usual, worst = max(float(np.median(magnitudes)), LIGHTEST), int(np.argmax(magnitudes))
    if magnitudes[worst] > SPIKE * usual:
        raise UnsupportedRecordingError(
            f"a row has a magnitude of {magnitudes[worst]:.3g} where those round it have about {usual:.3g}: it is "
            "damaged; leave such rows out"
        )


def check_unit(values: Floats) -> None:
    """Refuse (UnsupportedRecordingError) even samples ``(n, 3)`` that are not in m/s^2 with gravity."""
    median = float(np.median(np.linalg.norm(values, axis=1)))
    if LIGHTEST <= median <= HEAVIEST:
        return
    if 0.7 < median < 1.5:
        advice = "if its unit is g, multiply by 9.81"
    elif 700 < median < 1500:
        advice = "if its unit is mg, multiply by 0.00981; if it is cm/s^2, by 0.01"
    elif median < LIGHTEST:
        advice = "record it with gravity, not as linear acceleration"
    else:
        advice = "convert its unit"
    raise UnsupportedRecordingError(
        f"the magnitude is {median:.3g} where an accelerometer shows about 9.8 m/s^2: {advice}"
    )
