#!/usr/bin/env bash
# onnx's reference evaluator computes a batch norm of opset 9 to 13 with the mean and variance of its own input.
#
# One would guess: a BatchNormalization with one output is in test mode and uses the stored mean and variance alone, as
#   the specification of opset 9 says ("Output case #2: Y (test mode)") and as every engine does.
# What happens: `onnx.reference.ReferenceEvaluator` takes an absent `momentum` for its default 0.9 and mixes: 0.9 times
#   the stored numbers and 0.1 times those of the picture at hand. Of the same node at opset 15 it gives what the
#   specification says. ONNX Runtime is right at both.
# Versions: onnx 1.23.2, the newest; onnxruntime 1.31.1, numpy 2.4.6. A fix is proposed upstream since September 2026
#   (onnx pull request 8442, open).
# Why it matters here: whoever checks a converter or a reader against ONNX's own reference on an older file, as PyTorch
#   wrote them by default for years, sees differences of ten per cent and more and looks for them in the wrong place.
# What the product does: the tests of `export/distillation/onnx_module.py` compare with the reference at opset 21.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

values = {"scale": [1.0, 1.0], "shift": [0.0, 0.0], "mean": [0.0, 0.0], "variance": [1.0, 1.0]}
weights = [numpy_helper.from_array(np.array(v, np.float32), name) for name, v in values.items()]
picture = np.array([[[[8.0, 12.0]], [[-3.0, 5.0]]]], np.float32)
node = helper.make_node("BatchNormalization", ["x", *values], ["y"], epsilon=0.0)
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 1, 2]) for name in "xy"]
graph = helper.make_graph([node], "norm", ends[:1], ends[1:], weights)
print("guess: mean 0, variance 1, so the picture comes out as it is:", picture.ravel().tolist())
right = {}
for opset in (9, 15):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, evaluator in (("ONNX Runtime", session), ("onnx.reference", ReferenceEvaluator(model))):
        made = evaluator.run(None, {"x": picture})[0]
        right[opset, name] = bool(np.allclose(made, picture, atol=1e-4))
        print(f"  opset {opset:2d}, {name:<16}{made.ravel().round(3).tolist()}")
good = [key for key, equal in right.items() if not equal] == [(9, "onnx.reference")]
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
