"""``benchmarks/tensorrt_bundles.py`` as far as it goes without a GPU: ONNX Runtime takes TensorRT's place."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import DeviceNotFoundError, EngineVersionError, UsageError

from .paths import ROOT

pytest.importorskip("onnxruntime", reason="needs edge-sdk[onnx]")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, afresh, with the engines' table to itself."""
    spec = importlib.util.spec_from_file_location("tensorrt_bundles", ROOT / "benchmarks" / "tensorrt_bundles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tensorrt_bundles", module)  # where dataclasses look for their module
    monkeypatch.setenv("EDGE_SDK_CACHE", "")  # what the script sets is put back
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ENGINES", dict(module.ENGINES))
    return module


@pytest.fixture
def on_processor(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with ONNX Runtime as "TensorRT"."""
    from edge_sdk.runtime import engines, selection

    wanted = script.ENGINES["tensorrt"].variants
    monkeypatch.setitem(
        engines.ENGINES, "onnxruntime", msgspec.structs.replace(engines.ENGINES["onnxruntime"], variants=wanted)
    )
    assert selection.ENGINES is engines.ENGINES
    monkeypatch.setattr(script, "ENGINES", engines.ENGINES)
    monkeypatch.setattr(script, "ENGINE", "onnxruntime")
    monkeypatch.setattr(script, "device", lambda *, build_only: "a stand-in")
    monkeypatch.setattr(script, "built", lambda models: 0.0)
    return script


def test_decisions_are_counted_and_the_largest_difference_is_kept(script: ModuleType) -> None:
    expected, found = np.array([0.1, 0.5, 0.6, 0.9]), np.array([0.2, 0.45, 0.6, 0.9])
    assert script.Decisions.of(expected, found, 0.5) == script.Decisions(4, 0.75, pytest.approx(0.1))


def test_trials_are_the_golden_one_and_altered_ones(script: ModuleType) -> None:
    bundle = Bundle.open("deepsign_nano")
    golden = [bundle.read(entry) for entry in bundle.manifest.golden.inputs]
    first, *others = script.made_trials(bundle, 4)
    assert first == golden
    assert len({picture for trial in others for picture in trial}) == 3 * len(golden)
    assert script.made_trials(bundle, 4)[1:] == others
    scores = script.replayed(bundle, "onnxruntime", "fp32.onnx", [first, *others])
    assert scores[0] == pytest.approx(bundle.manifest.golden.scores["fp32.onnx"], abs=1e-3)
    assert len(set(scores)) == 4


def test_what_is_no_picture_has_its_golden_trial_alone(script: ModuleType) -> None:
    assert len(script.made_trials(Bundle.open("gait_lite"), 4)) == 1


def test_a_row_for_each_variant_that_tensorrt_takes(
    on_processor: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """trtexec is a program that writes such times as NVIDIA's does: 3 ms in the middle."""
    trtexec = tmp_path / "trtexec"
    times = json.dumps([{"latencyMs": value, "computeMs": 1.0} for value in (9.0, 3.0, 2.0)])
    trtexec.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "(path,) = [a.partition('=')[2] for a in sys.argv if a.startswith('--exportTimes=')]\n"
        "assert '--shapes=image:1x1x150x180' in sys.argv, sys.argv\n"
        f"open(path, 'w').write({times!r})\n"
    )
    trtexec.chmod(0o755)
    arguments = ["deepsign_nano", "--trials", "8", "--seconds", "0.1", "--trtexec", str(trtexec)]
    assert on_processor.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a stand-in"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    assert [row[:3] for row in rows] == [
        ["deepsign_nano", "int8-sym.onnx", "0.09"],
        ["deepsign_nano", "fp32.onnx", "0.25"],
    ]
    for row in rows:
        assert row[4:6] == ["100.00 % of 8", "0"]
        assert row[7] == "3.000"
        assert float(row[8]) == pytest.approx(float(row[6].split(",")[0]) / 3, abs=0.006)


def test_a_failing_trtexec_says_why(script: ModuleType, tmp_path: Path) -> None:
    trtexec = tmp_path / "trtexec"
    trtexec.write_text(f"#!{sys.executable}\nraise SystemExit('no such option')\n")
    trtexec.chmod(0o755)
    with pytest.raises(UsageError, match="exit code 1 and said: no such option"):
        script.by_trtexec(str(trtexec), b"model", "image:1x1x2x2", 1.0)


def test_other_decisions_are_a_failure(
    on_processor: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = iter([np.linspace(0, 1, 500), np.linspace(0, 1, 500) + 0.002] * 2)
    monkeypatch.setattr(on_processor, "replayed", lambda *_: next(scores))
    assert on_processor.main(["deepsign_nano", "--trials", "1", "--seconds", "0.01"]) == 1
    assert "only 99.800% of 500 decisions are those of onnxruntime, 99.9% must be" in capsys.readouterr().err


def test_a_wrong_golden_score_is_a_failure(
    on_processor: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failed(bundle: Bundle, *, engine: str):
        replays = original(bundle, engine=engine)
        return tuple(replace(one, status="fail", score=0.25) for one in replays)

    original = on_processor.selftest
    monkeypatch.setattr(on_processor, "selftest", failed)
    assert on_processor.main(["deepsign_nano", "--trials", "1", "--seconds", "0.01"]) == 1
    assert "deepsign_nano fp32.onnx: the golden trial scores 0.25" in capsys.readouterr().err


def test_without_a_gpu_nothing_is_run(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*, build_only: bool) -> str:
        raise DeviceNotFoundError("no NVIDIA driver on this machine")

    monkeypatch.setattr(script, "device", none)
    assert script.main(["deepsign_nano"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no NVIDIA driver on this machine; --build-only" in captured.err


def test_data_go_with_one_bundle(script: ModuleType) -> None:
    for bundles in (["deepsign", "deepsign_nano"], ["face_locator"]):
        with pytest.raises(UsageError, match="--data goes with one bundle, of task verify or spoof"):
            script.main([*bundles, "--data", "synthetic:4"])


def test_parser_and_builder_take_the_variants(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        from edge_sdk.runtime.engines.tensorrt import build
    except (ImportError, EngineVersionError) as exc:
        pytest.skip(f"needs TensorRT for RTX: {exc}")
    if build.NAME != "tensorrt_rtx":
        pytest.skip("TensorRT builds with a GPU only")
    assert script.main(["deepsign_nano", "--build-only"]) == 0
    out = capsys.readouterr().out
    assert "nothing was run" in out
    assert "| deepsign_nano | int8-sym.onnx |" in out
