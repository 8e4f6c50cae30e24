"""Counts, sizes and texts of a manifest have bounds, and what it says of its scores goes together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.errors import ManifestError
from edge_sdk.manifest import (
    BonaFidePoint,
    DecisionHead,
    Domain,
    EmbeddingDistance,
    EvidenceLowerBound,
    Fusion,
    Golden,
    KlDivergence,
    LatentDistance,
    LatentLikelihood,
    LogLikelihoodRatio,
    Lowest,
    OperatingPoint,
    Rate,
    Reconstruction,
    Score,
    SpoofPoint,
    Variant,
    VerifyPoint,
    decode,
    encode,
)

PLAIN = {name: json.loads(encode(Bundle.open(name).manifest)) for name in ("deepsign", "deepsign_nano", "liveness")}
INFINITE = float("inf")


def changed(name: str, change: Callable[[Any], object]) -> bytes:
    """The manifest of a shipped bundle after ``change`` was applied to its JSON values."""
    plain = json.loads(json.dumps(PLAIN[name]))
    change(plain)
    return json.dumps(plain).encode()


def many(count: int, *path: str | int) -> Callable[[Any], object]:
    """A change that repeats the first entry of the list at the path."""

    def change(plain: Any) -> None:
        for key in path[:-1]:
            plain = plain[key]
        plain[path[-1]] = plain[path[-1]][:1] * count

    return change


def test_shipped_manifests_keep_within_all_bounds() -> None:
    for name in shipped():
        manifest = Bundle.open(name).manifest
        assert decode(encode(manifest)) == manifest


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("deepsign", many(40_000, "graphs", 0, "inputs", 0, "shape"), r"length <= 8 - at `\$\.graphs\[0\]"),
        ("deepsign", many(30_000, "auxiliary"), r"length <= 1000 - at `\$\.auxiliary`"),
        ("deepsign", many(1000, "graphs"), r"length <= 16 - at `\$\.graphs`"),
        ("deepsign", many(1000, "graphs", 0, "outputs"), "length <= 256"),
        ("deepsign", many(1000, "variants"), "length <= 32"),
        ("deepsign", many(1000, "variants", 0, "operating_points"), "length <= 100"),
        ("deepsign", many(1000, "golden", "inputs"), "length <= 100"),
        ("deepsign", many(65, "preprocessing"), r"length <= 64 - at `\$\.preprocessing`"),
        ("liveness", many(65, "score", "members"), "length <= 64"),
        ("deepsign", lambda m: m.update(name="x" * 201), r"length <= 200 - at `\$\.name`"),
        ("deepsign", lambda m: m["data_license"].update(statement="x" * 10_001), "length <= 10000"),
        ("deepsign", lambda m: m.update(embedding_space_id=""), "length >= 1"),
        (
            "deepsign",
            lambda m: m["training"].update(steps=2**53 + 1),
            r"<= 9007199254740992 - at `\$\.training",
        ),
        ("deepsign", lambda m: m["training"].update(seed=-1), ">= 0"),
        ("deepsign", lambda m: m["training"].update(steps=10**400), r"\$\.training\.steps|out of range|Integer"),
        ("deepsign", lambda m: m["graphs"][0]["outputs"][0].update(shape=["batch", 2**26 + 1]), "<= 67108864"),
        ("deepsign", lambda m: m["graphs"][0]["outputs"][0].update(shape=["batch", 2**20, 2**7]), "more than 67108864"),
        (
            "deepsign",
            lambda m: m["preprocessing"][8].update(height=31_623),
            r"2048 - at `\$\.preprocessing\[8\]",
        ),
        ("deepsign", lambda m: m["preprocessing"].pop(1), "put to_gray before it"),
        ("deepsign", lambda m: m["preprocessing"].reverse(), "takes gray images"),
        ("deepsign", lambda m: m["preprocessing"][8].update(height=160), r"\(1, 160, 180\)"),
        ("liveness", lambda m: m["source"].update(color="rgb"), "gives gray images, the source says rgb"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_its_place(
    name: str, change: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        decode(changed(name, change))


def test_a_key_given_twice_is_refused() -> None:
    data = json.dumps(PLAIN["deepsign"]).encode()
    for old, key in ((b'"threshold": ', b"threshold"), (b'"schema_version": ', b"schema_version")):
        assert old in data
        twice = data.replace(old, b'"%s": 1, %s' % (key, old), 1)
        with pytest.raises(ManifestError, match=f"the keys {key.decode()} are given twice"):
            decode(twice)


def test_deep_nesting_is_refused_in_words() -> None:
    deep = b'{"schema_version": 1, "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    with pytest.raises(ManifestError, match="within each other, too deep"):
        decode(deep)


# --- the range of a score ---

HEAD = DecisionHead(output="m.y", activation="sigmoid")
ODDS = DecisionHead(output="m.y", activation="identity")
KNOWN = Domain(likelihood=LatentLikelihood(output="m.a", density="d"), least=-5.0)
ERROR = Reconstruction(input="m.x", output="m.z", norm="l2")


@pytest.mark.parametrize(
    ("score", "low", "high"),
    [
        (EmbeddingDistance(output="m.e", metric="euclidean"), 0.0, 1.0),
        (EmbeddingDistance(output="m.e", metric="cosine"), 0.0, 1.0),
        (HEAD, 0.0, 1.0),
        (DecisionHead(output="m.y", activation="softmax"), 0.0, 1.0),
        (ODDS, -INFINITE, INFINITE),
        (ERROR, -INFINITE, 0.0),
        (LatentDistance(first="m.a", second="m.b"), -INFINITE, 0.0),
        (LatentLikelihood(output="m.a", density="d"), -INFINITE, INFINITE),
        (KlDivergence(mean="m.a", log_variance="m.b"), -INFINITE, 0.0),
        (EvidenceLowerBound(input="m.x", output="m.z", mean="m.a", log_variance="m.b"), -INFINITE, 0.0),
        (LogLikelihoodRatio(output="m.a", background="d", relevance=16.0, clip=50.0), -50.0, 50.0),
        (Fusion(members=(HEAD, HEAD), weights=(2.0, -3.0), bias=0.5), -2.5, 2.5),
        (Fusion(members=(HEAD, ERROR), weights=(1.0, 2.0)), -INFINITE, 1.0),
        (Fusion(members=(HEAD, ERROR), weights=(1.0, -2.0)), 0.0, INFINITE),
        (Fusion(members=(HEAD, ODDS), weights=(1.0, 0.0)), 0.0, 1.0),
        (Lowest(members=(HEAD, HEAD), weights=(1.0, 2.0), biases=(0.0, -1.0)), -1.0, 1.0),
        (Lowest(members=(HEAD, ODDS), weights=(1.0, 2.0), biases=(3.0, -1.0)), -INFINITE, 4.0),
        (Lowest(members=(HEAD, HEAD), weights=(1.0, 2.0), biases=(0.0, -1.0), domains=(KNOWN, KNOWN)), -1.0, 1.0),
        (Lowest(members=(HEAD, HEAD), weights=(1.0, 2.0), biases=(0.0, 0.0), domains=(KNOWN, KNOWN)), 0.0, 2.0),
        (Lowest(members=(HEAD, HEAD), weights=(1.0, 2.0), biases=(0.0, 0.0), domains=(None, KNOWN)), 0.0, 1.0),
    ],
)
def test_scores_say_their_range(score: Score, low: float, high: float) -> None:
    assert score.range == (low, high)


def threshold(value: float, number: int = 0, point: int = 3) -> Callable[[Any], object]:
    """A change of one threshold: of ``eer``, or of another point."""
    return lambda plain: plain["variants"][number]["operating_points"][point].update(threshold=value)


@pytest.mark.parametrize("value", [0, 0.0, -0.0, -1, -1e8])
def test_a_threshold_that_accepts_everything_is_refused(value: float) -> None:
    def lowest(plain: Any) -> None:
        plain["variants"][0]["operating_points"] = plain["variants"][0]["operating_points"][:1]
        plain["variants"][0]["operating_points"][0]["threshold"] = value

    with pytest.raises(ManifestError, match=r"fmr_1e-1 of fp32.onnx accepts everything: no score is below 0"):
        decode(changed("deepsign", lowest))


@pytest.mark.parametrize("value", [-1e308, 1e308, 1.1e9, 10**30])
def test_a_threshold_that_no_score_comes_near_is_refused(value: float) -> None:
    with pytest.raises(ManifestError, match=r"operating_points\[3\]\.threshold"):
        decode(changed("liveness", threshold(value)))


def test_a_threshold_above_all_scores_rejects_everything_and_passes() -> None:
    def highest(plain: Any) -> None:
        strictest = plain["variants"][0]["operating_points"][3]
        assert strictest["name"] == "fmr_1e-3"
        strictest["threshold"] = 1.5

    assert decode(changed("deepsign", highest)).variants[0].operating_points[3].threshold == 1.5


def test_a_golden_comparison_takes_two_inputs() -> None:
    with pytest.raises(ManifestError, match="references and a query"):
        decode(changed("deepsign", lambda m: m["golden"]["inputs"].pop()))


@pytest.mark.parametrize("score", [-0.1, 1.1, 95.0])
def test_golden_scores_lie_in_the_range(score: float) -> None:
    with pytest.raises(ManifestError, match=r"golden score of fp32\.onnx .* not in \[0, 1\]"):
        decode(changed("deepsign", lambda m: m["golden"]["scores"].update({"fp32.onnx": score})))


def test_a_golden_tolerance_leaves_something_to_find() -> None:
    with pytest.raises(ManifestError, match=r"within 1\.1 of the golden score of fp32\.onnx is every score"):
        decode(changed("deepsign", lambda m: m["golden"]["tolerance"].update({"fp32.onnx": 1.1})))


# --- error rates and their thresholds ---


def share(errors: int) -> Rate:
    return Rate(value=errors / 100, low=0.0, high=1.0, errors=errors, trials=100)


def verify(name: str, value: float, fmr: int, fnmr: int, data: str = "a") -> VerifyPoint:
    return VerifyPoint(name=name, threshold=value, target=None, fmr=share(fmr), fnmr=share(fnmr), data=data, subjects=9)


def variant(*points: OperatingPoint) -> Variant:
    return Variant(precision="fp32", format="onnx", operating_points=points)


def test_error_rates_go_with_their_thresholds() -> None:
    eer, strict = verify("eer", 0.5, 10, 10), verify("strict", 0.8, 1, 40)
    assert variant(strict, eer).operating_points == (strict, eer)
    assert variant(eer, verify("same", 0.5, 10, 10)), "the same threshold, the same rates"
    assert variant(eer, verify("others", 0.8, 12, 5, data="b")), "rates of other data are not compared"
    for wrong in (
        replace(strict, threshold=0.4),
        replace(strict, fmr=share(11)),
        replace(strict, fnmr=share(9)),
        replace(strict, threshold=0.5),
    ):
        with pytest.raises(ManifestError, match="do not go with their thresholds"):
            variant(eer, wrong)


def test_the_bpcer_of_live_captures_alone_rises_with_the_threshold() -> None:
    def live(name: str, threshold: float, bpcer: int) -> BonaFidePoint:
        return BonaFidePoint(name=name, threshold=threshold, target=0.1, bpcer=share(bpcer), data="a", subjects=1)

    points = live("bpcer_1e-1", 0.8, 9), live("bpcer_5e-2", 0.5, 4)
    assert variant(*points).operating_points == points
    with pytest.raises(ManifestError, match="do not go with their thresholds"):
        variant(replace(points[0], threshold=0.4), points[1])
    with pytest.raises(ManifestError, match=r"BPCER is 0\.11, above the target 0\.1"):
        live("x", 0.5, 11)


def test_exchanged_thresholds_are_refused() -> None:
    def exchange(plain: Any) -> None:
        points = plain["variants"][0]["operating_points"]
        points[0]["threshold"], points[3]["threshold"] = points[3]["threshold"], points[0]["threshold"]

    for name in PLAIN:
        with pytest.raises(ManifestError, match="do not go with their thresholds"):
            decode(changed(name, exchange))


def test_a_rate_is_at_most_its_target() -> None:
    assert replace(verify("x", 0.5, 10, 10), target=0.1).target == 0.1
    with pytest.raises(ManifestError, match=r"FMR is 0\.1, above the target 0\.09"):
        replace(verify("x", 0.5, 10, 10), target=0.09)
    spoof = {"threshold": 0.5, "apcer": share(2), "bpcer": share(9), "species": {"print": share(2)}, "data": "a"}
    with pytest.raises(ManifestError, match=r"APCER is 0\.02, above the target 0\.01"):
        SpoofPoint(name="x", target=0.01, **spoof)  # type: ignore[arg-type]


def test_constructors_keep_the_bounds_too() -> None:
    with pytest.raises(ManifestError, match="length above 100"):
        Golden(scores={str(i): 0.5 for i in range(101)}, tolerance={str(i): 0.5 for i in range(101)})
    with pytest.raises(ManifestError, match="threshold is -1e"):
        verify("x", -1e308, 1, 1)
    with pytest.raises(ManifestError, match="bias is 1e"):
        Fusion(members=(HEAD,), weights=(1.0,), bias=1e300)


def test_the_default_point_is_one_that_every_variant_has() -> None:
    def named(name: str) -> bytes:
        return changed("deepsign_nano", lambda plain: plain.update(default_point=name))

    assert decode(named("fmr_1e-1")).default_point == "fmr_1e-1"
    for missing in ("nonesuch", "fmr_1e-3"):  # the second is there, and not supported
        with pytest.raises(ManifestError, match=f"fp32.onnx has no threshold for {missing}, the default"):
            decode(named(missing))
