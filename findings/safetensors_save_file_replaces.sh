#!/usr/bin/env bash
# safetensors 0.8.0 saves a file that only its owner may read, and puts it in the place of a link.
#
# One would guess: `save_file` opens the file and writes it, as numpy.save and torch.save do and as safetensors did until
#   0.7.0: the umask decides who may read a new file, an old one keeps its permissions, a link is followed.
# What happens: since 0.8.0 it writes a temporary file with the permissions 0600 and renames it. A new file is 0600
#   whatever the umask; a file of 0664 becomes 0600; a link is replaced by a file, and what it named stays as it was.
# Versions: safetensors 0.8.0 against 0.7.0; numpy 2.4.6, of which the arrays are in C order.
# Why it matters here: a service of another user or group cannot read the next model, and a checkpoint that was linked
#   to a larger disk fills the small one, while the old weights go on being loaded from where the link led.
# What the product does: it encodes checkpoints in memory (`safetensors.torch.save`) and writes them by
#   `edge_sdk.files`, as any file (`export/training/checkpoint.py`).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
cat > program.py <<'PYTHON'
import json
import os
import stat
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

os.umask(0o022)
here = Path(tempfile.mkdtemp(dir="."))
(here / "old").write_bytes(b"old")
(here / "old").chmod(0o664)
(here / "named").write_bytes(b"old")
(here / "link").symlink_to("named")
for name in ("new", "old", "link"):
    save_file({"a": np.ones(2, np.float32)}, str(here / name))
found = {
    "new file": oct(stat.S_IMODE((here / "new").stat().st_mode)),
    "file of 0o664": oct(stat.S_IMODE((here / "old").stat().st_mode)),
    "link": "followed" if (here / "link").is_symlink() and (here / "named").read_bytes() != b"old" else "replaced",
}
print(f"safetensors {version('safetensors')}: {found}")
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
PYTHON
echo "guess: a new file is 0o644 with the umask 022, one of 0o664 stays so, a link is followed"
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
good = list(before.values()) == ["0o644", "0o664", "followed"] and list(after.values()) == ["0o600", "0o600", "replaced"]
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
