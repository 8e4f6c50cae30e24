"""Further samples of an enrolled person: who may join a template, what stays in it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import (
    EngineError,
    ImageNotFoundError,
    OperatingPointError,
    RejectedSampleError,
    TemplateError,
    UnusableSampleError,
)
from edge_sdk.manifest import VerifyPoint
from edge_sdk.runtime import Shots, Template, Verifier
from edge_sdk.runtime.operating_point import ActiveThreshold
from edge_sdk.runtime.template import EmbeddingTemplate
from edge_sdk.runtime.updating import joining_threshold

from ..fake_engine import FakeModel

Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]

# Of the bundle of these tests a sample is accepted from 0.8 on, and joins a template from 0.9 on.
HEIGHTS = (400, 420, 440, 460, 480, 340, 350, 360, 500)
"""Of pictures of one signature: drawn a little differently, each scores 0.95 or more with another."""


@pytest.fixture
def verifier(tiny_bundle: Bundle) -> Verifier:
    return Verifier(tiny_bundle, operating_point="eer")


def drawn(signer: Signer, number: int) -> np.ndarray:
    return signer(1, height=HEIGHTS[number])


def test_an_accepted_sample_joins(verifier: Verifier, signer: Signer) -> None:
    before = verifier.enroll([signer(1), drawn(signer, 0)])
    after = verifier.update(before, drawn(signer, 1))
    assert (before.count, before.added, before.enrolled) == (2, 0, 2)
    assert (after.count, after.added, after.enrolled) == (3, 1, 2)
    at_once = verifier.enroll([signer(1), drawn(signer, 0), drawn(signer, 1)])
    assert after == msgspec.structs.replace(at_once, added=1, template_id=before.template_id)
    assert Template.from_bytes(after.to_bytes(plain=True)) == after
    query = drawn(signer, 2)
    assert verifier.verify(after, query).score == verifier.verify(at_once, query).score


def test_several_samples_join_at_once_or_none(verifier: Verifier, signer: Signer) -> None:
    before = verifier.enroll(signer(1))
    assert verifier.update(before, [drawn(signer, 0), drawn(signer, 1)]).count == 3
    assert verifier.update(before, Shots([drawn(signer, 0), drawn(signer, 1)])).count == 3
    with pytest.raises(RejectedSampleError, match="sample 2 of 3 is not accepted surely enough"):
        verifier.update(before, [drawn(signer, 0), signer(2), drawn(signer, 1)])


def test_joining_takes_more_than_being_accepted(verifier: Verifier, signer: Signer) -> None:
    template, sample = verifier.enroll(signer(1)), signer(1, width=800)
    assert verifier.verify(template, sample)
    with pytest.raises(RejectedSampleError, match=r"score 0\.82\d\d, needed 0\.9000 \(fmr_1e-2\)"):
        verifier.update(template, sample)


def test_a_threshold_of_ones_own_that_is_stricter_decides(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle, threshold=0.999) as strict, Verifier(tiny_bundle, threshold=0.01) as lenient:
        template = strict.enroll(signer(1))
        with pytest.raises(RejectedSampleError, match=r"needed 0\.9990 \(custom\)"):
            strict.update(template, drawn(signer, 0))
        with pytest.raises(RejectedSampleError, match=r"needed 0\.9000"):
            lenient.update(template, signer(2))


def test_a_template_that_drifted_learns_no_more_of_a_stranger(verifier: Verifier, signer: Signer) -> None:
    """It accepts the stranger surely by what was added; the enrolment alone does not."""
    strangers = verifier.embed([signer(2, height=height) for height in HEIGHTS])
    drifted = verifier.enroll(signer(1)).updated(strangers, lambda rows: rows)
    assert verifier.verify(drifted, signer(2, height=410)).score > 0.9
    with pytest.raises(RejectedSampleError, match="too far from the enrolment, without later samples"):
        verifier.update(drifted, signer(2, height=410))


def test_a_sample_joins_once(verifier: Verifier, signer: Signer) -> None:
    """Again and again the same one would only narrow what the person's samples look like."""
    template = verifier.update(verifier.enroll(signer(1)), drawn(signer, 0))
    for again in (signer(1), drawn(signer, 0), [drawn(signer, 1), drawn(signer, 1)]):
        with pytest.raises(RejectedSampleError, match="in the template already"):
            verifier.update(template, again)


@pytest.mark.parametrize(("enrolled", "most"), [(1, 9), (3, 7), (5, 5), (6, 6), (12, 12)])
def test_the_enrolment_stays_and_the_newest_of_the_others(enrolled: int, most: int) -> None:
    rows = np.random.default_rng(0).standard_normal((enrolled + 20, 4)).astype(np.float32)
    template = of_rows(rows[:enrolled])
    for number in range(enrolled, len(rows)):
        template = template.updated(rows[number : number + 1], lambda values: values)
    assert (template.enrolled, template.added) == (enrolled, most)
    np.testing.assert_array_equal(template.embeddings[:enrolled], rows[:enrolled])
    np.testing.assert_array_equal(template.embeddings[enrolled:], rows[-most:])
    assert template == of_rows(rows[:enrolled]).updated(rows[enrolled:], lambda values: values)


def of_rows(rows: np.ndarray) -> EmbeddingTemplate:
    return EmbeddingTemplate.of(
        rows, embedding_space_id="0", variant_id="int8.onnx", variant_sha256="0", bundle_name="tiny", count=len(rows)
    )


def test_ten_references_take_less_than_16_kilobytes() -> None:
    rows = np.random.default_rng(0).standard_normal((10, 128)).astype(np.float32)
    assert len(of_rows(rows[:3]).updated(rows[3:], lambda values: values).to_bytes(plain=True)) <= 16 * 1024


def test_a_template_that_was_never_updated_is_stored_as_before() -> None:
    assert b"added" not in of_rows(np.ones((1, 4), np.float32)).to_bytes(plain=True)
    for added in (-1, 1, 2):
        with pytest.raises(TemplateError, match="that were added"):
            msgspec.structs.replace(of_rows(np.ones((1, 4), np.float32)), added=added)


def test_embeddings_of_another_length_do_not_join() -> None:
    with pytest.raises(TemplateError, match="takes no embeddings"):
        of_rows(np.ones((1, 4), np.float32)).updated(np.ones((1, 5), np.float32), lambda values: values)


# --- what is refused ---


def test_what_cannot_be_enrolled_does_not_join(verifier: Verifier, signer: Signer, tmp_path: Path) -> None:
    template = verifier.enroll(signer(1))
    with pytest.raises(UnusableSampleError, match="empty"):
        verifier.update(template, np.full((300, 300), 255, np.uint8))
    with pytest.raises(UnusableSampleError, match="no picture"):
        verifier.update(template, [])
    with pytest.raises(ImageNotFoundError):
        verifier.update(template, str(tmp_path / "none.png"))


def test_a_template_of_another_variant_is_not_updated(tiny_bundle: Bundle, verifier: Verifier, signer: Signer) -> None:
    with Verifier(tiny_bundle, precision="fp32") as other, pytest.raises(TemplateError, match="int8"):
        other.update(verifier.enroll(signer(1)), drawn(signer, 0))
    with pytest.raises(TemplateError, match="is no template"):
        verifier.update(signer(1), drawn(signer, 0))  # type: ignore[arg-type]


def test_a_bundle_without_a_strict_threshold_updates_nothing(
    make_bundle: Maker, tiny_bundle: Bundle, signer: Signer
) -> None:
    lenient = [one for one in tiny_bundle.manifest.variants[0].operating_points if one.name == "eer"]
    with Verifier(make_bundle(operating_points={"fp32": tuple(lenient), "int8": tuple(lenient)})) as verifier:
        template = verifier.enroll(signer(1))
        with pytest.raises(OperatingPointError, match="has no threshold for a false match rate"):
            verifier.update(template, drawn(signer, 0))


def test_the_highest_rate_that_is_strict_enough_is_taken(tiny_bundle: Bundle) -> None:
    variant = tiny_bundle.manifest.variants[0]
    (point,) = (one for one in variant.operating_points if one.name == "fmr_1e-2")
    assert isinstance(point, VerifyPoint)
    rates = {"fmr_1e-1": (0.1, 0.7), "fmr_5e-2": (0.05, 0.8), "fmr_1e-2": (0.01, 0.9)}
    points = tuple(
        msgspec.structs.replace(point, name=name, target=target, threshold=threshold)
        for name, (target, threshold) in rates.items()
    )
    several = msgspec.structs.replace(variant, operating_points=points)
    assert joining_threshold(several, ActiveThreshold("eer", 0.6), 1).name == "fmr_5e-2"
    assert joining_threshold(several, ActiveThreshold("custom", 0.95), 1).value == 0.95
    more = tuple(msgspec.structs.replace(one, threshold=one.threshold - 0.1, references=5) for one in points)
    counted = msgspec.structs.replace(variant, operating_points=(*points, *more))
    assert [joining_threshold(counted, ActiveThreshold("eer", 0.6), n).value for n in (1, 4, 5, 9)] == pytest.approx(
        [0.8, 0.8, 0.7, 0.7]
    ), "as it was measured with as many references"


@pytest.mark.usefixtures("fake_engine")
def test_a_failing_engine_adds_nothing(make_bundle: Maker, signer: Signer) -> None:
    def models(**settings: object) -> dict[str, bytes]:
        return {"fp32": msgspec.json.encode(FakeModel(shape=(1, 150, 180), dim=8, **settings))}  # type: ignore[arg-type]

    with Verifier(make_bundle(models=models()), engine="fake") as verifier:
        template = verifier.enroll(signer(1))
    for failure in ("error", "nan", "zero"):
        bundle = make_bundle(models=models(failure=failure))
        binding = {"variant_sha256": bundle.manifest.variant_sha256("fp32.onnx")}
        bound = msgspec.structs.replace(template, embedding_space_id=str(bundle.manifest.embedding_space_id), **binding)
        with Verifier(bundle, engine="fake") as verifier, pytest.raises(EngineError):
            verifier.update(bound, signer(1))
