"""Measure what share of the processor's int8 limit the shipped bundles reach, and which layers take the time.

    python benchmarks/int8_limit.py [BUNDLE ...] [--against FOLDER] [--seconds 5] [--layers]

The limit is that of this machine in this run: the best pass of OpenVINO through one 1 x 1 convolution of 512 channels
on 16 x 16 places, by its own counters, one thread. A share is the network's multiplications and additions (two for each
weight and place of its ``fp32.onnx``: channels filled up with zeros do not count) over the median processor time of a
pass through ``int8.onnx``, over that limit. All candidates run in turns, in random order.

``--against`` takes the folder of another build's bundles (``edge_sdk/bundles`` of a checkout) and adds the ratio to its
latency. ``--layers`` prints the layers of each bundle on OpenVINO, with the share that each reaches.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import Engine, Tensors, load_engine, usable

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


def limit(channels: int = 512, side: int = 16) -> float:
    """Integer operations a second of the best pass through one 1 x 1 convolution."""
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
    took = layers(model.SerializeToString(), 500)
    return 2 * channels**2 * side**2 / min(seconds for kind, _, seconds in took.values() if kind == "Convolution")


def layers(model: bytes, passes: int) -> dict[str, tuple[str, str, float]]:
    """Kind, kernel and least seconds of each layer of a model on OpenVINO, one picture."""
    core = ov.Core()
    loaded = core.read_model(model, b"")
    loaded.reshape({port: [1, *port.partial_shape[1:]] for port in loaded.inputs})
    request = core.compile_model(loaded, "CPU", SETTINGS).create_infer_request()
    inputs = [np.random.default_rng(0).random(tuple(port.shape), np.float32) for port in loaded.inputs]
    found: dict[str, tuple[str, str, float]] = {}
    for _ in range(passes):
        request.infer(inputs)
        for row in request.profiling_info:
            seconds = row.real_time.total_seconds()
            least = min(seconds, found[row.node_name][2]) if row.node_name in found else seconds
            found[row.node_name] = row.node_type, row.exec_type, least
    return {name: row for name, row in found.items() if row[2]}


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


def medians(engines: Mapping[Build, Engine], inputs: Tensors, seconds: float) -> dict[Build, float]:
    """Median seconds of the processor in one pass of each; they take turns, each with passes that do not count."""
    took: dict[Build, list[float]] = {key: [] for key in engines}
    order = list(engines)
    end = time.perf_counter() + seconds * len(engines)
    while time.perf_counter() < end:
        random.shuffle(order)
        for key in order:
            for _ in range(3):
                start = time.process_time()
                engines[key].run(inputs)
                last = time.process_time() - start
            took[key].append(last)
    return {key: statistics.median(values) for key, values in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", default=shipped())
    parser.add_argument("--against", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each candidate")
    parser.add_argument("--layers", action="store_true")
    arguments = parser.parse_args()
    peak = limit()
    print(f"{device.instruction_set()}, {device.processor()}, one thread; limit of int8: {peak / 1e9:.0f} GOP/s\n")
    print("| bundle | million operations | engine | median ms | GOP/s | share of the limit | to the other build |")
    print("|" + "---|" * 7)
    for name in arguments.bundles:
        bundle = Bundle.open(name)
        graph = bundle.manifest.graphs[0]
        model = bytes(bundle.read(graph.files["int8.onnx"]))
        counts = operations(bytes(bundle.read(graph.files["fp32.onnx"])))
        total = sum(counts.values())
        values = np.random.default_rng(0)
        inputs = {
            port.name: values.random([1 if isinstance(side, str) else side for side in port.shape], np.float32)
            for port in graph.inputs
        }
        builds = {"here": model}
        other = arguments.against and arguments.against / name / graph.files["int8.onnx"].path
        if other and other.is_file():
            builds["there"] = other.read_bytes()
        loaded = {
            (engine, build): load_engine(engine, data, "onnx", threads=1)
            for engine in ENGINES
            if usable(engine, "int8.onnx")
            for build, data in builds.items()
        }
        took = medians(loaded, inputs, arguments.seconds)
        for engine in dict.fromkeys(engine for engine, _ in loaded):
            seconds = took[engine, "here"]
            ratio = f"{seconds / took[engine, 'there']:.2f}" if "there" in builds else ""
            speed = total / seconds
            print(
                f"| {name} | {total / 1e6:.1f} | {engine} | {seconds * 1e3:.3f} | {speed / 1e9:.0f} "
                f"| {100 * speed / peak:.0f} % | {ratio} |"
            )
        if arguments.layers:
            print()
            for layer, (kind, kernel, seconds) in layers(model, 500).items():
                done = counts.get(layer.split("/")[0])
                share = f"{100 * done / seconds / peak:.0f} % of the limit" if done else ""
                print(f"{seconds * 1e6:6.0f} us  {kind:20s} {kernel:26s} {layer:50s} {share}")
            print()


if __name__ == "__main__":
    main()
