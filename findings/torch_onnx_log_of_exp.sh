#!/usr/bin/env bash
# PyTorch's exporter writes logsigmoid and logaddexp to ONNX as logarithms of exponentials, which overflow.
#
# One would guess: what PyTorch computes without overflow, the exported graph does too; both functions exist for nothing
#   else.
# What happens: `logsigmoid` becomes Log(Sigmoid(x)), which is minus infinity where the sigmoid is 0 in float32: below -104,
#   and on ONNX Runtime below -18 already. `logaddexp` becomes Log(Add(Exp(x), Exp(y))), which is infinite above 89, and
#   minus infinity where both are below -104. Nothing is said. `logsumexp` and `softplus` become stable operators.
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1.
# Why it matters here: the log probability of a discriminator's logit and the likelihood under a mixture are computed so.
#   A clear attack has a logit below -18, and then no score.
# What the product does: `edge_sdk/export/formats/float_onnx.py` (`STABLE`) gives the exporter other translations, by
#   Softplus. Test: both functions and logsumexp from -1,000 to 1,000 against numpy in float64.
# Where the package index has torch for CUDA alone, the environment takes several GB.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir numpy==2.4.6 torch==2.13.0 onnx==1.23.2 \
    onnxscript==0.7.2 onnxruntime==1.31.1
echo "guess: the exported graphs give what PyTorch gives"
venv/bin/python -W ignore - <<'PYTHON'
import contextlib
import io
import logging
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

logging.disable(logging.WARNING)  # it notes that torchvision is absent
X = torch.tensor([[-200.0, -50.0, 0.5, 50.0, 200.0]])


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


print(", ".join(f"{name} {version(name)}" for name in ("torch", "onnx", "onnxscript", "onnxruntime")))
right = {}
for name, function in {
    "logsigmoid(x)": functional.logsigmoid,
    "logaddexp(x, 2 x)": lambda x: torch.logaddexp(x, 2 * x),
    "logsumexp((x, 2 x))": lambda x: torch.logsumexp(torch.stack([x, 2 * x]), 0),
    "softplus(x)": functional.softplus,
}.items():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model = torch.onnx.export(Function(function).eval(), (X,), dynamo=True, verbose=False).model_proto
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, {session.get_inputs()[0].name: X.numpy()})[0]
    expected = function(X).numpy()
    right[name] = bool(np.allclose(found, expected, rtol=1e-5, atol=1e-5))
    operators = ", ".join(node.op_type for node in model.graph.node)
    print(f"  {name:20} PyTorch {expected[0].tolist()}")
    print(f"  {'':20} ONNX    {found[0].tolist()}  ({operators})")
good = [name for name, same in right.items() if not same] == ["logsigmoid(x)", "logaddexp(x, 2 x)"]
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
