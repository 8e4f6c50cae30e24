"""A walk, or a stream of one, to its gait cycles."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ManifestError, UnsupportedRecordingError
from edge_sdk.preprocess import walking
from edge_sdk.preprocess.clock import RowClock, check_rate, check_spikes, check_unit
from edge_sdk.preprocess.walking import Floats, Rhythm
from edge_sdk.schema import require_bounds
from edge_sdk.sensors import Recording, checked_rows

AXES = 3
RATE_HZ = 50.0
"""Of the even samples in which steps are looked for."""
BLOCK = 32
"""Rows that are taken in at once, so that it does not matter in which portions they come."""
VIBRATING = 0.6
"""A stretch is no walk where it repeats itself faster than anybody walks this well, relative to its best period."""
UNEVEN = 0.2
"""How far from its window's period a cycle's duration may be, as a share of it."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=60)]


class GaitCycles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="gait_cycles"):
    """A walk to its cycles of two steps each: ``float32 (N, 4, samples)``, of three axes and the magnitude.

    The unit is the mean magnitude of the walk about the cycle. :class:`CycleStream` says how cycles are found.

    Attributes:
        samples: Evenly spaced moments a cycle, whatever its duration.
        axes: ``"sensor"``: x, y, z of the device. ``"gravity"``: in their place up; the direction of the device's z
            (out of a phone's screen) as far as it is level; and the one across both. ``"swing"``: the same, turned by
            180 degrees about up where the level movement has its peaks downwards, so that it does not matter which side
            of a phone faces the leg.
        centred: Whether each of the four rows has its mean over the cycle taken away.
        window_s, hop_s: A walk is analysed in windows of this length, a new one each hop.
        least_s, most_s: Between them lies the duration of two steps.
        likeness: Least correlation of a window with itself one cycle later, and of a cycle with the mean of the other
            cycles of its window.
        strength: Least standard deviation of the magnitude in a window, as a share of its mean.
        gap_s: What lies over a longer time without rows is no cycle.
        least: Fewer cycles in a sample are the flag ``few_cycles``.
    """

    samples: Annotated[int, msgspec.Meta(ge=8, le=1024)] = 100
    axes: Literal["sensor", "gravity", "swing"] = "sensor"
    centred: bool = False
    window_s: Seconds = 6.0
    hop_s: Seconds = 3.0
    least_s: Seconds = 0.8
    most_s: Seconds = 2.0
    likeness: Share = 0.5
    strength: Share = 0.05
    gap_s: Seconds = 0.2
    least: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5

    def __post_init__(self) -> None:
        require_bounds(self)
        if not (self.least_s < self.most_s and self.hop_s <= self.window_s and 2 * self.most_s <= self.window_s):
            raise ManifestError(
                "gait_cycles needs least_s below most_s, hop_s of at most window_s and a window_s of at least 2 most_s"
            )

    @property
    def op(self) -> str:
        """The tag in the manifest."""
        return str(self.__struct_config__.tag)

    @property
    def shape(self) -> tuple[int, int]:
        """Of one row of the result."""
        return 4, self.samples

    @property
    def channels(self) -> int:
        """Of the sensor."""
        return AXES

    @property
    def rate_hz(self) -> float:
        """Of the even samples of a window."""
        return RATE_HZ

    def __call__(self, recording: Recording) -> NDArray[np.float32]:
        """Raises UnsupportedRecordingError as :meth:`CycleStream.push`."""
        return walked(self, recording)[0].rows


class Cycles(msgspec.Struct, frozen=True, eq=False):
    """Cycles of a walk.

    Attributes:
        rows: ``float32 (N, 4, samples)``, N may be 0.
        spans_ms: ``float64 (N, 2)``, start and end on the clock of the sensor's rows.
    """

    rows: NDArray[np.float32]
    spans_ms: Floats


class Seen(msgspec.Struct, frozen=True):
    """What a stream held so far.

    Attributes:
        rows: That were pushed and looked at.
        passed_over: Of them, those whose time was not above all before them.
        gaps: Times between rows that were longer than ``gap_s``.
        windows: That were analysed.
        walking: Of them, those that are walking.
        rejected: Cycles that are not like the others of their window.
    """

    rows: int = 0
    passed_over: int = 0
    gaps: int = 0
    windows: int = 0
    walking: int = 0
    rejected: int = 0


class CycleStream:
    """Finds the cycles of a walk while it goes on; a file gives the same, to the bit, in whatever portions it comes.

    Rows whose time is not above all before them are passed over. What lies between two gaps is analysed window by
    window: even samples, the period of two steps by autocorrelation of all axes together, then the starts of cycles on
    the hills of the smoothed magnitude, on every second one. A window is walking if it repeats itself well enough,
    moves enough, and does not shake faster than anybody walks; a cycle counts if it is like the others of its window.
    The last ``window_s`` + ``hop_s`` and fewer than 32 rows are kept, no more.

    Args:
        operation: Whose parameters count.
    """

    _times_waiting: Floats
    _values_waiting: Floats
    _times_s: Floats
    _values: Floats

    def __init__(self, operation: GaitCycles) -> None:
        self._operation = operation
        self.seen = Seen()
        self._reset()

    def push(self, times_ms: NDArray[np.floating], values: NDArray[np.floating]) -> Cycles:
        """Take in rows, and return the cycles that are found with them; the last ones come with :meth:`finish`.

        Args:
            times_ms: ``(T,)``, T from 0, finite.
            values: ``(T, 3)`` in m/s^2 with gravity, finite.

        Raises:
            UnsupportedRecordingError: Another shape or type, values that are not finite; or rows that no phone's
                sensor gives: fewer than 20 or more than 1,000 a second, a clock that goes back, a magnitude that is
                not one in m/s^2 with gravity. The stream then is as new.
        """
        new_values, new_times = checked_rows(values, times_ms)
        if new_values.shape[1] != AXES:
            raise UnsupportedRecordingError(
                f"a recording of {new_values.shape[1]} channel(s); a walk has the three axes of an accelerometer"
            )
        times = np.concatenate([self._times_waiting, new_times])
        rows = np.concatenate([self._values_waiting, new_values])
        whole = len(times) // BLOCK * BLOCK
        self._times_waiting, self._values_waiting = times[whole:].copy(), rows[whole:].copy()
        with self._new_after_errors():
            for at in range(0, whole, BLOCK):
                self._take(times[at : at + BLOCK], rows[at : at + BLOCK])
        return self._popped()

    def finish(self) -> Cycles:
        """The last cycles of a walk that ends here; the stream then is ready for another. Raises as :meth:`push`."""
        with self._new_after_errors():
            if len(self._times_waiting):
                self._take(self._times_waiting, self._values_waiting)
            self._end_stretch()
        found = self._popped()
        self._reset()
        return found

    @contextlib.contextmanager
    def _new_after_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._reset()
            raise

    def _reset(self) -> None:
        self._clock = RowClock()
        self._times_waiting = np.empty(0)
        self._values_waiting = np.empty((0, AXES))
        self._found: list[Cycles] = []
        self._begin_stretch()

    def _begin_stretch(self) -> None:
        self._times_s = np.empty(0)
        self._values = np.empty((0, AXES))
        self._origin_ms = 0.0
        self._hops = 0
        self._walking = False
        self._end_s = -math.inf  # of the last cycle that was found

    def _count(self, **counts: int) -> None:
        seen = msgspec.structs.asdict(self.seen)
        self.seen = Seen(**{name: value + counts.get(name, 0) for name, value in seen.items()})

    def _popped(self) -> Cycles:
        found, self._found = self._found, []
        rows = np.concatenate([np.empty((0, *self._operation.shape), np.float32), *(one.rows for one in found)])
        return Cycles(rows, np.concatenate([np.empty((0, 2)), *(one.spans_ms for one in found)]))

    def _take(self, times_ms: Floats, values: Floats) -> None:
        """A block of rows: check their times, and divide it at gaps."""
        forward, intervals = self._clock.take(times_ms)
        starts = not np.isfinite(intervals[0])
        if len(times_ms) == BLOCK or starts:  # else too few to know their rate, at the end
            check_rate(intervals)
        times_ms, values = times_ms[forward], values[forward]
        gaps = np.flatnonzero(intervals > 1000 * self._operation.gap_s)
        self._count(rows=len(forward), passed_over=len(forward) - len(times_ms), gaps=len(gaps) - starts)
        for begin, end in itertools.pairwise([0, *gaps, len(times_ms)]):
            if begin in gaps:
                self._end_stretch()
            self._extend(times_ms[begin:end], values[begin:end])

    def _extend(self, times_ms: Floats, values: Floats) -> None:
        """Rows without a gap before them: analyse the windows that they complete, and forget what lies behind."""
        if not len(times_ms):
            return
        if not len(self._times_s):
            self._origin_ms = float(times_ms[0])
        self._times_s = np.concatenate([self._times_s, (times_ms - self._origin_ms) / 1000])
        self._values = np.concatenate([self._values, values])
        window_s, hop_s = self._operation.window_s, self._operation.hop_s
        while self._times_s[-1] >= self._hops * hop_s + window_s:
            self._analyse(self._hops * hop_s, self._hops * hop_s + window_s)
            self._hops += 1
        kept = self._times_s >= (self._hops - 1) * hop_s - walking.AVERAGED_S
        kept[-1] = True
        self._times_s, self._values = self._times_s[kept], self._values[kept]

    def _end_stretch(self) -> None:
        """A gap or the end: analyse the last window, which overlaps the one before as far as it must."""
        end_s = float(self._times_s[-1]) if len(self._times_s) else 0.0
        if end_s >= 2 * self._operation.most_s:
            self._analyse(max(0.0, end_s - self._operation.window_s), end_s)
        self._begin_stretch()

    def _analyse(self, begin_s: float, end_s: float) -> None:
        """Find the cycles of a window that begin behind those that were found before."""
        operation = self._operation
        check_spikes(self._values)
        even_s = begin_s + np.arange(int((end_s - begin_s) * RATE_HZ + 1e-6)) / RATE_HZ
        even = walking.means(self._times_s, self._values, even_s)
        check_unit(even)
        rhythm = walking.rhythm(even, RATE_HZ, operation.least_s, operation.most_s)
        tracked, self._walking = self._walking, rhythm is not None and _is_walking(operation, rhythm)
        self._count(windows=1, walking=int(self._walking))
        if rhythm is None or not self._walking:
            return
        known = (self._end_s - begin_s) * RATE_HZ if tracked and self._end_s > begin_s else None
        starts_s = begin_s + walking.starts(walking.hills(even, RATE_HZ), rhythm.period_s * RATE_HZ, known) / RATE_HZ
        durations = np.diff(starts_s)
        if not len(durations):
            return
        at_s = starts_s[:-1, None] + durations[:, None] * np.arange(operation.samples) / operation.samples
        vectors = walking.means(self._times_s, self._values, at_s.ravel()).reshape(len(at_s), operation.samples, AXES)
        usual = np.abs(durations / rhythm.period_s - 1) <= UNEVEN
        usual &= walking.are_alike(vectors, operation.likeness)
        fresh = starts_s[:-1] > self._end_s - 0.5 / RATE_HZ
        self._count(rejected=int((fresh & ~usual).sum()))
        self._end_s = max(self._end_s, float(starts_s[-1]))
        if (fresh & usual).any():
            rows = _rows(operation, vectors[usual])[fresh[usual]]
            spans_s = np.stack([starts_s[:-1], starts_s[1:]], axis=1)[fresh & usual]
            self._found.append(Cycles(rows, self._origin_ms + 1000 * spans_s))


def _is_walking(operation: GaitCycles, rhythm: Rhythm) -> bool:
    vibrates = rhythm.vibration > VIBRATING * rhythm.likeness
    return rhythm.likeness >= operation.likeness and rhythm.strength >= operation.strength and not vibrates


def _rows(operation: GaitCycles, vectors: Floats) -> NDArray[np.float32]:
    """Cycles ``(N, samples, 3)`` of one window as the network takes them."""
    every = vectors.reshape(-1, AXES)
    vectors = vectors / np.linalg.norm(every, axis=1).mean()
    if operation.axes != "sensor":
        vectors = vectors @ walking.upright(every.mean(axis=0)).T
    if operation.axes == "swing":
        level = vectors[..., 1] - vectors[..., 1].mean()
        vectors = vectors * np.where((level**3).sum() < 0, (1, -1, -1), (1, 1, 1))
    rows = np.concatenate([vectors, np.linalg.norm(vectors, axis=2, keepdims=True)], axis=2).transpose(0, 2, 1)
    if operation.centred:
        rows = rows - rows.mean(axis=2, keepdims=True)
    return np.ascontiguousarray(rows, np.float32)


def walked(operation: GaitCycles, recording: Recording) -> tuple[Cycles, Seen]:
    """The cycles of a whole recording, and what else it held. Raises UnsupportedRecordingError as the stream."""
    stream = CycleStream(operation)
    found, last = stream.push(recording.times_ms, recording.values), stream.finish()
    cycles = Cycles(np.concatenate([found.rows, last.rows]), np.concatenate([found.spans_ms, last.spans_ms]))
    return cycles, stream.seen
