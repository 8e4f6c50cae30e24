#!/usr/bin/env bash
# An average pool with padding has another result in int8, on OpenVINO or on ONNX Runtime, and with `ceil_mode` in float.
#
# One would guess: rounding apart, an average pool between QuantizeLinear and DequantizeLinear gives what it gives in
#   float. Padding is zeros (`count_include_pad=1`), and 0 has an exact integer, the zero point. A last window that
#   `ceil_mode=1` lets hang over the border divides by what is under it, as PyTorch and ONNX say.
# What happens: OpenVINO fuses the three operators into an int8 pool that pads with the *stored* 0, which stands for the
#   lowest value of the range. ONNX Runtime's int8 pool divides a window that hangs over by all of its pixels. OpenVINO
#   does that in float too, where there is padding. All three in silence, at the border only.
# Versions: openvino 2026.4.1, onnxruntime 1.31.1, onnx 1.23.2.
# Why it matters here: an Inception network pools like this in every block, and behind layers without ReLU the lowest value
#   is far from 0. Checks of the centre of a map, or with ranges from 0, pass. A threshold measured on one engine would be
#   used with the scores of another.
# What the product does: its exporter writes zeros that count as a Pad before the pool, and windows that hang over as
#   padding at the end that does not count (`edge_sdk/calibration/quantization/onnx_pools.py`).
#   `tests/calibration/quantization/test_pools.py` compares every kind of pool on every engine with PyTorch. This script
#   also holds that cure.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1

cd "$folder"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PYTHON'
import logging
import sys

sys.modules["openvino_telemetry"] = None  # OpenVINO then reports nothing
logging.disable(logging.WARNING)

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

print(f"openvino {ov.__version__}, onnxruntime {ort.__version__}, onnx {onnx.__version__}")
print("guess: int8 and float differ by a step, 0.016, at most\n")
STEP = 4 / 255  # of a range from -1 to 3
IMAGE = np.full((1, 4, 6, 6), 2.0, np.float32)  # a map of twos


def model(quantised, before=(), **pool):
    """An average pool of 3 x 3, or what makes int8 of it round it."""
    constants = {"step": np.float32(STEP), "zero": np.uint8(64), "widths": np.array([0, 0, 1, 1, 0, 0, 1, 1])}
    nodes, tensor = [], "image"

    def rounded(name):
        if not quantised:
            return name
        nodes.append(helper.make_node("QuantizeLinear", [name, "step", "zero"], [name + "_int"]))
        nodes.append(helper.make_node("DequantizeLinear", [name + "_int", "step", "zero"], [name + "_back"]))
        return name + "_back"

    tensor = rounded(tensor)
    if before:
        nodes.append(helper.make_node("Pad", [tensor, "widths"], ["padded"]))
        tensor = rounded("padded")
    nodes.append(helper.make_node("AveragePool", [tensor], ["pooled"], kernel_shape=[3, 3], **pool))
    nodes.append(helper.make_node("Identity", [rounded("pooled")], ["map"]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, IMAGE.shape)],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 4, "height", "width"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def on_onnxruntime(file):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"]).run(None, {"image": IMAGE})[0]


def on_openvino(file):
    core = ov.Core()
    return core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(IMAGE)[0]


def corners(file):
    """First and last value of the map, of both engines."""
    found = {}
    for name, run in (("ONNX Runtime", on_onnxruntime), ("OpenVINO", on_openvino)):
        made = run(file)[0, 0]
        found[name] = np.array([made[0, 0], made[-1, -1]])
    return found


pads = [1, 1, 1, 1]
# A corner of the first pool covers 4 of the 9 pixels: 8/9. The last window of the second covers one pixel of the map and
# three of the padding: 2/4.
cases = (
    ("padding that counts", {"pads": pads, "count_include_pad": 1}, (8 / 9, 8 / 9), {}),
    (
        "the same, stride 2 and ceil_mode",
        {"pads": pads, "count_include_pad": 1, "strides": [2, 2], "ceil_mode": 1},
        (8 / 9, 2 / 4),
        {"pads": [0, 0, 1, 1], "strides": [2, 2]},
    ),
)
wrong = set()
for title, pool, right, cure in cases:
    print(f"{title}: right {right[0]:.3f} and {right[1]:.3f}")
    for quantised in (False, True):
        for engine, found in corners(model(quantised, **pool)).items():
            off = np.abs(found - right).max()
            kind = "int8" if quantised else "float"
            if off > 2 * STEP:
                wrong.add((title, kind, engine))
            print(f"  {kind:5} {engine:12} {found[0]:.3f} and {found[1]:.3f}{'   wrong' if off > 2 * STEP else ''}")
            cured = corners(model(quantised, before=pads, **cure))[engine]
            assert np.abs(cured - right).max() <= 2 * STEP, (title, kind, engine, cured)
first, second = (title for title, *_ in cases)
expected = {
    (first, "int8", "OpenVINO"),
    (second, "float", "OpenVINO"),
    (second, "int8", "OpenVINO"),
    (second, "int8", "ONNX Runtime"),
}
print("\nwith a Pad before the pool, and padding at the end that does not count, all are right")
assert wrong == expected, f"the behaviour has changed: {sorted(wrong ^ expected)}"
PYTHON
