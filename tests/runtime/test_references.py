"""Operating points by the number of references: which decides, that results say so, and what has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import ManifestError, OperatingPointError, UsageError
from edge_sdk.manifest import OperatingPoint, Rate, UnsupportedPoint, Variant, VerifyPoint, decode, encode
from edge_sdk.runtime.operating_point import point_for

Maker = Callable[..., Bundle]
Signer = Callable[[int], np.ndarray]
RATE = Rate(value=0.1, low=0.0, high=0.2, errors=1, trials=10)
THRESHOLDS = {1: 0.9, 3: 0.6, 5: 0.5}


def point(references: int, threshold: float, name: str = "eer") -> VerifyPoint:
    return VerifyPoint(
        name=name, threshold=threshold, target=None, fmr=RATE, fnmr=RATE, data="a", subjects=9, references=references
    )


def bundle_of(make_bundle: Maker, *points: OperatingPoint) -> Bundle:
    return make_bundle(operating_points={"fp32": points, "int8": points})


@pytest.fixture(scope="module")
def counted(make_bundle: Maker) -> Bundle:
    """Points in no order, and one that is not supported."""
    missing = UnsupportedPoint(name="eer", target=None, reason="3 people have more than 10 samples", references=10)
    return bundle_of(make_bundle, point(5, 0.5), missing, point(1, 0.9), point(3, 0.6))


@pytest.mark.parametrize(("count", "measured"), [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5), (12, 5)])
def test_the_templates_count_chooses(count: int, measured: int, counted: Bundle, signer: Signer) -> None:
    references = [signer(seed) for seed in range(count)]
    with Verifier(counted) as verifier:
        template = verifier.enroll(references)
        for given in (template, references):
            result = verifier.verify(given, signer(50))
            assert (result.threshold, result.references) == (THRESHOLDS[measured], measured)
            assert result.decision == (result.score >= THRESHOLDS[measured])
        assert verifier.operating_point_for(count) == point(measured, THRESHOLDS[measured])
        blank = verifier.verify(template, np.full((300, 600), 255, np.uint8))
        assert (blank.decision, blank.references) == (False, measured)


def test_without_a_point_of_so_few_references_the_fewest_decide(make_bundle: Maker, signer: Signer) -> None:
    with Verifier(bundle_of(make_bundle, point(5, 0.5), point(3, 0.6))) as verifier:
        assert (verifier.operating_point.references, verifier.threshold) == (3, 0.6)
        result = verifier.verify(signer(1), signer(2))
        assert (result.threshold, result.references) == (0.6, 3)


def test_a_point_that_is_supported_for_some_counts_alone(make_bundle: Maker, signer: Signer) -> None:
    refused = UnsupportedPoint(name="fmr_1e-3", target=1e-3, reason="40 comparisons")
    with Verifier(
        bundle_of(make_bundle, refused, point(3, 0.6, "fmr_1e-3"), point(1, 0.9)), operating_point="fmr_1e-3"
    ) as verifier:
        assert verifier.verify(signer(1), signer(2)).references == 3
    alone = bundle_of(make_bundle, refused, point(1, 0.9))
    with pytest.raises(OperatingPointError, match="no threshold for fmr_1e-3: 40 comparisons"):
        Verifier(alone, operating_point="fmr_1e-3")


def test_identify_decides_by_the_best_candidates_own_threshold(counted: Bundle, signer: Signer) -> None:
    with Verifier(counted) as verifier:
        few, many = verifier.enroll(signer(1)), verifier.enroll([signer(2), signer(3), signer(4)])
        templates = {"few": few, "many": many}
        for seed, name, references in ((1, "few", 1), (3, "many", 3)):
            result = verifier.identify(signer(seed), templates)
            assert (result.candidates[0].name, result.references) == (name, references)
            assert result.threshold == THRESHOLDS[references]
            alone = verifier.verify(templates[name], signer(seed))
            assert (result.decision, result.score) == (alone.decision, alone.score)
        blank = verifier.identify(np.full((300, 600), 255, np.uint8), templates)
        assert (blank.decision, blank.references, blank.threshold) == (False, 1, THRESHOLDS[1])


def test_a_threshold_of_ones_own_is_for_every_count(counted: Bundle, signer: Signer) -> None:
    with Verifier(counted, threshold=0.75) as verifier:
        for references in (signer(1), [signer(seed) for seed in range(5)]):
            result = verifier.verify(references, signer(9))
            assert (result.threshold, result.operating_point, result.references) == (0.75, "custom", None)
        assert verifier.identify(signer(1), {"a": verifier.enroll(signer(1))}).references is None
        with pytest.raises(OperatingPointError, match="opened with a threshold"):
            verifier.operating_point_for(3)


@pytest.mark.parametrize("references", [0, -1, 1.5, None, "3"])
def test_no_number_of_references(references: object, counted: Bundle) -> None:
    with Verifier(counted) as verifier, pytest.raises(UsageError, match="whole number, at least 1"):
        verifier.operating_point_for(references)  # type: ignore[arg-type]


def test_point_for_takes_the_nearest_below() -> None:
    points = (point(3, 0.6), point(5, 0.5))
    assert [point_for(points, count).references for count in (0, 1, 3, 4, 5, 99)] == [3, 3, 3, 3, 5, 5]


def test_manifests_from_before_mean_one_reference(counted: Bundle) -> None:
    plain = json.loads(encode(counted.manifest))
    for variant in plain["variants"]:
        variant["operating_points"] = variant["operating_points"][2:3]
        del variant["operating_points"][0]["references"]
    (read, *_) = decode(json.dumps(plain).encode()).variants
    assert read.operating_points == (point(1, 0.9),)


def test_a_name_is_there_once_for_each_count() -> None:
    def variant(*points: OperatingPoint) -> Variant:
        return Variant(precision="fp32", format="onnx", operating_points=points)

    with pytest.raises(ManifestError, match="operating point given twice: eer"):
        variant(point(3, 0.6), point(1, 0.9), point(3, 0.7))
    with pytest.raises(ManifestError, match="operating point given twice: eer"):
        variant(point(3, 0.6), UnsupportedPoint(name="eer", target=None, reason="few", references=3))
    with pytest.raises(ManifestError, match="references is 0"):
        point(0, 0.5)
    apart = point(3, 0.6), point(1, 0.9, "strict"), point(1, 0.9)
    assert variant(*apart).operating_points == apart
    lenient = Rate(value=0.5, low=0.0, high=1.0, errors=5, trials=10)
    higher = VerifyPoint(
        name="strict", threshold=0.8, target=None, fmr=lenient, fnmr=RATE, data="a", subjects=9, references=1
    )
    different = point(3, 0.6), higher
    assert variant(*different).operating_points == different, "rates with other numbers of references are not compared"
    with pytest.raises(ManifestError, match="do not go with their thresholds"):
        variant(point(1, 0.6), higher)


def test_commands_say_with_how_many(
    counted: Bundle, signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(tmp_path / f"{seed}.png") for seed in range(4)]
    for seed, path in enumerate(paths):
        assert cv2.imwrite(path, signer(seed))
    bundle = ["--bundle", str(counted.path)]
    main(["verify", *paths, *bundle])
    assert "accepted from 0.6000 (eer, measured with 3 references)" in capsys.readouterr().out
    main(["verify", paths[0], paths[1], *bundle, "--json"])
    assert json.loads(capsys.readouterr().out)["references"] == 1
    template = str(tmp_path / "a.template")
    assert main(["enroll", *paths[:3], *bundle, "-o", template, "--plain"]) == 0
    assert "3 references" in capsys.readouterr().out
    main(["identify", paths[3], template, *bundle])
    said = capsys.readouterr().out
    assert "accepted from 0.6000 (eer, measured with 3 references), 1 enrolled" in said
    assert "an FMR of 10.00 % for each of 1" in said or "an FMR of 10.00%" in said
    main(["identify", paths[3], template, *bundle, "--threshold", "0.4"])
    said = capsys.readouterr().out
    assert "accepted from 0.4000 (custom)" in said
    assert "expected FPIR" not in said
    assert main(["inspect", str(counted.path)]) == 0
    said = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines()]
    assert lines[lines.index(["3", "references", "threshold", "FMR,", "%", "FNMR,", "%"]) + 1][:2] == ["eer", "0.6000"]
    assert "  10 references\n  eer  not supported: 3 people have more than 10 samples\n" in said
