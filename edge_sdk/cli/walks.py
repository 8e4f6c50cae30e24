"""A walk on standard input, as ``verify``, ``identify`` and ``enroll`` read it: lines of CSV, as they come."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Parser
from edge_sdk.cli.options import report_progress
from edge_sdk.errors import RecordingDecodeError, UsageError

if TYPE_CHECKING:
    from edge_sdk.modalities.walks import WalkStream
    from edge_sdk.runtime import Verifier

STDIN = "-"
_NAME = "standard input"
_LONGEST = 1000
"""Bytes of a line: four numbers take far fewer."""


def add_cycles(parser: Parser) -> None:
    """``--cycles N``."""
    parser.add_argument(
        "--cycles",
        type=int,
        metavar="N",
        help=f"stop reading a walk from standard input ({STDIN}) after N gait cycles; default: as many as are needed",
    )


def check(paths: Sequence[str], cycles: int | None) -> None:
    """UsageError if standard input is named twice, or cycles of it are to be counted and it is not named."""
    if paths.count(STDIN) > 1:
        raise UsageError(f"{STDIN} is standard input, which holds one walk")
    if cycles is not None and STDIN not in paths:
        raise UsageError(f"--cycles is for a walk on standard input: name it {STDIN}; of files all count")


def read(verifier: Verifier, cycles: int | None, *, enrolling: bool = False) -> WalkStream:
    """Read a walk until there are enough cycles, or its end, and say on standard error how many there are.

    Args:
        cycles: How many are enough; None for what the bundle needs.
        enrolling: Whether they are to be enrolled.

    Raises:
        UsageError: The bundle takes no walks, or needs more cycles than these.
        RecordingDecodeError: A line that is not a time and three numbers, or no line.
        UnsupportedRecordingError: As :meth:`edge_sdk.modalities.walks.WalkStream.push`.
    """
    from edge_sdk import sensors

    walk = verifier.walk(enrolling=enrolling, wanted=cycles)
    if sys.stdin is None:
        raise UsageError(f"{STDIN} reads standard input, which is closed")
    rows, said = 0, 0
    for number, line in enumerate(iter(lambda: sys.stdin.buffer.readline(_LONGEST), b""), start=1):
        row = sensors.row_of(line, _NAME, number)
        if not row:
            continue
        if len(row) != 4:
            raise RecordingDecodeError(f"{_NAME}, line {number}: {len(row)} field(s); expected 4, time, x, y and z")
        rows += 1
        if walk.push(*row) != said:
            said = len(walk)
            report_progress(f"{said} of {walk.wanted} cycles")
        if walk.enough:
            return walk
    if not rows:
        raise RecordingDecodeError(f"{_NAME}: empty, no rows")
    walk.finish()
    report_progress(f"the walk has ended with {len(walk)} of {walk.wanted} cycles")
    return walk
