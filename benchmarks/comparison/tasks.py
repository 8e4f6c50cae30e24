"""The tasks of a worker, and what each build calls by another name."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Task = Callable[..., Any]
TASKS: dict[str, Task] = {}
OPENED: dict[str, Callable[[], object]] = {}
"""What there is to be timed, by name."""

F = TypeVar("F", bound=Task)


def task(function: F) -> F:
    """Let the worker do it, under its name."""
    TASKS[function.__name__] = function
    return function


@task
def time_calls(name: str, count: int, wall: bool = False) -> list[float]:
    """Milliseconds of each of ``count`` calls, after one more: the processor's, or of the clock on the wall."""
    call, clock = OPENED[name], time.perf_counter if wall else time.process_time
    call()
    times = []
    for _ in range(count):
        start = clock()
        call()
        times.append((clock() - start) * 1e3)
    return times


@task
def memory(name: str, count: int, warm: int) -> dict[str, Any]:
    """How memory grows over calls: resident bytes, blocks of Python's allocator, and runs of the garbage collector."""
    call = OPENED[name]
    for _ in range(warm):
        call()
    gc.collect()
    collected = sum(one["collections"] for one in gc.get_stats())
    first, blocks, runs = resident(), [0, 0, 0], 0
    for part in range(3):
        for _ in range(count // 3):
            call()
        runs = sum(one["collections"] for one in gc.get_stats()) - collected - part
        gc.collect()
        blocks[part] = sys.getallocatedblocks()
    return {"before": first, "after": resident(), "blocks": blocks[2] - blocks[1], "collections": runs}


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def variant_of(session: Any) -> Any:
    """What a session runs; once an "artifact"."""
    return session.variant if hasattr(session, "variant") else session.artifact


def model_of(bundle: Any, variant: str) -> bytes:
    """The model of a variant with one graph."""
    read = getattr(bundle, "read_model", None) or bundle.read_artifact
    return bytes(read(variant))


def operations_of(bundle: Any) -> Any:
    """The pre-processing."""
    manifest = bundle.manifest
    return manifest.preprocessing if hasattr(manifest, "preprocessing") else manifest.inputs[0].preprocessing
