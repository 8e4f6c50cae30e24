"""Which nodes of a graph run where, for engines that report it: a second run with profiling, never the timed one."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import EngineError
from edge_sdk.runtime.engines import ENGINES, Tensors, import_engine

_PASSES = 5


@dataclass(frozen=True)
class NodePlacement:
    """Nodes of one kind: what ran them, how many they are, their share of all nodes' time in [0, 1]."""

    kind: str
    where: str
    count: int
    share: float | None


_Event = tuple[str, str, str, float | None]  # node, kind, where, time in any unit


def placement(engine: str, model: bytes, inputs: Tensors, *, threads: int) -> tuple[NodePlacement, ...] | None:
    """Return kinds of nodes with the kernels that ran them, the most time first; None if the engine does not report it.

    These are the nodes after the engine's own fusions. ``EngineError`` if the instrumented run fails.
    """
    read = _PLACEMENT_READERS.get(engine)
    if read is None:
        return None
    import_engine(engine)  # it opts out of telemetry before the vendor's import
    try:
        return _grouped(read(model, inputs, threads))
    except Exception as exc:  # the vendors' exceptions have no common root
        raise EngineError(f"{engine} failed while reporting its nodes: {exc}") from exc


def _onnxruntime(model: bytes, inputs: Tensors, threads: int) -> list[_Event]:
    engine = importlib.import_module(ENGINES["onnxruntime"].module)
    with tempfile.TemporaryDirectory() as folder:
        session = engine.open_session(model, threads, profile=str(Path(folder) / "nodes"))
        for _ in range(_PASSES):
            session.run(None, inputs)
        trace = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return [
        (event["name"], event["args"]["op_name"], event["args"]["provider"], float(event["dur"]))
        for event in trace
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    ]


def _openvino(model: bytes, inputs: Tensors, threads: int) -> list[_Event]:
    engine = importlib.import_module(ENGINES["openvino"].module)
    core = engine.ov.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERF_COUNT": True, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(engine.read_model(core, model), "CPU", settings).create_infer_request()
    for _ in range(_PASSES):
        request.infer(inputs)
    return [
        (node.node_name, node.node_type, f"CPU {node.exec_type}", node.real_time.total_seconds())
        for node in request.profiling_info
        if node.status.name == "EXECUTED"
    ]


_PLACEMENT_READERS: dict[str, Callable[[bytes, Tensors, int], list[_Event]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def _grouped(events: Iterable[_Event]) -> tuple[NodePlacement, ...]:
    nodes: dict[tuple[str, str], set[str]] = defaultdict(set)
    times: dict[tuple[str, str], float] = defaultdict(float)
    for name, kind, where, duration in events:
        nodes[kind, where].add(name)
        times[kind, where] += duration or 0.0
    whole = sum(times.values())
    return tuple(
        NodePlacement(kind=kind, where=where, count=len(nodes[kind, where]), share=time / whole if whole else None)
        for (kind, where), time in sorted(times.items(), key=lambda item: -item[1])
    )
