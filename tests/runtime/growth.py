"""How much Python memory calls leave behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

CALLS = 40
MOST = 8 * 1024
"""Bytes that :data:`CALLS` calls may leave: Python and numpy keep some freed objects for the next ones of a kind."""


def kept(call: Callable[[], Any]) -> int:
    """Bytes that :data:`CALLS` calls leave once they are warm, numpy's among them, without the garbage collector.

    The lesser of two measurements, for what grows grows in both.

    Raises:
        AssertionError: The calls made reference cycles, which only the garbage collector frees.
    """
    gc.collect()
    gc.disable()
    _fill_kept_tuples()
    tracemalloc.start()
    try:
        marks = [_traced_after(call) for _ in range(3)]
        cycles = gc.collect()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert cycles == 0, f"the calls left {cycles} objects in cycles"
    return min(marks[1] - marks[0], marks[2] - marks[1])


def _traced_after(call: Callable[[], Any]) -> int:
    for _ in range(CALLS):
        call()
    return tracemalloc.get_traced_memory()[0]


def _fill_kept_tuples() -> None:
    """Python keeps 2,000 freed tuples of each length below 20; a tuple of a generator adds one, and takes none."""
    for length in range(1, 20):
        made = [tuple([None] * length) for _ in range(2000)]
        del made
