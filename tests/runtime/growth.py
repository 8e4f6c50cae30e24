"""How much Python memory calls leave behind."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

SLACK = 512
"""Bytes that a measurement itself takes."""


def kept(call: Callable[[], Any], calls: int = 60, stretches: int = 4) -> int:
    """Bytes that ``calls`` calls leave, numpy's among them, beyond :data:`SLACK`; without the garbage collector.

    It is the least of several stretches: what grows grows in each, and Python and numpy keep up to 80 freed objects of
    a kind for the next one, which fills up in the first.

    Raises:
        AssertionError: The calls made reference cycles, which only the garbage collector frees.
    """
    for _ in range(5):
        call()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        marks = [_traced_after(call, calls) for _ in range(stretches + 1)]
        cycles = gc.collect()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert cycles == 0, f"the calls left {cycles} objects in cycles"
    return max(0, min(after - before for before, after in itertools.pairwise(marks)) - SLACK)


def _traced_after(call: Callable[[], Any], calls: int) -> int:
    for _ in range(calls):
        call()
    return tracemalloc.get_traced_memory()[0]
