#!/usr/bin/env bash
# What the device library and its Kotlin classes are built and tested with on a workstation, from public packages:
#
#     native/dependencies.sh [FOLDER]        FOLDER/{onnxruntime,tflite}/{include,lib} and FOLDER/kotlin
#
# ONNX Runtime: the library of Python's package, and the headers of Debian's libonnxruntime-dev (1.21: its interface
# is part of that of every later library). TensorFlow Lite: the library that pymicro-wakeword brings, and the headers of
# npm's tfjs-tflite-node. Kotlin's compiler is npm's, and needs a JDK. Nothing is installed outside FOLDER, which is
# build/native-deps by default.
#
# Needed: python3 with pip, npm, and Debian 12 or newer, or a system whose apt-get has libonnxruntime-dev. OpenCV and
# nlohmann/json are left to the system:
#
#     apt-get install g++ cmake libopencv-imgproc-dev libopencv-imgcodecs-dev nlohmann-json3-dev libssl-dev
set -euo pipefail

onnxruntime=1.31.1 pymicro_wakeword=2.5.0 tfjs_tflite_node=0.0.2 kotlin_compiler=2.4.20

cd "$(dirname "$0")/.."
mkdir -p "${1:-build/native-deps}"
to=$(cd "${1:-build/native-deps}" && pwd)
complete="$to/complete"
made="onnxruntime $onnxruntime, pymicro-wakeword $pymicro_wakeword, tfjs-tflite-node $tfjs_tflite_node"
made+=", kotlin-compiler $kotlin_compiler"
if [ "$(cat "$complete" 2>/dev/null)" = "$made" ]; then
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- libraries ----
"${PYTHON:-python3}" -m pip download -qq --no-deps --only-binary :all: --dest "$work" \
    "onnxruntime==$onnxruntime" "pymicro-wakeword==$pymicro_wakeword"
mkdir -p "$to"/{onnxruntime,tflite}/{include,lib}
for wheel in "$work"/*.whl; do
    "${PYTHON:-python3}" -m zipfile -e "$wheel" "$work/wheels"
done
cp "$work/wheels/onnxruntime/capi/libonnxruntime.so.$onnxruntime" "$to/onnxruntime/lib/"
ln -sf "libonnxruntime.so.$onnxruntime" "$to/onnxruntime/lib/libonnxruntime.so.1"
ln -sf libonnxruntime.so.1 "$to/onnxruntime/lib/libonnxruntime.so"
cp "$work/wheels/pymicro_wakeword/lib/libtensorflowlite_c.so" "$to/tflite/lib/"

# ---- headers of TensorFlow Lite ----
(cd "$work" && npm pack --silent "tfjs-tflite-node@$tfjs_tflite_node" > packed && tar -xzf "$(tail -1 packed)")
cp -r "$work/package/cc_deps/include/." "$to/tflite/include/"

# ---- headers of ONNX Runtime: Debian has them from 13 on, so an older system asks 13's list, in a folder of its own ----
apt=()
if ! apt-cache show libonnxruntime-dev > /dev/null 2>&1; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$') || {
        echo "the headers of ONNX Runtime are libonnxruntime-dev's, which this system does not have: on Ubuntu and elsewhere" \
            "take the archive of its releases, which is a folder with include/ and lib/" >&2
        exit 1
    }
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$work/apt/sources.list"
    apt=(-o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
        -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache")
    apt-get "${apt[@]}" -qq update
fi
(cd "$work" && apt-get ${apt[@]+"${apt[@]}"} -qq download libonnxruntime-dev)
dpkg-deb -x "$work"/libonnxruntime-dev_*.deb "$work/headers"
cp "$work"/headers/usr/include/onnxruntime/*.h "$to/onnxruntime/include/"

# ---- Kotlin's compiler ----
npm install --silent --no-save --prefix "$to/kotlin" "kotlin-compiler@$kotlin_compiler"

echo "$made" > "$complete"
echo "$to"
