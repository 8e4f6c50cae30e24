"""The two builds: an interpreter each, a worker in it, and turns between them. Standard library only.

This process stays small: where a child's memory is measured, Linux counts that of the process it was forked from.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

BENCHMARKS = Path(__file__).resolve().parent.parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
INSTRUCTIONS: Mapping[str, Mapping[str, str]] = {
    "native": {},
    "avx2": {"EDGE_SDK_INSTRUCTIONS": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
"""What is set to measure as on another processor. ONNX Runtime's and XNNPACK's own kernels do not obey."""
NOT_HERE = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "PYTHONSTARTUP")
"""What would slow numpy's products down, or bring another build in."""

T = TypeVar("T")


class RowError(Exception):
    """A row cannot be measured, and why."""


@dataclass
class Process:
    """What a command took: wall seconds, the highest resident memory in MiB, exit status, and what it printed."""

    seconds: float
    mib: float
    status: int
    printed: str


class Build:
    """One build, in the interpreter of its own environment.

    Args:
        label: What the table calls it.
        python: The interpreter.
        path: A checkout to take the package from, in place of the one that is installed; None takes that.
        settings: Environment variables.
        scratch: A folder for what the build stores unasked: nothing that was tuned here before counts.

    Attributes:
        modules: Where its worker's tasks are; none are those of a build.
    """

    def __init__(self, label: str, python: str, path: str | None, settings: Mapping[str, str], scratch: Path) -> None:
        self.label, self.python = label, python
        self.scratch = scratch
        self.environment = {key: value for key, value in os.environ.items() if key not in NOT_HERE}
        self.environment |= ONE_THREAD | dict(settings) | self.folders(scratch)
        if path:
            self.environment["PYTHONPATH"] = path
        self.modules: tuple[str, ...] = ()
        self._own_path = path
        self._worker: subprocess.Popen[str] | None = None

    @staticmethod
    def folders(scratch: Path) -> dict[str, str]:
        """Variables that put caches and settings below a folder."""
        return {
            "EDGE_SDK_CACHE": str(scratch / "cache"),
            "EDGE_SDK_CONFIG": str(scratch / "config"),
            "EDGE_SDK_TUNING": str(scratch / "config" / "tuning.json"),
            "XDG_CACHE_HOME": str(scratch / "xdg-cache"),
            "XDG_CONFIG_HOME": str(scratch / "xdg-config"),
        }

    def ask(self, task: str, **arguments: Any) -> Any:
        """Let the worker do a task of the ``tasks_*`` modules, and return what it gives.

        Raises:
            RowError: The task failed, or this build cannot do it.
        """
        if self._worker is None:
            self._worker = self._start()
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        try:
            self._worker.stdin.write(json.dumps({"task": task, "arguments": arguments}) + "\n")
            self._worker.stdin.flush()
            line = self._worker.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._worker.wait()
            self._worker = None
            raise RowError(f"{self.label}: the worker ended with {status} at {task}")
        answer = json.loads(line)
        if "error" in answer:
            raise RowError(f"{self.label}: {answer['error']}")
        return answer["value"]

    def _start(self) -> subprocess.Popen[str]:
        paths = [str(BENCHMARKS)] + ([self._own_path] if self._own_path else [])
        return subprocess.Popen(
            [self.python, "-m", "comparison.worker", *self.modules],
            env=self.environment | {"PYTHONPATH": os.pathsep.join(paths)},
            cwd=self.scratch,  # not this checkout's root, where another edge_sdk may lie
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fresh(self) -> None:
        """End the worker: the next task gets a new one."""
        if self._worker is not None:
            self._worker.communicate()  # no more tasks: it ends
            self._worker = None

    def run(self, code: str, *arguments: str, settings: Mapping[str, str] | None = None) -> Process:
        """Run Python code in a fresh process.

        Raises:
            RowError: It ended with another status than 0 or 1, which is an answer of edge-sdk.
        """
        start = time.perf_counter()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                [self.python, "-c", code, *arguments],
                env=self.environment | dict(settings or {}),
                cwd=self.scratch,
                stdout=output,
                stderr=errors,
            )
            _, raw, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - start
            child.returncode = os.waitstatus_to_exitcode(raw)  # it was waited for
            output.seek(0)
            errors.seek(0)
            printed, complaint = output.read().decode(), errors.read().decode()
        if child.returncode not in {0, 1} or (child.returncode == 1 and "Traceback" in complaint):
            raise RowError(f"{self.label}: {code} ended with {child.returncode}: {complaint.strip()[-300:]}")
        return Process(
            seconds, usage.ru_maxrss / (1024 if sys.platform == "linux" else 2**20), child.returncode, printed
        )


@dataclass
class Bench:
    """What a row needs to be measured.

    Attributes:
        before: The baseline.
        now: This build.
        data: A folder with the data sets, one folder each.
        scratch: A folder for files that both builds read.
        quick: Measure less: for development, not for a page.
    """

    before: Build
    now: Build
    data: Path
    scratch: Path
    quick: bool
    instructions: str
    notes: list[str] = field(default_factory=list)

    @property
    def builds(self) -> tuple[Build, Build]:
        """Both, the baseline first."""
        return self.before, self.now

    def less(self, usual: int, quick: int) -> int:
        """How many there are to be."""
        return quick if self.quick else usual

    def folder(self, name: str) -> Path:
        """A data set's folder.

        Raises:
            RowError: It is not there.
        """
        folder = self.data / name
        if not folder.is_dir():
            raise RowError(f"needs {name} in the folder of data (--data)")
        return folder

    def turns(
        self, contestants: Sequence[tuple[Build, str]], rounds: int, block: int, **options: Any
    ) -> list[list[float]]:
        """The milliseconds of each call of each contestant: blocks of calls in turns.

        Of each block one call more is made first, which only fills the caches again.

        Args:
            contestants: A build, and the name of what its worker has opened.
            rounds: Turns of each.
            block: Calls of a turn.
            options: Those of the task ``time_calls``.
        """
        taken: list[list[float]] = [[] for _ in contestants]
        for _ in range(rounds):
            for times, (build, name) in zip(taken, contestants, strict=True):
                times.extend(build.ask("time_calls", name=name, count=block, **options))
        return taken

    def starts(self, commands: Sequence[tuple[Build, str, Sequence[str]]], rounds: int) -> list[list[Process]]:
        """What fresh processes take, in turns; a first turn fills the file cache and is not among them."""
        taken: list[list[Process]] = [[] for _ in commands]
        for turn in range(rounds + 1):
            for processes, (build, code, arguments) in zip(taken, commands, strict=True):
                process = build.run(code, *arguments)
                if turn:
                    processes.append(process)
        return taken

    @contextmanager
    def second_core_busy(self) -> Iterator[bool]:
        """Keep another core busy than the one that the workers are on; whether there is one."""
        others = sorted(os.sched_getaffinity(0))[1:]
        if not others:
            yield False
            return
        load = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: sum(range(100000))"
        busy = subprocess.Popen([sys.executable, "-c", load, str(others[0])])
        try:
            yield True
        finally:
            busy.kill()
            busy.wait()


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share does not exceed: one that was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the middle half in brackets."""
    low, high = quantile(values, 0.25), quantile(values, 0.75)
    return f"{statistics.median(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
