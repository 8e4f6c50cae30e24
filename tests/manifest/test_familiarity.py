"""Which samples are like those that a bundle was made with: the record in a manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from edge_sdk import manifest
from edge_sdk.bundle import Bundle
from edge_sdk.errors import ManifestError
from edge_sdk.manifest import Familiarity

MADE: dict[str, Any] = {
    "measures": ("width", "height"),
    "mean": (1.0, 2.0),
    "whitening": ((2.0, 0.0), (1.0, 3.0)),
    "limit": 3.0,
    "data": "made up",
    "subjects": 9,
    "samples": 90,
    "flagged": 0.01,
}


def test_the_distance_is_mahalanobis() -> None:
    made = Familiarity(**MADE)
    assert made.distance((1.0, 2.0)) == 0
    assert made.distance((2.0, 3.0)) == pytest.approx((2**2 + 4**2) ** 0.5)


def test_what_lies_beyond_the_limit_or_cannot_be_measured_is_not_known() -> None:
    made = Familiarity(**MADE)
    assert made.knows((1.0, 3.0))  # at the limit
    assert not made.knows((1.0, 3.001))
    assert not made.knows(None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": (), "mean": (), "whitening": ()}, "needs measures"),
        ({"measures": ("width", "width")}, "measure given twice: width"),
        ({"mean": (1.0,)}, r"2 measures, but a mean or whitening of \{1\}"),
        ({"whitening": ((2.0, 0.0),)}, r"2 measures, but a mean or whitening of \{1\}"),
        ({"whitening": ((2.0, 0.0), (1.0,))}, r"2 measures, but a mean or whitening of \{1\}"),
        ({"mean": (1.0, float("nan"))}, "not finite"),
        ({"whitening": ((2.0, 0.0), (1.0, float("inf")))}, "not finite"),
        ({"limit": 0.0}, "limit is 0.0; it must be above 0"),
        ({"limit": float("inf")}, "limit is inf; it must be finite"),
        ({"flagged": 1.5}, "flagged is 1.5"),
        ({"subjects": 0}, "subjects is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        Familiarity(**MADE | change)


def test_a_manifest_with_it_is_read_as_written(make_bundle: Callable[..., Bundle]) -> None:
    written = make_bundle(familiarity=Familiarity(**MADE)).manifest
    assert manifest.decode(manifest.encode(written)) == written
    without = msgspec.structs.replace(written, familiarity=None)
    assert manifest.decode(manifest.encode(without)).familiarity is None
