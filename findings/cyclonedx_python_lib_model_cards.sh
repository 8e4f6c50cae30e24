#!/usr/bin/env bash
# cyclonedx-python-lib reads a bill of materials with a model card, and writes it again without the card and its data sets.
#
# One would guess: what is valid after the library's own strict check is kept by `Bom.from_json` and `JsonV1Dot6`, or a
#   field that they do not know is an error, or a warning at least.
# What happens: the model is still there by name and hash; its `modelCard` (task, data sets, measured error rates) and the
#   `data` of each data set are gone, without an error or a warning, and the result is valid too.
# Versions: cyclonedx-python-lib 11.12.0, specification 1.6.
# Why it matters here: whoever merges the bill of a model into that of a product with this library, or a tool on it,
#   hands on a bill without error rates and sources of data.
# What the product does: it writes the bill as JSON itself (`export/packaging/bom.py`), and docs/install.md says how to
#   to link to it in place of taking it in.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    "cyclonedx-python-lib[json-validation]==11.12.0"
echo "guess: the model card and the data are kept, or there is an error or a warning"
venv/bin/python -W error - <<'PYTHON'
import json
import sys
from importlib.metadata import version

from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

model = {
    "type": "machine-learning-model",
    "bom-ref": "model",
    "name": "model",
    "hashes": [{"alg": "SHA-256", "content": "0" * 64}],
    "modelCard": {
        "modelParameters": {"task": "verification", "datasets": [{"ref": "data"}]},
        "quantitativeAnalysis": {"performanceMetrics": [{"type": "FNMR", "value": "0.02"}]},
    },
}
data = {"type": "data", "bom-ref": "data", "name": "data", "data": [{"type": "dataset", "name": "signatures"}]}
before = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [model, data]}
check = JsonStrictValidator(SchemaVersion.V1_6)
written = JsonV1Dot6(Bom.from_json(before)).output_as_string()
valid = [check.validate_str(text) is None for text in (json.dumps(before), written)]
after = {one["bom-ref"]: one for one in json.loads(written)["components"]}
lost = {name: sorted(set(one) - set(after[name])) for name, one in (("model", model), ("data", data))}
print(f"cyclonedx-python-lib {version('cyclonedx-python-lib')}: valid before and after: {valid}; lost: {lost}")
good = valid == [True, True] and lost == {"model": ["modelCard"], "data": ["data"]}
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
