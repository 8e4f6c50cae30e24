"""What ``edge-sdk spoof`` counts of a stream, or of pictures, in memory that does not grow."""

from __future__ import annotations

import math
import random
import statistics
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult

DECIDED = (SpoofDecision.LIVE, SpoofDecision.SPOOF)


@dataclass(frozen=True)
class FirstDecision:
    """The first LIVE or SPOOF of a stream: when, in seconds since its first frame, and after how many frames."""

    decision: SpoofDecision
    seconds: float
    frames: int


class Latencies:
    """Median and maximum of any number of times, in a few kilobytes: a camera may run for years.

    The median is exact of up to 2,001 times. Of more it is that of a random sample of 2,001, each drawn with the same
    chance (reservoir sampling, Vitter 1985): in 95 of 100 runs between the quantiles 0.478 and 0.522 of all.
    """

    SAMPLE = 2001

    def __init__(self) -> None:
        self._sample = array("d")
        self._count = 0
        self._max = 0.0
        self._draw = random.Random(0)  # noqa: S311 - a sample, not a secret

    def add(self, milliseconds: float) -> None:
        """Count one."""
        self._count += 1
        self._max = max(self._max, milliseconds)
        if len(self._sample) < self.SAMPLE:
            self._sample.append(milliseconds)
        elif (place := int(self._draw.random() * self._count)) < self.SAMPLE:
            self._sample[place] = milliseconds

    def median_and_max(self) -> tuple[float, float] | None:
        """In milliseconds; None of none."""
        return (statistics.median(self._sample), self._max) if self._count else None


@dataclass
class Summary:
    """Counts the results of one stream, or of pictures that were scored one by one.

    ``source``: the stream's name, None of pictures. ``gap_s``: as that of the stream's limits. ``errors``: what could
    not be read, or ended the stream. ``skipped``: files in folders that are neither pictures nor videos.
    """

    source: str | None = None
    gap_s: float = 0.0
    errors: int = 0
    skipped: int = 0
    counts: Counter[SpoofDecision] = field(default_factory=Counter, init=False)
    first: FirstDecision | None = field(default=None, init=False)
    _begin: float | None = field(default=None, init=False)
    _last: StreamResult | None = field(default=None, init=False)
    _latencies: Latencies = field(default_factory=Latencies, init=False)

    def add(self, result: SpoofResult | StreamResult) -> None:
        """Count the next frame of the stream, or another picture."""
        self.counts[result.decision] += 1
        frame = result.frame if isinstance(result, StreamResult) else result
        if isinstance(result, StreamResult):
            self._begin = result.time if self._begin is None else self._begin
            if self.first is None and result.decision in DECIDED:
                self.first = FirstDecision(result.decision, result.time - self._begin, self.frames)
            if not self._only_repeats(result):
                self._last = result
        if not math.isnan(frame.score):  # a frame without a score costs next to nothing
            self._latencies.add(frame.timings.total_ms)

    def _only_repeats(self, result: StreamResult) -> bool:
        """Whether a frame repeats while what was known before still counts, as at the end of compressed video."""
        if self._last is None or result.reasons != ("frozen",):
            return False
        return 0 <= result.time - self._last.time <= self.gap_s

    @property
    def frames(self) -> int:
        """Frames or pictures, decided or not."""
        return self.counts.total()

    @property
    def decided(self) -> int:
        """Those that were LIVE or SPOOF."""
        return sum(self.counts[decision] for decision in DECIDED)

    @property
    def decision(self) -> SpoofDecision:
        """The decision on all of it: SPOOF if anything was; UNCERTAIN if anything could not be read.

        Else that of a stream's last frame, of which those do not count that are only ``frozen`` and follow within
        ``gap_s``; of pictures the one that all of them share, or UNCERTAIN.
        """
        if self.counts[SpoofDecision.SPOOF]:
            return SpoofDecision.SPOOF
        if self.errors or not self.frames:
            return SpoofDecision.UNCERTAIN
        (most, count), *_ = self.counts.most_common()
        if self._last is not None:
            return self._last.decision
        return most if count == self.frames else SpoofDecision.UNCERTAIN

    @property
    def latency_ms(self) -> tuple[float, float] | None:
        """Median and maximum of the frames that have a score, each from its arrival to its decision; None of none."""
        return self._latencies.median_and_max()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for :func:`json.dumps`."""
        first, latency = self.first, self.latency_ms
        return {
            "source": self.source,
            "decision": self.decision.value,
            "frames": self.frames,
            "decided": self.decided,
            "first": first and {"decision": first.decision.value, "seconds": first.seconds, "frames": first.frames},
            "counts": {decision.value: self.counts[decision] for decision in SpoofDecision},
            "errors": self.errors,
            "skipped": self.skipped,
            "latency_ms": latency and {"median": latency[0], "max": latency[1]},
        }
