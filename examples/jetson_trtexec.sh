#!/usr/bin/env bash
# Build and time an edge-sdk variant with NVIDIA's own tool, to compare with `edge-sdk profile --engine tensorrt`.
#
#     examples/jetson_trtexec.sh [BUNDLE] [FOLDER]
#
# BUNDLE is a shipped name, a folder or a .edge file; what is made goes into FOLDER. trtexec is part of JetPack
# (/usr/src/tensorrt/bin) and of TensorRT's archive; with TensorRT for RTX set TRTEXEC=tensorrt_rtx.
# For comparable times fix the clocks first: sudo nvpmodel -m 0 && sudo jetson_clocks
set -euo pipefail

bundle=${1:-deepsign}
folder=${2:-trtexec}
variant=${VARIANT:-int8-sym.onnx}
trtexec=${TRTEXEC:-trtexec}
PATH=$PATH:/usr/src/tensorrt/bin

mkdir -p "$folder"
# The bytes are checked against the manifest's SHA-256; the second line is trtexec's name for the input, one picture.
shape=$(python3 - "$bundle" "$variant" "$folder/model.onnx" <<'PYTHON'
import sys
from pathlib import Path

from edge_sdk import Bundle

bundle, variant, path = sys.argv[1:]
opened = Bundle.open(bundle)
Path(path).write_bytes(opened.read_model(variant))
print(",".join(f"{t.name}:{'x'.join(map(str, (1, *t.shape[1:])))}" for t in opened.manifest.graphs[0].inputs))
PYTHON
)

# What the engine of edge-sdk does too: Q/DQ nodes decide what is int8 (TensorRT 11 knows no other way), no TF32.
"$trtexec" --onnx="$folder/model.onnx" --saveEngine="$folder/model.engine" --shapes="$shape" \
    --stronglyTyped --noTF32 --timingCacheFile="$folder/timings.cache" --skipInference

# One picture at a time with its copies, as a camera asks; without --useSpinWait it would measure the scheduler.
"$trtexec" --loadEngine="$folder/model.engine" --shapes="$shape" \
    --warmUp=1000 --duration=20 --iterations=1024 --useSpinWait --percentile=50,90,99 \
    --exportTimes="$folder/times.json"
