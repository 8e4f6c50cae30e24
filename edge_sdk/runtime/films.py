"""The frames of an opened film with their times, those too that cannot be decoded or do not come."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_sdk.errors import VideoDecodeError
from edge_sdk.images import Image
from edge_sdk.opencv import cv2
from edge_sdk.runtime import containers

Stamped = tuple[float, Image | None]

# Of a file, OpenCV tells the end and a frame that it cannot decode by the same answer. So it is asked again, as often
# as a minute of video has frames; behind the end that costs some milliseconds.
_ATTEMPTS = 1800
_MOST_MISSING = 1800  # behind the last frame no more are shown as missing: they tell nothing new, and may be millions
_FALLBACK_FPS = 25.0
_SANE_FRAMES = 10_000_000  # where a container says nothing, OpenCV may announce anything
# Matroska's length may be that of the sound, and its frames may come unevenly: less than this is no loss.
_ESTIMATED_S = 0.5


def decoded(capture: cv2.VideoCapture, path: Path, *, estimated: bool) -> Iterator[Stamped]:
    """Decode a film to its end, and close it.

    Args:
        capture: The film, opened.
        path: Its file, whose tables say which frames should have come.
        estimated: OpenCV's number of frames is an estimate from a length, not that of a table.

    Raises:
        VideoDecodeError: No frame could be decoded.
    """
    times = Times(1 / rate_of(capture))
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    came = seen = lost = 0  # seen: with those that could not be decoded
    try:
        while lost < _ATTEMPTS:
            given, frame = capture.read()
            if not given:
                lost += 1
                continue
            last, now = times.now, times.read(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, lost)
            yield from ((last + (now - last) * i / (lost + 1), None) for i in range(1, lost + 1))
            yield now, np.asarray(frame, np.uint8)
            came, seen, lost = came + 1, seen + lost + 1, 0
    finally:
        capture.release()
    if not came:
        raise VideoDecodeError(f"{path}: no frame of it can be decoded; record or convert it anew")
    yield from ((time, None) for time in times.continued(_missing(path, times, came, seen, count, estimated=estimated)))


def rate_of(capture: cv2.VideoCapture) -> float:
    """Frames a second, as the container says, else a usual rate."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps < math.inf else _FALLBACK_FPS


class Times:
    """Makes times of FFmpeg's stamps: seconds since the first frame.

    A stamp of 0 or less is none, but on the first frame: AVI stores no times of its own, so that frames which B-frames
    delayed have the time of what was read last, and those behind its end none; and what begins before the time 0 has
    none until then. Such a frame comes one interval after the one before. All other stamps are kept, backward ones too.

    Attributes:
        now: The time of the last frame.
        latest: The latest stamp, in the container's seconds since its first frame.
        delay: What those are ahead of ``now``.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.now = -interval
        self.latest = self.delay = 0.0
        self._early = 0.0  # how long before the time 0 the film begins
        self._begun = False

    def read(self, stamp: float, lost: int) -> float:
        """The time of the next frame, before which ``lost`` could not be decoded."""
        expected = self.now + (lost + 1) * self.interval
        if not self._begun and not lost:
            self.delay = max(0.0, stamp)
        if stamp > 0:
            if self._begun and not self.latest:  # the first stamp behind frames from before the time 0
                self._early = max(0.0, expected - stamp) if self.now > 0 else 0.0
            self.latest = max(self.latest, stamp + self._early)
            self.now = stamp + self._early - self.delay
        else:
            self.now = expected
        self._begun = True
        return self.now

    def continued(self, times: list[float]) -> list[float]:
        """The container's times of frames behind the last one, as times that follow ``now``."""
        behind = [time - self.delay for time in times]
        if behind and behind[0] <= self.now:
            return [self.now + i * self.interval for i in range(1, len(behind) + 1)]
        return behind


def _missing(path: Path, times: Times, came: int, seen: int, count: float, *, estimated: bool) -> list[float]:
    """The container's times of frames that should have come behind the last one; ``count``: OpenCV's word for all."""
    announced = containers.announced(path, times.latest)
    missing = announced.behind(times.latest, came, times.interval) if announced else []
    if announced is not None and not (announced.cut and announced.count is None):
        return missing[:_MOST_MISSING]
    number = _uncounted(count, seen, times.latest / times.interval)
    if number > len(missing) and (announced or not estimated or number * times.interval > _ESTIMATED_S):
        return [times.latest + i * times.interval for i in range(1, min(number, _MOST_MISSING) + 1)]
    return missing[:_MOST_MISSING]


def _uncounted(count: float, seen: int, last: float) -> int:
    """How many of ``count`` frames did not come, at the end.

    Not those that were left out on the way, as of a clock that stood still: ``last``, the time of the last frame in
    frames, shows them.
    """
    if not 0 < count < _SANE_FRAMES:
        return 0
    return max(0, min(int(count) - seen, int(count) - 1 - round(last)))
