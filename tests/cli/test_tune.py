"""``tune``, ``profile`` and ``slice``: exit codes, JSON, what is stored and what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.engines import ENGINES

Maker = Callable[..., Bundle]


@pytest.fixture(scope="module")
def bundle(make_bundle: Maker, tiny_bundle: Bundle, signer: Callable[..., np.ndarray]) -> Bundle:
    with Verifier(tiny_bundle, engine="onnxruntime", precision="fp32") as verifier:
        return make_bundle(golden={"fp32.onnx": verifier.verify(signer(1), signer(2)).score})


@pytest.fixture(autouse=True)
def only_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(ENGINES) - {"onnxruntime"}:
        monkeypatch.delitem(ENGINES, name)


def test_tune_stores_what_auto_then_takes(
    bundle: Bundle, tuning_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Verifier(bundle).artifact.id == "int8.onnx"
    assert main(["tune", str(bundle.path), "--threads", "1,2", "--seconds", "0.01", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stored"] == str(tuning_file)
    assert {(lap["artifact"], lap["threads"], bool(lap["excluded"])) for lap in said["laps"]} == {
        ("fp32.onnx", 1, False),
        ("fp32.onnx", 2, False),
        ("int8.onnx", 1, True),  # nobody knows what it should score
        ("int8.onnx", 2, True),
    }
    assert [lap["threads"] for lap in said["best"]] == [1, 2]
    assert Verifier(bundle).artifact.id == "fp32.onnx"
    assert main(["inspect", str(bundle.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auto"] == {"engine": "onnxruntime", "artifact": "fp32.onnx"}
    assert main(["tune", str(bundle.path), "--seconds", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert "no: no golden score" in shown
    assert f"stored for {bundle.id}" in shown


def test_tune_where_nothing_can_be_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGE_SDK_TUNING", str(tmp_path / "file" / "tuning.json"))
    assert main(["tune", str(bundle.path), "--seconds", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert "not stored" in shown
    assert "--engine onnxruntime --precision fp32.onnx --threads 1" in shown
    assert main(["tune", str(bundle.path), "--seconds", "0.01", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stored"] is None
    assert said["problem"]


def test_profile(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "report.html"
    options = ["--engine", "onnxruntime", "--precision", "fp32.onnx", "--seconds", "0.05"]
    assert main(["profile", str(bundle.path), *options, "--json", "--report", str(page)]) == 0
    captured = capsys.readouterr()
    (run,) = json.loads(captured.out)["runs"]
    assert run["outcome"]["type"] == "measured"
    assert run["job"]["artifact"] == "fp32.onnx"
    assert "[1/1] onnxruntime fp32.onnx, 1 thread: loading" in captured.err
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_is_known_before_anything_is_measured(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["profile", str(bundle.path), "--report", str(tmp_path / "file" / "report.html")]) == 3
    assert "loading" not in capsys.readouterr().err


def test_a_profile_with_a_failure_is_3_and_still_printed(
    make_bundle: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = make_bundle(models={"fp32": b"no model"}, golden={"fp32.onnx": 0.5})
    assert main(["profile", str(broken.path), "--engine", "onnxruntime", "--seconds", "0.01"]) == 3
    assert "EngineError: ONNX Runtime refuses the model" in capsys.readouterr().out


def test_slice(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.edge"
    assert main(["slice", str(bundle.path), "--precision", "fp32", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bundle"], said["artifacts"]) == (str(out.resolve()), ["fp32.onnx"])
    assert main(["selftest", str(out), "--engine", "all"]) == 0
    assert "onnxruntime" in capsys.readouterr().out
    assert main(["slice", str(bundle.path), "--format", "tflite", "--out", str(tmp_path / "none")]) == 3
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", "--threads", "0"],
        ["tune", "--threads", "one"],
        ["tune", "--seconds", "0"],
        ["profile", "--engine", "nonesuch"],
        ["profile", "--seconds", "-1"],
        ["slice"],
        ["slice", "--out", "anywhere"],
        ["slice", "--out", "anywhere", "--format", "onnxx"],
    ],
)
def test_wrong_usage_is_2(
    bundle: Bundle, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([arguments[0], str(bundle.path), *arguments[1:]]) == 2
    assert not (tmp_path / "anywhere").exists()


def test_threads_that_are_no_numbers_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for threads in ("0", "one", "1,,2"):
        assert main(["tune", "--threads", threads]) == 2
        assert f"'{threads}' is not one number from 1 on" in capsys.readouterr().err
