"""From frames to decisions: what is scored, with what threshold, and that every failure stays closed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import Locator, SpoofDecision, SpoofDetector, SpoofResult, StreamResult, preprocess
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.errors import BundleError, EngineError, InputError, OperatingPointError, UsageError
from edge_sdk.manifest import (
    BonaFidePoint,
    DecisionOverTime,
    Domain,
    Image,
    Input,
    KOfNRule,
    LatentLikelihood,
    Lowest,
    OperatingPoint,
    Output,
    Rate,
    Reconstruction,
    RuleProvenance,
    SequentialRule,
    SpoofPoint,
    UnsupportedPoint,
)
from edge_sdk.preprocess.crop import Box, FaceCrop
from edge_sdk.runtime import detector as detector_module
from edge_sdk.runtime.temporal import KOfN, Limits, SequentialTest
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

from .. import fake_engine
from ..fake_engine import FakeModel
from . import located
from .drawn import frame

pytestmark = pytest.mark.usefixtures("fake_engine")

LIVE, SPOOF, UNCERTAIN, NO_FACE = SpoofDecision
Maker = Callable[..., Bundle]

PIPELINE = preprocess.framed(preprocess.FACE, 16, 16)
SCORE = Reconstruction(input="model.image", output="model.reconstruction", norm="l2")
CROP = FaceCrop(scale=1.2, overflow="replicate")
WITH_FACE = frame((200, 100, 200))
FACE, OTHER = Box(220, 120, 160, 160), Box(20, 300, 160, 160)  # the faces at (200, 100, 200) and (0, 280, 200)
RULE = KOfN(threshold=-1e9, live=3, spoof=2, window=4)
STEP = 0.125


def point(threshold: float, name: str = "apcer_5e-2", target: float | None = 0.05, bpcer: int = 1) -> SpoofPoint:
    few = Rate(value=0.001, low=0.0, high=0.02, errors=1, trials=1000)
    lost = Rate(value=bpcer / 100, low=0.0, high=1.0, errors=bpcer, trials=100)
    return SpoofPoint(
        name=name, threshold=threshold, target=target, apcer=few, bpcer=lost, species={"print": few}, data="made up"
    )


def spoof_bundle(
    make: Maker, *points: OperatingPoint, model: dict[str, object] | None = None, **changes: object
) -> Bundle:
    settings = {"shape": (1, 16, 16), "dim": 256, "output": "reconstruction"} | (model or {})
    manifest = {
        "task": "spoof",
        "modality": "face",
        "source": Image(face=CROP),
        "preprocessing": PIPELINE,
        "inputs": (Input(name="image", shape=("batch", 1, 16, 16)),),
        "outputs": (Output(name="reconstruction", shape=("batch", 1, 16, 16), role="reconstruction"),),
        "score": SCORE,
        "embedding_space_id": None,
    }
    return make(
        models={"fp32": msgspec.json.encode(FakeModel(**settings))},  # type: ignore[arg-type]
        operating_points={"fp32": points or (point(-1e9),)},
        **manifest | changes,
    )


def locator(picture: np.ndarray) -> tuple[Box, ...]:
    """Where this file's frames have faces: two places, each if it is brighter than the wall."""
    return tuple(box for box in (FACE, OTHER) if picture[box.top + 50, box.left + 50].mean() > 130)


def detector(bundle: Bundle, **settings: object) -> SpoofDetector:
    return SpoofDetector(bundle, **{"engine": "fake", "faces": locator, "rule": RULE} | settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lenient(make_bundle: Maker) -> Bundle:
    """A bundle that calls every face live."""
    return spoof_bundle(make_bundle)


@pytest.fixture(scope="module")
def strict(make_bundle: Maker) -> Bundle:
    """A bundle that calls none live."""
    return spoof_bundle(make_bundle, point(1.0))


def stamped(pictures: list[object]) -> Iterator[tuple[float, object]]:
    return ((i * STEP, picture) for i, picture in enumerate(pictures))


def judged(bundle: Bundle, pictures: list[object], **settings: object) -> list[StreamResult]:
    with detector(bundle, **settings) as opened:
        return list(opened.stream(stamped(pictures)))  # type: ignore[arg-type]


def live_frames(count: int) -> list[np.ndarray]:
    return [frame((200, 100, 200), seed=seed) for seed in range(count)]


# --- one frame ---


def test_the_score_is_that_of_the_cut_and_pre_processed_face(lenient: Bundle) -> None:
    before = WITH_FACE.copy()
    with detector(lenient) as opened:
        result = opened.detect(WITH_FACE)
    np.testing.assert_array_equal(WITH_FACE, before)
    tensor = preprocess.apply(PIPELINE, CROP(WITH_FACE, FACE))[np.newaxis]
    with_fake = fake_engine.load(lenient.read_model("fp32.onnx"), threads=1)
    tensors = {"image": tensor} | with_fake.run({"image": tensor})
    (expected,) = SCORE.score({f"model.{name}": values for name, values in tensors.items()})
    assert isinstance(result, SpoofResult)
    assert result.score == result.raw_score == expected < 0
    assert (result.decision, result.quality) == (LIVE, ())
    assert (result.operating_point, result.threshold, result.bundle_id) == ("apcer_5e-2", -1e9, lenient.id)
    timings = result.timings
    parts = timings.decode_ms + timings.preprocess_ms + timings.inference_ms + timings.postprocess_ms
    assert 0 < parts == pytest.approx(timings.total_ms)
    assert 0 < timings.locate_ms < timings.preprocess_ms


def test_what_is_scored_is_the_same_without_a_threshold(make_bundle: Maker, lenient: Bundle) -> None:
    with detector(lenient) as opened:
        expected = opened.detect(WITH_FACE).score
    with detector(spoof_bundle(make_bundle, UnsupportedPoint(name="apcer_1e-2", target=0.01, reason="few"))) as opened:
        with pytest.raises(OperatingPointError):
            opened.detect(WITH_FACE)
        shown = opened.examine(WITH_FACE)
        assert (shown.score, shown.boxes, shown.flags) == (expected, (FACE,), ())
        assert shown.face is not None
        np.testing.assert_array_equal(shown.face, CROP(WITH_FACE, FACE))
        np.testing.assert_array_equal(shown.tensors["model.image"][0], preprocess.apply(PIPELINE, shown.face))
        assert SCORE.score(shown.tensors) == expected
        for picture, boxes, flags in (
            (frame(), (), ()),
            (frame((200, 100, 200), (0, 280, 200)), (FACE, OTHER), ("several_faces",)),
            (np.zeros((480, 640), np.uint8), (), ("too_dark", "flat")),
        ):
            shown = opened.examine(picture)
            assert (shown.boxes, shown.flags, shown.face, shown.tensors) == (boxes, flags, None, {})
            assert math.isnan(shown.score)


def test_live_from_the_threshold_on(make_bundle: Maker, lenient: Bundle) -> None:
    with detector(lenient) as opened:
        score = opened.detect(WITH_FACE).score
    for threshold, decision in ((score, LIVE), (np.nextafter(score, 1), SPOOF), (np.nextafter(score, -9e9), LIVE)):
        with detector(spoof_bundle(make_bundle, point(float(threshold)))) as opened:
            assert opened.detect(WITH_FACE).decision is decision


def test_a_crop_is_judged_as_it_is(lenient: Bundle) -> None:
    crop = WITH_FACE[100:300, 200:380]
    tensor = preprocess.apply(PIPELINE, crop)[np.newaxis]
    (made,) = fake_engine.load(lenient.read_model("fp32.onnx"), threads=1).run({"image": tensor}).values()
    with detector(lenient, faces="cropped") as opened:
        assert opened.detect(crop).score == SCORE.score({"model.image": tensor, "model.reconstruction": made})[0]


def test_the_cascade_is_the_default(lenient: Bundle) -> None:
    with SpoofDetector(lenient, engine="fake") as opened:
        assert opened.detect(WITH_FACE).decision is LIVE
        assert opened.detect(frame()).decision is NO_FACE
        assert opened.detect(frame((300, 100, 200), (20, 200, 150))).quality == ("several_faces",)


def test_a_locator_finds_the_face(lenient: Bundle, make_bundle: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped one by name, which is closed with the detector, or an opened one, which is not."""
    ramp = np.linspace(60, 120, 640).astype(np.uint8)[None]
    picture = np.maximum(located.frame((7, 9)), ramp)
    bundle = located.locator_bundle(make_bundle, models={"fp32": located.network((2.0,) * 4)})
    with Locator(bundle, smallest=0.0, threshold=0.7) as own:
        (face,) = own.locate(picture)
        with SpoofDetector(lenient, engine="fake", faces=own) as opened:
            result = opened.detect(picture)
        assert result.faces == (face,)
        assert opened._locate is own  # threads may share it: nobody takes turns
        np.testing.assert_array_equal(opened._crop(picture, face).shape, (154, 154))
        assert own.locate(picture) == (face,)
    monkeypatch.setattr(detector_module, "Locator", lambda **_: Locator(bundle, smallest=0.0, threshold=0.7))
    opened = SpoofDetector(lenient, engine="fake", faces="locator")
    (smaller,) = opened.detect(picture).faces  # as large as the cascade's: 0.9 of 128 pixels, about the same middle
    assert smaller == replace(face, left=face.left + 6, top=face.top + 6, width=116, height=116)
    assert opened.detect(np.maximum(located.frame(), ramp)).decision is NO_FACE
    opened.close()
    with pytest.raises(EngineError):
        opened._locate(picture)  # type: ignore[misc]


def test_a_locator_that_was_opened_is_closed_when_the_bundle_fails(
    tiny_bundle: Bundle, lenient: Bundle, make_bundle: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Locator(located.locator_bundle(make_bundle))
    monkeypatch.setattr(detector_module, "Locator", lambda **_: made)
    with pytest.raises(UsageError, match="threshold"):
        SpoofDetector(lenient, engine="fake", faces="locator", threshold=math.nan)
    with pytest.raises(EngineError):
        made.locate(WITH_FACE)
    with pytest.raises(BundleError):
        SpoofDetector(tiny_bundle, faces="locator")


@pytest.mark.parametrize(
    ("picture", "decision", "flags"),
    [
        (frame(), NO_FACE, ()),
        (frame((200, 100, 200), (0, 280, 200)), UNCERTAIN, ("several_faces",)),
        (np.zeros((480, 640), np.uint8), UNCERTAIN, ("too_dark", "flat")),
        (np.full((480, 640), 255, np.uint8), UNCERTAIN, ("overexposed", "flat")),
    ],
    ids=["nobody", "two", "black", "white"],
)
def test_without_one_face_in_the_light_there_is_no_score(
    lenient: Bundle, picture: np.ndarray, decision: SpoofDecision, flags: tuple[str, ...]
) -> None:
    with detector(lenient) as opened:
        result = opened.detect(picture)
    assert (result.decision, result.quality) == (decision, flags)
    assert math.isnan(result.score)
    assert not result
    assert result.timings.inference_ms == 0


def test_a_dark_face_before_a_bright_window(lenient: Bundle) -> None:
    picture = np.tile(np.linspace(150, 240, 640).astype(np.uint8), (480, 1))
    picture[90:310, 190:410] = 10
    with detector(lenient, faces=lambda _: (FACE,)) as opened:
        result = opened.detect(picture)
    assert (result.decision, result.quality) == (UNCERTAIN, ("too_dark", "flat"))


def test_what_is_no_picture_is_an_error(lenient: Bundle) -> None:
    with detector(lenient) as opened:
        for broken in (b"no picture", "nonesuch.png", np.zeros((4, 4))):
            with pytest.raises(InputError):
                opened.detect(broken)
    with detector(lenient, faces=lambda _: (Box(600, 400, 100, 100),)) as opened, pytest.raises(InputError):
        opened.detect(WITH_FACE)


@pytest.mark.parametrize("model", [{"failure": "nan"}, {"failure": "error"}, {"output": "other"}, {"dim": 255}])
def test_an_engine_that_fails_is_an_error(make_bundle: Maker, model: dict[str, object]) -> None:
    with detector(spoof_bundle(make_bundle, model=model)) as opened:
        with pytest.raises(EngineError):
            opened.detect(WITH_FACE)
        with pytest.raises(EngineError):
            list(opened.stream([WITH_FACE]))


def test_a_closed_detector_refuses(lenient: Bundle) -> None:
    opened = detector(lenient)
    opened.close()
    with pytest.raises(EngineError, match="closed"):
        opened.detect(WITH_FACE)


# --- bundles and operating points ---


def test_a_bundle_for_something_else_is_refused(tiny_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="presentation attacks"):
        SpoofDetector(tiny_bundle)


def test_a_density_is_read_from_the_bundle(make_bundle: Maker, tmp_path: Path) -> None:
    mixture = GaussianMixture(np.ones(1), np.zeros((1, 4)), np.ones((1, 4)))
    model = msgspec.json.encode(FakeModel(shape=(1, 16, 16), dim=4, output="latent"))
    plain = spoof_bundle(make_bundle).manifest
    with BundleWriter(tmp_path / "density") as writer:
        (graph,) = plain.graphs
        graph = msgspec.structs.replace(
            graph,
            files={"fp32.onnx": writer.add("model.onnx", model)},
            outputs=(Output(name="latent", shape=("batch", 4), role="latent"),),
        )
        manifest = msgspec.structs.replace(
            plain,
            graphs=(graph,),
            score=LatentLikelihood(output="model.latent", density="gmm.npy"),
            auxiliary=(writer.add("gmm.npy", mixture.encode()),),
        )
        bundle = writer.finish(manifest)
    tensor = preprocess.apply(PIPELINE, CROP(WITH_FACE, FACE))[np.newaxis]
    latent = fake_engine.load(model, threads=1).run({"image": tensor})["latent"]
    with detector(bundle) as opened:
        assert opened.detect(WITH_FACE).score == pytest.approx(mixture.log_likelihood(latent)[0], abs=1e-6)


def test_a_face_that_all_experts_abstain_from_is_uncertain(make_bundle: Maker, tmp_path: Path) -> None:
    """The experts' domains are densities of one output, whose ``least`` lies just below and above what the face has."""
    mixture = GaussianMixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
    model = msgspec.json.encode(FakeModel(shape=(1, 16, 16), dim=2, output="look"))
    tensor = preprocess.apply(PIPELINE, CROP(WITH_FACE, FACE))[np.newaxis]
    look = fake_engine.load(model, threads=1).run({"image": tensor})["look"]
    likelihood = float(mixture.log_likelihood(look)[0])
    plain = spoof_bundle(make_bundle).manifest

    def bundle(name: str, *least: float | None) -> Bundle:
        seen = LatentLikelihood(output="model.look", density="gmm.npy")
        with BundleWriter(tmp_path / name) as writer:
            (graph,) = plain.graphs
            graph = msgspec.structs.replace(
                graph,
                files={"fp32.onnx": writer.add("model.onnx", model)},
                outputs=(Output(name="look", shape=("batch", 2), role="latent"),),
            )
            score = Lowest(
                members=(seen, seen),
                weights=(1.0, 1.0),
                biases=(0.0, 1.0),
                domains=tuple(None if one is None else Domain(likelihood=seen, least=one) for one in least),
            )
            auxiliary = (writer.add("gmm.npy", mixture.encode()),)
            return writer.finish(msgspec.structs.replace(plain, graphs=(graph,), score=score, auxiliary=auxiliary))

    known, unknown = likelihood - 0.01, likelihood + 0.01
    for name, least, score in (
        ("both", (known, known), likelihood),
        ("second", (unknown, known), likelihood + 1),
        ("always", (unknown, None), likelihood + 1),
    ):
        with detector(bundle(name, *least)) as opened:
            result = opened.detect(WITH_FACE)
            assert (result.decision, result.quality) == (LIVE, ())
            assert result.score == pytest.approx(score, abs=1e-6)
            assert opened.examine(WITH_FACE).score == result.score
    with detector(bundle("neither", unknown, unknown)) as opened:
        result = opened.detect(WITH_FACE)
        assert (result.decision, result.quality, result.faces) == (UNCERTAIN, ("unfamiliar",), (FACE,))
        assert math.isnan(result.score)
        shown = opened.examine(WITH_FACE)
        assert (shown.flags, math.isnan(shown.score), shown.tensors) == (("unfamiliar",), True, {})
        results = judged(bundle("stream", unknown, unknown), live_frames(5))
        assert {result.decision for result in results} == {UNCERTAIN}
        assert results[-1].reasons == ("unfamiliar",)


def test_operating_points(make_bundle: Maker) -> None:
    points = (
        point(0.0, "eer", target=None),
        point(1.0, "apcer_5e-2", target=0.05),
        point(2.0, "apcer_1e-2", target=0.01, bpcer=30),
        point(3.0, "apcer_1e-3", target=0.001, bpcer=31),
        UnsupportedPoint(name="apcer_1e-4", target=1e-4, reason="100 attacks"),
    )
    bundle = spoof_bundle(make_bundle, *points)
    with detector(bundle) as opened:
        assert opened.threshold == 2.0, "the strictest that accepts at least 7 in 10"
    with detector(bundle, operating_point="eer") as opened:
        assert opened.detect(WITH_FACE).operating_point == "eer"
    with pytest.raises(OperatingPointError, match="100 attacks"):
        detector(bundle, operating_point="apcer_1e-4")
    with pytest.raises(OperatingPointError, match="has no operating point 'other'"):
        detector(bundle, operating_point="other")
    with detector(spoof_bundle(make_bundle, points[-1]), rule=None) as opened:
        with pytest.raises(OperatingPointError, match="by default"):
            opened.detect(WITH_FACE)
        with pytest.raises(OperatingPointError, match="by default"):
            list(opened.stream([]))


def test_points_fitted_on_live_captures_alone(make_bundle: Maker) -> None:
    def live(name: str, threshold: float, rejected: int) -> BonaFidePoint:
        bpcer = Rate(value=rejected / 100, low=0.0, high=1.0, errors=rejected, trials=100)
        target = rejected / 100
        return BonaFidePoint(name=name, threshold=threshold, target=target, bpcer=bpcer, data="mine", subjects=1)

    points = live("bpcer_1e-2", -3.0, 1), live("bpcer_1e-1", -1.0, 10), live("bpcer_5e-2", -2.0, 5)
    with detector(spoof_bundle(make_bundle, *points, live("bpcer_4e-1", 1.0, 40))) as opened:
        assert opened.operating_point == points[1], "the highest threshold that accepts at least 7 in 10"
        assert opened.detect(WITH_FACE).operating_point == "bpcer_1e-1"


def test_a_threshold_of_ones_own(make_bundle: Maker, lenient: Bundle) -> None:
    with detector(lenient) as opened:
        score = opened.detect(WITH_FACE).score
    none = spoof_bundle(make_bundle, UnsupportedPoint(name="apcer_1e-4", target=1e-4, reason="100 attacks"))
    for bundle in (lenient, none):
        for threshold, decision in ((score, LIVE), (float(np.nextafter(score, 1)), SPOOF)):
            with detector(bundle, threshold=threshold, rule=None) as opened:
                result = opened.detect(WITH_FACE)
                assert (result.decision, result.threshold, result.operating_point) == (decision, threshold, "custom")
                assert [one.frame.threshold for one in opened.stream(stamped([WITH_FACE]))] == [threshold]
    for bad in (math.nan, math.inf):
        with pytest.raises(UsageError, match="finite"):
            detector(lenient, threshold=bad)
    with pytest.raises(UsageError, match="one of them"):
        detector(lenient, threshold=0.5, operating_point="apcer_5e-2")


# --- streams ---


def test_live_over_time(lenient: Bundle) -> None:
    results = judged(lenient, [*live_frames(4)])
    assert [result.decision for result in results] == [UNCERTAIN, UNCERTAIN, LIVE, LIVE]
    assert [result.reasons for result in results] == [("undecided",)] * 2 + [("evidence",)] * 2
    assert [result.time for result in results] == [0.0, 0.125, 0.25, 0.375]
    assert {result.track for result in results} == {0}
    assert all(result.frame.decision is LIVE for result in results)


def test_the_rule_is_by_default_that_of_the_threshold(strict: Bundle) -> None:
    results = judged(strict, [*live_frames(5)], rule=None, limits=Limits(cooldown_s=0.125))
    assert [result.decision for result in results] == [UNCERTAIN] * 3 + [SPOOF, UNCERTAIN]


def tuned(rule: KOfNRule | SequentialRule, cooldown_s: float = 0.125) -> DecisionOverTime:
    none, few = (Rate(value=errors / 100, low=0.0, high=0.1, errors=errors, trials=100) for errors in (0, 2))
    on = RuleProvenance(
        data="made up", subjects=9, variant="fp32.onnx", operating_point="apcer_5e-2", apcer=few, bpcer=none,
        species={"print (made up)": few}, version="0.1.0",
    )  # fmt: skip
    return DecisionOverTime(rule=rule, gap_s=1.0, cooldown_s=cooldown_s, deadline_s=5.0, tuned=on)


def test_a_bundles_own_rule_and_limits_are_the_default(make_bundle: Maker) -> None:
    """2 of 3 frames are SPOOF, for an eighth of a second; at a threshold that the faces reach they are LIVE."""
    rule = KOfNRule(live=2, spoof=2, window=3, margin=0.5)
    bundle = spoof_bundle(make_bundle, point(1.0), over_time=tuned(rule))
    assert [result.decision for result in judged(bundle, [*live_frames(4)], rule=None)] == [
        UNCERTAIN, SPOOF, UNCERTAIN, SPOOF,
    ]  # fmt: skip
    with detector(bundle, rule=None) as opened:
        assert opened.rule == KOfN(1.5, live=2, spoof=2, window=3)
        assert opened.limits == Limits(gap_s=1.0, cooldown_s=0.125, deadline_s=5.0)
    with detector(bundle, rule=None, threshold=-1e9) as opened:
        assert [result.decision for result in opened.stream(stamped(live_frames(3)))] == [UNCERTAIN, LIVE, LIVE]  # type: ignore[arg-type]
    with detector(bundle, limits=Limits(cooldown_s=9.0)) as opened:
        assert (opened.rule, opened.limits) == (RULE, Limits(cooldown_s=9.0))


def test_a_bundles_sequential_test_lies_about_the_threshold(make_bundle: Maker) -> None:
    """What a frame counts: ``2 * (score - 1) + 0.5``, which is ``2 * score - 1.5``."""
    rule = SequentialRule(slope=2.0, offset=0.5, apcer=0.01, bpcer=0.05, limit=1.5)
    with detector(spoof_bundle(make_bundle, point(1.0), over_time=tuned(rule)), rule=None) as opened:
        assert opened.rule == SequentialTest(2.0, -1.5, apcer=0.01, bpcer=0.05, limit=1.5)


def test_each_trouble_has_its_status(lenient: Bundle) -> None:
    sound, black = live_frames(5), np.zeros((480, 640, 3), np.uint8)
    two = frame((200, 100, 200), (0, 280, 200))
    pictures = [*sound[:3], b"broken", None, black, frame(), two, sound[3], sound[3], sound[4]]
    results = judged(lenient, pictures)
    expected = [
        (UNCERTAIN, ("undecided",)), (UNCERTAIN, ("undecided",)), (LIVE, ("evidence",)), (UNCERTAIN, ("corrupt",)),
        (UNCERTAIN, ("corrupt",)), (UNCERTAIN, ("too_dark", "flat")), (NO_FACE, ("no_face",)),
        (UNCERTAIN, ("several_faces",)), (LIVE, ("evidence",)), (UNCERTAIN, ("frozen",)), (LIVE, ("evidence",)),
    ]  # fmt: skip
    assert [(result.decision, result.reasons) for result in results] == expected
    assert {result.track for result in results if result.decision is LIVE} == {0}
    assert [result.track for result in results[3:8]] == [None] * 5


def test_a_jump_in_time_starts_anew(lenient: Bundle) -> None:
    times = [0.0, 0.125, 0.25, 60.0, 60.125, 60.25, 60.375]
    with detector(lenient) as opened:
        results = list(opened.stream(zip(times, live_frames(7), strict=True)))
    assert [result.decision for result in results] == [UNCERTAIN, UNCERTAIN, LIVE, *[UNCERTAIN] * 3, LIVE]
    assert results[3].reasons == ("time_jump",)


def test_a_spoof_cools_down_for_the_whole_stream_but_not_for_the_next(strict: Bundle) -> None:
    with detector(strict, rule=KOfN(threshold=1.0, live=3, spoof=2, window=4)) as opened:
        results = list(opened.stream(stamped(live_frames(4))))  # type: ignore[arg-type]
        assert [result.decision for result in results] == [UNCERTAIN, SPOOF, SPOOF, SPOOF]
        assert results[-1].reasons == ("cooldown",)
        assert next(iter(opened.stream(live_frames(1)))).decision is UNCERTAIN


def test_another_face_starts_anew(lenient: Bundle) -> None:
    elsewhere = [frame((0, 280, 200), seed=seed) for seed in range(3)]
    results = judged(lenient, [*live_frames(3), *elsewhere])
    assert [result.track for result in results] == [0, 0, 0, 1, 1, 1]
    assert [result.decision for result in results] == [UNCERTAIN, UNCERTAIN, LIVE, UNCERTAIN, UNCERTAIN, LIVE]
    assert results[3].reasons == ("undecided", "track_lost")


def test_a_camera_stamps_its_frames_as_they_come(lenient: Bundle) -> None:
    with detector(lenient) as opened:
        times = [result.time for result in opened.stream(live_frames(3))]
    assert times == sorted(times)


def test_as_dict_is_strict_json(lenient: Bundle) -> None:
    first, last = judged(lenient, [live_frames(1)[0], b"broken"])
    line = json.loads(json.dumps(last.as_dict(), allow_nan=False))
    assert list(line) == ["decision", "reasons", "time", "track", "frame"]
    assert (line["decision"], line["reasons"], line["track"]) == ("uncertain", ["corrupt"], None)
    assert (line["frame"]["score"], line["frame"]["quality"]) == (None, ["corrupt"])
    assert json.loads(json.dumps(first.as_dict()))["frame"]["score"] == first.frame.score
