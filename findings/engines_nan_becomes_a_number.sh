#!/usr/bin/env bash
# A NaN in the input comes out of an inference engine as an ordinary, finite result: of OpenVINO even in float, and in
# int8 of all engines, where it counts as the lowest value on two of them and as the highest on the third.
#
# One would guess: NaN is contagious, as in numpy and PyTorch. A float network that is fed one answers NaN, so
#   checking the output for finite values is enough; and if quantising has to make a number of it, that is 0.
# What happens, engine by engine: ONNX Runtime keeps NaN through float layers. OpenVINO makes 0 of it in Relu and Clip
#   and -3.4e38 in MaxPool, so that behind the first activation function nothing is left to be seen. LiteRT keeps it
#   in RELU and RELU6 and loses it in MAX_POOL_2D (-inf). Quantising, ONNX Runtime and OpenVINO take NaN for the
#   lowest value of the range and LiteRT's XNNPACK for the highest: the same gap is black here and white there, and
#   never 0. The ONNX standard does not say what an integer is made of NaN.
# Versions: onnxruntime 1.31.1, openvino 2026.4.1, ai-edge-litert 2.3.0, onnx 1.23.2, on x86; OpenVINO the same with
#   ONEDNN_MAX_CPU_ISA from SSE41 to AVX512_CORE_VNNI.
# Why it matters here: gait signals have gaps, which pandas and numpy read as NaN; a flat image divided by its
#   standard deviation is NaN throughout. A system that fails closed by looking at embeddings and scores never
#   notices: it compares two people by a gap, and with thresholds that hold for one engine only.
# What the product does: tensors are checked where they go *into* an engine: `require_finite` in
#   `runtime/engines/checks.py`, which every engine calls, raises when one is not finite. Tests in
#   `tests/runtime/engines/` feed NaN and infinity to engines in float and int8.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1 ai-edge-litert==2.3.0 flatbuffers==25.12.19

cd "$folder"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import platform
import sys

sys.modules["openvino_telemetry"] = None  # OpenVINO then reports nothing

from importlib.metadata import version

import flatbuffers
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper

packages = "onnxruntime", "openvino", "ai-edge-litert", "onnx"
print(*(f"{package} {version(package)}" for package in packages), sep=", ")
print("guess: float layers answer NaN; quantised, NaN is 0")

SCALE, ZERO = 0.1, 100  # of unsigned 8 bits: from -10 to 15.5
rng = np.random.default_rng(0)


def through_onnx(nodes, signal, constants):
    """What ONNX Runtime and OpenVINO make of `signal`; the nodes lead from "x" to "y"."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, signal.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data = onnx.shape_inference.infer_shapes(model).SerializeToString()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    core = ov.Core()
    compiled = core.compile_model(core.read_model(data, b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return session.run(None, {"x": signal})[0], compiled([signal])[0]


def through_tflite(kinds, signal, shape):
    """What LiteRT makes of `signal`; two kinds of operator are quantising and its reverse."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.buffers = 3, b"", [schema.BufferT()]
    graph.name, graph.tensors, graph.operators, model.operatorCodes = b"main", [], [], []
    for k in range(len(kinds) + 1):
        tensor = schema.TensorT()
        tensor.name, tensor.buffer = f"t{k}".encode(), 0
        tensor.shape = list(shape if k else signal.shape)
        tensor.type = schema.TensorType.FLOAT32
        if len(kinds) == 2 and k == 1:
            tensor.type, tensor.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [SCALE], [ZERO - 128]
        graph.tensors.append(tensor)
    for k, kind in enumerate(kinds):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        operator.opcodeIndex, operator.inputs, operator.outputs = k, [k], [k + 1]
        if kind == "MAX_POOL_2D":
            operator.builtinOptionsType, options = schema.BuiltinOptions.Pool2DOptions, schema.Pool2DOptionsT()
            options.padding = schema.Padding.VALID
            options.strideH = options.strideW = options.filterHeight = options.filterWidth = 2
            operator.builtinOptions = options
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    graph.inputs, graph.outputs, model.subgraphs = [0], [len(kinds)], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], signal)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


gap = np.full((1, 16, 16, 16), np.nan, np.float32)  # its layout does not matter: all is NaN
quantiser = {"s": np.float32(SCALE), "z": np.uint8(ZERO)}
rows = [
    ("Relu", [helper.make_node("Relu", ["x"], ["y"])], {}, ["RELU"], gap.shape),
    (
        "Clip to 0 ... 6",
        [helper.make_node("Clip", ["x", "low", "high"], ["y"])],
        {"low": np.float32(0), "high": np.float32(6)},
        ["RELU6"],
        gap.shape,
    ),
    (
        "MaxPool 2 x 2",
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        {},
        ["MAX_POOL_2D"],
        (1, 8, 8, 16),
    ),
    (
        "int8, -10 ... 15.5",
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ],
        quantiser,
        ["QUANTIZE", "DEQUANTIZE"],
        gap.shape,
    ),
]
print("\nwhat NaN becomes in   ONNX Runtime     OpenVINO       LiteRT")
seen = {}
for name, nodes, constants, kinds, shape in rows:
    results = (*through_onnx(nodes, gap, constants), through_tflite(kinds, gap, shape))
    seen[name] = [float(value) for result in results for value in np.unique(result)]
    print(f"{name:<20}", *(f"{value:12.4g}" for value in seen[name]))

# A network: 3 channels of a recording of 64 samples, of which one is missing.
signal = rng.normal(size=(1, 3, 64)).astype(np.float32)
signal[0, 1, 20] = np.nan
weights = {"a": rng.normal(size=(16, 3, 5)).astype(np.float32), "b": rng.normal(size=(4, 16, 5)).astype(np.float32)}
layers = [
    helper.make_node("Conv", ["x0", "a"], ["m"], pads=[2, 2]),
    helper.make_node("Relu", ["m"], ["n"]),
    helper.make_node("Conv", ["n", "b"], ["o"], pads=[2, 2]),
    helper.make_node("GlobalAveragePool", ["o"], ["y"]),
]
start = [
    helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
    helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x0"]),
]
print("\na small float network, one of 192 samples missing; then the same behind an int8 input")
nets = {}
for name, nodes in (("float", [helper.make_node("Identity", ["x"], ["x0"]), *layers]), ("int8", start + layers)):
    nets[name] = through_onnx(nodes, signal, weights | (quantiser if name == "int8" else {}))
    for engine, result in zip(("ONNX Runtime", "OpenVINO"), nets[name]):
        print(f"{name:<6} {engine:<13}", *(f"{value:8.3f}" for value in result.ravel()))

lowest, highest = -SCALE * ZERO, SCALE * (255 - ZERO)
as_described = (
    np.isnan([seen[name][0] for name in ("Relu", "Clip to 0 ... 6", "MaxPool 2 x 2")]).all()
    and seen["Relu"][1] == seen["Clip to 0 ... 6"][1] == 0
    and seen["MaxPool 2 x 2"][1] < -3e38
    and not np.isnan(seen["MaxPool 2 x 2"][2])
    and np.allclose(seen["int8, -10 ... 15.5"][:2], lowest)
    and (platform.machine() != "x86_64" or np.isclose(seen["int8, -10 ... 15.5"][2], highest))
    and np.isnan(nets["float"][0]).all()
    and np.isfinite(nets["float"][1]).all()
    and all(np.isfinite(result).all() for result in nets["int8"])
)
print("\nas described" if as_described else "\nthe behaviour has changed")
sys.exit(not as_described)
PYTHON
