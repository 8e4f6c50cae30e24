"""The slowest of many calls, and what they leave in memory: one loop of ``verify``, as it runs for days in a car.

    python benchmarks/real_time.py deepsign [--engine onnxruntime] [--precision fp32] [--calls 20000] [--busy] [--pin]
        [--collector off] [--opencv-threads 1]

A template is compared with a decoded scan of 600 x 380 pixels, one thread. ``--busy`` has a child process spin on
another core meanwhile, ``--pin`` keeps the loop on the first core and the child on the last, ``--collector`` turns
Python's garbage collector ``off``, or leaves the objects of the start out of it (``freeze``), and ``--opencv-threads``
is for ``cv2.setNumThreads``, which edge-sdk leaves alone. Times are by the clock on
the wall; what of the slowest calls was not this process' own is the waiting for a core, which the context switches that
it did not ask for count. ``--calls 100000`` shows whether resident memory stays.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk import Verifier, images
from edge_sdk.bundle import Bundle
from edge_sdk.opencv import cv2
from edge_sdk.runtime import device

WARM = 2_500
"""Calls before memory is read: until then CPython fills what it keeps of freed tuples, 2,000 of each length."""


@dataclass(frozen=True)
class Loop:
    """What a loop of calls took, and what it left.

    Attributes:
        wall, own: Milliseconds of each call, by the clock on the wall and on the processor of this thread.
        resident: Bytes before the first call and after the last.
        blocks: Of Python's allocator, that the loop left.
        preempted: Context switches that the process did not ask for.
        faults: Pages that the kernel had to give.
        collections: Runs of the garbage collector.
    """

    wall: NDArray[np.float64]
    own: NDArray[np.float64]
    resident: tuple[int, int]
    blocks: int
    preempted: int
    faults: int
    collections: int


def measured(verifier: Verifier, scan: images.Image, calls: int) -> Loop:
    """Call ``verify`` so often, after :data:`WARM` calls that do not count."""
    template = verifier.enroll(scan)
    times = np.zeros((calls, 2))
    for _ in range(WARM):
        verifier.verify(template, scan)
    resident, blocks = _resident(), sys.getallocatedblocks()
    runs, usage = _collections(), resource.getrusage(resource.RUSAGE_SELF)
    for taken in times:
        wall, own = time.perf_counter_ns(), time.thread_time_ns()
        verifier.verify(template, scan)
        taken[:] = time.perf_counter_ns() - wall, time.thread_time_ns() - own
    now = resource.getrusage(resource.RUSAGE_SELF)
    return Loop(
        wall=times[:, 0] / 1e6,
        own=times[:, 1] / 1e6,
        resident=(resident, _resident()),
        blocks=sys.getallocatedblocks() - blocks,
        preempted=now.ru_nivcsw - usage.ru_nivcsw,
        faults=now.ru_minflt - usage.ru_minflt,
        collections=_collections() - runs,
    )


@contextlib.contextmanager
def busy(core: int | None) -> Iterator[None]:
    """A child process that never waits."""
    child = multiprocessing.get_context("spawn").Process(target=_spin, args=(core,), daemon=True)
    child.start()
    try:
        yield
    finally:
        child.kill()
        child.join()


def _spin(core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    while True:
        pass


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _collections() -> int:
    return sum(int(one["collections"]) for one in gc.get_stats())


def scan_of(bundle: Bundle) -> images.Image:
    """The bundle's last golden picture, 600 x 380."""
    picture = images.load(bundle.read(bundle.manifest.golden.inputs[-1]))
    return np.asarray(cv2.resize(picture, (600, 380), interpolation=cv2.INTER_AREA), np.uint8)


def shown(loop: Loop) -> Iterator[str]:
    for name, times in (("wall", loop.wall), ("own", loop.own)):
        at = {f"p{100 * share:g}": np.quantile(times, share) for share in (0.5, 0.9, 0.99, 0.999)}
        numbers = "  ".join(f"{key} {value:.3f}" for key, value in at.items())
        yield f"{name:4} ms: {numbers}  max {times.max():.3f}  p99.9 / p50 {at['p99.9'] / at['p50']:.2f}"
    before, after = loop.resident
    yield f"resident memory: {before / 2**20:.1f} MiB before, {after / before - 1:+.2%}; page faults {loop.faults}"
    yield f"blocks of Python's allocator: {loop.blocks:+d}; runs of the garbage collector: {loop.collections}"
    yield f"context switches not asked for: {loop.preempted}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--collector", choices=["on", "freeze", "off"], default="on")
    parser.add_argument("--opencv-threads", type=int, metavar="N")
    arguments = parser.parse_args()
    if arguments.opencv_threads is not None:
        cv2.setNumThreads(arguments.opencv_threads)
    first, *_, last = sorted(os.sched_getaffinity(0)) * 2
    if arguments.pin:
        os.sched_setaffinity(0, {first})
    bundle = Bundle.open(arguments.bundle)
    spinning = busy(last if arguments.pin else None) if arguments.busy else contextlib.nullcontext()
    with Verifier(bundle, engine=arguments.engine, precision=arguments.precision, warm_up=True) as verifier, spinning:
        if arguments.collector != "on":
            gc.collect()
            gc.freeze()
        if arguments.collector == "off":
            gc.disable()
        loop = measured(verifier, scan_of(bundle), arguments.calls)
        print(f"{verifier.bundle.id} {verifier.variant.id} on {verifier.engine}, {arguments.calls} calls")
    print(f"{device.instruction_set()}, {device.processor()}")
    print("\n".join(shown(loop)))


if __name__ == "__main__":
    main()
