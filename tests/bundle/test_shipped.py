"""The bundles in the package keep what their cards say: past the guardrail, within their sizes, with their scores."""

from __future__ import annotations

import pytest

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.runtime.selftest import passed, selftest

MEGABYTES = {"deepsign": 0.35, "deepsign_nano": 0.1, "liveness": 0.5, "mobilenetv2": 4.0}
"""What an int8 artifact may take."""


def test_all_are_known() -> None:
    assert set(shipped()) == set(MEGABYTES)


@pytest.mark.parametrize("name", MEGABYTES)
def test_every_artifact_passes_the_guardrail_and_keeps_to_its_size(name: str) -> None:
    bundle = Bundle.open(name)
    for artifact in bundle.manifest.artifacts:
        assert artifact.operating_points, artifact.id
        if artifact.id != "fp32.onnx":  # what the others are compared with
            assert [drift.verdict for drift in artifact.drift] == ["pass"], artifact.id
        if artifact.precision.startswith("int8"):
            assert artifact.file.size <= MEGABYTES[name] * 1e6, artifact.id


@pytest.mark.parametrize("name", MEGABYTES)
def test_the_golden_scores_are_reached_on_every_engine_here(name: str) -> None:
    replays = selftest(name, engine="all")
    assert passed(replays), replays
    assert {replay.artifact_id for replay in replays} == {
        artifact.id for artifact in Bundle.open(name).manifest.artifacts
    }
