"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import rich.console
import rich.progress

if TYPE_CHECKING:
    from typing_extensions import Self

PLAIN_SECONDS = 15.0
"""Least time between two plain lines of one task."""


class ProgressBar:
    """One bar."""

    def __init__(self, owner: ProgressDisplay, label: str, total: int, done: int) -> None:
        self._owner, self._label, self._total, self._done = owner, label, total, done
        self._printed = time.monotonic()
        self._bar = owner.bars.add_task(label, total=total, completed=done, note="") if owner.bars else None

    def update(self, done: int, note: str = "") -> None:
        """Set how much of the total is done."""
        self._done = done
        if self._bar is not None and self._owner.bars:
            self._owner.bars.update(self._bar, completed=done, note=note)
        elif time.monotonic() - self._printed >= PLAIN_SECONDS:
            self._printed = time.monotonic()
            self._owner.say(f"{self._label}: {done}/{self._total}  {note}".rstrip())

    def finish(self) -> None:
        """Take the bar away."""
        if self._bar is not None and self._owner.bars:
            self._owner.bars.remove_task(self._bar)


class ProgressDisplay:
    """Shows tasks on standard error; ``quiet`` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        columns = (
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[note]}"),
        )
        terminal = sys.stderr.isatty() and not quiet
        console = rich.console.Console(stderr=True)
        self.bars = rich.progress.Progress(*columns, console=console) if terminal else None
        self._reported: dict[str, ProgressBar] = {}

    def bar(self, label: str, total: int, done: int = 0) -> ProgressBar:
        """Start a bar of ``total`` units."""
        return ProgressBar(self, label, total, done)

    def report(self, label: str, done: int, total: int) -> None:
        """Show work by its reports alone: the bar comes with the first one and goes when all is done."""
        if label not in self._reported:
            self._reported[label] = self.bar(label, total)
        self._reported[label].update(done)
        if done >= total:
            self._reported.pop(label).finish()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        if self.quiet:
            return
        if self.bars:
            self.bars.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars:
            self.bars.stop()
