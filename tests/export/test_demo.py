"""The demo, with a miniature in place of DeepSign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.export import demo, recipes


@pytest.mark.slow
def test_the_whole_path_in_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = recipes.get("deepsign")
    preset = replace(full.preset("quick"), steps=4, validate_every=2)
    small = replace(full, network=full.tiny, presets={"quick": preset})
    monkeypatch.setattr(recipes, "get", lambda _: small)
    monkeypatch.setattr(demo, "WRITERS", 20)
    said: list[str] = []
    made = demo.demo(tmp_path, said.append)
    text = "\n".join(said)
    bundle = Bundle.open(tmp_path / "demo.edge")
    assert bundle.id == made.bundle.id
    assert bundle.id in text
    assert "deepsign-" in text  # the shipped one
    decisions = [line for line in said if line.endswith(("accepted", "rejected", "(wrong)"))]
    assert len(decisions) == 2 * 3 * 2  # test people x kinds x bundles
    report = tmp_path / "report"
    assert any(path.suffix == ".html" for path in report.iterdir())
    assert str(report) in text
    assert (made.report[-1].parent, made.report[-1].suffix) == (report, ".html")
