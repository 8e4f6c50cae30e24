"""What a fresh process imports and reads, so that a start stays quick. No time is measured here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_sdk import Bundle, lazy

from ..paths import ROOT

# What verifying two signatures has no use for, and why it is no small matter.
NEEDLESS = {
    "edge_sdk.runtime.detector": "spoof alone",
    "edge_sdk.runtime.temporal": "spoof alone",
    "edge_sdk.runtime.locator": "of faces",
    "edge_sdk.runtime.faces": "of faces",
    "edge_sdk.runtime.face_quality": "of faces",
    "edge_sdk.runtime.one_face": "of faces",
    "edge_sdk.runtime.films": "of videos",
    "edge_sdk.runtime.containers": "of videos",
    "edge_sdk.runtime.tune": "measures",
    "edge_sdk.runtime.profile": "measures",
    "edge_sdk.results.spoof": "spoof alone",
    "edge_sdk.bundle.writer": "writes",
    "edge_sdk.bundle.archive": "of .edge files, with zipfile",
    "edge_sdk.files.appending": "of an audit",
    "edge_sdk.files.writing": "writes",
    "edge_sdk.files.locks": "writes",
    "edge_sdk.images.jpeg": "of a format that neither picture has",
    "edge_sdk.images.tiff": "of a format that neither picture has",
    "edge_sdk.images.bmp": "of a format that neither picture has",
    "edge_sdk.cli.train": "another command",
    "edge_sdk.cli.spoof": "another command",
    "edge_sdk.tables": "reports",
    "importlib.metadata": "13 ms, with email and socket: for versions, which auto asks of no engine here",
    "importlib.resources": "for a package inside a zip",
    "logging": "for warnings",
    "traceback": "for crashes",
    "platformdirs": "8 ms; on Linux the folders are those of the XDG specification",
    "secrets": "to write",
    "zipfile": "of .edge files",
    "cryptography": "of signed bundles and encrypted templates",
    "keyring": "of keys that the system keeps",
    "asyncio": "never",
    "unittest": "never",
}

VERIFY = """
import json, sys
opened = []
def listen(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.append(arguments[0])
sys.addaudithook(listen)
from edge_sdk.cli import main
main(["verify", *sys.argv[1:], "--json", "--engine", "onnxruntime"])
print(json.dumps({"modules": list(sys.modules), "opened": opened}))
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A fresh process in which two signatures were compared: its modules, and the files that it opened."""
    folder = tmp_path_factory.mktemp("start")
    bundle = Bundle.open("deepsign")
    pictures = [str(folder / f"{number}.png") for number in range(2)]
    for entry, picture in zip(bundle.manifest.golden.inputs, pictures, strict=True):
        Path(picture).write_bytes(bundle.read(entry))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "EDGE_SDK_CONFIG": str(folder), "EDGE_SDK_CACHE": str(folder)}
    command = [sys.executable, "-c", VERIFY, *pictures]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=120)
    result, found = done.stdout.splitlines()
    assert json.loads(result)["decision"] is True
    return dict(json.loads(found))


@pytest.mark.parametrize("name", NEEDLESS)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs finds the folders")
def test_verifying_signatures_imports_no_more_than_it_needs(started: dict[str, Any], name: str) -> None:
    assert "edge_sdk.runtime.verifier" in started["modules"]
    assert name not in started["modules"], f"{name}: {NEEDLESS[name]}"


def test_of_a_bundle_only_the_model_in_use_is_read(started: dict[str, Any]) -> None:
    """No golden picture, no other variant, and each once; that the others are there is seen without opening them."""
    folder = Bundle.open("deepsign").path
    inside = [Path(name).relative_to(folder).as_posix() for name in started["opened"] if name.startswith(str(folder))]
    background, manifest, digest, model = sorted(inside)
    assert (background, manifest, digest) == ("background.bin", "manifest.json", "manifest.sha256")
    assert model.startswith("model.") and model.endswith(".onnx")


@pytest.mark.parametrize("command", ["verify", "spoof", "identify"])
def test_a_command_s_help_imports_no_other_command(command: str) -> None:
    code = f"from edge_sdk.cli import main; main(['{command}', '--help']); import sys; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=environment, check=True, timeout=120)
    names = set(done.stdout.splitlines()[-1].split())
    assert f"edge_sdk.cli.{command}" in names
    assert not names & {"edge_sdk.cli.train", "edge_sdk.cli.inspect", "edge_sdk.cli.profile", "numpy", "cv2", "msgspec"}


def test_a_lazy_name_is_found_once_and_others_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    import edge_sdk.files

    monkeypatch.delattr(edge_sdk.files, "write_text", raising=False)
    find = lazy.names("edge_sdk.files", {"writing": ("write_text",)})
    assert find("write_text") is edge_sdk.files.__dict__["write_text"]
    with pytest.raises(AttributeError, match="nonesuch"):
        find("nonesuch")
