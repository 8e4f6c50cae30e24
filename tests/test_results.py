from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult, Timings, VerifyResult

TIMINGS = Timings(decode_ms=1.0, preprocess_ms=2.0, inference_ms=3.0, postprocess_ms=0.25, total_ms=6.5)
COMMON = {
    "raw_score": 0.4,
    "threshold": 0.61,
    "operating_point": "fmr_1e-2",
    "quality": ("clipped",),
    "timings": TIMINGS,
    "bundle_id": "deepsign-1.0-0123456789ab",
}


def verified(decision: bool, score: float, **changes: object) -> VerifyResult:
    return VerifyResult(decision=decision, score=score, **(COMMON | changes))


def test_a_verify_result_is_true_exactly_when_it_accepts() -> None:
    assert verified(True, 0.8)
    assert not verified(False, 0.8), "a quality flag may reject a high score"
    assert verified(True, 0.61), "a score at the threshold accepts"


@pytest.mark.parametrize("score", [0.6, 0.0, -math.inf, math.nan])
def test_nothing_is_accepted_below_its_threshold(score: float) -> None:
    with pytest.raises(ValueError, match="below threshold"):
        verified(True, score)
    with pytest.raises(ValueError, match="below threshold"):
        SpoofResult(decision=SpoofDecision.LIVE, score=score, **COMMON)


@pytest.mark.parametrize("decision", SpoofDecision)
def test_only_live_is_true(decision: SpoofDecision) -> None:
    result = SpoofResult(decision=decision, score=0.9, **COMMON)
    assert bool(result) is result.is_live is (decision is SpoofDecision.LIVE)
    over_time = StreamResult(decision, ("evidence",), 0.0, None, result)
    assert bool(over_time) is over_time.is_live is result.is_live
    assert result.as_dict()["decision"] == decision.value


def test_as_dict_is_strict_json() -> None:
    result = verified(False, 0.0, raw_score=math.nan)
    text = json.dumps(result.as_dict(), allow_nan=False)
    assert json.loads(text) == {
        "decision": False,
        "score": 0.0,
        "raw_score": None,
        "threshold": 0.61,
        "operating_point": "fmr_1e-2",
        "quality": ["clipped"],
        "timings": {
            "decode_ms": 1.0,
            "preprocess_ms": 2.0,
            "inference_ms": 3.0,
            "postprocess_ms": 0.25,
            "total_ms": 6.5,
            "locate_ms": 0.0,
        },
        "bundle_id": "deepsign-1.0-0123456789ab",
        "references": None,
    }
    assert list(json.loads(text))[:2] == ["decision", "score"]


def test_results_are_frozen() -> None:
    for thing, field in ((verified(True, 0.8), "decision"), (TIMINGS, "total_ms")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, field, 1)


def test_results_load_neither_pre_processing_nor_arrays() -> None:
    """An application that only reads results, from JSON for instance, pays for nothing else."""
    code = "import edge_sdk.results, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"numpy", "cv2", "msgspec", "edge_sdk.preprocess"} & set(loaded)
