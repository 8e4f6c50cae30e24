#!/usr/bin/env bash
# ONNX Runtime's switch for exact int8 kernels on old x86 processors refuses models whose layers share a constant, be
# it no more than a zero point.
#
# One would guess: `session.x64quantprecision` chooses other kernels and nothing else, so every valid QDQ model still
#   loads. If sharing was a problem at all, it would be two layers on one DequantizeLinear node, and giving each layer
#   a node of its own would cure it.
# What happens: with the switch ONNX Runtime rewrites each int8 weight and its zero point as unsigned and stores the
#   copies under names made from the old ones. The second layer that uses the same initialiser makes the same name
#   again, and the session fails: "Attempt to replace the existing tensor". So it is the *initialiser* that counts,
#   not the node: two nodes on one weight fail too, and so do two different weights with one zero point between them.
#   A shared scale or bias does no harm, nor does leaving the zero point out. It fails from the optimisation level
#   "extended" on. onnxscript's optimiser merges equal zero points by itself, after which a model that loaded is
#   refused.
# Versions: onnxruntime 1.31.1, onnxscript 0.7.2, onnx 1.23.2. The switch can be set on any x86, so this shows
#   everywhere on x86 what users of processors without VNNI meet.
# Why it matters here: without the switch the fast u8s8 kernels saturate on x86 without VNNI, and scores are wrong.
#   The product therefore sets it there. Siamese and recurrent nets use one weight twice, and then int8.onnx opens on
#   the developer's machine and not on the older industrial PC.
# What the product does: `calibration/quantization/onnx_int8.py` gives each consumer a DequantizeLinear, a weight and a
#   zero point of its own, after every step that may merge constants. `tests/calibration/quantization/test_onnx_int8.py`
#   opens a net that shares a weight, with the switch, on any x86.
set -euo pipefail

if [[ $(uname -m) != x86_64 ]]; then
    echo "not an x86 processor: the switch has no meaning here"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 onnxscript==0.7.2

cd "$folder"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime as ort
import onnxscript.optimizer
from onnx import TensorProto, helper, numpy_helper

print(f"onnxruntime {ort.__version__}, onnxscript {version('onnxscript')}, onnx {onnx.__version__}")
print("guess: the switch changes kernels, and every model loads")

rng = np.random.default_rng(0)
weights = rng.integers(-100, 100, (2, 8, 8, 3, 3)).astype(np.int8)
image = rng.normal(size=(1, 8, 8, 8)).astype(np.float32)


def net(share=(), *, zero_point=True, nodes=2):
    """Two int8 convolutions in a row; `share` names the constants that both use."""
    constants = {"s": np.float32(0.02), "z": np.uint8(128)}
    parts = []
    for k in range(2):

        def name(constant, k=k):
            return constant if constant in share else f"{constant}{k}"

        own = {
            "weight": weights[0 if "weight" in share else k],
            "scale": np.full(8, 0.01, np.float32),
            "zero": np.zeros(8, np.int8),
            "bias": np.arange(8, dtype=np.int32),
            "bias_scale": np.full(8, 0.0002, np.float32),
        }
        if not zero_point:
            del own["zero"]
        constants |= {name(constant): value for constant, value in own.items()}
        quantised = [name(constant) for constant in ("weight", "scale", "zero") if constant in own]
        if k < nodes:
            parts.append(helper.make_node("DequantizeLinear", quantised, [f"w{k}"], axis=0))
        source, result = ("image", "y0")[k], ("y0", "map")[k]
        parts += [
            helper.make_node("DequantizeLinear", [name("bias"), name("bias_scale")], [f"b{k}"], axis=0),
            helper.make_node("QuantizeLinear", [source, "s", "z"], [f"q{k}"]),
            helper.make_node("DequantizeLinear", [f"q{k}", "s", "z"], [f"d{k}"]),
            helper.make_node("Conv", [f"d{k}", f"w{min(k, nodes - 1)}", f"b{k}"], [f"c{k}"], pads=[1] * 4),
            helper.make_node("QuantizeLinear", [f"c{k}", "s", "z"], [f"r{k}"]),
            helper.make_node("DequantizeLinear", [f"r{k}", "s", "z"], [result]),
        ]
    shape = [1, 8, 8, 8]
    graph = helper.make_graph(
        parts,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model, *, exact, level="ORT_ENABLE_ALL"):
    """The result, or ONNX Runtime's message."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.add_session_config_entry("session.x64quantprecision", "1" if exact else "0")
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        return str(exc).strip()
    return session.run(None, {"image": image})[0]


REFUSED = "Attempt to replace the existing tensor"
rows = [  # what is shared, model, is it refused with the switch
    ("one weight, one DequantizeLinear", net(["weight", "scale", "zero"], nodes=1), True),
    ("one weight, a DequantizeLinear each", net(["weight"]), True),
    ("one weight, no zero point", net(["weight"], zero_point=False), True),
    ("two weights, one zero point", net(["zero"]), True),
    ("two weights, one scale", net(["scale"]), False),
    ("two weights, one bias and its scale", net(["bias", "bias_scale"]), False),
    ("two weights, one scale, no zero point", net(["scale"], zero_point=False), False),
    ("nothing", net(), False),
    ("nothing, then onnxscript.optimizer.optimize", onnxscript.optimizer.optimize(net()), True),
]
good = True
print("\nwhat the two layers share                     without  with the switch")
for name, model, refused in rows:
    plain, exact = run(model, exact=False), run(model, exact=True)
    said = exact[exact.rfind("Attempt") :] if isinstance(exact, str) else "loads"
    print(f"{name:<45} {'loads' if isinstance(plain, np.ndarray) else 'fails':<8} {said}")
    good &= isinstance(plain, np.ndarray)
    good &= isinstance(exact, str) and REFUSED in exact if refused else isinstance(exact, np.ndarray)

print("\none weight, a DequantizeLinear each, with the switch, by optimisation level:")
for level, refused in (("ORT_DISABLE_ALL", 0), ("ORT_ENABLE_BASIC", 0), ("ORT_ENABLE_EXTENDED", 1)):
    failed = isinstance(run(net(["weight"]), exact=True, level=level), str)
    print(f"{level:<22} {'refused' if failed else 'loads'}")
    good &= failed == bool(refused)

# The cure: the same net, each consumer with a weight and a zero point of its own.
twice = net(["weight"])
copies = net()
for tensor in copies.graph.initializer:
    if tensor.name == "weight1":
        tensor.CopyFrom(numpy_helper.from_array(weights[0], "weight1"))
before, after = run(twice, exact=False), run(copies, exact=True)
cured = isinstance(after, np.ndarray) and bool(np.allclose(before, after, atol=0.021))  # a step of the output's grid
print(f"\nthe shared weight copied for each layer: {'loads, same values' if cured else 'no cure'}")
good &= cured

print("\nas described" if good else "\nthe behaviour has changed")
sys.exit(not good)
PYTHON
