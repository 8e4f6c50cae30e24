"""Measures one configuration in a process of its own, so that its start and its memory are its own.

``python -m edge_sdk.runtime.profile.worker JOB`` takes a job as JSON and prints one record a line.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import modalities
from edge_sdk.bundle import Bundle
from edge_sdk.bundle.trust import OFF
from edge_sdk.errors import BundleError, EdgeSdkError, EngineError
from edge_sdk.logs import Log
from edge_sdk.runtime import device, tasks
from edge_sdk.runtime.engines import version
from edge_sdk.runtime.engines.placement import NodePlacement, placement
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.profile.quantiles import curve, moments, stage
from edge_sdk.runtime.profile.records import FailedJob, Job, MeasuredJob, ProfileProgress
from edge_sdk.runtime.selection import choose

_LOG = Log(__name__)

STAGES = ("decode", "preprocess", "inference", "postprocess", "total")
QUANTILES = (0.5, 0.9, 0.99)
WINDOW_S = 30.0  # of a run of at least two such; else a third of the run


def measure(job: Job, say: Callable[[ProfileProgress], None] = lambda _: None) -> MeasuredJob:
    """Measure; any ``EdgeSdkError`` of the bundle or the engine may be raised."""
    start = time.perf_counter()
    session = _open(job)
    init_ms = _since(start)
    pictures = [session.bundle.read(entry) for entry in session.bundle.manifest.golden.inputs]
    if len(pictures) < 2:
        raise BundleError(f"{session.bundle.id} has no golden inputs to profile with")
    start = time.perf_counter()
    tasks.TASKS[session.task].first(session, pictures[-1])
    first_ms = _since(start)
    call = tasks.repeated(session, pictures)

    ends = array("d")
    stage_ms = tuple(array("d") for _ in STAGES)
    begin = said = time.perf_counter()
    while not ends or ends[-1] < job.seconds or len(ends) < job.calls:
        timings = call().timings
        now = time.perf_counter()
        for values, name in zip(stage_ms, STAGES, strict=True):
            values.append(getattr(timings, f"{name}_ms"))
        ends.append(now - begin)
        if now - said >= 1:
            said = now
            say(ProfileProgress(seconds=ends[-1], calls=len(ends)))
    peak = device.peak_memory()
    session.close()

    start = time.perf_counter()
    _open(job).close()
    reload_ms = _since(start)
    finished = np.frombuffer(ends)
    totals = np.frombuffer(stage_ms[-1])
    window = WINDOW_S if finished[-1] >= 2 * WINDOW_S else float(finished[-1]) / 3
    return MeasuredJob(
        engine_version=version(job.engine),
        init_ms=init_ms,
        reload_ms=reload_ms,
        first_ms=first_ms,
        calls=len(ends),
        seconds=float(finished[-1]),
        stages=tuple(
            stage(name, np.frombuffer(values), QUANTILES) for name, values in zip(STAGES, stage_ms, strict=True)
        ),
        window_s=window,
        first_per_s=float(np.count_nonzero(finished <= window)) / window,
        last_per_s=float(np.count_nonzero(finished > finished[-1] - window)) / window,
        peak_bytes=peak,
        nodes=_nodes(session.bundle, job, pictures[-1]),
        curve=curve(totals),
        moments=moments(finished, totals),
    )


def _open(job: Job) -> tasks.AnySession:
    bundle = Bundle.open(job.bundle, job.sha256, trust=OFF)
    return tasks.open_session(bundle, engine=job.engine, variant=job.variant, threads=job.threads)


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3


def _nodes(bundle: Bundle, job: Job, picture: bytes) -> tuple[NodePlacement, ...] | None:
    choice = choose(bundle, job.engine, job.variant, job.threads)
    graphs, found = bundle.read_graphs(job.variant), list[NodePlacement]()
    try:
        model = Model(bundle, choice, threads=job.threads)
        tensors = model.run_every_graph(_prepared(bundle, picture))
        model.close()
        for name, inputs in model.graph_inputs(tensors).items():
            nodes = placement(job.engine, graphs[name], inputs, threads=job.threads)
            if nodes is None:
                return None
            found += nodes
    except EngineError as exc:  # what was measured stands
        _LOG.warning("nodes: %s", exc)
        return None
    return tuple(found)


def _prepared(bundle: Bundle, sample: bytes) -> NDArray[np.float32]:
    modality = modalities.get(bundle.manifest.modality)
    prepared = modality.prepare(bundle.manifest.preprocessing, modality.decode(sample), bundle.manifest.source)
    return prepared.rows[:1]


def main(argument: str) -> None:
    """Measure the job and print records; an error of ours is a record too, any other ends the process."""
    # Libraries that print to file descriptor 1 must not come between the records.
    with os.fdopen(os.dup(1), "wb", buffering=0) as channel:
        os.dup2(2, 1)

        def say(record: ProfileProgress | MeasuredJob | FailedJob) -> None:
            channel.write(msgspec.json.encode(record) + b"\n")

        try:
            say(measure(msgspec.json.decode(argument, type=Job), say))
        except EdgeSdkError as exc:
            say(FailedJob(error=type(exc).__name__, message=str(exc)))


if __name__ == "__main__":
    main(sys.argv[1])
