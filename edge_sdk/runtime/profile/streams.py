"""Does a spoof detector keep up with a camera? A film played in real time, frame by frame, on one thread."""

from __future__ import annotations

import math
import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Literal

import numpy as np

from edge_sdk.bundle import Bundle
from edge_sdk.errors import UsageError
from edge_sdk.results import SpoofDecision, StreamResult
from edge_sdk.runtime import device, sources
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.detector import SpoofDetector
from edge_sdk.runtime.films import Stamped
from edge_sdk.runtime.profile import this_machine
from edge_sdk.runtime.profile.quantiles import curve, moments, stage
from edge_sdk.runtime.profile.records import MeasuredStream, StreamProfile
from edge_sdk.runtime.selection import AUTO

STAGES = ("wait", "decode", "locate", "preprocess", "inference", "rest", "latency", "work", "age")
QUANTILES = (0.5, 0.9, 0.99, 0.999)

Clock = Callable[[], float]


def profile_stream(
    film: str | os.PathLike[str],
    bundle: str | os.PathLike[str] | Bundle,
    *,
    engine: str = AUTO,
    precision: str | None = None,
    threads: int = 1,
    faces: FaceLocator | Literal["cascade", "locator", "cropped"] = "cascade",
    fps: float | None = None,
    deadline: float | None = None,
    seconds: float | None = None,
    loops: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> StreamProfile:
    """Play a film to :meth:`~edge_sdk.runtime.detector.SpoofDetector.stream`, as a camera would, and measure.

    The detector is warmed up before the first frame comes. Each frame comes when it is due, and waits in the camera's
    only buffer until it is taken or the next one comes.
    Decoding the film is work of the same thread, and begins when a frame is taken: what a camera that gives JPEG costs,
    and more than one that gives pixels does. Frames that are dropped have to be decoded, too.

    Args:
        film: AVI, Matroska or MP4.
        bundle, engine, precision, threads, faces: As of :class:`~edge_sdk.runtime.detector.SpoofDetector`.
        fps: Frames that come a second, evenly; None is the film's own rate.
        deadline: As of ``stream``.
        seconds: How long to play, from the beginning as often as it takes; None is to the end.
        loops: How often to play the film; None is once, or as often as ``seconds`` need.
        say: Takes lines of progress, about one a second.
        clock: Seconds from anywhere.
        sleep: Waits for so many seconds of it.

    Raises:
        UsageError: A rate, time or number that is not positive.
        InputError: The film cannot be read, or no frame of it can be decoded.
        BundleError, EngineError: As the detector, and its stream.
        KeyboardInterrupt: Before the first result. Later on it ends the run, and what was measured is returned.
    """
    for name, value in (("fps", fps), ("seconds", seconds), ("loops", loops)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name} is {value}; it must be positive")
    rate = sources.frame_rate(film) if fps is None else fps
    begun = clock()
    with SpoofDetector(
        bundle, engine=engine, precision=precision, threads=threads, faces=faces, warm_up=True
    ) as detector:
        init_ms = (clock() - begun) * 1e3
        run = _Run(_OneBuffer(1 / rate, clock, sleep), clock, say)
        try:
            for _ in count() if loops is None and seconds is not None else range(loops or 1):
                frames = run.play(sources.video(film))
                for result in detector.stream(frames, deadline=deadline):
                    run.add(result)
                    if seconds is not None and run.seconds >= seconds:
                        break
                if seconds is not None and run.seconds >= seconds:
                    break
        except KeyboardInterrupt:
            if not len(run):
                raise
            run.interrupted = True
        return StreamProfile(
            bundle_id=detector.bundle.id,
            machine=this_machine(),
            film=os.fspath(film),
            engine=detector.engine,
            variant=detector.variant.id,
            threads=threads,
            faces=faces if isinstance(faces, str) else type(faces).__name__,
            fps=rate,
            init_ms=init_ms,
            measured=run.measured(),
        )


class _OneBuffer:
    """A camera whose frames are those of a film, evenly spaced; the newest one can be taken.

    Attributes:
        started: When the first frame of the play came, by the clock.
        arrived: When the frame that was taken last came.
        wait_s: How long it lay in the buffer.
        decode_s: How long decoding took, of it and of those dropped before it.
        dropped: Frames of all plays that were never taken.
    """

    def __init__(self, interval: float, clock: Clock, sleep: Callable[[float], None]) -> None:
        self.interval = interval
        self._clock, self._sleep = clock, sleep
        self.started = self.arrived = self.wait_s = self.decode_s = 0.0
        self.dropped = 0

    def play(self, film: Iterator[Stamped]) -> Iterator[Stamped]:
        """The frames that are taken, with the times at which they came, in seconds from the first."""
        self.started, due = self._clock(), 0
        while True:
            if (early := self.started + due * self.interval - self._clock()) > 0:
                self._sleep(early)
            taken = self._clock()
            newest = max(due, math.floor((taken - self.started) / self.interval))
            found = None  # the newest, or the last of the film
            for found in enumerate(film, due):
                if found[0] == newest:
                    break
            if found is None:
                return
            number, (_, picture) = found
            self.dropped += number - due
            self.arrived = self.started + number * self.interval
            self.wait_s, self.decode_s = taken - self.arrived, self._clock() - taken
            yield number * self.interval, picture
            due = number + 1


class _Run:
    """What is known of the results so far.

    Attributes:
        seconds: From the first frame of the first play to the last result.
        interrupted: Somebody ended it.
    """

    def __init__(self, buffer: _OneBuffer, clock: Clock, say: Callable[[str], None]) -> None:
        self._buffer, self._clock, self._say = buffer, clock, say
        self._rows = array("d")  # by frame: STAGES, and when its result came
        self._start = math.nan
        self._shown = math.nan  # when the frame of the newest result came
        self._decisions: Counter[str] = Counter()
        self._scored = self._deadlines = 0
        self._first_decisions: list[float | None] = []
        self._peaks: list[tuple[float, int | None]] = []
        self.seconds = 0.0
        self.interrupted = False

    def __len__(self) -> int:
        """How many frames have a result."""
        return len(self._rows) // (len(STAGES) + 1)

    def play(self, film: Iterator[Stamped]) -> Iterator[Stamped]:
        """The frames of another play."""
        self._first_decisions.append(None)
        self._shown = math.nan
        return self._buffer.play(film)

    def add(self, result: StreamResult) -> None:
        """Take in the result of the frame that was taken last."""
        buffer, spent, now = self._buffer, result.frame.timings, self._clock()
        if math.isnan(self._start):
            self._start = buffer.started
        self.seconds = now - self._start
        latency = (now - buffer.arrived) * 1e3
        age = latency if math.isnan(self._shown) else (now - self._shown) * 1e3
        parts = (
            buffer.wait_s * 1e3,
            buffer.decode_s * 1e3 + spent.decode_ms,
            spent.locate_ms,
            spent.preprocess_ms - spent.locate_ms,
            spent.inference_ms,
        )
        # Whole rows, also where Ctrl-C comes meanwhile.
        self._rows.extend((*parts, latency - sum(parts), latency, latency - parts[0], age, self.seconds))
        self._shown = buffer.arrived
        self._decisions[result.decision.value] += 1
        self._scored += math.isfinite(result.frame.score)
        self._deadlines += "deadline" in result.reasons
        if self._first_decisions[-1] is None and result.decision in (SpoofDecision.LIVE, SpoofDecision.SPOOF):
            self._first_decisions[-1] = now - buffer.started
        if not self._peaks or self.seconds - self._peaks[-1][0] >= 1:
            self._peaks.append((self.seconds, device.peak_memory()))
            self._say(f"{self.seconds:.0f} s, {len(self)} frames, {buffer.dropped} dropped")

    def measured(self) -> MeasuredStream:
        """What the results come to."""
        table = np.frombuffer(self._rows).reshape(len(self), -1)
        latency = table[:, STAGES.index("latency")]
        peak = device.peak_memory()
        before = [size for at, size in self._peaks if at <= self.seconds / 2 and size is not None]
        dropped = self._buffer.dropped
        return MeasuredStream(
            plays=len(self._first_decisions),
            interrupted=self.interrupted,
            seconds=self.seconds,
            frames=len(self),
            scored=self._scored,
            dropped=dropped,
            late=int(np.count_nonzero(latency > self._buffer.interval * 1e3)),
            held=dropped == 0 if self._scored else None,
            decisions=dict(self._decisions),
            deadlines=self._deadlines,
            first_decision_s=tuple(self._first_decisions),
            stages=tuple(stage(name, table[:, i], QUANTILES) for i, name in enumerate(STAGES)),
            peak_bytes=peak,
            grown_bytes=peak - before[-1] if peak is not None and before else None,
            curve=curve(latency),
            moments=moments(table[:, -1], latency),
        )
