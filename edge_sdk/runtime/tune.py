"""Which engine and variant are fastest here: measured when a person asks for it, and never otherwise."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge_sdk import modalities
from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, UsageError
from edge_sdk.manifest import UnsupportedPoint
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import ENGINES, check_threads, version
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.selection import Choice, candidates
from edge_sdk.runtime.selftest import replay
from edge_sdk.runtime.tuning_store import Tuned

MIN_ROUNDS = 3
MIN_PASSES = 3  # a round, after one that only fills the caches again
TURN_S = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True)
class TimedRun:
    """One engine, variant and number of threads, measured over ``passes`` passes, or why it is not eligible."""

    engine: str
    variant: str
    threads: int
    size: int  #: bytes of the variant
    median_ms: float | None = None
    p99_ms: float | None = None
    passes: int = 0
    excluded: str = ""


@dataclass
class _Runner:
    run: TimedRun
    model: Model
    milliseconds: list[float] = field(default_factory=list)

    def turn(self, inputs: Sequence[NDArray[np.float32]], seconds: float) -> None:
        """Run for so long, but at least :data:`MIN_PASSES` times."""
        self.model.run_every_graph(inputs[0])
        end = time.perf_counter() + seconds
        done = 0
        while done < MIN_PASSES or time.perf_counter() < end:
            start = time.perf_counter()
            self.model.run_every_graph(inputs[done % len(inputs)])
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
    """Measure one pass of the engine on the golden inputs, for every usable engine, variant and number of threads.

    They take turns, so that a clock that slows down slows all alike; all are in memory at once. Accuracy is not for
    sale: a variant without operating points of its own is excluded, and so is an engine that does not give the
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
    counts = sorted({check_threads(count) for count in threads})
    if not counts or not 0 < seconds < math.inf:
        raise UsageError("tuning takes at least one thread, and some time")
    opened = Bundle.open(bundle)
    inputs, pictures = _golden(opened)
    runners: list[_Runner] = []
    excluded: list[TimedRun] = []
    try:
        for choice, count in itertools.product(candidates(opened), counts):
            size = opened.manifest.variant_size(choice.variant.id)
            run = TimedRun(choice.engine, choice.variant.id, count, size)
            if reason := _objection(opened, choice, count, pictures):
                excluded.append(replace(run, excluded=reason))
            else:
                runners.append(_Runner(run, Model(opened, choice, threads=count)))
        if not runners:
            reasons = "; ".join(f"{run.engine} {run.variant}: {run.excluded}" for run in excluded)
            raise EngineError(f"{opened.id} has nothing to choose from: {reasons}")
        _race(runners, inputs, seconds, say)
    finally:
        for runner in runners:
            runner.model.close()
    measured = [runner.measured() for runner in runners]
    return (*sorted(measured, key=lambda run: run.median_ms or 0.0), *excluded)


def keep_compiled(bundle: Bundle, runs: Sequence[TimedRun]) -> None:
    """Store each engine's fastest variant as it compiled it, for quicker starts; what cannot be stored is logged.

    Args:
        bundle: What was measured.
        runs: What :func:`tune` returned.

    Raises:
        EngineError: A model that could be measured cannot be opened again.
    """
    kept: set[tuple[str, int]] = set()
    for run in runs:
        if run.median_ms is None or not ENGINES[run.engine].keeps or (run.engine, run.threads) in kept:
            continue
        kept.add((run.engine, run.threads))
        choice = Choice(run.engine, bundle.manifest.variant(run.variant))
        Model(bundle, choice, threads=run.threads, keep=True).close()


def rows(bundle: Bundle, runs: Sequence[TimedRun]) -> tuple[Tuned, ...]:
    """What :func:`edge_sdk.runtime.tuning_store.store` keeps of the runs."""
    conditions = device.conditions()
    return tuple(
        Tuned(
            bundle_id=bundle.id,
            threads=run.threads,
            engine=run.engine,
            engine_version=version(run.engine),
            variant=run.variant,
            model=bundle.manifest.variant_sha256(run.variant),
            conditions=conditions,
            median_ms=run.median_ms,
        )
        for run in runs
        if run.median_ms is not None
    )


def _golden(bundle: Bundle) -> tuple[list[NDArray[np.float32]], list[bytes]]:
    """The golden inputs as the model takes them, and as files."""
    manifest = bundle.manifest
    modality = modalities.get(manifest.modality)
    pictures = [bundle.read(entry) for entry in manifest.golden.inputs]
    if not pictures:
        raise BundleError(f"{bundle.id} has no golden inputs to measure with")
    prepared = (
        modality.prepare(manifest.preprocessing, modality.decode(picture), manifest.source) for picture in pictures
    )
    return [one.rows[:1] for one in prepared], pictures


def _objection(bundle: Bundle, choice: Choice, threads: int, pictures: list[bytes]) -> str:
    """Why a candidate is excluded; empty if it is eligible."""
    variant = choice.variant
    if all(isinstance(point, UnsupportedPoint) for point in variant.operating_points):
        return "no operating points"
    if variant.id not in bundle.manifest.golden.scores:
        return "no golden score"
    played = replay(bundle, variant.id, choice.engine, pictures, threads)
    if played.status == "pass":
        return ""
    score = "" if played.score is None else f"golden score {played.score:.6f}, expected {played.expected:.6f} "
    return f"{score}{played.detail}".strip()


def _race(runners: list[_Runner], inputs: list[NDArray[np.float32]], seconds: float, say: Say) -> None:
    start = said = time.perf_counter()
    finished = 0
    while finished < MIN_ROUNDS or time.perf_counter() - start < seconds:
        for runner in runners:
            runner.turn(inputs, min(TURN_S, seconds / MIN_ROUNDS / len(runners)))
        finished += 1
        if (now := time.perf_counter()) - said >= 1:
            said = now
            say(f"{now - start:.0f} of {seconds:.0f} s, candidates: {len(runners)}")
