"""How ``edge-sdk spoof`` shows what it sees: lines of JSON, or text that follows a stream."""

from __future__ import annotations

import json
import math
import shutil
import sys
from typing import Any, Protocol

from edge_sdk.cli.tally import Tally
from edge_sdk.errors import EdgeSdkError
from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult


class View(Protocol):
    """Told of everything as it comes."""

    def picture(self, source: str, result: SpoofResult) -> None:
        """Show a picture that was judged by itself."""

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """Show frame ``index``, from 0, of a stream, and what is known after it."""

    def error(self, source: str, error: EdgeSdkError) -> None:
        """Show what could not be read, or could not be read on."""

    def summary(self, tally: Tally) -> None:
        """Show what a stream, or pictures, came to."""


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

    def summary(self, tally: Tally) -> None:
        """``{"summary": ...}``."""
        self._print({"summary": tally.as_dict()})

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
        """Decision, score, number of faces, name, and what is wrong with the picture."""
        flags = f": {', '.join(result.quality)}" if result.quality else ""
        print(f"{_told(result.decision, result)}   {source}{flags}")

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """Seconds since the first frame, decision over time, score and number of faces of this frame, reasons."""
        del source
        if index == 0:
            self._shown, self._start = None, result.time
        state = (result.decision, result.reasons)
        if not self._terminal and state == self._shown:
            return
        self._shown = state
        line = (
            f"{result.time - self._start:8.2f} s  {_told(result.decision, result.frame)}   {', '.join(result.reasons)}"
        )
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

    def summary(self, tally: Tally) -> None:
        """Decision, counts, the first decision and latencies; nothing of what one line has told already."""
        self._end_line()
        if not tally.frames or (tally.source is None and tally.frames + tally.errors == 1):
            return
        counts = ", ".join(
            f"{decision.name} {tally.counts[decision]}" for decision in SpoofDecision if tally.counts[decision]
        )
        what = f"{tally.source}: {tally.frames} frames" if tally.source else f"{tally.frames} pictures"
        lines = [f"{tally.decision.name:<11}{what}, {tally.decided} decided{': ' if counts else ''}{counts}"]
        if tally.errors:
            lines.append(f"{tally.errors} could not be read")
        if first := tally.first:
            lines.append(f"first {first.decision.name} after {first.seconds:.2f} s, {first.frames} frames")
        if latency := tally.latency_ms:
            lines.append(f"{latency[0]:.1f} ms each (median), at most {latency[1]:.1f} ms")
        print(f"\n{'':<11}".join(lines), flush=True)

    def _end_line(self) -> None:
        """What was rewritten stands from here on."""
        if self._terminal and self._shown is not None:
            print()
        self._shown = None


def _told(decision: SpoofDecision, frame: SpoofResult) -> str:
    score = "no score" if math.isnan(frame.score) else f"{frame.score:.4f}"
    faces = f"{len(frame.faces)} face{'' if len(frame.faces) == 1 else 's'}"
    return f"{decision.name:<9}  {score:>10}  {faces}"
