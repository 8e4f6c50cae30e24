"""Which engine and artifact are fastest here: measured when a person asks for it, and never otherwise."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edge_sdk import images, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, UsageError
from edge_sdk.manifest import Image, UnsupportedPoint
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import Engine, Tensors, load_engine, version
from edge_sdk.runtime.selection import Choice, candidates
from edge_sdk.runtime.selftest import replay
from edge_sdk.runtime.tuning_store import Tuned

MIN_ROUNDS = 3
MIN_PASSES = 3  # a round, after one that only fills the caches again
TURN_S = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True)
class TimedRun:
    """One engine, artifact and number of threads, measured over ``passes`` passes, or why it is not eligible."""

    engine: str
    artifact: str
    threads: int
    size: int  #: bytes of the artifact
    median_ms: float | None = None
    p99_ms: float | None = None
    passes: int = 0
    excluded: str = ""


@dataclass
class _Runner:
    run: TimedRun
    engine: Engine
    milliseconds: list[float] = field(default_factory=list)

    def turn(self, inputs: Sequence[Tensors], seconds: float) -> None:
        """Run for so long, but at least :data:`MIN_PASSES` times."""
        self.engine.run(inputs[0])
        end = time.perf_counter() + seconds
        done = 0
        while done < MIN_PASSES or time.perf_counter() < end:
            start = time.perf_counter()
            self.engine.run(inputs[done % len(inputs)])
            self.milliseconds.append((time.perf_counter() - start) * 1e3)
            done += 1

    def measured(self) -> TimedRun:
        """The run with its quantiles; p99 is a pass that was measured, not a value between two."""
        ordered = sorted(self.milliseconds)
        p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
        return replace(self.run, median_ms=statistics.median(ordered), p99_ms=p99, passes=len(ordered))


def tune(
    bundle: str | os.PathLike[str] | Bundle,
    *,
    threads: Sequence[int] = (1,),
    seconds: float = 10.0,
    say: Say = lambda _: None,
) -> tuple[TimedRun, ...]:
    """Measure one pass of the engine on the golden inputs, for every usable engine, artifact and number of threads.

    They take turns, so that a clock that slows down slows all alike; all are in memory at once. Accuracy is not for
    sale: an artifact without operating points of its own is excluded, and so is an engine that does not give the
    golden score.

    Args:
        bundle: Name of a shipped bundle, path, or an opened bundle.
        threads: Numbers of threads; each gets a choice of its own.
        seconds: How long to measure in all; every candidate has at least :data:`MIN_ROUNDS` turns.
        say: Takes a line of progress.

    Returns:
        The runs, the fastest first, excluded ones last.

    Raises:
        BundleError: The bundle cannot be opened, has no golden input, or nothing that runs here.
        UsageError: No thread, or no time.
        EngineError: Every candidate is excluded; the message says why.
    """
    if not threads or min(threads) < 1 or not seconds > 0:
        raise UsageError("tuning takes at least one thread, and some time")
    opened = Bundle.open(bundle)
    inputs, pictures = _golden(opened)
    runners: list[_Runner] = []
    excluded: list[TimedRun] = []
    try:
        for choice, count in itertools.product(candidates(opened), sorted(set(threads))):
            run = TimedRun(choice.engine, choice.artifact.id, count, choice.artifact.file.size)
            if reason := _objection(opened, choice, count, pictures):
                excluded.append(replace(run, excluded=reason))
            else:
                model = opened.read_artifact(choice.artifact.id)
                engine = load_engine(choice.engine, model, choice.artifact.format, threads=count)
                runners.append(_Runner(run, engine))
        if not runners:
            reasons = "; ".join(f"{run.engine} {run.artifact}: {run.excluded}" for run in excluded)
            raise EngineError(f"{opened.id} has nothing to choose from: {reasons}")
        _race(runners, inputs, seconds, say)
    finally:
        for runner in runners:
            runner.engine.close()
    measured = [runner.measured() for runner in runners]
    return (*sorted(measured, key=lambda run: run.median_ms or 0.0), *excluded)


def rows(bundle: Bundle, runs: Sequence[TimedRun]) -> tuple[Tuned, ...]:
    """What :func:`edge_sdk.runtime.tuning_store.store` keeps of the runs."""
    processor = device.processor()
    return tuple(
        Tuned(
            bundle_id=bundle.id,
            threads=run.threads,
            engine=run.engine,
            engine_version=version(run.engine),
            artifact=run.artifact,
            processor=processor,
            median_ms=run.median_ms,
        )
        for run in runs
        if run.median_ms is not None
    )


def _golden(bundle: Bundle) -> tuple[list[Tensors], list[bytes]]:
    """The golden inputs as an engine takes them, and as files."""
    (tensor, *others) = bundle.manifest.inputs
    if others or not isinstance(tensor.source, Image):
        raise BundleError(f"{bundle.id} does not take one picture")
    pictures = [bundle.read(entry) for entry in bundle.manifest.golden.inputs]
    if not pictures:
        raise BundleError(f"{bundle.id} has no golden inputs to measure with")
    return [{tensor.name: preprocess.apply(tensor.preprocessing, images.load(p))[None]} for p in pictures], pictures


def _objection(bundle: Bundle, choice: Choice, threads: int, pictures: list[bytes]) -> str:
    """Why a candidate is excluded; empty if it is eligible."""
    artifact = choice.artifact
    if all(isinstance(point, UnsupportedPoint) for point in artifact.operating_points):
        return "no operating points"
    if artifact.id not in bundle.manifest.golden.scores:
        return "no golden score"
    played = replay(bundle, artifact.id, choice.engine, pictures, threads)
    if played.status == "pass":
        return ""
    score = "" if played.score is None else f"golden score {played.score:.6f}, expected {played.expected:.6f} "
    return f"{score}{played.detail}".strip()


def _race(runners: list[_Runner], inputs: list[Tensors], seconds: float, say: Say) -> None:
    start = said = time.perf_counter()
    finished = 0
    while finished < MIN_ROUNDS or time.perf_counter() - start < seconds:
        for runner in runners:
            runner.turn(inputs, min(TURN_S, seconds / MIN_ROUNDS / len(runners)))
        finished += 1
        if (now := time.perf_counter()) - said >= 1:
            said = now
            say(f"{len(runners)} candidates, {now - start:.0f} of {seconds:.0f} s")
