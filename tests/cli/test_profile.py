"""``profile``: JSON, the HTML report, and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main

Maker = Callable[..., Bundle]


pytestmark = pytest.mark.usefixtures("only_onnxruntime")


def test_profile(golden_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "report.html"
    options = ["--engine", "onnxruntime", "--precision", "fp32.onnx", "--seconds", "0.05"]
    assert main(["profile", str(golden_bundle.path), *options, "--json", "--report", str(page)]) == 0
    captured = capsys.readouterr()
    (run,) = json.loads(captured.out)["runs"]
    assert run["outcome"]["type"] == "measured"
    assert run["job"]["variant"] == "fp32.onnx"
    assert "[1/1] onnxruntime fp32.onnx, 1 thread: loading" in captured.err
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_is_known_before_anything_is_measured(
    golden_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["profile", str(golden_bundle.path), "--report", str(tmp_path / "file" / "report.html")]) == 3
    assert "loading" not in capsys.readouterr().err


def test_a_profile_with_a_failure_is_3_and_still_printed(
    make_bundle: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = make_bundle(models={"fp32": b"no model"}, golden={"fp32.onnx": 0.5})
    assert main(["profile", str(broken.path), "--engine", "onnxruntime", "--seconds", "0.01"]) == 3
    assert "EngineError: this is no ONNX model" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["profile", "--engine", "nonesuch"],
        ["profile", "--seconds", "-1"],
        ["profile", "--faces", "cropped"],
        ["profile", "--fps", "30"],
        ["profile", "--stream", "film.mkv", "--engine", "all"],
        ["profile", "--stream", "film.mkv", "--threads", "1,2"],
        ["profile", "--stream", "film.mkv", "--single-stream"],
        ["profile", "--stream", "film.mkv", "--fps", "0"],
    ],
)
def test_wrong_usage_is_2(
    golden_bundle: Bundle, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([arguments[0], str(golden_bundle.path), *arguments[1:]]) == 2
    assert not (tmp_path / "anywhere").exists()
