#!/usr/bin/env bash
# OpenVINO's compiled model for the CPU, once exported, forgets the precision and the threads that it was compiled for.
#
# One would guess: a model that was compiled with INFERENCE_PRECISION_HINT=f32 and one thread, and exported, is
#   imported as it was compiled. That is what compiling is for, and the file is bound to the version and the
#   instruction set.
# What happens: the file holds the graph, no settings. Imported without any it takes the defaults of the process: all
#   threads, and on a processor with AVX512-BF16 or AMX layers in bfloat16, in silence. Results then differ by 6e-2
#   where they were float32. The other way round works, too: a file of a bfloat16 model imported with f32 computes in
#   float32.
# Versions: openvino 2026.4.1, numpy 2.4.6; on x86-64 with AVX512-BF16. Without it only the threads show it.
# Why it matters here: who keeps compiled models for a quicker start compares scores of one precision with a threshold
#   that was measured at another, from the second start on.
# What the product does: `runtime/engines/openvino.py` gives the same settings to `import_model` as to `compile_model`,
#   and has them in the key that the file is found by. `tests/runtime/engines/test_openvino.py` asks an imported model.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 openvino==2026.4.1

cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import sys

sys.modules["openvino_telemetry"] = None  # OpenVINO then reports nothing

import numpy as np
import openvino as ov
import openvino.opset13 as operators

print(f"openvino {ov.__version__}")
print("guess: what is imported has the precision and the threads that it was compiled with")

core = ov.Core()
rng = np.random.default_rng(0)
image = operators.parameter([1, 16, 24, 24], np.float32, name="image")
weights = operators.constant(rng.normal(size=(16, 16, 3, 3)).astype(np.float32))
layer = operators.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
model = ov.Model([operators.relu(layer)], [image], "one_layer")
x = rng.uniform(0, 1, (1, 16, 24, 24)).astype(np.float32)

wanted = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def said(what, compiled, expected):
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    off = float(np.abs(compiled(x)[0] - expected).max())
    print(f"{what}: {precision}, {compiled.get_property('INFERENCE_NUM_THREADS')} threads, off by {off:.2g}")
    return precision, off


first = core.compile_model(model, "CPU", wanted)
expected = first(x)[0]
exported = first.export_model().getvalue()
said("compiled", first, expected)
default, _ = said("compiled without settings", core.compile_model(model, "CPU"), expected)
without = core.import_model(exported, "CPU")
precision, off = said("imported without settings", without, expected)
again, none = said("imported with the same settings", core.import_model(exported, "CPU", wanted), expected)
threads = without.get_property("INFERENCE_NUM_THREADS")
forgot = precision == default and (threads > 1 or os.cpu_count() == 1)
if default != "f32":
    forgot = forgot and off > 1e-3
if not (forgot and again == "f32" and none == 0):
    sys.exit("the behaviour has changed")
print("the settings are those of the import alone")
PYTHON
