"""How a stream is decided, in a manifest: what survives a round trip, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from edge_sdk.errors import ManifestError
from edge_sdk.manifest import DecisionOverTime, KOfNRule, Rate, RuleProvenance, SequentialRule, decode, encode
from edge_sdk.manifest.over_time import boundaries

from .test_manifest import SIGNATURE, SPOOF_HEAD

NONE = Rate(value=0.0, low=0.0, high=0.02, errors=0, trials=100)
FEW = Rate(value=0.02, low=0.0, high=0.05, errors=2, trials=100)
K_OF_N = KOfNRule(live=7, spoof=4, window=10, margin=-0.25)
SEQUENTIAL = SequentialRule(slope=0.5, offset=0.1, apcer=0.01, bpcer=0.05, limit=1.5)
TUNED = RuleProvenance(
    data="film+cfp-frontal",
    subjects=100,
    variant="int8.onnx",
    operating_point="apcer_5e-2",
    apcer=FEW,
    bpcer=NONE,
    species={"print (film+cfp)": NONE, "screen (film+cfp)": FEW},
    version="0.1.0",
)


def over_time(rule: KOfNRule | SequentialRule = K_OF_N, **changes: Any) -> DecisionOverTime:
    return DecisionOverTime(
        **{"rule": rule, "gap_s": 1.0, "cooldown_s": 3.0, "deadline_s": 5.0, "tuned": TUNED} | changes
    )


@pytest.mark.parametrize("rule", [K_OF_N, SEQUENTIAL])
def test_a_rule_survives_a_round_trip(rule: KOfNRule | SequentialRule) -> None:
    manifest = replace(SPOOF_HEAD, over_time=over_time(rule))
    assert decode(encode(manifest)).over_time == over_time(rule)


def test_a_manifest_of_before_has_none() -> None:
    before = encode(SPOOF_HEAD).replace(b'  "over_time": null,\n', b"")
    assert before != encode(SPOOF_HEAD)
    assert decode(before) == SPOOF_HEAD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"live": 5, "spoof": 5}, "both could be true at once"),
        ({"live": 11}, "each must be in 1..10"),
        ({"live": 0}, "live is 0"),
        ({"window": 10**6}, "window is 1000000"),
        ({"margin": math.nan}, "margin is nan"),
    ],
)
def test_votes_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        replace(K_OF_N, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slope": 0.0}, "slope is 0"),
        ({"apcer": 0.5}, "apcer is 0.5"),
        ({"limit": 3.0}, "no frame decides alone"),  # the lower boundary is log(0.05 / 0.99) = -2.986
        ({"limit": 0.0}, "no frame decides alone"),
        ({"offset": math.inf}, "offset is inf"),
    ],
)
def test_a_test_that_one_frame_decides_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        replace(SEQUENTIAL, **changes)


def test_walds_boundaries() -> None:
    assert boundaries(0.01, 0.05) == pytest.approx((-2.98568, 4.55388), abs=1e-5)  # log(5 / 99), log(95)


@pytest.mark.parametrize("name", ["gap_s", "cooldown_s", "deadline_s"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, 1e6])
def test_limits_are_positive_and_less_than_a_day(name: str, seconds: float) -> None:
    with pytest.raises(ManifestError, match=name):
        over_time(**{name: seconds})


def test_the_apcer_is_that_of_the_worst_species() -> None:
    with pytest.raises(ManifestError, match="not the maximum"):
        replace(TUNED, apcer=NONE)


def test_only_spoof_detection_has_streams() -> None:
    with pytest.raises(ManifestError, match="for task spoof, not verify"):
        replace(SIGNATURE, over_time=over_time())


def test_a_margin_that_accepts_everything_is_refused() -> None:
    """A probability is never below 0: every frame reaches a threshold of 0.6 with a margin of -0.6."""
    replace(SPOOF_HEAD, over_time=over_time(replace(K_OF_N, margin=-0.59)))
    with pytest.raises(ManifestError, match="with the margin of over_time accepts everything"):
        replace(SPOOF_HEAD, over_time=over_time(replace(K_OF_N, margin=-0.6)))
