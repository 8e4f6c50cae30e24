#!/usr/bin/env bash
# AI Edge Quantizer loses the bias of a channel whose weights are (nearly) zero: its output is 0, or noise of both
# signs.
#
# One would guess: a dead channel is the easy case. Its weights become zeros, its output is the bias, and the bias is
#   held in 32 bits: nothing finer is in the file. ONNX Runtime's quantiser does keep it; it widens the weight's
#   scale.
# What happens: the bias is stored in steps of (input scale x weight scale). Weights of 1e-6 and less make that step
#   so small that the bias does not fit into 32 bits. The quantiser clips it to 2^31, which is one more than the
#   largest int32, so on x86 it is stored as the most negative number. The channel's output is then 0 (weights of
#   exactly 0), or jumps from pixel to pixel between a positive and a negative value, for the sum of the layer wraps
#   round. The tool reports success; numpy's "invalid value encountered in cast" is the only hint.
# Versions: ai-edge-quantizer 0.10.0, ai-edge-litert 2.3.0; 2-D, depthwise and fully connected layers alike.
# Why it matters here: folding a batch norm into a convolution makes such channels, for weight decay drives the gain
#   of an unused channel to zero while its shift stays; pruning makes them too. From the same float model and the same
#   samples int8.onnx is then right and int8.tflite is wrong, by a constant that the next layers add up, and the
#   threshold that was fitted for it hides part of the damage.
# What the product does: before it calls the tool, `widen_dead_channels` (`calibration/quantization/tflite_graph.py`)
#   raises one weight of such a channel to the least value with which the bias fits: 127 |bias| / (input scale x 2^31),
#   as in the last row. `tests/calibration/quantization/test_tflite_int8.py` compares both int8 variants with float.
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
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import qtyping, quantizer

print(f"ai-edge-quantizer {version('ai-edge-quantizer')}, ai-edge-litert {version('ai-edge-litert')}")
print("guess: the channel's output is its bias, within one step of the int8 output")

BIAS = 1.2345
rng = np.random.default_rng(0)
image = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
weight = rng.normal(size=(8, 3, 3, 3)).astype(np.float32) * 0.2
bias = rng.normal(size=8).astype(np.float32)
bias[0] = BIAS


def convolution(weight):
    """A TFLite file with one 3 x 3 convolution of 8 channels."""
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    model.version, model.description, model.buffers = 3, b"", [schema.BufferT()]
    tensors = (("image", image.shape, None), ("w", weight.shape, weight), ("b", bias.shape, bias),
               ("map", (1, 16, 16, 8), None))  # fmt: skip
    graph.name, graph.tensors, graph.inputs, graph.outputs = b"main", [], [0], [3]
    for name, shape, data in tensors:
        tensor, tensor.name, tensor.shape = (one := schema.TensorT()), name.encode(), list(shape)
        one.type, one.buffer = schema.TensorType.FLOAT32, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(buffer)
            one.buffer = len(model.buffers) - 1
        graph.tensors.append(one)
    operator, options = schema.OperatorT(), schema.Conv2DOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.Conv2DOptions, options
    graph.operators, model.operatorCodes, model.subgraphs = [operator], [code], [graph]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex, signature.inputs, signature.outputs = b"serving_default", 0, [], []
    for ends, index in ((signature.inputs, 0), (signature.outputs, 3)):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = graph.tensors[index].name, index
        ends.append(end)
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(model):
    """The map, as float."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (inside,), (outside,) = interpreter.get_input_details(), interpreter.get_output_details()
    value = image
    if inside["dtype"] == np.int8:
        scale, zero = inside["quantization"]
        value = np.clip(np.rint(image / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(inside["index"], value)
    interpreter.invoke()
    result = interpreter.get_tensor(outside["index"])
    if outside["dtype"] == np.int8:
        scale, zero = outside["quantization"]
        result = (result.astype(np.float32) - zero) * np.float32(scale)
    return result


def quantise(model, map_):
    tool = quantizer.Quantizer(bytearray(model))
    tool.add_static_config(
        ".*", qtyping.TFLOperationName.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    ends = {"image": image, "map": map_}
    ranges = {name: {"min": value.min(), "max": value.max()} for name, value in ends.items()}
    shown, sys.stdout = sys.stdout, sys.stderr  # it prints a report
    try:
        return bytes(tool.quantize(ranges).quantized_model)
    finally:
        sys.stdout = shown


def stored_bias(model):
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (tensor,) = (one for one in parsed.subgraphs[0].tensors if one.name == b"b")
    return int(np.frombuffer(bytes(parsed.buffers[tensor.buffer].data), np.int32)[0])


step = float(image.max() - image.min()) / 255
least = 1.01 * 127 * BIAS / (step * 2**31)
print("\nlargest weight of the channel   float: from, to     int8: from, to      stored bias")
found = {}


def show(name, changed):
    floats = run(convolution(changed))
    made = quantise(convolution(changed), floats)
    before, after = floats[..., 0], run(made)[..., 0]
    ends = [float(value) for value in (before.min(), before.max(), after.min(), after.max())]
    print(f"{name:<30} {ends[0]:8.3f} {ends[1]:8.3f}  {ends[2]:8.3f} {ends[3]:8.3f}      {stored_bias(made)}")
    found[name] = *ends, float(np.abs(after - before).max())


for largest in ("0.3", "1e-5", "1e-6", "1e-7", "0"):
    changed = weight.copy()
    changed[0] *= float(largest) / np.abs(changed[0]).max()
    show(largest, changed)
changed = weight.copy()
changed[0] = 0
changed[0, 1, 1, 0] = 1.01 * 127 * BIAS / (step * 2**31)
show("0, with one weight raised", changed)

close = 0.05  # a step of the int8 output
as_described = (
    all(found[name][-1] < close for name in ("0.3", "1e-5", "0, with one weight raised"))
    and all(found[name][-1] > BIAS / 2 for name in ("1e-6", "1e-7", "0"))
    and abs(found["0"][3]) < close
)
print("\nas described" if as_described else "\nthe behaviour has changed")
sys.exit(not as_described)
PYTHON
