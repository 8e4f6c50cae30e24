#!/usr/bin/env bash
# A part of a PyTorch network that is called `graph`, `code` or `meta` cannot be exported to ONNX.
#
# One would guess: a part may have any name that `nn.Module` does not use itself, as `register_module` checks; what runs
#   in PyTorch is exported.
# What happens: `torch.onnx.export(dynamo=True)` fails while it decomposes the graph. On the way it makes a
#   `torch.fx.GraphModule`, which has attributes `graph`, `code` and `meta` of its own. They hide the part, and the error
#   names a weight that does not exist ("references nonexistent attribute 0 of graph"), not the name that is taken.
#   Parts of parts may have these names.
# Versions: torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2.
# Why it matters here: a network whose head looks at a sample's metadata has a part called `meta` soon.
# What the product does: `edge_sdk/export/formats/float_onnx.py` (`TAKEN`) refuses such a part by its name before it
#   exports. Test: each of the names, as a part and as a part of a part.
# Where the package index has torch for CUDA alone, the environment takes several GB.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir numpy==2.4.6 torch==2.13.0 onnx==1.23.2 \
    onnxscript==0.7.2
echo "guess: all of them are exported"
venv/bin/python -W ignore - <<'PYTHON'
import contextlib
import io
import logging
import sys
from importlib.metadata import version

import torch
from torch import nn

logging.disable(logging.WARNING)  # it notes that torchvision is absent


class OnePart(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.add_module(name, nn.Sequential(nn.Linear(4, 3), nn.ReLU()))

    def forward(self, x):
        (part,) = self.children()
        return part(x)


def exported(network):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            torch.onnx.export(network.eval(), (torch.ones(1, 4),), dynamo=True, verbose=False)
        except Exception as error:
            cause = error.__cause__ or error
            return f"fails: {str(cause).splitlines()[0]}"
    return "is exported"


print(f"torch {version('torch')}, onnx {version('onnx')}, onnxscript {version('onnxscript')}")
found = {}
for name in ("body", "graph", "code", "meta"):
    found[name] = exported(OnePart(name))
    print(f"  a part called {name} {found[name]}")
found["inside"] = exported(nn.Sequential(OnePart("graph")))
print(f"  a part called graph within another {found['inside']}")
good = all((said == "is exported") == (name in ("body", "inside")) for name, said in found.items())
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
