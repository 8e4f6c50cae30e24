"""``tune``: what is measured, stored and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.runtime import Verifier, device
from edge_sdk.runtime.engines import onnxruntime

pytestmark = pytest.mark.usefixtures("only_onnxruntime")


def test_tune_stores_what_auto_then_takes(
    golden_bundle: Bundle, tuning_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Verifier(golden_bundle).variant.id == "int8.onnx"
    assert main(["tune", str(golden_bundle.path), "--threads", "1,2", "--seconds", "0.01", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stored"] == str(tuning_file)
    assert {(run["variant"], run["threads"], bool(run["excluded"])) for run in said["runs"]} == {
        ("fp32.onnx", 1, False),
        ("fp32.onnx", 2, False),
        ("int8.onnx", 1, True),  # nobody knows what it should score
        ("int8.onnx", 2, True),
    }
    assert [run["threads"] for run in said["best"]] == [1, 2]
    assert Verifier(golden_bundle).variant.id == "fp32.onnx"
    assert main(["inspect", str(golden_bundle.path), "--json"]) == 0
    inspected = json.loads(capsys.readouterr().out)
    assert inspected["auto"] == {"engine": "onnxruntime", "variant": "fp32.onnx"}
    assert inspected["instruction_set"] == device.instruction_set()
    assert main(["tune", str(golden_bundle.path), "--seconds", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert "no: no golden score" in shown
    assert f"stored for {golden_bundle.id}" in shown


def test_tune_where_nothing_can_be_written(
    golden_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGE_SDK_TUNING", str(tmp_path / "file" / "tuning.json"))
    assert main(["tune", str(golden_bundle.path), "--seconds", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert "not stored" in shown
    assert "--engine onnxruntime --precision fp32.onnx --threads 1" in shown
    assert main(["tune", str(golden_bundle.path), "--seconds", "0.01", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stored"] is None
    assert said["problem"]


def test_a_newer_versions_file_stays_and_what_was_measured_is_printed(
    golden_bundle: Bundle, tuning_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuning_file.parent.mkdir()
    tuning_file.write_text('{"version": 3, "tuned": [{"bundle": "theirs"}]}')
    before = tuning_file.read_bytes()
    assert main(["tune", str(golden_bundle.path), "--seconds", "0.01"]) == 0
    shown = capsys.readouterr().out
    assert f"not stored ({tuning_file}" in shown
    assert "it has version 3, not 2" in shown
    assert "--engine onnxruntime --precision fp32.onnx --threads 1" in shown
    assert tuning_file.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", "--threads", "0"],
        ["tune", "--threads", "one"],
        ["tune", "--seconds", "0"],
    ],
)
def test_wrong_usage_is_2(
    golden_bundle: Bundle, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([arguments[0], str(golden_bundle.path), *arguments[1:]]) == 2
    assert not (tmp_path / "anywhere").exists()


def test_threads_that_are_no_numbers_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for threads in ("0", "one", "1,,2"):
        assert main(["tune", "--threads", threads]) == 2
        assert f"'{threads}' is not one number from 1 on" in capsys.readouterr().err


def test_the_fastest_is_kept_compiled_and_used_by_the_next_start(
    golden_bundle: Bundle, tuning_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "cache" / "compiled"
    monkeypatch.setenv("EDGE_SDK_CACHE", str(kept.parent))
    monkeypatch.setenv("EDGE_SDK_CONFIG", str(tmp_path / "config"))
    Verifier(golden_bundle).close()
    assert not kept.exists()
    assert main(["tune", str(golden_bundle.path), "--seconds", "0.01"]) == 0
    (file,) = kept.iterdir()
    before = file.stat()
    monkeypatch.setattr(onnxruntime, "open_session", lambda *_: pytest.fail("it is kept"))
    Verifier(golden_bundle).close()
    with pytest.raises(pytest.fail.Exception, match="it is kept"):
        Verifier(golden_bundle, threads=2)
    (file,) = kept.iterdir()
    assert file.stat() == before
