#!/usr/bin/env bash
# One int8 TFLite file has three results in one library: XNNPACK's, the built-in kernels', and the reference kernels'.
#
# One would guess: sums of integers are exact, and TFLite's quantisation specification says how the sum of a convolution
#   becomes an int8 number again. So an int8 network gives the same numbers from every kernel; golden outputs can be
#   compared for equality.
# What happens: XNNPACK gives the exact product, rounded once. The built-in kernels and those called reference do not: in
#   one convolution 2 of 1,000 numbers are a step off, of each at other places. Every layer takes the steps of the one
#   before: after 20 convolutions 65 % of the numbers differ between any two of the three, by up to 5 steps.
# Versions: ai-edge-litert 2.3.0.
# Why it matters here: which kernels run is decided by the package, not by the file. Python's LiteRT has XNNPACK and uses
#   it by default; TensorFlow Lite's C library is built with or without it (one of 2.17.1 without it gives the numbers of
#   LiteRT's built-in kernels, bit for bit). A threshold is measured with the scores of one of them.
# What the product does: golden trials compare scores within a tolerance, never outputs (`manifest.golden`), and the device
#   library replays them whenever it opens a bundle. `tests/native/test_engines.py` compares its outputs with Python's
#   within a share of their range, and `docs/native.md` says which kernels the thresholds were measured with.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 ai-edge-quantizer==0.10.0 ai-edge-litert==2.3.0 flatbuffers==25.12.19

cd "$folder"
venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import sys
from importlib.metadata import version

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_quantizer import qtyping, quantizer

print(f"ai-edge-litert {version('ai-edge-litert')}")
print("guess: integers, so the same numbers from every kernel\n")

KERNELS = {
    "XNNPACK (the default)": OpResolverType.AUTO,
    "built-in": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
rng = np.random.default_rng(0)
image = rng.normal(size=(1, 32, 32, 8)).astype(np.float32)


def network(depth):
    """A TFLite file of some 3 x 3 convolutions of 8 channels, one behind the other."""
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    model.version, model.description, model.buffers = 3, b"", [schema.BufferT()]
    graph.name, graph.tensors, graph.operators = b"main", [], []
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1

    def tensor(name, shape, data=None):
        one, buffer = schema.TensorT(), schema.BufferT()
        one.name, one.shape, one.type, one.buffer = name.encode(), list(shape), schema.TensorType.FLOAT32, 0
        if data is not None:
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(buffer)
            one.buffer = len(model.buffers) - 1
        graph.tensors.append(one)
        return len(graph.tensors) - 1

    last = tensor("image", image.shape)
    for layer in range(depth):
        weight = (rng.normal(size=(8, 3, 3, 8)) / np.sqrt(72)).astype(np.float32)
        bias = (rng.normal(size=8) / 10).astype(np.float32)
        operator, options = schema.OperatorT(), schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        given = [last, tensor(f"w{layer}", weight.shape, weight), tensor(f"b{layer}", bias.shape, bias)]
        last = tensor(f"map{layer}", image.shape)
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, given, [last]
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.Conv2DOptions, options
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [last]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex, signature.inputs, signature.outputs = b"serving_default", 0, [], []
    for ends, index in ((signature.inputs, 0), (signature.outputs, last)):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = graph.tensors[index].name, index
        ends.append(end)
    model.operatorCodes, model.subgraphs, model.signatureDefs = [code], [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(model, kernels, value):
    made = Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=kernels,
        experimental_preserve_all_tensors=kernels is OpResolverType.BUILTIN_REF,
    )  # fmt: skip
    made.allocate_tensors()
    made.set_tensor(made.get_input_details()[0]["index"], value)
    made.invoke()
    return made


def quantised(model):
    made = run(model, OpResolverType.BUILTIN_REF, image)
    maps = {one["name"]: made.get_tensor(one["index"]) for one in made.get_tensor_details() if one["name"][0] in "im"}
    tool = quantizer.Quantizer(bytearray(model))
    tool.add_static_config(
        ".*", qtyping.TFLOperationName.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    shown, sys.stdout = sys.stdout, sys.stderr  # it prints a report
    try:
        ranges = {name: {"min": value.min(), "max": value.max()} for name, value in maps.items()}
        return bytes(tool.quantize(ranges).quantized_model)
    finally:
        sys.stdout = shown


def rounded_once(made, stored):
    """The one convolution with exact sums, and the product rounded once, halves away from 0."""
    tensors = {one["name"]: one for one in made.get_tensor_details()}
    weight, bias = (made.get_tensor(tensors[name]["index"]).astype(np.int64) for name in ("w0", "b0"))
    scales = tensors["w0"]["quantization_parameters"]["scales"].astype(np.float64)
    (scale, zero), (to, offset) = (tensors[name]["quantization"] for name in ("image", "map0"))
    padded = np.pad(stored[0].astype(np.int64) - zero, ((1, 1), (1, 1), (0, 0)))
    sums = np.zeros((32, 32, 8), np.int64) + bias
    for row in range(3):
        for column in range(3):
            sums += padded[row : row + 32, column : column + 32] @ weight[:, row, column].T
    product = sums * (scale * scales / to)
    steps = np.sign(product) * np.floor(np.abs(product) + 0.5) + offset
    return np.clip(steps, -128, 127)[None]


differ = {}
for depth in (1, 4, 20):
    model = quantised(network(depth))
    probe = Interpreter(model_content=model)
    scale, zero = probe.get_input_details()[0]["quantization"]
    stored = np.clip(np.rint(image / scale) + zero, -128, 127).astype(np.int8)
    results = {}
    for name, kernels in KERNELS.items():
        made = run(model, kernels, stored)
        results[name] = made.get_tensor(made.get_output_details()[0]["index"]).astype(int)
    if depth == 1:
        results["exact, rounded once"] = rounded_once(made, stored)
    names = list(results)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            between = np.abs(results[one] - results[other])
            differ[depth, one, other] = np.mean(between > 0)
            print(f"{depth:2} layers, {one} against {other}: {np.mean(between > 0):6.2%} differ, by up to {between.max():.0f}")

exact = {name: differ[1, name, "exact, rounded once"] for name in KERNELS}
as_found = exact["XNNPACK (the default)"] == 0 < min(exact["built-in"], exact["reference"])
as_found &= all(share > 0.3 for (depth, *_), share in differ.items() if depth == 20)
sys.exit(0 if as_found else "the behaviour has changed")
PYTHON
