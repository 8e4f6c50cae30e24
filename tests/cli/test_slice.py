"""``slice``: a smaller bundle that still runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main

pytestmark = pytest.mark.usefixtures("only_onnxruntime")


def test_slice(golden_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.edge"
    assert main(["slice", str(golden_bundle.path), "--precision", "fp32", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bundle"], said["variants"]) == (str(out.resolve()), ["fp32.onnx"])
    assert said["bytes"] == out.stat().st_size
    folder = tmp_path / "folder"
    assert main(["slice", str(golden_bundle.path), "--precision", "fp32", "--out", str(folder), "--json"]) == 0
    written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert json.loads(capsys.readouterr().out)["bytes"] == written
    assert main(["selftest", str(out), "--engine", "all"]) == 0
    assert "onnxruntime" in capsys.readouterr().out
    assert main(["slice", str(golden_bundle.path), "--format", "tflite", "--out", str(tmp_path / "none")]) == 3
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["slice"],
        ["slice", "--out", "anywhere"],
        ["slice", "--out", "anywhere", "--format", "onnxx"],
    ],
)
def test_wrong_usage_is_2(
    golden_bundle: Bundle, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([arguments[0], str(golden_bundle.path), *arguments[1:]]) == 2
    assert not (tmp_path / "anywhere").exists()
