"""What a line of the audit costs: alone, and as a part of ``verify``.

    python benchmarks/audit.py [deepsign] [--engine onnxruntime] [--calls 2000] [--folder PATH] [--opencv-threads 1]

Lines are written into ``--folder``, whose disk is measured with ``sync``; by default a temporary folder, which may lie
in memory. A session with an audit and one without take turns, call by call, so that what else runs on the machine meets
both. Times are medians, with the 99th percentile, by the clock on the wall, and of ``verify`` also by the processor's,
which others do not disturb and which does not count waiting for the disk. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from edge_sdk import AuditLog, Verifier
from edge_sdk.opencv import cv2
from edge_sdk.runtime import device

THREADS = 4
LINE = b"x" * 750


def microseconds(call: Callable[[], object]) -> tuple[float, float]:
    """By the clock on the wall, and on the processor of this thread."""
    wall, own = time.perf_counter(), time.thread_time()
    call()
    return (time.perf_counter() - wall) * 1e6, (time.thread_time() - own) * 1e6


def spread(taken: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in microseconds."""
    return {"median_us": float(np.median(taken)), "p99_us": float(np.percentile(taken, 99))}


def line_alone(folder: Path, calls: int, *, sync: bool, threads: int = 1) -> dict[str, float]:
    """A line of the usual length, written by one thread or by several at once."""
    with AuditLog(folder / f"line-{sync}-{threads}.jsonl", sync=sync) as log, ThreadPoolExecutor(threads) as pool:
        return spread([wall for wall, _ in pool.map(lambda _: microseconds(lambda: log.append(LINE)), range(calls))])


def verifying(arguments: argparse.Namespace, folder: Path, *, sync: bool) -> dict[str, float]:
    """``verify`` of a decoded picture against a template, with an audit and without: how much longer it takes."""
    path = folder / f"verify-{sync}.jsonl"
    with (
        AuditLog(path, sync=sync) as log,
        Verifier(arguments.bundle, engine=arguments.engine, faces="aligned", warm_up=True) as plain,
        Verifier(arguments.bundle, engine=arguments.engine, faces="aligned", warm_up=True, audit=log) as audited,
    ):
        picture = plain.bundle.read(plain.bundle.manifest.golden.inputs[-1])
        template = plain.enroll(picture)
        taken: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(arguments.calls):
            for with_audit, verifier in ((False, plain), (True, audited)):
                taken[with_audit].append(microseconds(partial(verifier.verify, template, picture)))
    (wall, own), (audited_wall, audited_own) = (np.median(taken[with_audit], axis=0) for with_audit in (False, True))
    return {
        "without_us": wall,
        "with_us": audited_wall,
        "added_us": audited_wall - wall,
        "added_processor_us": audited_own - own,
        "added_processor_share": (audited_own - own) / own,
        "line_bytes": path.stat().st_size / arguments.calls,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", default="deepsign")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--opencv-threads", type=int, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.opencv_threads)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="edge-sdk-audit-") as name:
        folder = Path(name)
        found = {
            "line": line_alone(folder, arguments.calls, sync=False),
            "line, sync": line_alone(folder, arguments.calls, sync=True),
            f"line, {THREADS} threads": line_alone(folder, arguments.calls, sync=False, threads=THREADS),
        }
        calls = {
            "verify": verifying(arguments, folder, sync=False),
            "verify, sync": verifying(arguments, folder, sync=True),
        }
    print(f"{device.instruction_set()}; {arguments.bundle}, {arguments.calls} calls")
    for label, times in found.items():
        print(f"{label:18} {times['median_us']:9.1f} us, p99 {times['p99_us']:.1f} us")
    for label, times in calls.items():
        print(
            f"{label:18} {times['without_us']:9.1f} us without, {times['with_us']:.1f} us with; of the processor "
            f"{times['added_processor_us']:+.1f} us ({times['added_processor_share']:+.2%}); "
            f"lines of {times['line_bytes']:.0f} bytes"
        )
    print(json.dumps(found | calls))


if __name__ == "__main__":
    main()
