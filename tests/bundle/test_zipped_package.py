"""The package imported from a zip (zipapp, ``PYTHONPATH=app.zip``): its bundles are read through the importer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edge_sdk
from edge_sdk.bundle import Bundle
from edge_sdk.bundle.stores import Resources
from edge_sdk.errors import IntegrityError

from .made import MODEL, check_whole, write

CODE = """
import json
from edge_sdk import Verifier
from edge_sdk.bundle import Bundle, pack, shipped
opened = Bundle.open("deepsign_nano")
pictures = [opened.read(entry) for entry in opened.manifest.golden.inputs]
with Verifier(opened.path, engine="onnxruntime", precision="fp32") as verifier:
    score = verifier.verify(*pictures).score
print(json.dumps([type(opened._store).__name__, shipped(), opened.id, score, str(opened.path)]))
pack(opened, "packed")
"""


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_package_in_a_zip_has_its_bundles(tmp_path: Path, compression: int) -> None:
    source = Path(edge_sdk.__file__).parent
    with zipfile.ZipFile(tmp_path / "app.zip", "w", compression, compresslevel=1) as archive:
        for path in source.rglob("*"):
            inside = Path("edge_sdk", path.relative_to(source))
            bundle = "bundles" in inside.parts
            if path.suffix == ".py" or (bundle and path.is_file() and "deepsign_nano" in inside.parts):
                archive.write(path, inside)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'app.zip')!r})\n{CODE}"],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    store, names, identity, score, path = json.loads(done.stdout)
    here = Bundle.open("deepsign_nano")
    assert (store, names, identity) == ("Resources", ["deepsign_nano"], here.id)
    assert path == str(tmp_path / "app.zip" / "edge_sdk" / "bundles" / "deepsign_nano")
    golden = here.manifest.golden
    assert score == pytest.approx(golden.scores["fp32.onnx"], abs=golden.tolerance["fp32.onnx"])
    check_whole(Bundle.open(tmp_path / "packed"))


def test_resources_are_checked_as_files_are(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    with zipfile.ZipFile(tmp_path / "app.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "tiny").rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    store = Resources(zipfile.Path(tmp_path / "app.zip", "tiny/"))
    assert (store.size("model.fp32.onnx"), store.read("model.fp32.onnx", 100)) == (len(MODEL), MODEL[:100])
    for path in ("model.int8.onnx", "golden"):
        with pytest.raises(IntegrityError, match="missing"):
            store.read(path, 1)
        with pytest.raises(IntegrityError, match="missing"):
            store.size(path)
