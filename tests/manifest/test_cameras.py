"""What a one-class bundle reaches before other cameras, in a manifest."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_sdk.errors import ManifestError
from edge_sdk.manifest import CameraSeparation, decode, encode

from .test_manifest import SPOOF_HEAD

DAY = CameraSeparation(data="nuaa-train-day1", density="refitted", subjects=9, auroc=0.96, low=0.89, high=1.0)


def test_it_survives_a_round_trip() -> None:
    manifest = replace(SPOOF_HEAD, cameras=(DAY, replace(DAY, density="own", auroc=0.4, low=0.2, high=0.7)))
    assert decode(encode(manifest)) == manifest


def test_a_manifest_of_before_has_none() -> None:
    before = encode(SPOOF_HEAD).replace(b'  "cameras": [],\n', b"")
    assert before != encode(SPOOF_HEAD)
    assert decode(before) == SPOOF_HEAD


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"low": 0.9, "high": 0.8}, "not ordered"), ({"auroc": 1.1}, "auroc is 1.1"), ({"subjects": 0}, "subjects is 0")],
)
def test_what_cannot_be_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        replace(DAY, **changes)
