"""``bundles``: what is shipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.cli import main
from edge_sdk.manifest import UnsupportedPoint

from ..bundle.made import pin

Maker = Callable[..., Bundle]
RATES = {
    "verify": {"FMR", "FNMR"},
    "spoof": {"APCER", "BPCER"},
    "locate": {"pictures with a false box", "missed faces"},
}


def test_the_shipped_bundles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["bundles"]
    assert [bundle["name"] for bundle in listed] == list(shipped())
    for bundle in listed:
        manifest = Bundle.open(bundle["name"]).manifest
        assert (bundle["task"], bundle["modality"]) == (manifest.task, manifest.modality)
        assert bundle["commercial_use"] is False, "all of them were trained on data for research"
        for variant in bundle["variants"]:
            assert variant["bytes"] > 50_000
            assert set(variant["errors"]) == RATES[manifest.task]
            points = manifest.variant(variant["id"]).operating_points
            fewest = next(point for point in points if point.name == "eer")  # references, where there are several
            for name, rate in variant["errors"].items():
                assert 0 < rate["low"] <= rate["value"] <= rate["high"] < 1
                assert rate["value"] == fewest.rates[name].value
    assert main(["bundles"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for bundle in listed:
        assert bundle["name"] in shown
        assert all(variant["id"] in shown for variant in bundle["variants"])
    assert main(["bundles", "--verbose"]) == 0
    assert capsys.readouterr().err.count("trust file") == 1  # and not one for each bundle


def test_a_bundle_without_thresholds_is_not_measured(
    make_bundle: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edge_sdk.bundle.finding.SHIPPED", tmp_path)
    assert main(["bundles"]) == 0
    assert capsys.readouterr().out == "none\n"
    nothing = (UnsupportedPoint(name="fmr_1e-2", target=0.01, reason="nobody"),)
    pin(monkeypatch, make_bundle(tmp_path / "tiny", operating_points={"fp32": nothing, "int8": nothing}))
    assert main(["bundles", "--json"]) == 0
    (bundle,) = json.loads(capsys.readouterr().out)["bundles"]
    assert bundle["commercial_use"] is True
    assert [(one["threshold"], one["errors"], one["data"]) for one in bundle["variants"]] == [(None, {}, None)] * 2
    assert main(["bundles"]) == 0
    assert "not measured" in capsys.readouterr().out
