"""How fast a bundle is on this device, from a picture's bytes to the decision, and what it costs in memory and power.

Every configuration runs in a fresh process. Nothing is clipped; what cannot be measured is None, never a guess.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, UsageError
from edge_sdk.opencv import cv2
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import check_threads
from edge_sdk.runtime.profile.power import PowerMeter
from edge_sdk.runtime.profile.records import (
    FailedJob,
    Job,
    Machine,
    MeasuredJob,
    ProfiledJob,
    ProfileProgress,
    ProfileReport,
)
from edge_sdk.runtime.selection import AUTO, candidates, choose

# MLPerf Inference, single-stream scenario: at least so many queries and so long; the figure is the 90th percentile.
SINGLE_STREAM_CALLS = 1024
SINGLE_STREAM_S = 60.0

__all__ = ["SINGLE_STREAM_CALLS", "SINGLE_STREAM_S", "profile", "this_machine"]


def profile(
    bundle: str | os.PathLike[str] | Bundle,
    *,
    engine: str = AUTO,
    precision: str | None = None,
    threads: Sequence[int] = (1,),
    seconds: float = SINGLE_STREAM_S,
    single_stream: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> ProfileReport:
    """Measure every configuration asked for, one after the other.

    Args:
        bundle: Name of a shipped bundle, path, or an opened bundle; with at least two golden inputs.
        engine: ``"auto"`` for the one choice that an application would get, a name for that engine with each variant
            it runs, ``"all"`` for every usable engine with each.
        precision: Restricts the variants, as in :class:`edge_sdk.Verifier`.
        threads: Numbers of threads.
        seconds: Length of each run, without loading.
        single_stream: Keep MLPerf's single-stream rule, however short ``seconds`` is.
        say: Takes lines of progress.

    Raises:
        UsageError: No such engine, no sensible number of threads, no time; or a frozen application, in which no process
            of Python can be started.
        BundleError: The bundle cannot be opened, or has no such variant.
        MissingEngineError: Nothing is installed that runs it.

    A configuration that fails is a run with a ``FailedJob`` outcome: nothing is left out silently.
    """
    counts = sorted({check_threads(count) for count in threads})
    if not counts or not 0 < seconds < math.inf:
        raise UsageError("a profile takes at least one thread, and some time")
    require_interpreter()
    opened = Bundle.open(bundle)
    chosen = [
        (choice, count)
        for count in counts
        for choice in (
            [choose(opened, AUTO, precision, count)] if engine == AUTO else candidates(opened, engine, precision)
        )
    ]
    jobs = [
        Job(
            bundle=str(opened.path.resolve()),
            sha256=opened.sha256,
            engine=choice.engine,
            variant=choice.variant.id,
            threads=count,
            seconds=max(seconds, SINGLE_STREAM_S) if single_stream else seconds,
            calls=SINGLE_STREAM_CALLS if single_stream else 1,
        )
        for choice, count in chosen
    ]
    machine = this_machine()
    runs = [_run(job, f"[{number}/{len(jobs)}] {job.label}", say) for number, job in enumerate(jobs, start=1)]
    return ProfileReport(bundle_id=opened.id, machine=machine, runs=tuple(runs), single_stream=single_stream)


def _run(job: Job, label: str, say: Callable[[str], None]) -> ProfiledJob:
    def report(progress: ProfileProgress) -> None:
        say(f"{label}: {progress.seconds:.0f} of {job.seconds:.0f} s, {progress.calls} calls")

    say(f"{label}: loading")
    with PowerMeter() as meter:
        outcome = _measure(job, report)
    return ProfiledJob(job=job, outcome=outcome, power=meter.reading())


def _measure(job: Job, say: Callable[[ProfileProgress], None]) -> MeasuredJob | FailedJob:
    """ProfiledJob the job in a fresh process and pass its progress on."""
    command = [sys.executable, "-m", "edge_sdk.runtime.profile.worker", msgspec.json.encode(job).decode()]
    # A zip application and whoever has changed sys.path are followed.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    last: MeasuredJob | FailedJob | None = None
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process,
    ):
        assert process.stdout is not None, "it was asked for"
        try:
            for line in process.stdout:
                record = msgspec.json.decode(line, type=ProfileProgress | MeasuredJob | FailedJob)
                if isinstance(record, ProfileProgress):
                    say(record)
                else:
                    last = record
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        errors.seek(0)
        words = errors.read().decode(errors="replace").strip()
    if last is not None:
        return last
    reason = f"killed by signal {-code}, perhaps for want of memory" if code < 0 else f"exit code {code}"
    return FailedJob(
        error=EngineError.__name__, message=f"the process ended without a result: {reason}. {words[-500:]}"
    )


def require_interpreter() -> None:
    """Raise ``UsageError`` where no process of Python can be started: in a program made by PyInstaller and its like.

    There ``sys.executable`` is the program itself, which would start once more.
    """
    if getattr(sys, "frozen", False) or "__compiled__" in globals() or not sys.executable:
        raise UsageError(
            "a profile starts processes of Python, which a frozen application has not: on this device install edge-sdk "
            "into a Python of its own and run edge-sdk profile there"
        )


def this_machine() -> Machine:
    """What a profile says of the machine at hand."""
    return Machine(
        processor=device.processor(),
        cores=os.cpu_count(),
        instruction_set=device.instruction_set(),
        governor=device.governor(),
        load_average=device.load_average(),
        system=platform.platform(),
        versions={
            "edge-sdk": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    )
