"""A walk as it goes on: rows of an accelerometer come one by one, and each cycle counts once it is whole."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import InputError, UnsupportedRecordingError, UsageError
from edge_sdk.modalities.base import Prepared
from edge_sdk.preprocess.cycles import BLOCK, CycleStream, GaitCycles, Seen
from edge_sdk.sensors import checked_rows

FLAGS = ("no_walk", "few_cycles", "pauses", "gaps", "clipped")
BLOCKING = ("no_walk", "few_cycles")
CLIPPED = 0.01
"""Share of the rows in which an axis is at its highest or lowest value, beyond the six that any recording has."""
MOST = 1000
"""Cycles that a stream keeps, about 20 minutes of walking: 1.6 MB."""


class WalkStream:
    """Rows of one person's walk, in place of a recording: for ``verify``, ``enroll`` and ``identify``.

    :meth:`edge_sdk.runtime.verifier.Verifier.walk` makes one for a bundle::

        walk = verifier.walk()
        for time_ms, x, y, z in sensor:
            walk.push(time_ms, x, y, z)
            if walk.enough:
                result = verifier.verify(template, walk)
                break

    What counts is what was found when the walk is handed over; it may go on after that. Once :meth:`finish` has been
    called, the cycles are those of a file of the same rows, to the bit. Memory is bounded: the newest ``most`` cycles,
    and some seconds of rows. For one thread at a time.

    Args:
        operation: The bundle's pre-processing.
        wanted: How many cycles are enough; None for the fewest that are compared.
        most: How many cycles are kept, the newest ones; None for all.

    Raises:
        UsageError: ``wanted`` is more than ``most``, either is less than 1, or no whole number.
    """

    def __init__(self, operation: GaitCycles, *, wanted: int | None = None, most: int | None = MOST) -> None:
        for name, number in (("wanted", wanted), ("most", most)):
            if number is not None and not isinstance(number, (int, np.integer)):
                raise UsageError(f"{name} is {number!r}; it must be a whole number of cycles")
        self.operation = operation
        self.wanted = operation.least if wanted is None else wanted
        if not 1 <= self.wanted <= (self.wanted if most is None else most):
            raise UsageError(f"wanted is {wanted}, most {most}; wanted is from 1 to most")
        self._most = most
        self._ended = False
        self._begin()

    def __len__(self) -> int:
        """How many cycles it keeps."""
        return len(self._cycles)

    @property
    def found(self) -> int:
        """How many cycles it has found, also those that it keeps no more."""
        return self._found

    @property
    def enough(self) -> bool:
        """Whether there are as many cycles as wanted."""
        return len(self) >= self.wanted

    @property
    def seen(self) -> Seen:
        """What else the rows held."""
        return self._stream.seen

    def push(self, time_ms: float, x: float, y: float, z: float) -> int:
        """Take in one row, and return how many cycles were found so far. Rows are looked at 32 at a time.

        Args:
            time_ms: When it was measured, in milliseconds on a clock of any origin.
            x, y, z: Acceleration in m/s^2, with gravity.

        Raises:
            UnsupportedRecordingError: As :meth:`push_rows`, of any of the last 32 rows.
            UsageError: The walk has ended.
        """
        self._check_going_on()
        self._waiting.append((time_ms, x, y, z))
        if len(self._waiting) >= BLOCK:
            self._flush()
        return self._found

    def push_rows(self, times_ms: NDArray[np.floating], values: NDArray[np.floating]) -> int:
        """Take in rows, and return how many cycles were found so far.

        Args:
            times_ms: ``(T,)``, T from 0.
            values: ``(T, 3)``, as of :meth:`push`.

        Raises:
            UnsupportedRecordingError: Rows that are no accelerometer's
                (:meth:`edge_sdk.preprocess.cycles.CycleStream.push`); all that was found is dropped, and the stream is
                as new.
            UsageError: The walk has ended.
        """
        self._check_going_on()
        self._flush()
        self._take(times_ms, values)
        return self._found

    def finish(self) -> int:
        """The walk has ended: look at its last seconds, too. Raises as :meth:`push_rows`; again, it does nothing."""
        if not self._ended:
            self._flush()
            try:
                self._keep(self._stream.finish().rows)
            except InputError:
                self._begin()
                raise
            self._ended = True
        return self._found

    def prepared(self) -> Prepared:
        """The cycles so far, with quality flags."""
        rows = np.stack(self._cycles) if self._cycles else np.empty((0, *self.operation.shape), np.float32)
        flags = self._flags()
        return Prepared(rows, flags, tuple(flag for flag in flags if flag in BLOCKING), batched=True)

    def _begin(self) -> None:
        self._stream = CycleStream(self.operation)
        self._cycles: deque[NDArray[np.float32]] = deque(maxlen=self._most)
        self._found = 0
        self._extremes = _Extremes()
        self._waiting: list[tuple[float, float, float, float]] = []

    def _keep(self, cycles: NDArray[np.float32]) -> None:
        self._cycles.extend(cycles)
        self._found += len(cycles)

    def _check_going_on(self) -> None:
        if self._ended:
            raise UsageError("this walk has ended: begin another stream")

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            rows = np.array(waiting, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            self._begin()
            raise UnsupportedRecordingError(f"a row of a walk is four numbers: time, x, y, z: {error}") from error
        self._take(rows[:, 0], rows[:, 1:])

    def _take(self, times_ms: NDArray[np.floating], values: NDArray[np.floating]) -> None:
        try:
            self._keep(self._stream.push(times_ms, values).rows)
        except InputError:
            self._begin()
            raise
        self._extremes.push(checked_rows(values, times_ms)[0])

    def _flags(self) -> tuple[str, ...]:
        count, seen = len(self), self.seen
        found = {
            "no_walk": count == 0,
            "few_cycles": 0 < count < self.operation.least,
            "pauses": 0 < 2 * seen.walking < seen.windows,
            "gaps": seen.gaps > 0 or seen.passed_over > 0,
            "clipped": self._extremes.clipped(),
        }
        return tuple(flag for flag in FLAGS if found[flag])


class _Extremes:
    """How often each axis is at the highest or lowest value that it had."""

    def __init__(self) -> None:
        self._rows = 0
        self._highest = np.full(6, -np.inf, np.float32)
        self._counts = np.zeros(6, np.int64)

    def push(self, values: NDArray[np.float32]) -> None:
        if not len(values):
            return
        both = np.hstack([values, -values])
        highest = np.maximum(self._highest, both.max(axis=0))
        self._counts = np.where(highest > self._highest, 0, self._counts) + (both == highest).sum(axis=0)
        self._highest = highest
        self._rows += len(values)

    def clipped(self) -> bool:
        return bool(self._counts.sum() > 6 + CLIPPED * self._rows)
