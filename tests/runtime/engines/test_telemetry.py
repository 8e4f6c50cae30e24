"""Nothing that edge-sdk imports writes to the user's home folder or connects to anything."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.runtime.engines import ENGINES, installed
from edge_sdk.runtime.engines.telemetry import without_onnxruntime_telemetry, without_openvino_telemetry

from ...paths import ROOT

HERE = [name for name in ENGINES if name != "tensorrt" and installed(name)]  # TensorRT needs a GPU to run anything

# A connection of Python's ends the process; one of a library's finds a closed port, and no certificate to trust.
GUARD = """
import os, sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        print("network:", event, arguments, file=sys.stderr, flush=True)
        os._exit(9)

sys.addaudithook(forbid)
"""
VERIFY = """
import numpy as np
from edge_sdk import Verifier
page = np.full((380, 600), 255, np.uint8)
page[150:160, 100:500] = page[100:300, 200:208] = page[120:280, 350:358] = 20
with Verifier("deepsign_nano", engine={engine!r}) as verifier:
    assert verifier.verify(page, page).decision
assert "ORT_DISABLE_TELEMETRY" not in os.environ
"""
QUANTISE = """
import edge_sdk.calibration.quantization.onnx_int8
import edge_sdk.export.formats.float_onnx
"""


def files_written(code: str, home: Path) -> list[str]:
    """Run code in a process with an empty home folder; return what is in the folder afterwards."""
    certificates = home.with_name("no-certificates.pem")
    certificates.touch()
    environment = {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "SSL_CERT_FILE": str(certificates),
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    home.mkdir()
    subprocess.run([sys.executable, "-W", "ignore", "-c", GUARD + code], env=environment, check=True, timeout=300)
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize("engine", HERE)
def test_an_engine_leaves_nothing_in_a_fresh_home(engine: str, tmp_path: Path) -> None:
    assert files_written(VERIFY.format(engine=engine), tmp_path / "home") == []


def test_quantisation_leaves_nothing_in_a_fresh_home(tmp_path: Path) -> None:
    assert files_written(QUANTISE, tmp_path / "home") == []


@pytest.mark.parametrize(("given", "during"), [(None, "1"), ("", "1"), ("1", "1"), ("0", "0"), ("false", "false")])
def test_the_choice_of_a_user_is_kept(given: str | None, during: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if given is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    with without_onnxruntime_telemetry():
        assert os.environ["ORT_DISABLE_TELEMETRY"] == during
    assert os.environ.get("ORT_DISABLE_TELEMETRY") == given


def test_openvino_s_telemetry_is_there_again_after_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino_telemetry", ast)
    with without_openvino_telemetry(), pytest.raises(ImportError):
        import openvino_telemetry  # noqa: F401
    assert sys.modules["openvino_telemetry"] is ast


def test_no_other_module_imports_a_package_that_reports() -> None:
    for path in (ROOT / "edge_sdk").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.With) and "without_" in ast.dump(node.items[0])
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & {"onnxruntime", "openvino"}:
                assert id(node) in guarded, f"{path}:{node.lineno} imports {names} with telemetry on"
