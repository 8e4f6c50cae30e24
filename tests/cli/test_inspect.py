"""``inspect``: the manifest, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.manifest import UnsupportedPoint


def test_inspect(bundle: str, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", bundle, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["id"] == tiny_bundle.id
    assert said["manifest"] == json.loads((tiny_bundle.path / "manifest.json").read_bytes())
    assert main(["inspect", bundle]) == 0
    text = capsys.readouterr().out
    for words in (tiny_bundle.id, "int8.onnx", "threshold 0.9000", "100 impostor trials", "commercial use   allowed"):
        assert words in text


def test_layers_in_float_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The stem, both layers of the first block and the depthwise one of the second, of the symmetric variant alone."""
    assert main(["inspect", "mobilenetv2"]) == 0
    *before, symmetric = capsys.readouterr().out.split("\nint8-sym.onnx")
    assert not any("in float" in text for text in before)
    assert "  in float: node_conv2d_4, node_conv2d_6, node_conv2d_2, node_conv2d_3\n" in symmetric


def test_a_one_class_bundle_says_so_and_what_it_is_worth_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "ganomaly_lite"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("one-class        learned live samples alone") for line in lines)
    found = [line for line in lines if line.startswith("other camera")]
    told = [(one.data, one.density, one.auroc) for one in Bundle.open("ganomaly_lite").manifest.cameras]
    assert len(found) == len(told) == 4
    for line, (data, density, auroc) in zip(found, told, strict=True):
        assert f"{data}, density {density}: AUROC {auroc:.3f} [" in line
    assert main(["inspect", "liveness"]) == 0
    assert "one-class" not in capsys.readouterr().out


def test_operating_points_stand_in_columns(
    make_bundle: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("fmr_1e-2", "a_name_that_is_rather_long")
    points = tuple(UnsupportedPoint(name=name, target=0.01, reason="few") for name in names)
    bundle = make_bundle(operating_points={"fp32": points, "int8": points})
    assert main(["inspect", str(bundle.path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "not supported" in line]
    assert len({line.index("not supported") for line in lines}) == 1


def test_no_text_of_a_bundle_makes_a_line_of_its_own(
    make_bundle: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    point = (UnsupportedPoint(name="fmr_1e-2", target=0.01, reason="none\ncommercial use   allowed\x1b[2J"),)
    bundle = make_bundle(operating_points={"fp32": point, "int8": point})
    assert main(["inspect", str(bundle.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("commercial use") for line in lines) == 1
    assert any(line.endswith(r"not supported: none\ncommercial use   allowed\x1b[2J") for line in lines)


def test_two_opencvs_are_a_warning_beside_the_result(
    bundle: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.opencv.advice", lambda: "keep one")
    for command in ("inspect", "selftest"):
        main([command, bundle, "--json"])
        printed = capsys.readouterr()
        json.loads(printed.out)
        assert printed.err == "edge-sdk: warning: keep one\n"
