"""What ``edge-sdk spoof`` prints: lines of JSON, or text that follows a stream; and the summary at their end."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge_sdk.errors import EdgeSdkError
from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult

DECIDED = (SpoofDecision.LIVE, SpoofDecision.SPOOF)


@dataclass(frozen=True)
class FirstDecision:
    """The first LIVE or SPOOF of a stream: when, in seconds since its first frame, and after how many frames."""

    decision: SpoofDecision
    seconds: float
    frames: int


@dataclass
class Summary:
    """Counts the results of one stream, or of pictures that were scored one by one.

    ``source``: the stream's name, None of pictures. ``errors``: what could not be read, or ended the stream.
    """

    source: str | None = None
    errors: int = 0
    counts: Counter[SpoofDecision] = field(default_factory=Counter, init=False)
    first: FirstDecision | None = field(default=None, init=False)
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
                self.first = FirstDecision(result.decision, result.time - self._begin, self.frames)
            self._last = result.decision
        if not math.isnan(frame.score):  # a frame without a score costs next to nothing
            self._latencies.append(frame.timings.total_ms)

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

        Else that of a stream's last frame; of pictures the one that all of them share, or UNCERTAIN.
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


class SpoofOutput(Protocol):
    """Gets every result as it comes."""

    def picture(self, source: str, result: SpoofResult) -> None:
        """Show the result of a single picture."""

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """Show frame ``index``, from 0, of a stream, and what is known after it."""

    def error(self, source: str, error: EdgeSdkError) -> None:
        """Show what could not be read, or could not be read on."""

    def summary(self, summary: Summary) -> None:
        """Show the summary of a stream, or of pictures."""


class JsonLines:
    """One object a line."""

    def picture(self, source: str, result: SpoofResult) -> None:
        """``{"source": ..., "decision": ...}``: the result as it is."""
        self._print({"source": source, **result.as_dict()})

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """``{"source": ..., "index": ..., "decision": ...}``: the result as it is."""
        self._print({"source": source, "index": index, **result.as_dict()})

    def error(self, source: str, error: EdgeSdkError) -> None:
        """``{"source": ..., "error": ...}``, as an error of other commands."""
        self._print({"source": source, "error": {"type": type(error).__name__, "message": str(error)}})

    def summary(self, summary: Summary) -> None:
        """``{"summary": ...}``."""
        self._print({"summary": summary.as_dict()})

    @staticmethod
    def _print(values: dict[str, Any]) -> None:
        print(json.dumps(values, allow_nan=False), flush=True)


class Text:
    """Lines for people. Of a stream a terminal shows one line, rewritten; a file gets a line for each change."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._shown: tuple[SpoofDecision, tuple[str, ...]] | None = None
        self._start = 0.0

    def picture(self, source: str, result: SpoofResult) -> None:
        """Decision, score, number of faces, name, and its quality flags."""
        flags = f": {', '.join(result.quality)}" if result.quality else ""
        print(f"{_describe(result.decision, result)}   {source}{flags}")

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """Seconds since the first frame, decision over time, score and number of faces of this frame, reasons."""
        del source
        if index == 0:
            self._shown, self._start = None, result.time
        state = (result.decision, result.reasons)
        if not self._terminal and state == self._shown:
            return
        self._shown = state
        shown = f"{_describe(result.decision, result.frame)}   {', '.join(result.reasons)}"
        line = f"{result.time - self._start:8.2f} s  {shown}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{line[:width]:<{width}}", end="", flush=True)
        else:
            print(line, flush=True)

    def error(self, source: str, error: EdgeSdkError) -> None:
        """On standard error, as the errors of other commands; the message names the source."""
        del source
        self._end_line()
        print(f"edge-sdk: {type(error).__name__}: {error}", file=sys.stderr)

    def summary(self, summary: Summary) -> None:
        """Decision, counts, the first decision and latencies; nothing for a single picture, whose line says it all."""
        self._end_line()
        if not summary.frames or (summary.source is None and summary.frames + summary.errors == 1):
            return
        counts = ", ".join(
            f"{decision.name} {summary.counts[decision]}" for decision in SpoofDecision if summary.counts[decision]
        )
        what = f"{summary.source}: {summary.frames} frames" if summary.source else f"{summary.frames} pictures"
        lines = [f"{summary.decision.name:<11}{what}, {summary.decided} decided{': ' if counts else ''}{counts}"]
        if summary.errors:
            lines.append(f"{summary.errors} could not be read")
        if first := summary.first:
            lines.append(f"first {first.decision.name} after {first.seconds:.2f} s, {first.frames} frames")
        if latency := summary.latency_ms:
            lines.append(f"{latency[0]:.1f} ms each (median), at most {latency[1]:.1f} ms")
        print(f"\n{'':<11}".join(lines), flush=True)

    def _end_line(self) -> None:
        """Keep the line that was rewritten so far."""
        if self._terminal and self._shown is not None:
            print()
        self._shown = None


def _describe(decision: SpoofDecision, frame: SpoofResult) -> str:
    score = "no score" if math.isnan(frame.score) else f"{frame.score:.4f}"
    faces = f"{len(frame.faces)} face{'' if len(frame.faces) == 1 else 's'}"
    return f"{decision.name:<9}  {score:>10}  {faces}"
