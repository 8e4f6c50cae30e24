#!/usr/bin/env bash
# safetensors 0.8.0 writes a transposed numpy array with its values in the wrong places, and says nothing.
#
# One would guess: `save_file` copies what is not contiguous, as numpy.save does and as safetensors did until 0.7.0;
#   or it refuses it, as its PyTorch half does.
# What happens: since 0.8.0 (2026) the numpy half hands the array's *memory* to the writer together with its shape. Of
#   an array that is not in C order (a transposed or Fortran-ordered one) the right values are read back in the wrong
#   order: shape, type, sum and histogram are those of the original. numpy scalars, which 0.7.0 wrote, now raise
#   AttributeError; a 0-d array is written well.
# Versions: safetensors 0.8.0, the newest, against 0.7.0; numpy 2.4.6. Reported upstream in August 2026 (safetensors
#   issue 825); 0.8.0 is still the newest release in November.
# Why it matters here: whoever turns NCHW into NHWC, or stores a gallery of embeddings or scikit-learn's components
#   (which are Fortran-ordered), has such arrays. The file passes every hash and shape check, and the model verifies
#   nobody, or everybody equally badly.
# What the product does: it writes checkpoints by `safetensors.torch`, which refuses such tensors, and a contract test
#   (`tests/contract/test_imports.py`) forbids `safetensors.numpy`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
cat > program.py <<'PYTHON'
import json
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load_file, save_file

maps = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
arrays = {
    "C order": maps,
    "NCHW to NHWC": maps.transpose(0, 2, 3, 1),
    "Fortran order": np.asfortranarray(maps),
    "NHWC, np.ascontiguousarray": np.ascontiguousarray(maps.transpose(0, 2, 3, 1)),
}
equal = {}
print(f"safetensors {version('safetensors')}, numpy {np.__version__}")
for name, array in arrays.items():
    save_file({"a": array}, "file.safetensors")
    back = load_file("file.safetensors")["a"]
    assert back.shape == array.shape and back.dtype == array.dtype
    equal[name] = bool(np.array_equal(back, array))
    words = "equal" if equal[name] else f"NOT equal: {back.ravel()[:5].tolist()}, not {array.ravel()[:5].tolist()}"
    print(f"  {name:<28}{words}")
with open(sys.argv[1], "w") as file:
    json.dump(equal, file)
PYTHON
echo "guess: what is read is what was written, or save_file refuses"
for version in 0.7.0 0.8.0; do
    venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        numpy==2.4.6 "safetensors==$version"
    venv/bin/python program.py "$version.json"
done
venv/bin/python - <<'PYTHON'
import json
import sys

with open("0.7.0.json") as old, open("0.8.0.json") as new:
    before, after = json.load(old), json.load(new)
wrong = [name for name, equal in after.items() if not equal]
good = all(before.values()) and wrong == ["NCHW to NHWC", "Fortran order"]
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
