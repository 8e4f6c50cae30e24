"""The bundles in the package keep what their cards say: past the guardrail, within their sizes, with their scores."""

from __future__ import annotations

import pytest

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.runtime.selftest import passed, selftest

MEGABYTES = {
    "deepsign": 0.35,
    "deepsign_nano": 0.1,
    "face_lite": 1.2,
    "face_locator": 0.3,
    "ganomaly_lite": 1.0,
    "gait": 2.5,
    "gait_lite": 0.3,
    "liveness": 0.5,
    "mobilenetv2": 4.0,
}
"""What an int8 variant may take."""


def test_all_are_known() -> None:
    assert set(shipped()) == set(MEGABYTES)


@pytest.mark.parametrize("name", MEGABYTES)
def test_every_variant_passes_the_guardrail_and_keeps_to_its_size(name: str) -> None:
    bundle = Bundle.open(name)
    for variant in bundle.manifest.variants:
        assert variant.operating_points, variant.id
        if variant.id != "fp32.onnx":  # what the others are compared with
            assert [difference.verdict for difference in variant.accuracy] == ["pass"], variant.id
        if variant.precision.startswith("int8"):
            assert bundle.manifest.variant_size(variant.id) <= MEGABYTES[name] * 1e6, variant.id


@pytest.mark.parametrize("name", MEGABYTES)
def test_the_golden_scores_are_reached_on_every_engine_here(name: str) -> None:
    replays = selftest(name, engine="all")
    assert passed(replays), replays
    assert {replay.variant_id for replay in replays} == {variant.id for variant in Bundle.open(name).manifest.variants}


def test_signatures_are_decided_at_one_kind_of_point_by_default() -> None:
    for name in shipped():
        manifest = Bundle.open(name).manifest
        assert manifest.default_point is not None, name
        if manifest.modality == "signature":
            assert manifest.default_point == "eer", name
