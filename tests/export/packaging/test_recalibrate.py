"""Thresholds fitted again on a user's own people: what changes in a bundle, what does not, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import SpoofDetector, Template, Verifier
from edge_sdk.bundle import Bundle, BundleWriter, pack
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.rewriting import CARD
from edge_sdk.calibration.thresholds import operating_points
from edge_sdk.cli import main
from edge_sdk.errors import BundleError, DatasetError, EngineError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.export.packaging.recalibrate import recalibrate
from edge_sdk.manifest import Reconstruction, UnsupportedPoint, VerifyPoint

from ...conftest import tiny_network
from ..evaluation.spoof import conftest as spoof_data

WRITERS, GENUINE, FORGED = 6, 4, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six writers with skilled forgeries; one blank picture and one that is cut off."""
    root = tmp_path_factory.mktemp("people") / "mine"
    for writer in range(WRITERS):
        hand = SyntheticWriter(300 + writer)
        for kind, count, draw in (("genuine", GENUINE, hand.genuine), ("forged", FORGED, hand.forged)):
            for k in range(count):
                path = root / f"w{writer}" / kind / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), draw(k))
    cv2.imwrite(str(root / "w0" / "genuine" / "blank.png"), np.full((300, 600), 255, np.uint8))
    whole = (root / "w1" / "forged" / "0.png").read_bytes()
    (root / "w1" / "forged" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return root


@pytest.fixture(scope="module")
def data(folder):
    return load(f"folder:{folder}")


@pytest.fixture
def bundle(make_bundle, tmp_path, signer) -> Bundle:
    """Two variants, golden scores and a model card."""
    made = make_bundle(golden={"fp32.onnx": 0.5, "int8.onnx": 0.5}, tolerance=1.0)
    with BundleWriter(tmp_path / "before") as writer:
        for entry in made.manifest.files:
            writer.add(entry.path, made.read(entry))
        card = writer.add(CARD, b"# tiny\n\n## Operating points\n\nold\n")
        return writer.finish(_replace(made.manifest, auxiliary=(card,)))


def _replace(struct, **changes):
    return msgspec.structs.replace(struct, **changes)


def test_every_variant_gets_the_points_of_its_own_scores(bundle, data, tmp_path):
    found = recalibrate(bundle, data, tmp_path / "after.edge", engine="onnxruntime")
    assert [one.variant for one in found.fitted] == ["fp32.onnx", "int8.onnx"]
    manifest = found.bundle.manifest
    assert manifest.variants[0].operating_points != manifest.variants[1].operating_points
    for variant in manifest.variants:
        # Derived again with loops, from what the verifier says of each pair.
        scores, mated, people = [], [], []
        with Verifier(bundle, engine="onnxruntime", precision=variant.id) as verifier:
            usable = [s for s in data.samples if s.path.stem not in ("blank", "cut")]
            for person in data.subjects:
                own = [s.path for s in usable if s.subject == person and s.genuine]
                forged = [s.path for s in usable if s.subject == person and not s.genuine]
                pairs = [(a, b, True) for a, b in itertools.combinations(own, 2)]
                pairs += [(a, b, False) for a in own for b in forged]
                for reference, query, same in pairs:
                    scores.append(verifier.verify(reference, query).score)
                    mated.append(same)
                    people.append(person)
        expected = operating_points(ScoreSet(scores, mated, people), data="mine, 6 people, skilled forgeries")
        points = variant.operating_points
        assert tuple(point for point in points if point.references == 1) == expected
        refused = next(point for point in points if point.name == "fmr_1e-3")
        assert isinstance(refused, UnsupportedPoint), "72 comparisons are too few for 1 in 1000"
        three = next(point for point in points if (point.name, point.references) == ("eer", 3))
        assert isinstance(three, VerifyPoint)
        assert (three.subjects, three.fnmr.trials) == (WRITERS, WRITERS * 5)
        for count in (5, 10):
            none = [point for point in points if point.references == count]
            assert all(isinstance(point, UnsupportedPoint) for point in none)
            assert f"with {count} reference(s)" in none[0].reason, "nobody has more than 4"
    assert len(found.fitted[0].unusable) == 2
    assert {(Path(one.path).name, one.reasons[0]) for one in found.fitted[0].unusable} == {
        ("blank.png", "empty"), ("cut.png", "ImageDecodeError"),
    }  # fmt: skip


def test_models_space_golden_scores_and_templates_stay(bundle, data, tmp_path, signer):
    with Verifier(bundle, engine="onnxruntime", precision="int8.onnx") as verifier:
        verifier.enroll([signer(1), signer(2)]).save(tmp_path / "person", plain=True)
        before = verifier.verify(Template.load(tmp_path / "person"), signer(3))
    after = recalibrate(bundle, data, tmp_path / "after.edge", engine="onnxruntime").bundle
    old, new = bundle.manifest, after.manifest
    assert new.embedding_space_id == old.embedding_space_id
    assert (new.graphs, new.golden, new.score, new.training) == (old.graphs, old.golden, old.score, old.training)
    assert [(v.id, v.accuracy, v.calibration) for v in new.variants] == [
        (v.id, v.accuracy, v.calibration) for v in old.variants
    ]
    with Verifier(after, engine="onnxruntime", precision="int8.onnx") as verifier:
        result = verifier.verify(Template.load(tmp_path / "person"), signer(3))
        assert (result.score, verifier.threshold) == (before.score, result.threshold)
        assert result.threshold != before.threshold
    assert Bundle.open(bundle.path).id == bundle.id, "the copy leaves the bundle as it was"


def test_the_bundle_says_on_whom(bundle, data, tmp_path):
    first = recalibrate(bundle, data, tmp_path / "first.edge", engine="onnxruntime")
    said = first.bundle.manifest.thresholds
    assert (said.data, said.impostors, said.subjects, said.unusable) == ("mine", "skilled forgeries", 6, 2)
    assert said.previous_bundle == bundle.id
    (entry,) = first.bundle.manifest.auxiliary
    card = first.bundle.read(entry).decode()
    assert "---\n\n# tiny\n\n## Operating points\n\nold\n\n## Thresholds fitted again\n" in card
    assert bundle.id in card
    second = recalibrate(first.bundle, data, tmp_path / "second.edge", engine="onnxruntime")
    assert second.bundle.manifest.thresholds.previous_bundle == first.bundle.id
    again = second.bundle.read(second.bundle.manifest.auxiliary[0]).decode()
    assert again == card.replace(bundle.id, first.bundle.id), "the same section, once"
    assert second.fitted == first.fitted


@pytest.mark.parametrize(("point", "kept"), [("eer", "eer"), ("fmr_1e-3", None), (None, None)])
def test_the_default_point_is_kept_where_it_is_supported(
    point: str | None, kept: str | None, bundle, data, folder, tmp_path, capsys
):
    with BundleWriter(tmp_path / "named") as writer:
        for entry in bundle.manifest.files:
            writer.add(entry.path, bundle.read(entry))
        variants = tuple(
            _replace(
                one,
                operating_points=tuple(
                    p if isinstance(p, VerifyPoint) else _replace(one.operating_points[1], name=p.name, data="other")
                    for p in one.operating_points
                ),
            )
            for one in bundle.manifest.variants
        )
        named = writer.finish(_replace(bundle.manifest, variants=variants, default_point=point))
    command = ["calibrate", str(named.path), "--data", f"folder:{folder}", "--out", str(tmp_path / "after.edge")]
    assert main([*command, "--engine", "onnxruntime"]) == 0
    assert Bundle.open(tmp_path / "after.edge").manifest.default_point == kept
    assert ("fmr_1e-3, the default operating point of" in capsys.readouterr().err) == (point == "fmr_1e-3")


@pytest.mark.parametrize("name", ["mine.edge", "mine"])
def test_in_place(bundle, data, tmp_path, name):
    mine = pack(bundle, tmp_path / name)
    found = recalibrate(mine.path, data, None, engine="onnxruntime")
    assert found.bundle.path == mine.path
    assert Bundle.open(tmp_path / name).id == found.bundle.id != bundle.id
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"before", name}), "no half-written file"


def test_in_place_is_all_or_nothing(bundle, data, tmp_path, monkeypatch):
    real = BundleWriter._publish

    def fail(*arguments):
        raise OSError(28, "full")

    monkeypatch.setattr(BundleWriter, "_publish", fail)
    with pytest.raises(OSError, match="full"):
        recalibrate(bundle.path, data, None, engine="onnxruntime")
    monkeypatch.setattr(BundleWriter, "_publish", real)
    assert Bundle.open(bundle.path).id == bundle.id
    with pytest.raises(DatasetError):
        recalibrate(bundle.path, data.select(data.subjects[:3]), None, engine="onnxruntime")
    assert Bundle.open(bundle.path).id == bundle.id


def test_without_forgeries_impostors_are_other_people(bundle, data, tmp_path):
    root = tmp_path / "mine"
    for sample in data.samples:
        if sample.genuine:
            path = root / sample.subject.partition("/")[2] / sample.path.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sample.path.read_bytes())
    found = recalibrate(bundle, load(f"genuine:{root}"), tmp_path / "after", engine="onnxruntime", precision="fp32")
    assert [one.impostors for one in found.fitted] == ["random impostors"]
    (variant,) = found.bundle.manifest.variants
    point = next(point for point in variant.operating_points if isinstance(point, VerifyPoint))
    assert point.data == "mine, 6 people, random impostors"
    assert point.fmr.trials == WRITERS * GENUINE * (WRITERS - 1) * GENUINE


def test_people_that_are_too_few_or_alone_are_named(bundle, data, tmp_path):
    out = tmp_path / "after"
    with pytest.raises(DatasetError, match=r"4 people with usable genuine samples; thresholds need at least 5.*"
                                           r"2 pictures cannot be used: .*blank.png \(empty, "):  # fmt: skip
        recalibrate(bundle, data.select(data.subjects[:4]), out, engine="onnxruntime")
    firsts = {sample.subject: sample for sample in reversed(data.samples) if sample.genuine}
    with pytest.raises(DatasetError, match="0 mated"):
        recalibrate(bundle, Dataset("mine", tuple(firsts.values())), out, engine="onnxruntime")
    blank = next(sample for sample in data.samples if sample.path.stem == "blank")
    with pytest.raises(DatasetError, match="none of 1 pictures can be used"):
        recalibrate(bundle, Dataset("mine", (blank,)), out, engine="onnxruntime")
    other = Dataset("two", (*data.samples, *(replace(blank, dataset="other", subject=f"other/{k}") for k in range(9))))
    with pytest.raises(UsageError, match="mine: skilled forgeries, other: random impostors"):
        recalibrate(bundle, other, out, engine="onnxruntime")
    assert not out.exists()


def test_a_variant_that_does_not_run_here_stops_it_or_is_left_out(make_bundle, data, tmp_path, monkeypatch):
    both = make_bundle(models={"fp32": tiny_network(0), "int8.tflite": b"nobody reads this"})
    monkeypatch.setattr("edge_sdk.runtime.selection.usable", lambda engine, variant: engine == "onnxruntime")
    out = tmp_path / "after"
    with pytest.raises(EngineError, match=r"1 of 2 variants cannot be measured here:\n  int8.tflite: "):
        recalibrate(both, data, out)
    assert not out.exists()
    with pytest.raises(EngineError, match="cannot be measured here"):
        recalibrate(both, data, None, leave_out=True)
    found = recalibrate(both, data, out, leave_out=True)
    assert [one.variant for one in found.left_out] == ["int8.tflite"]
    assert [variant.id for variant in found.bundle.manifest.variants] == ["fp32.onnx"]
    assert [variant.id for variant in both.manifest.variants] == ["fp32.onnx", "int8.tflite"]


def test_what_is_refused_before_anything_is_scored(bundle, data, tmp_path):
    with pytest.raises(UsageError, match="shipped bundle"):
        recalibrate("deepsign", data, None)
    with pytest.raises(UsageError, match="is the bundle itself"):
        recalibrate(bundle, data, bundle.path)
    with pytest.raises(UsageError, match="write a copy"):
        recalibrate(bundle, data, None, precision="fp32")
    with pytest.raises(BundleError, match="has no int8-sym variant"):
        recalibrate(bundle, data, tmp_path / "after", precision="int8-sym")
    with pytest.raises(UsageError, match="name it, or auto"):
        recalibrate(bundle, data, tmp_path / "after", engine="all")


# --- liveness ---

spoof_bundle = spoof_data.spoof_bundle


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces") / "mine"
    for person, frame, attack in itertools.product(range(6), range(3), (None, "print")):
        path = root / (f"attack-{attack}" if attack else "live") / f"p{person}" / f"{frame}.png"
        spoof_data.save(path, spoof_data.draw(person, attack, frame))
    spoof_data.save(root / "live/p0/0.png", np.full((40, 40), 128, np.uint8))  # flat
    return load(f"spoof:{root}")


def test_live_faces_and_attacks(spoof_bundle, faces, tmp_path):
    made = spoof_bundle(spoof_data.point("eer", -0.5))
    assert isinstance(made.manifest.score, Reconstruction)
    found = recalibrate(made, faces, tmp_path / "after", engine="onnxruntime")
    (fitted,) = found.fitted
    assert (fitted.impostors, fitted.subjects) == ("attacks: print", 6)
    assert [(Path(one.path).name, one.reasons) for one in fitted.unusable] == [("0.png", ("flat",))]
    points = {point.name: point for point in fitted.points}
    assert isinstance(points["apcer_1e-2"], UnsupportedPoint), "18 attacks"
    with SpoofDetector(made, faces="cropped", engine="onnxruntime") as detector:
        scores = [(detector.examine(s.path).score, s.genuine) for s in faces.samples]
    threshold = points["eer"].threshold
    passed = [score >= threshold for score, genuine in scores if not genuine]
    assert points["eer"].apcer.errors == sum(passed)
    assert points["eer"].apcer.trials == len(passed) == 18
    assert points["eer"].bpcer.trials == 17
    with SpoofDetector(found.bundle, faces="cropped", engine="onnxruntime") as detector:
        assert detector.threshold == threshold


def test_live_faces_alone_are_no_thresholds(spoof_bundle, faces, data, tmp_path):
    made = spoof_bundle(spoof_data.point("eer", -0.5))
    live = Dataset("mine", tuple(sample for sample in faces.samples if sample.genuine))
    with pytest.raises(DatasetError, match="no usable attacks; thresholds need both"):
        recalibrate(made, live, tmp_path / "after", engine="onnxruntime")
    attacks = Dataset("mine", tuple(sample for sample in faces.samples if not sample.genuine))
    with pytest.raises(DatasetError, match="no usable live faces"):
        recalibrate(made, attacks, tmp_path / "after", engine="onnxruntime")
    with pytest.raises(DatasetError, match="4 people with usable live faces"):
        recalibrate(made, faces.select(faces.subjects[:4]), tmp_path / "after", engine="onnxruntime")
    with pytest.raises(UsageError, match="no presentation attacks"):
        recalibrate(made, data, tmp_path / "after", engine="onnxruntime")
