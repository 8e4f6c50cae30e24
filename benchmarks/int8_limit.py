"""Measure what share of the processor's int8 limit the shipped bundles reach, and which layers take the time.

    python benchmarks/int8_limit.py [BUNDLE ...] [--against FOLDER] [--seconds 5] [--layers]

The limit is that of this machine in this run: the best pass of OpenVINO through one 1 x 1 convolution of 512 channels
on 16 x 16 places, by its own counters, one thread. A share is the network's multiplications and additions (two for each
weight and place of its ``fp32.onnx``: channels filled up with zeros do not count) over the processor time of a pass
through ``int8.onnx``, over that limit. All take turns, in random order; the time is the one that a tenth of the passes
stay below, for other processes may use the machine.

``--against`` takes the folder of another build's bundles (``edge_sdk/bundles`` of a checkout) and adds the ratio to its
latency. ``--layers`` prints the layers of each bundle on OpenVINO, with the share that each reaches.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import load_engine, usable

Build = tuple[str, str]
"""Engine, and which of two builds' models."""

ENGINES = ("openvino", "onnxruntime")
SETTINGS = {
    "NUM_STREAMS": 1,
    "INFERENCE_NUM_THREADS": 1,
    "ENABLE_CPU_PINNING": False,
    "INFERENCE_PRECISION_HINT": "f32",
    "PERF_COUNT": True,
}


class Limit:
    """Passes through one 1 x 1 convolution; see the top of the file."""

    def __init__(self, channels: int = 512, side: int = 16) -> None:
        constants = {
            "scale": np.float32(0.02),
            "zero": np.uint8(0),
            "weights": np.random.default_rng(0).integers(-20, 20, (channels, channels, 1, 1), dtype=np.int8),
            "scales": np.full(channels, 0.01, np.float32),
            "zeros": np.zeros(channels, np.int8),
        }
        quantised = ["scale", "zero"]
        nodes = [
            helper.make_node("QuantizeLinear", ["x", *quantised], ["q"]),
            helper.make_node("DequantizeLinear", ["q", *quantised], ["d"]),
            helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["w"], axis=0),
            helper.make_node("Conv", ["d", "w"], ["c"]),
            helper.make_node("QuantizeLinear", ["c", *quantised], ["r"]),
            helper.make_node("DequantizeLinear", ["r", *quantised], ["e"]),
            helper.make_node("ReduceMean", ["e"], ["y"], keepdims=1),
        ]
        graph = helper.make_graph(
            nodes,
            "limit",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, side, side])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1])],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        self._passes = Layers(model.SerializeToString())
        self._operations = 2 * channels**2 * side**2

    def run(self) -> None:
        """One more pass."""
        self._passes.run()

    @property
    def best(self) -> float:
        """Operations a second."""
        return self._operations / min(row.seconds for row in self._passes.found.values() if row.kind == "Convolution")


@dataclass(frozen=True)
class Layer:
    """What OpenVINO says of one layer; its least time."""

    kind: str
    kernel: str
    seconds: float


class Layers:
    """Passes of one picture through a model on OpenVINO; ``found`` holds the layers that were run."""

    def __init__(self, model: bytes) -> None:
        core = ov.Core()
        loaded = core.read_model(model, b"")
        loaded.reshape({port: [1, *port.partial_shape[1:]] for port in loaded.inputs})
        self._request = core.compile_model(loaded, "CPU", SETTINGS).create_infer_request()
        self._inputs = [np.random.default_rng(0).random(tuple(port.shape), np.float32) for port in loaded.inputs]
        self.found: dict[str, Layer] = {}

    def run(self) -> None:
        """One more pass."""
        self._request.infer(self._inputs)
        for row in self._request.profiling_info:
            seconds = row.real_time.total_seconds()
            known = self.found.get(row.node_name)
            if seconds and (known is None or seconds < known.seconds):
                self.found[row.node_name] = Layer(row.node_type, row.exec_type, seconds)


def operations(model: bytes) -> dict[str, int]:
    """Multiplications and additions of each layer of a float model with weights, one picture."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    weights = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    shapes = {
        value.name: [size.dim_value or 1 for size in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    counts = {}
    for node in graph.node:
        if node.op_type in {"Conv", "ConvTranspose", "Gemm", "MatMul"} and node.input[1] in weights:
            places = shapes[node.input[0] if node.op_type == "ConvTranspose" else node.output[0]][2:]
            counts[node.name] = 2 * weights[node.input[1]] * math.prod(places)
    return counts


def measured(calls: Mapping[Build | None, Callable[[], object]], seconds: float) -> dict[Build | None, float]:
    """Seconds of the processor that a tenth of the passes stay below; all take turns, with passes that do not count."""
    took: dict[Build | None, list[float]] = {key: [] for key in calls}
    order = list(calls)
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        random.shuffle(order)
        for key in order:
            for _ in range(3):
                start = time.process_time()
                calls[key]()
                last = time.process_time() - start
            took[key].append(last)
    return {key: float(np.quantile(values, 0.1)) for key, values in took.items()}


@dataclass(frozen=True)
class Row:
    """One bundle on one engine."""

    bundle: str
    engine: str
    operations: int
    seconds: float
    ratio: str


def rows(bundle: Bundle, against: Path | None, limit: Limit, seconds: float) -> Iterator[Row]:
    """Measure a bundle on every engine, beside the other build's if it has that bundle."""
    graph = bundle.manifest.graphs[0]
    entry = graph.files["int8.onnx"]
    values = np.random.default_rng(0)
    inputs = {
        port.name: values.random([1 if isinstance(side, str) else side for side in port.shape], np.float32)
        for port in graph.inputs
    }
    builds = {"here": bytes(bundle.read(entry))}
    other = against / bundle.manifest.name / entry.path if against else None
    if other and other.is_file():
        builds["there"] = other.read_bytes()
    engines = [engine for engine in ENGINES if usable(engine, "int8.onnx")]
    calls: dict[Build | None, Callable[[], object]] = {None: limit.run}
    for engine in engines:
        for build, model in builds.items():
            calls[engine, build] = partial(load_engine(engine, model, "onnx", threads=1).run, inputs)
    took = measured(calls, seconds)
    total = sum(operations(bytes(bundle.read(graph.files["fp32.onnx"]))).values())
    for engine in engines:
        here = took[engine, "here"]
        ratio = f"{here / took[engine, 'there']:.2f}" if "there" in builds else ""
        yield Row(bundle.manifest.name, engine, total, here, ratio)


def show_layers(bundle: Bundle, best: float) -> None:
    """Print the layers of a bundle on OpenVINO."""
    files = bundle.manifest.graphs[0].files
    counts = operations(bytes(bundle.read(files["fp32.onnx"])))
    passes = Layers(bytes(bundle.read(files["int8.onnx"])))
    for _ in range(500):
        passes.run()
    print(f"\n{bundle.manifest.name}")
    for title, layer in passes.found.items():
        done = counts.get(title.split("/")[0])
        share = f"{100 * done / layer.seconds / best:.0f} % of the limit" if done else ""
        print(f"{layer.seconds * 1e6:6.0f} us  {layer.kind:20s} {layer.kernel:26s} {title:50s} {share}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", default=shipped())
    parser.add_argument("--against", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each candidate")
    parser.add_argument("--layers", action="store_true")
    arguments = parser.parse_args()
    limit = Limit()
    bundles = [Bundle.open(name) for name in arguments.bundles]
    found = [row for bundle in bundles for row in rows(bundle, arguments.against, limit, arguments.seconds)]
    print(
        f"{device.instruction_set()}, {device.processor()}, one thread; limit: {limit.best / 1e9:.0f} GOP/s in int8\n"
    )
    print("| bundle | million operations | engine | ms | GOP/s | share of the limit | to the other build |")
    print("|" + "---|" * 7)
    for row in found:
        speed = row.operations / row.seconds
        cells = [
            row.bundle,
            f"{row.operations / 1e6:.1f}",
            row.engine,
            f"{row.seconds * 1e3:.3f}",
            f"{speed / 1e9:.0f}",
        ]
        print("| " + " | ".join([*cells, f"{100 * speed / limit.best:.0f} %", row.ratio]) + " |")
    if arguments.layers:
        for bundle in bundles:
            show_layers(bundle, limit.best)


if __name__ == "__main__":
    main()
