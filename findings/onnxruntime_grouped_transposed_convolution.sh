#!/usr/bin/env bash
# ONNX Runtime's quantiser knows no groups of a transposed convolution: it fails, or gives all channels one scale.
#
# One would guess: with `per_channel=True` each output channel of a grouped transposed convolution has a scale of its own,
#   as each of a grouped convolution has.
# What happens: the weights of a ConvTranspose are (inputs, outputs / groups, height, width), and scales are made along the
#   second axis: outputs / groups of them, shared by the channels at the same place of every group. Scales of the bias
#   are made for as many, and the bias has more values: "ValueError: operands could not be broadcast together". A
#   depthwise layer has one scale for all of its channels, in silence: those of small weights are lost.
# Versions: onnxruntime 1.31.1, onnx 1.23.2.
# Why it matters here: decoders of small autoencoders and up-sampling by depthwise transposed convolutions are such layers.
# What the product does: `calibration/quantization/onnx_int8.py` leaves grouped transposed convolutions in float; ONNX
#   Runtime computes every transposed convolution in float anyway. Test: such layers with two groups and depthwise, with
#   weights of very different size, both int8 variants against float, channel by channel.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir onnx==1.23.2 onnxruntime==1.31.1
echo "guess: a scale for each of the eight output channels, and every channel within 1 % of float"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

CHANNELS = 8
rng = np.random.default_rng(0)
samples = rng.uniform(0, 1, (16, 1, CHANNELS, 8, 8)).astype(np.float32)
sizes = np.logspace(-3, 0, CHANNELS).astype(np.float32)  # of the weights of each output channel


def layer(kind, groups):
    """Eight channels to eight; output channel k has weights of about ``sizes[k]``."""
    inside = CHANNELS // groups
    weights = rng.normal(size=(CHANNELS, inside, 4, 4)).astype(np.float32)
    if kind == "Conv":
        weights *= sizes[:, None, None, None]
    else:
        for row in range(CHANNELS):
            first = row // inside * inside  # of its group's output channels
            weights[row] *= sizes[first : first + inside, None, None]
    parts = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(sizes.copy(), "b")]
    node = helper.make_node(kind, ["x", "w", "b"], ["y"], kernel_shape=[4, 4], group=groups)
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, CHANNELS, None, None]) for n in "xy"]
    tensors[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, 8, 8])
    graph = helper.make_graph([node], "graph", tensors[:1], tensors[1:], parts)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


class Reader(CalibrationDataReader):
    def __init__(self):
        self.left = iter(samples)

    def get_next(self):
        sample = next(self.left, None)
        return None if sample is None else {"x": sample}


def quantised(kind, groups):
    """Scales of the weights, and the error of each output channel's weights by their own size."""
    onnx.save(layer(kind, groups), "float.onnx")
    quantize_static(
        "float.onnx", "int8.onnx", Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )
    parts = {one.name: numpy_helper.to_array(one) for one in onnx.load("int8.onnx").graph.initializer}
    scales = np.atleast_1d(parts["w_scale"])
    steps = parts["w_quantized"].astype(np.float64)
    highest = [np.abs(steps[k]).max() for k in range(CHANNELS)]
    return scales.size, highest


print(f"onnxruntime {onnxruntime.__version__}, per_channel=True")
count, highest = quantised("Conv", CHANNELS)
print(f"  depthwise convolution: {count} scales; largest step of each channel: {[int(h) for h in highest]}")
usual = count == CHANNELS and min(highest) >= 126
count, highest = quantised("ConvTranspose", CHANNELS)
print(f"  depthwise transposed convolution: {count} scale(s); largest step of each channel: {[int(h) for h in highest]}")
shared = count == 1 and min(highest) == 0
try:
    quantised("ConvTranspose", 2)
    message = ""
except ValueError as error:
    message = str(error)
print(f"  transposed convolution of 2 groups: {message or 'quantised'}")
good = usual and shared and "broadcast" in message
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
