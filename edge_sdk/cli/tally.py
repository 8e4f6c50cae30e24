"""What many decisions add up to: the summary of ``edge-sdk spoof``."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult

DECIDED = (SpoofDecision.LIVE, SpoofDecision.SPOOF)


@dataclass(frozen=True)
class First:
    """The first LIVE or SPOOF of a stream: when, in seconds since its first frame, and after how many frames."""

    decision: SpoofDecision
    seconds: float
    frames: int


@dataclass
class Tally:
    """Counts the results of one stream, or of pictures that were judged one by one.

    ``source``: the stream's name, None of pictures. ``errors``: what could not be read, or ended the stream.
    """

    source: str | None = None
    errors: int = 0
    counts: Counter[SpoofDecision] = field(default_factory=Counter, init=False)
    first: First | None = field(default=None, init=False)
    _begin: float | None = field(default=None, init=False)
    _last: SpoofDecision | None = field(default=None, init=False)
    _latencies: list[float] = field(default_factory=list, init=False)

    def add(self, result: SpoofResult | StreamResult) -> None:
        """Count the next frame of the stream, or another picture."""
        self.counts[result.decision] += 1
        frame = result.frame if isinstance(result, StreamResult) else result
        if isinstance(result, StreamResult):
            self._begin = result.time if self._begin is None else self._begin
            if self.first is None and result.decision in DECIDED:
                self.first = First(result.decision, result.time - self._begin, self.frames)
            self._last = result.decision
        if not math.isnan(frame.score):  # what is not judged costs nothing, and would flatter the others
            self._latencies.append(frame.timings.total_ms)

    @property
    def frames(self) -> int:
        """Frames or pictures that were judged, decided or not."""
        return self.counts.total()

    @property
    def decided(self) -> int:
        """Those that were LIVE or SPOOF."""
        return sum(self.counts[decision] for decision in DECIDED)

    @property
    def decision(self) -> SpoofDecision:
        """What all of it comes to: SPOOF if anything was; UNCERTAIN if anything could not be read.

        Else a stream is what it was at its last frame, and pictures are what all of them are, or UNCERTAIN.
        """
        if self.counts[SpoofDecision.SPOOF]:
            return SpoofDecision.SPOOF
        if self.errors or not self.frames:
            return SpoofDecision.UNCERTAIN
        (most, count), *_ = self.counts.most_common()
        return self._last or (most if count == self.frames else SpoofDecision.UNCERTAIN)

    @property
    def latency_ms(self) -> tuple[float, float] | None:
        """Median and maximum of the frames that have a score, each from its arrival to its decision; None of none."""
        return (statistics.median(self._latencies), max(self._latencies)) if self._latencies else None

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
            "latency_ms": latency and {"median": latency[0], "max": latency[1]},
        }
