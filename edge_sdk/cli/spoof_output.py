"""What ``edge-sdk spoof`` prints: lines of JSON, or text that follows a stream; and the summary at their end."""

from __future__ import annotations

import math
import shutil
from typing import Protocol

from edge_sdk.cli import output
from edge_sdk.cli.output import printable
from edge_sdk.cli.spoof_summary import Summary
from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult


class SpoofOutput(Protocol):
    """Gets every result as it comes."""

    def picture(self, source: str, result: SpoofResult) -> None:
        """Show the result of a single picture."""

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """Show frame ``index``, from 0, of a stream, and what is known after it."""

    def error(self, source: str, error: Exception) -> None:
        """Show what could not be read, or could not be read on."""

    def skipped(self, source: str, reason: str) -> None:
        """Show what was passed over in a folder."""

    def summary(self, summary: Summary) -> None:
        """Show the summary of a stream, or of pictures."""


class JsonLines:
    """One object a line."""

    def picture(self, source: str, result: SpoofResult) -> None:
        """``{"source": ..., "decision": ...}``: the result as it is."""
        output.show_json({"source": source, **result.as_dict()})

    def frame(self, source: str, index: int, result: StreamResult) -> None:
        """``{"source": ..., "index": ..., "decision": ...}``: the result as it is."""
        output.show_json({"source": source, "index": index, **result.as_dict()})

    def error(self, source: str, error: Exception) -> None:
        """``{"source": ..., "error": ...}``, as an error of other commands."""
        output.show_json({"source": source, "error": output.described(error)})

    def skipped(self, source: str, reason: str) -> None:
        """``{"source": ..., "skipped": "the reason"}``."""
        output.show_json({"source": source, "skipped": reason})

    def summary(self, summary: Summary) -> None:
        """``{"summary": ...}``."""
        output.show_json({"summary": summary.as_dict()})


class Text:
    """Lines for people. Of a stream a terminal shows one line, rewritten; a file gets a line for each change."""

    def __init__(self) -> None:
        self._terminal = output.is_terminal()
        self._shown: tuple[SpoofDecision, tuple[str, ...]] | None = None
        self._start = 0.0

    def picture(self, source: str, result: SpoofResult) -> None:
        """Decision, score, number of faces, name, and its quality flags."""
        flags = f": {', '.join(result.quality)}" if result.quality else ""
        output.show(f"{_describe(result.decision, result)}   {printable(source)}{flags}")

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
            output.rewrite(line, shutil.get_terminal_size().columns - 1)
        else:
            output.show(line)

    def error(self, source: str, error: Exception) -> None:
        """On standard error, as the errors of other commands; the message names the source."""
        del source
        self._end_line()
        output.say(f"edge-sdk: {type(error).__name__}: {error}")

    def skipped(self, source: str, reason: str) -> None:
        """On standard error."""
        output.say(f"edge-sdk: skipped {printable(source)}: {reason}")

    def summary(self, summary: Summary) -> None:
        """Decision, counts, the first decision and latencies; nothing for a single picture, whose line says it all."""
        self._end_line()
        if not summary.frames or (summary.source is None and summary.frames + summary.errors == 1):
            return
        counts = ", ".join(
            f"{decision.name} {summary.counts[decision]}" for decision in SpoofDecision if summary.counts[decision]
        )
        what = (
            f"{printable(summary.source)}: {summary.frames} frames" if summary.source else f"{summary.frames} pictures"
        )
        lines = [f"{summary.decision.name:<11}{what}, {summary.decided} decided{': ' if counts else ''}{counts}"]
        if summary.errors:
            lines.append(f"{summary.errors} could not be judged")
        if summary.skipped:
            lines.append(f"{summary.skipped} skipped: neither pictures nor videos")
        if first := summary.first:
            lines.append(f"first {first.decision.name} after {first.seconds:.2f} s, {first.frames} frames")
        if latency := summary.latency_ms:
            lines.append(f"{latency[0]:.1f} ms each (median), at most {latency[1]:.1f} ms")
        output.show(f"\n{'':<11}".join(lines))

    def _end_line(self) -> None:
        """Keep the line that was rewritten so far."""
        if self._terminal and self._shown is not None:
            output.end_line()
        self._shown = None


def _describe(decision: SpoofDecision, frame: SpoofResult) -> str:
    score = "no score" if math.isnan(frame.score) else f"{frame.score:.4f}"
    faces = f"{len(frame.faces)} face{'' if len(frame.faces) == 1 else 's'}"
    return f"{decision.name:<9}  {score:>10}  {faces}"
