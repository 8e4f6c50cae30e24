"""The decision: what is compared, with what threshold, and that every failure stays closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import preprocess, quality
from edge_sdk.bundle import Bundle
from edge_sdk.errors import (
    BundleError,
    EngineError,
    OperatingPointError,
    TemplateError,
    UnusableSampleError,
    UsageError,
)
from edge_sdk.manifest import EmbeddingDistance, Rate, VerifyPoint
from edge_sdk.runtime import Template, Verifier
from edge_sdk.runtime import model as model_module
from edge_sdk.runtime.template import EmbeddingTemplate
from edge_sdk.scoring.embedding import embedding_scores

from ..fake_engine import FakeModel

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]


def with_threshold(threshold: float, bundle: Bundle) -> dict[str, tuple[VerifyPoint, ...]]:
    """The bundle's EER point moved to another threshold, for all precisions."""
    (point,) = (p for p in bundle.manifest.variants[0].operating_points if p.name == "eer")
    assert isinstance(point, VerifyPoint)
    moved = msgspec.structs.replace(point, threshold=threshold)
    return dict.fromkeys(("fp32", "int8"), (moved,))


def fake(**settings: object) -> dict[str, bytes]:
    model = FakeModel(shape=(1, 150, 180), dim=8, **settings)  # type: ignore[arg-type]
    return {"fp32": msgspec.json.encode(model)}


def test_the_score_is_that_of_the_embeddings(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        result = verifier.verify(signer(1), signer(2))
        first, second = verifier.embed([signer(1), verifier.prepare(signer(2))])
    distance = float(np.linalg.norm(first / np.linalg.norm(first) - second / np.linalg.norm(second)))
    assert result.raw_score == pytest.approx(distance, abs=1e-5)
    assert result.score == pytest.approx(1 - distance / 2, abs=1e-5)
    assert result.decision is False
    assert result.threshold == verifier.threshold == 0.9
    assert (result.operating_point, result.references) == ("fmr_1e-2", 1)
    assert result.quality == ()
    assert result.bundle_id == tiny_bundle.id
    timings = result.timings
    parts = timings.decode_ms + timings.preprocess_ms + timings.inference_ms + timings.postprocess_ms
    assert 0 < parts == pytest.approx(timings.total_ms)


def test_a_signature_is_like_itself(tiny_bundle: Bundle, signature: np.ndarray) -> None:
    before = signature.copy()
    with Verifier(tiny_bundle) as verifier:
        assert verifier.verify(signature, signature)
        assert verifier.verify(signature, signature).score == 1.0
    np.testing.assert_array_equal(signature, before)


def test_accepted_from_the_threshold_on(make_bundle: Maker, tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        score = verifier.verify(signer(1), signer(2)).score
    for threshold, accepted in ((score, True), (np.nextafter(score, 2), False), (np.nextafter(score, 0), True)):
        bundle = make_bundle(operating_points=with_threshold(float(threshold), tiny_bundle))
        with Verifier(bundle) as verifier:
            assert verifier.verify(signer(1), signer(2)).decision is accepted


@pytest.mark.parametrize("rule", ["mean_score", "max_score", "mean_embedding"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_several_references(make_bundle: Maker, signer: Signer, rule: str, metric: str) -> None:
    score = EmbeddingDistance(output="model.embedding", metric=metric, references=rule)  # type: ignore[arg-type]
    with Verifier(make_bundle(score=score)) as verifier:
        embeddings = verifier.embed([signer(1), signer(2), signer(3), signer(4)])
        result = verifier.verify([signer(1), signer(2), signer(3)], signer(4))
        template = verifier.enroll((signer(1), signer(2), signer(3)))
        assert verifier.verify(template, signer(4)).score == result.score
    references = embeddings[:3] / np.linalg.norm(embeddings[:3], axis=1, keepdims=True)
    if rule == "mean_embedding":
        references = references.mean(axis=0, keepdims=True)
    raw, scores = embedding_scores(references, embeddings[3:], metric)  # type: ignore[arg-type]
    expected = scores.max() if rule == "max_score" else scores.mean()
    assert result.score == pytest.approx(float(expected), abs=2e-6)
    assert result.raw_score == pytest.approx(
        float(raw[scores.argmax(), 0] if rule == "max_score" else raw.mean()), abs=2e-6
    )


def test_the_batch_does_not_change_the_decision(
    make_bundle: Maker, tiny_bundle: Bundle, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = [signer(seed) for seed in (1, 3, 4)]
    scores = []
    for batch in (1, 2, 8):
        monkeypatch.setattr(model_module, "BATCH", batch)
        with Verifier(tiny_bundle) as verifier:
            scores.append(verifier.verify(references, signer(2)).score)
    with Verifier(make_bundle(batch=1)) as verifier:  # a network of fixed batch 1
        scores.append(verifier.verify(references, signer(2)).score)
    assert scores == pytest.approx([scores[0]] * 4, abs=2e-6)


# --- embeddings ---


def test_embeddings_are_compared_as_their_pictures(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        references, query = verifier.embed([signer(1), signer(3)]), verifier.embed(signer(2))
        result = verifier.verify([signer(1), signer(3)], signer(2))
        compared = verifier.compare(references, query)
        assert compared == verifier.compare(verifier.enroll([signer(1), signer(3)]), query)
        assert compared == verifier.compare(references.astype(np.float64), query)
        assert (compared.score, compared.raw) == pytest.approx((result.score, result.raw_score), abs=2e-6)
        both = verifier.compare(query, references)
        each = [verifier.compare(query, references[i : i + 1]).score for i in range(2)]
        assert both.score == pytest.approx(np.mean(each), abs=1e-7), "several queries: the mean of their scores"


def test_what_is_no_embedding_is_refused(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        one = verifier.embed(signer(1))
        template = verifier.enroll(signer(1))
        unlike = (
            (one[0], r"rows of floats, \(N, D\), .* not float32 \(240,\)"),  # would be 240 embeddings of one value
            (one.astype(np.int8), "not int8"),
            (one.tolist(), "not a list"),
            (None, "not a NoneType"),
            (one[:0], "cannot be compared"),
            (one[:, :3], "embeddings of"),
            (one * np.nan, "not finite"),
            (one * 0, "all zero"),
        )
        for bad, words in unlike:
            for pair in ((one, bad), (bad, one), (template, bad)):
                with pytest.raises(UsageError, match=words):
                    verifier.compare(*pair)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="not a EmbeddingTemplate"):
            verifier.compare(one, template)  # type: ignore[arg-type]
        foreign = msgspec.structs.replace(template, embedding_space_id="0" * 32)
        with pytest.raises(TemplateError, match="space"):
            verifier.compare(foreign, one)


# --- templates ---


def test_a_template_survives_files_other_thresholds_and_slices(
    make_bundle: Maker, tiny_bundle: Bundle, signer: Signer, tmp_path: Path
) -> None:
    with Verifier(tiny_bundle) as verifier:
        verifier.enroll(signer(1)).save(tmp_path / "person", plain=True)
        expected = verifier.verify(signer(1), signer(2)).score
    template = Template.load(tmp_path / "person")
    assert isinstance(template, EmbeddingTemplate)
    assert (template.count, template.dim, template.variant_id) == (1, 240, "int8.onnx")
    refitted = make_bundle(operating_points=with_threshold(0.1, tiny_bundle))
    space = tiny_bundle.manifest.embedding_space_id
    sliced = make_bundle(models={"int8": tiny_bundle.read_model("int8.onnx")}, embedding_space_id=space)
    assert len({tiny_bundle.id, refitted.id, sliced.id}) == 3
    for bundle in (tiny_bundle, refitted, sliced):
        with Verifier(bundle) as verifier:
            assert verifier.verify(template, signer(2)).score == expected


def test_a_template_of_another_variant_or_space_is_refused(
    make_bundle: Maker, tiny_bundle: Bundle, signer: Signer
) -> None:
    with Verifier(tiny_bundle) as verifier:
        template = verifier.enroll(signer(1))
    with Verifier(tiny_bundle, precision="fp32") as verifier, pytest.raises(TemplateError, match="int8"):
        verifier.verify(template, signer(1))
    other = make_bundle(embedding_space_id="0" * 32)
    with Verifier(other) as verifier, pytest.raises(TemplateError, match="space"):
        verifier.verify(template, signer(1))


@pytest.mark.parametrize("flag", quality.BLOCKING)
def test_a_blocking_flag_is_never_accepted_or_enrolled(
    make_bundle: Maker, tiny_bundle: Bundle, signature: np.ndarray, flag: str
) -> None:
    white = np.full((380, 600), 255, np.uint8)
    short = white.copy()
    short[190:194, 100:160] = 0
    page = np.full((1754, 1240), 255, np.uint8)  # A4 at 150 dpi
    for top, left in ((200, 100), (1100, 600)):
        page[top : top + 380, left : left + 600] = signature
    pictures = {"empty": white, "too_little_ink": short, "too_small": signature[:20], "several_regions": page}
    bad = pictures[flag]
    generous = make_bundle(operating_points=with_threshold(1e-9, tiny_bundle))  # accepts every score there is
    with Verifier(generous) as verifier:
        assert verifier.verify(signature, signature)
        for result in (
            verifier.verify(bad, signature),
            verifier.verify(signature, bad),
            verifier.verify(bad, bad),
            verifier.verify([signature, bad], signature),
            verifier.verify(verifier.enroll(signature), bad),
        ):
            assert result.decision is False
            assert (result.score, result.raw_score) == (0.0, 2.0)
            assert flag in result.quality
        with pytest.raises(UnusableSampleError, match=f"reference 2 of 2: .*{flag}.*; enroll another one"):
            verifier.enroll([signature, bad])


def test_the_file_that_cannot_be_enrolled_is_named(tiny_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    assert cv2.imwrite(str(path), np.full((200, 300), 255, np.uint8))
    with Verifier(tiny_bundle) as verifier, pytest.raises(UnusableSampleError) as caught:
        verifier.enroll(path)
    assert str(caught.value).startswith(f"reference 1 of 1 ({path}): empty")


def test_clipped_is_reported_and_does_not_block(tiny_bundle: Bundle, signature: np.ndarray) -> None:
    with Verifier(tiny_bundle) as verifier:
        result = verifier.verify(signature[190:], signature[190:])
        assert verifier.enroll(signature[190:]).count == 1
    assert result.quality == ("clipped",)
    assert result.decision is True


def test_ink_is_asked_for_in_signatures_only(make_bundle: Maker) -> None:
    white = np.full((380, 600), 255, np.uint8)
    tone = (preprocess.ToGray(), preprocess.Resize(height=150, width=180, interpolation="area"))
    with Verifier(make_bundle(modality="face", preprocessing=tone)) as verifier:
        assert verifier.verify(white, white).quality == ()


# --- failing closed ---


@pytest.mark.parametrize("failure", ["error", "nan", "zero"])
def test_a_failing_engine_is_an_error(make_bundle: Maker, signature: np.ndarray, failure: str) -> None:
    with Verifier(make_bundle(models=fake(failure=failure)), engine="fake") as verifier:
        with pytest.raises(EngineError):
            verifier.verify(signature, signature)
        with pytest.raises(EngineError):
            verifier.enroll(signature)
        with pytest.raises(EngineError):
            verifier.embed(signature)


def test_the_fake_engine_verifies(make_bundle: Maker, signer: Signer) -> None:
    with Verifier(make_bundle(models=fake()), engine="fake") as verifier:
        assert verifier.verify(signer(1), signer(1)).score == 1.0
        assert verifier.verify(signer(1), signer(2)).score < 1.0


def test_a_network_with_other_tensors_is_an_engine_error(make_bundle: Maker, signature: np.ndarray) -> None:
    for wrong in (fake(output="features"), fake(input="picture")):
        with Verifier(make_bundle(models=wrong), engine="fake") as verifier, pytest.raises(EngineError):
            verifier.verify(signature, signature)


def test_a_closed_verifier_decides_nothing(tiny_bundle: Bundle, signature: np.ndarray) -> None:
    with Verifier(tiny_bundle) as verifier:
        pass
    with pytest.raises(EngineError, match="closed"):
        verifier.verify(signature, signature)


def test_no_pictures_are_an_error(tiny_bundle: Bundle, signature: np.ndarray) -> None:
    with Verifier(tiny_bundle) as verifier:
        for call in (lambda: verifier.verify([], signature), lambda: verifier.enroll([]), lambda: verifier.embed([])):
            with pytest.raises(UnusableSampleError, match="no picture"):
                call()


# --- choosing ---


def test_int8_where_there_is_one(make_bundle: Maker, tiny_bundle: Bundle) -> None:
    assert Verifier(tiny_bundle).variant.id == "int8.onnx"
    assert Verifier(tiny_bundle, precision="fp32").variant.id == "fp32.onnx"
    assert Verifier(tiny_bundle, precision="fp32.onnx").variant.id == "fp32.onnx"
    only_float = make_bundle(models={"fp32": tiny_bundle.read_model("fp32.onnx")})
    assert Verifier(only_float).variant.id == "fp32.onnx"
    with pytest.raises(BundleError, match=r"no int8 variant.*fp32\.onnx"):
        Verifier(only_float, precision="int8")
    with pytest.raises(UsageError, match="nonesuch"):
        Verifier(tiny_bundle, engine="nonesuch")


def test_operating_points(make_bundle: Maker, tiny_bundle: Bundle, signature: np.ndarray) -> None:
    assert Verifier(tiny_bundle).threshold == 0.9
    assert Verifier(tiny_bundle, operating_point="eer").threshold == pytest.approx(0.8)
    with pytest.raises(OperatingPointError, match="100 impostor trials"):
        Verifier(tiny_bundle, operating_point="fmr_1e-3")
    with pytest.raises(OperatingPointError, match=r"nonesuch.*fmr_1e-2, eer"):
        Verifier(tiny_bundle, operating_point="nonesuch")
    harsh = tuple(
        msgspec.structs.replace(p, fnmr=Rate(value=0.6, low=0.5, high=0.7, errors=6, trials=10))
        if p.name == "fmr_1e-2"
        else p
        for p in tiny_bundle.manifest.variant("int8.onnx").operating_points
    )
    rejects_most = make_bundle(operating_points={"fp32": harsh, "int8": harsh})
    assert Verifier(rejects_most).operating_point.name == "eer"
    assert Verifier(rejects_most, operating_point="fmr_1e-2").operating_point.name == "fmr_1e-2"
    only_eer = make_bundle(operating_points=with_threshold(0.5, tiny_bundle))
    assert Verifier(only_eer).operating_point.name == "eer"
    named = make_bundle(default_point="eer")
    assert Verifier(named).operating_point.name == "eer", "whatever the rates are"
    assert Verifier(named, operating_point="fmr_1e-2").operating_point.name == "fmr_1e-2"
    none = make_bundle(operating_points={"fp32": (), "int8": ()})
    with Verifier(none) as verifier:  # embeds, so that points can be measured; decides nothing
        assert verifier.embed(signature).shape == (1, 240)
        with pytest.raises(OperatingPointError):
            verifier.verify(signature, signature)


def test_a_bundle_of_another_task_is_refused() -> None:
    with pytest.raises(BundleError, match="task spoof, not verify"):
        Verifier("liveness")


def test_a_threshold_of_ones_own(make_bundle: Maker, tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        score = verifier.verify(signer(1), signer(2)).score
    none = make_bundle(operating_points={"fp32": (), "int8": ()})
    for bundle in (tiny_bundle, none):
        for threshold, accepted in ((score, True), (float(np.nextafter(score, 2)), False), (1, False)):
            with Verifier(bundle, threshold=threshold) as verifier:
                result = verifier.verify(signer(1), signer(2))
                assert (result.decision, result.threshold, result.operating_point) == (accepted, threshold, "custom")
                assert verifier.threshold == threshold
                with pytest.raises(OperatingPointError, match="opened with a threshold"):
                    _ = verifier.operating_point
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(UsageError, match="finite"):
            Verifier(tiny_bundle, threshold=bad)
    with pytest.raises(UsageError, match="finite"):
        Verifier(tiny_bundle, threshold=10**400)
    for bad, what in ((0.0, "accepts"), (-1e308, "accepts"), (1.5, "rejects"), (95, "rejects")):
        with pytest.raises(UsageError, match=f"{what} everything: scores of this bundle lie between 0 and 1"):
            Verifier(tiny_bundle, threshold=bad)
    no_number: tuple[Any, ...] = (True, np.True_, "0.5", 1j, np.array([0.5]))
    for bad in no_number:
        with pytest.raises(UsageError, match="must be a number"):
            Verifier(tiny_bundle, threshold=bad)
    with pytest.raises(UsageError, match="one of them"):
        Verifier(tiny_bundle, threshold=0.5, operating_point="eer")
