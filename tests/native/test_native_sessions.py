"""The device library on real engines decides as Python does with the same variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Locator, SpoofDetector, Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.runtime.detector import AS_CASCADE
from edge_sdk.runtime.faces import Rescaled
from edge_sdk.slicing import slice_bundle

from ..paths import ROOT
from ..runtime.drawn import frame as drawn_frame
from ..runtime.known_faces import textured
from .interface import CUT_OUT, DECISIONS, LOCATE, Library, NativeError, Session, image

BUNDLES = ROOT / "edge_sdk" / "bundles"
PICTURES = ("deepsign", "deepsign_nano", "mobilenetv2", "face_lite", "face_locator", "ganomaly_lite", "liveness")
PYTHONS = {"onnxruntime": "onnxruntime", "tflite": "litert"}
FORMATS = {"onnxruntime": "onnx", "tflite": "tflite"}

# An engine's own numbers differ in their last bits between builds; those of LiteRT between its interfaces, too.
CLOSE = {"onnxruntime": 1e-5, "tflite": 1e-4}


def variants(name: str, engine: str) -> list[str]:
    return [one.id for one in Bundle.open(name).manifest.variants if one.format == FORMATS[engine]]


def takes(name: str) -> int:
    """What pictures of the golden trial are: cut out, where there are faces."""
    manifest = Bundle.open(name).manifest
    return CUT_OUT if manifest.modality == "face" and manifest.task != "locate" else LOCATE


@pytest.mark.parametrize("name", PICTURES)
def test_the_golden_trial_of_every_variant_passes(library: Library, engine: str, name: str) -> None:
    for variant in variants(name, engine):
        golden = Bundle.open(name).manifest.golden
        with library.open(BUNDLES / name, variant=variant, faces=takes(name)) as session:
            replay = session.selftest()
            assert replay.passed
            assert replay.expected == golden.scores[variant]
            assert replay.tolerance == golden.tolerance[variant]
            if variant.startswith("fp32"):
                assert replay.score == pytest.approx(replay.expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", PICTURES)
def test_a_session_says_what_it_opened(library: Library, engine: str, name: str) -> None:
    opened = Bundle.open(name)
    (variant, *_) = variants(name, engine)
    with library.open(BUNDLES / name, variant=variant, faces=takes(name), skip_selftest=1) as session:
        info = session.describe()
        said = {key: getattr(info, key).decode() for key in ("name", "version", "modality", "variant", "engine")}
        assert said == {
            "name": name, "version": opened.manifest.version, "modality": opened.manifest.modality,
            "variant": variant, "engine": engine,
        }  # fmt: skip
        assert info.manifest_sha256.decode() == opened.sha256
        assert info.operating_point.decode() == opened.manifest.default_point
        assert info.task == ("verify", "spoof", "locate").index(opened.manifest.task) + 1
    wanted = b"eer"
    with library.open(BUNDLES / name, variant=variant, faces=takes(name), operating_point="eer") as session:
        assert session.describe().operating_point == wanted


def test_the_preferred_variant_is_one_that_an_engine_runs(library: Library, engine: str, tmp_path: Path) -> None:
    with library.open(BUNDLES / "deepsign") as session:
        assert session.describe().variant == (b"int8.onnx" if "onnxruntime" in library.engines else b"int8.tflite")
    sliced = slice_bundle("deepsign_nano", tmp_path / "sliced", format=FORMATS[engine], precision="fp32")
    with library.open(sliced.path) as session:
        assert session.describe().variant.decode() == f"fp32.{FORMATS[engine]}"


# --- signatures ---


def signatures(writer: int, count: int) -> list[np.ndarray]:
    made = SyntheticWriter(writer)
    return [made.genuine(number) for number in range(count)]


QUERIES: dict[str, np.ndarray] = {
    "genuine": SyntheticWriter(1).genuine(20),
    "somebody else": SyntheticWriter(2).genuine(3),
    "unlike all": cv2.erode(SyntheticWriter(1).genuine(21), np.ones((13, 13), np.uint8)),
    "blank": np.full((300, 400), 255, np.uint8),
}


@pytest.fixture(params=["deepsign", "deepsign_nano"])
def both(request: pytest.FixtureRequest, library: Library, engine: str) -> Iterator[tuple[Session, Verifier]]:
    """The same variant, opened by the library and by Python."""
    variant = f"fp32.{FORMATS[engine]}"
    with (
        library.open(BUNDLES / request.param, variant=variant) as session,
        Verifier(request.param, engine=PYTHONS[engine], precision=variant) as verifier,
    ):
        yield session, verifier


def close(engine: str) -> float:
    return CLOSE[engine]


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("query", QUERIES)
def test_signatures_are_verified_as_by_python(
    both: tuple[Session, Verifier], engine: str, query: str, count: int
) -> None:
    session, verifier = both
    references = signatures(1, count)
    expected = verifier.verify(references, QUERIES[query])
    found = session.verify([image(one) for one in references], image(QUERIES[query]))
    assert found.score == pytest.approx(expected.score, abs=close(engine))
    assert found.raw_score == pytest.approx(expected.raw_score, abs=50 * close(engine))
    assert (found.threshold, found.references) == (expected.threshold, expected.references)
    assert bool(found.accepted) is expected.decision
    assert session.library.flags(found.flags) == set(expected.quality)
    assert bool(found.blocking) == (query == "blank")


def test_a_reference_that_is_given_several_times_counts_once(both: tuple[Session, Verifier], engine: str) -> None:
    session, verifier = both
    first, *others = signatures(1, 3)
    references = [first, first, first, *others]
    expected = verifier.verify(references, QUERIES["genuine"])
    found = session.verify([image(one) for one in references], image(QUERIES["genuine"]))
    assert found.score == pytest.approx(expected.score, abs=close(engine))


def test_a_threshold_of_ones_own_decides(library: Library, engine: str) -> None:
    reference, query = (image(one) for one in signatures(1, 2))
    variant = f"fp32.{FORMATS[engine]}"
    with library.open(BUNDLES / "deepsign", variant=variant, threshold=1e-9) as session:
        found = session.verify([reference], query)
        assert (found.accepted, found.threshold, found.references) == (1, 1e-9, 0)
        assert session.describe().operating_point == b"custom"
        assert not session.verify([reference], image(QUERIES["blank"])).accepted
    with library.open(BUNDLES / "deepsign", variant=variant, threshold=1.0) as session:
        assert not session.verify([reference], query).accepted


# --- templates and searches ---


def test_templates_go_from_one_to_the_other(both: tuple[Session, Verifier], engine: str) -> None:
    session, verifier = both
    references = signatures(1, 3)
    made = session.enroll([image(one) for one in references])
    data = session.library.to_bytes(made)
    assert session.library.c.edge_template_references(made) == 3
    read = Template.from_bytes(data, plain=True)
    assert read.template_id == session.library.id_of(made)
    assert len(read.template_id) == 32
    assert read.to_bytes(plain=True) == data
    pythons = verifier.enroll(references)
    for field in ("kind", "embedding_space_id", "variant_id", "variant_sha256", "bundle_name", "count", "added"):
        assert getattr(read, field) == getattr(pythons, field)
    np.testing.assert_allclose(read.embeddings, pythons.embeddings, atol=close(engine))

    query = QUERIES["genuine"]
    expected = verifier.verify(pythons, query)
    taken = session.library.template(pythons.to_bytes(plain=True))
    assert session.library.to_bytes(taken) == pythons.to_bytes(plain=True)
    for template in (made, taken):
        found = session.verify(template, image(query))
        assert found.score == pytest.approx(expected.score, abs=close(engine))
        assert (bool(found.accepted), found.references) == (expected.decision, expected.references)
    assert verifier.verify(read, query).score == pytest.approx(expected.score, abs=close(engine))
    assert not session.verify(made, image(QUERIES["blank"])).accepted
    assert made.value != session.enroll([image(one) for one in references]).value


@pytest.mark.parametrize("probe", QUERIES)
def test_a_person_is_searched_as_by_python(both: tuple[Session, Verifier], engine: str, probe: str) -> None:
    session, verifier = both
    enrolled = {str(writer): verifier.enroll(signatures(writer, writer % 3 + 1)) for writer in range(1, 8)}
    templates = [session.library.template(one.to_bytes(plain=True)) for one in enrolled.values()]
    expected = verifier.identify(QUERIES[probe], enrolled, count=10)
    found, candidates = session.identify(templates, image(QUERIES[probe]))
    identity = list(enrolled)[found.person] if found.identified else None
    assert identity == expected.identity
    assert (found.threshold, found.references) == (expected.threshold, expected.references)
    assert found.score == pytest.approx(expected.score, abs=close(engine))
    assert session.library.flags(found.flags) == set(expected.quality)
    assert [list(enrolled)[one.person] for one in candidates] == [one.name for one in expected.candidates]
    for one, other in zip(candidates, expected.candidates, strict=True):
        assert one.score == pytest.approx(other.score, abs=close(engine))


def test_equal_people_come_in_their_order(both: tuple[Session, Verifier]) -> None:
    session, verifier = both
    data = verifier.enroll(signatures(1, 2)).to_bytes(plain=True)
    found, candidates = session.identify([session.library.template(data)] * 3, image(QUERIES["genuine"]))
    assert [one.person for one in candidates] == [0, 1, 2]
    assert found.person == 0


def test_a_template_of_another_variant_or_bundle_is_refused(library: Library, engine: str, tmp_path: Path) -> None:
    form = FORMATS[engine]
    references = [image(one) for one in signatures(1, 2)]
    with (
        library.open(BUNDLES / "deepsign", variant=f"fp32.{form}") as made_by,
        library.open(BUNDLES / "deepsign", variant=f"int8.{form}") as other_variant,
        library.open(BUNDLES / "deepsign_nano", variant=f"fp32.{form}") as other_bundle,
    ):
        template = made_by.enroll(references)
        for session, message in ((other_variant, "this is int8"), (other_bundle, "another embedding space")):
            for refused in (
                lambda session=session: session.verify(template, references[0]),
                lambda session=session: session.identify([template], references[0]),
            ):
                with pytest.raises(NativeError, match=message) as error:
                    refused()
                assert error.value.status == "TEMPLATE"
        # A slice has another id, the same variant and the same embedding space.
        sliced = slice_bundle("deepsign", tmp_path / "sliced", format=form, precision="fp32")
        with library.open(sliced.path) as session:
            assert session.verify(template, references[0]).accepted


def test_who_must_not_be_enrolled_is_not(both: tuple[Session, Verifier]) -> None:
    session, _ = both
    good = image(signatures(1, 1)[0])
    with pytest.raises(NativeError, match="reference 2 of 2: empty") as refused:
        session.enroll([good, image(QUERIES["blank"])])
    assert refused.value.status == "UNUSABLE_SAMPLE"


# --- faces ---


def golden(name: str) -> list[bytes]:
    bundle = Bundle.open(name)
    return [bundle.read(entry) for entry in bundle.manifest.golden.inputs]


def photographs() -> list[np.ndarray]:
    """Drawn frames, and the drawn faces of the golden trials: the locator may find them, or not."""
    frames = [textured(drawn_frame((200, 100, 240)), seed) for seed in range(3)]
    frames += [drawn_frame(), textured(drawn_frame((40, 60, 200), (380, 120, 210))), drawn_frame() // 9]
    for name in ("face_lite", "face_locator"):
        for data in golden(name):
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            frames += [picture, cv2.resize(picture, (640, 640)), cv2.copyMakeBorder(picture, 60, 90, 70, 80, 1)]
    return frames


@pytest.fixture
def locators(library: Library, engine: str) -> Iterator[tuple[Session, Locator]]:
    """A lenient locator, which takes drawings for faces too, opened by both."""
    variant = f"fp32.{FORMATS[engine]}"
    with (
        library.open(BUNDLES / "face_locator", variant=variant, threshold=0.3, smallest_face=0.1) as session,
        Locator(engine=PYTHONS[engine], precision=variant, threshold=0.3, smallest=0.1) as locator,
    ):
        yield session, locator


def test_faces_are_located_as_by_python(locators: tuple[Session, Locator]) -> None:
    session, locator = locators
    seen = 0
    for frame in photographs():
        expected = locator.locate(frame)
        found = session.locate(image(frame))
        seen += len(found)
        assert [(one.left, one.top, one.width, one.height) for one in found] == [
            (one.left, one.top, one.width, one.height) for one in expected
        ]
        for one, other in zip(found, expected, strict=True):
            assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
            np.testing.assert_allclose(np.array(one.points), other.points, atol=0.05)
    assert seen


def test_faces_are_verified_as_by_python(library: Library, engine: str, locators: tuple[Session, Locator]) -> None:
    native, locator = locators
    variant, frames = f"fp32.{FORMATS[engine]}", photographs()
    with (
        library.open(BUNDLES / "face_lite", variant=variant, locator=native) as session,
        Verifier("face_lite", engine=PYTHONS[engine], precision=variant, faces=locator) as verifier,
    ):
        compared = 0
        for query in frames:
            expected = verifier.verify(frames[-3], query)
            found = session.verify([image(frames[-3])], image(query))
            assert library.flags(found.flags) == set(expected.quality)
            assert bool(found.accepted) is expected.decision
            assert found.score == pytest.approx(expected.score, abs=0.02)  # a level may differ: see align.py
            compared += not found.blocking
        assert compared


def test_a_locator_may_be_closed_before_those_that_use_it(library: Library, engine: str) -> None:
    form = FORMATS[engine]
    with library.open(BUNDLES / "face_locator", variant=f"fp32.{form}", threshold=0.3) as locator:
        session = library.open(BUNDLES / "face_lite", variant=f"fp32.{form}", locator=locator)
    with session:
        session.verify([image(photographs()[-3])], image(photographs()[0]))


def test_aligned_faces_are_verified_as_by_python(library: Library, engine: str) -> None:
    variant = f"int8.{FORMATS[engine]}"
    first, second = golden("face_lite")
    with (
        library.open(BUNDLES / "face_lite", variant=variant, faces=CUT_OUT) as session,
        Verifier("face_lite", engine=PYTHONS[engine], precision=variant, faces="aligned") as verifier,
    ):
        expected = verifier.verify(first, second)
        found = session.verify([image(first)], image(second))
        assert found.score == pytest.approx(expected.score, abs=0.02)
        assert library.flags(found.flags) == set(expected.quality)
        with pytest.raises(NativeError, match="no square") as refused:
            session.verify([image(first)], image(photographs()[0]))
        assert refused.value.status == "USAGE"


# --- liveness ---


@pytest.mark.parametrize("name", ["liveness", "ganomaly_lite"])
@pytest.mark.parametrize("how", ["cut out", "located"])
def test_faces_are_judged_as_by_python(
    library: Library, engine: str, locators: tuple[Session, Locator], name: str, how: str
) -> None:
    native, locator = locators
    variant = f"fp32.{FORMATS[engine]}"
    located = how == "located"
    options = {"locator": native} if located else {"faces": CUT_OUT}
    frames: Sequence[np.ndarray | bytes] = photographs() if located else [*golden(name), np.zeros((64, 64), np.uint8)]
    faces = rescaled(locator) if located else "cropped"
    with (
        library.open(BUNDLES / name, variant=variant, **options) as session,
        SpoofDetector(name, engine=PYTHONS[engine], precision=variant, faces=faces) as detector,
    ):
        decisions = set()
        for frame in frames:
            expected, found = detector.detect(frame), session.detect(image(frame))
            decisions.add(expected.decision.value)
            assert DECISIONS[found.decision] == expected.decision.value
            assert library.flags(found.flags) == set(expected.quality)
            assert found.threshold == expected.threshold
            assert found.score == pytest.approx(expected.score, rel=1e-4, abs=1e-3, nan_ok=True)
            if len(expected.faces) == 1:
                (box,) = expected.faces
                assert (found.left, found.top, found.width, found.height) == (box.left, box.top, box.width, box.height)
        assert decisions - {"uncertain", "no_face"}


def rescaled(locator: Locator) -> Rescaled:
    """As ``faces="locator"`` has the boxes of a locator."""
    return Rescaled(locator, AS_CASCADE)
