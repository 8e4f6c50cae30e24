#!/usr/bin/env bash
# ONNX Runtime's Sigmoid and OpenVINO's Softplus do not rise everywhere, and are 0 or below where they should be small.
#
# One would guess: in float32 both have seven digits wherever their value is a normal number, as in PyTorch and numpy, and
#   never fall: of two samples that with the larger logit has the larger probability.
# What happens: ONNX Runtime computes Sigmoid by a quotient of polynomials plus a half. Digits are lost from -5 on: 9 % are
#   missing at -14.75, it falls between -16 and -17, and from -18 on it is 0. OpenVINO computes Softplus so that it is
#   wrong by 2e-6 everywhere: it falls in places, is 0 or below 0 from about -14 on. Each computes the other one well.
# Versions: onnxruntime 1.31.1, openvino 2026.4.1, onnx 1.23.2.
# Why it matters here: a graph that ends in a probability gives one number for all clear attacks, another engine others;
#   its logarithm is minus infinity, and odds that are made of it cannot be added to those of another model.
# What the product does: graphs end in logits. `edge_sdk/scoring/decision_head.py` makes probabilities of them with numpy in
#   float64, to eight decimals, and the fusion of experts adds logits. Test: probabilities of logits from -40 to 30 are
#   exact and never fall, and the odds are told apart.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir numpy==2.4.6 onnx==1.23.2 \
    onnxruntime==1.31.1 openvino==2026.4.1
echo "guess: seven digits, and never falling"
OMP_NUM_THREADS=1 venv/bin/python -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

X = np.arange(-40, 0.25, 0.25, dtype=np.float32)
EXACT = {
    "Sigmoid": 1 / (1 + np.exp(-X.astype(np.float64))),
    "Softplus": np.logaddexp(0, X.astype(np.float64)),
}


def results(operator):
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "graph", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    yield "onnxruntime", onnxruntime.InferenceSession(model).run(None, {"x": X})[0]
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    yield "openvino", compiled([X])[0]


print(f"onnxruntime {version('onnxruntime')}, openvino {version('openvino')}: from -40 to 0 in steps of a quarter")
good = {}
for operator, exact in EXACT.items():
    for engine, found in results(operator):
        error = np.abs(found / exact - 1)
        falls = int((np.diff(found.astype(np.float64)) < 0).sum())
        nothing = found <= 0
        where = f"0 or less up to {X[nothing].max():g}" if nothing.any() else "never 0"
        first = f"1 % wrong from {X[error > 0.01].max():g} down" if (error > 0.01).any() else "never 1 % wrong"
        good[operator, engine] = falls == 0 and not nothing.any() and error.max() < 1e-5
        print(f"  {operator:8} {engine:11} falls {falls:2d} times, {where}, {first}")
bad = {key for key, value in good.items() if not value}
as_described = bad == {("Sigmoid", "onnxruntime"), ("Softplus", "openvino")}
print("as described" if as_described else "the behaviour has changed")
sys.exit(not as_described)
PYTHON
