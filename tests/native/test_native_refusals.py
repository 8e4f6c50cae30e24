"""What the device library refuses, and that no error, flag or odd number becomes an accept."""

from __future__ import annotations

import ctypes as c
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import TemplateError
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter

from ..paths import ROOT
from ..runtime.drawn import frame as drawn_frame
from ..runtime.known_faces import textured
from .hooks import Hooks
from .interface import (
    CUT_OUT,
    DECISIONS,
    STATUSES,
    Candidate,
    Face,
    Identification,
    Image,
    Info,
    Library,
    Liveness,
    NativeError,
    Options,
    Replay,
    Session,
    Sized,
    Verification,
    array,
    image,
)
from .test_native_faces import grid

BUNDLES = ROOT / "edge_sdk" / "bundles"
SIGNATURE = SyntheticWriter(1).genuine(0)
BLANK = np.full((300, 400), 255, np.uint8)
EMBEDDING = {"embedding": np.linspace(-1, 1, 128, dtype=np.float32)[None]}


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(BUNDLES / name, tmp_path / name))

    return copy


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest, and write its digest anew."""
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
    change(manifest)
    write(folder, msgspec.json.encode(manifest))


def write(folder: Path, data: bytes) -> None:
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  manifest.json\n")


@pytest.fixture
def scripted(hooks: Hooks) -> Iterator[Session]:
    """deepsign_nano on an engine that gives one embedding for every picture."""
    with hooks.open(BUNDLES / "deepsign_nano", "fp32.onnx", EMBEDDING) as session:
        yield session


def status(call: Callable[[], object]) -> str:
    with pytest.raises(NativeError) as refused:
        call()
    return refused.value.status


# --- bundles ---


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 1)


def changed(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "INTEGRITY"),
    "no digest": (lambda folder: (folder / "manifest.sha256").unlink(), "INTEGRITY"),
    "another digest": (
        lambda folder: (folder / "manifest.sha256").write_text("0" * 64 + "  manifest.json\n"), "INTEGRITY",
    ),
    "a changed manifest": (changed("manifest.json"), "INTEGRITY"),
    "a cut manifest": (cut("manifest.json"), "INTEGRITY"),
    "a changed model": (changed("model.fp32.onnx"), "INTEGRITY"),
    "a cut model": (cut("model.fp32.onnx"), "INTEGRITY"),
    "no model": (lambda folder: (folder / "model.fp32.onnx").unlink(), "INTEGRITY"),
    "a folder for a model": (
        lambda folder: ((folder / "model.fp32.onnx").unlink(), (folder / "model.fp32.onnx").mkdir()), "INTEGRITY",
    ),
    "a changed background": (changed("background.bin"), "INTEGRITY"),
    "a changed golden picture": (changed("golden/query.png"), "INTEGRITY"),
    "no golden picture": (lambda folder: (folder / "golden" / "query.png").unlink(), "INTEGRITY"),
    "no folder": (shutil.rmtree, "BUNDLE"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bundle_is_not_opened(onnxruntime: Library, copied: Callable[[str], Path], damage: str) -> None:
    folder = copied("deepsign")
    spoil, expected = DAMAGE[damage]
    spoil(folder)
    assert status(lambda: onnxruntime.open(folder, variant="fp32.onnx")) == expected


def at(*path: str | int) -> Callable[[dict[str, Any], object], None]:
    """Set what lies there in a manifest."""

    def change(manifest: Any, value: object) -> None:
        for step in path[:-1]:
            manifest = manifest[step]
        manifest[path[-1]] = value

    return change


def doubled(manifest: Any, threshold: object) -> None:
    """Each operating point a second time, with another threshold."""
    points = manifest["variants"][0]["operating_points"]
    points += [point | {"threshold": threshold} for point in points]


EDITS: dict[str, tuple[Callable[[dict[str, Any], object], None], object, str]] = {
    "newer": (at("schema_version"), 2, "UNSUPPORTED"),
    "another modality": (at("modality"), "voice", "UNSUPPORTED"),
    "another task": (at("task"), "dance", "UNSUPPORTED"),
    "another score": (at("score", "kind"), "llr", "UNSUPPORTED"),
    "another metric": (
        at("score"), {"kind": "embedding_distance", "output": "model.embedding", "metric": "taxi"}, "BUNDLE",
    ),
    "an output that is none": (at("score", "output"), "model.nothing", "BUNDLE"),
    "no output": (at("score"), {"kind": "person_model", "background": "background.bin"}, "BUNDLE"),
    "a file outside": (at("graphs", 0, "files", "fp32.onnx", "path"), "../secret", "BUNDLE"),
    "an absolute file": (at("graphs", 0, "files", "fp32.onnx", "path"), "/etc/passwd", "BUNDLE"),
    "a huge file": (at("graphs", 0, "files", "fp32.onnx", "size"), 2**40, "BUNDLE"),
    "another size": (at("graphs", 0, "files", "fp32.onnx", "size"), 3, "INTEGRITY"),
    "no space": (at("embedding_space_id"), None, "BUNDLE"),
    "no graph": (at("graphs"), [], "UNSUPPORTED"),
    "an input of no shape": (at("graphs", 0, "inputs", 0, "shape"), ["batch", 0, 150, 180], "BUNDLE"),
    "a huge input": (at("graphs", 0, "inputs", 0, "shape"), ["batch", 2**20, 2**20, 2**20], "BUNDLE"),
    "an input of a recording": (at("graphs", 0, "inputs", 0, "shape"), ["batch", 4, 100], "UNSUPPORTED"),
    "another operation": (at("preprocessing", 0), {"op": "sharpen"}, "UNSUPPORTED"),
    "an operation out of bounds": (at("preprocessing", 2, "shrink"), 0, "BUNDLE"),
    "an operation of half a pixel": (at("preprocessing", 2, "window"), 96.5, "BUNDLE"),
    "an operation with a parameter to come": (at("preprocessing", 2, "smooth"), True, "UNSUPPORTED"),
    "a score with a parameter to come": (at("score", "calibrated"), True, "UNSUPPORTED"),
    "a region with a parameter to come": (at("source", "region", "tilt"), 0.1, "UNSUPPORTED"),
    "a region of half a pixel": (at("source", "region", "side"), 1536.5, "BUNDLE"),
    "an input of half a pixel": (at("graphs", 0, "inputs", 0, "shape"), ["batch", 1, 150.5, 220], "BUNDLE"),
    "a file of half a byte": (at("graphs", 0, "files", "fp32.onnx", "size"), 0.5, "BUNDLE"),
    "operations of another shape": (at("preprocessing", 8, "height"), 160, "ENGINE|BUNDLE"),
    "another score of the golden trial": (at("golden", "scores", "fp32.onnx"), 0.5, "SELFTEST"),
    "no golden trial": (at("golden", "scores"), {}, "BUNDLE"),
    "no default": (at("default_point"), None, "OPERATING_POINT"),
    "another default": (at("default_point"), "fmr_1e-9", "OPERATING_POINT"),
    "a threshold of text": (at("variants", 0, "operating_points", 4, "threshold"), "0", "BUNDLE"),
    "a threshold that accepts everything": (at("variants", 0, "operating_points", 4, "threshold"), 0.0, "BUNDLE"),
    "a point of half a reference": (at("variants", 0, "operating_points", 4, "references"), 2.5, "BUNDLE"),
    "a point of no reference": (at("variants", 0, "operating_points", 4, "references"), 0, "BUNDLE"),
    "a point of a truth": (at("variants", 0, "operating_points", 4, "references"), True, "BUNDLE"),
    "a point of 2 to the 32nd and one references": (
        at("variants", 0, "operating_points", 4, "references"), 2**32 + 1, "BUNDLE",
    ),
    "a point twice": (doubled, 0.99, "BUNDLE"),
    "a golden trial that all pass": (at("golden", "tolerance", "fp32.onnx"), 1.5, "BUNDLE"),
    "a golden trial that none passes": (at("golden", "tolerance", "fp32.onnx"), -1e-3, "BUNDLE"),
    "a space of a long name": (at("embedding_space_id"), "f" * 201, "BUNDLE"),
    "a space without a name": (at("embedding_space_id"), "", "BUNDLE"),
    "a manifest of another kind": (at("variants"), 7, "BUNDLE"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_manifest_that_none_writes_is_refused(onnxruntime: Library, copied: Callable[[str], Path], edit: str) -> None:
    folder = copied("deepsign")
    change, value, expected = EDITS[edit]
    rewrite(folder, lambda manifest: change(manifest, value))
    assert status(lambda: onnxruntime.open(folder, variant="fp32.onnx")) in expected.split("|")


def test_lists_too_deep_within_each_other_are_refused(library: Library, copied: Callable[[str], Path]) -> None:
    folder = copied("deepsign")
    data = (folder / "manifest.json").read_bytes()
    assert data.count(b'"alignment": null') == 1
    deep = b"[" * 500_000 + b"]" * 500_000
    write(folder, data.replace(b'"alignment": null', b'"alignment": ' + deep))
    with pytest.raises(NativeError, match=r"BUNDLE: .* too deep within each other"):
        library.open(folder)


@pytest.mark.parametrize("stride", [-1, 0, 8.5, 1e300, 257])
def test_a_grid_of_faces_has_whole_strides(onnxruntime: Library, copied: Callable[[str], Path], stride: float) -> None:
    folder = copied("face_locator")
    rewrite(folder, lambda manifest: at("score", "levels", 0, "stride")(manifest, stride))
    with pytest.raises(NativeError, match=r"BUNDLE: .* whole number from 1 to 256"):
        onnxruntime.open(folder)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"schema_version": 1}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(library: Library, copied: Callable[[str], Path], data: bytes) -> None:
    folder = copied("deepsign")
    write(folder, data)
    assert status(lambda: library.open(folder)) == "BUNDLE"


def test_a_key_given_twice_is_refused(library: Library, copied: Callable[[str], Path]) -> None:
    folder = copied("deepsign")
    data = (folder / "manifest.json").read_bytes()
    write(folder, data.replace(b"{", b'{"task": "spoof", ', 1))
    with pytest.raises(NativeError, match="a key twice"):
        library.open(folder)


@pytest.mark.parametrize("name", ["gait", "gait_lite"])
def test_gait_is_not_here(library: Library, name: str) -> None:
    with pytest.raises(NativeError, match="gait") as refused:
        library.open(BUNDLES / name)
    assert refused.value.status == "UNSUPPORTED"


def test_the_manifest_may_be_pinned(onnxruntime: Library) -> None:
    opened = Bundle.open("deepsign_nano")
    for digest in (opened.sha256, opened.sha256.upper()):
        onnxruntime.open(BUNDLES / "deepsign_nano", manifest_sha256=digest).__exit__()
    for digest, expected in (("0" * 64, "INTEGRITY"), ("0" * 12, "USAGE"), ("", "USAGE")):
        assert (
            status(lambda digest=digest: onnxruntime.open(BUNDLES / "deepsign_nano", manifest_sha256=digest))
            == expected
        )


# --- options ---


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"struct_size": 4}, "USAGE"), ({"struct_size": 10_000}, "USAGE"), ({"threads": -1}, "USAGE"),
        ({"threads": 65}, "USAGE"), ({"faces": 2}, "USAGE"), ({"faces": CUT_OUT}, "USAGE"),
        ({"smallest_face": -0.1}, "USAGE"), ({"smallest_face": float("nan")}, "USAGE"),
        ({"smallest_face": 0.5}, "USAGE"),
        ({"variant": ""}, "USAGE"), ({"operating_point": ""}, "USAGE"),
        ({"variant": "fp16.onnx"}, "BUNDLE"), ({"variant": "int8"}, "BUNDLE"),
        ({"operating_point": "fmr_1e-9"}, "OPERATING_POINT"), ({"threshold": float("nan")}, "USAGE"),
        ({"threshold": float("inf")}, "USAGE"), ({"threshold": 0.0}, "USAGE"), ({"threshold": 1.1}, "USAGE"),
        ({"threshold": 0.5, "operating_point": "eer"}, "USAGE"),
    ],
    ids=str,
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(
    onnxruntime: Library, options: dict[str, Any], expected: str
) -> None:
    assert status(lambda: onnxruntime.open(BUNDLES / "deepsign", **options)) == expected


def test_faces_need_a_locator_and_others_none(onnxruntime: Library) -> None:
    with onnxruntime.open(BUNDLES / "face_locator") as locator, onnxruntime.open(BUNDLES / "deepsign") as no_locator:
        for name in ("face_lite", "liveness", "ganomaly_lite"):
            for options in ({}, {"locator": no_locator}, {"locator": locator, "faces": CUT_OUT}):
                refused = status(lambda name=name, options=options: onnxruntime.open(BUNDLES / name, **options))
                assert refused == "USAGE"
        for name in ("deepsign", "face_locator"):
            assert status(lambda name=name: onnxruntime.open(BUNDLES / name, locator=locator)) == "USAGE"


def test_each_call_is_of_its_task(onnxruntime: Library) -> None:
    picture = image(SIGNATURE)
    with (
        onnxruntime.open(BUNDLES / "deepsign") as verifier,
        onnxruntime.open(BUNDLES / "liveness", faces=CUT_OUT) as detector,
        onnxruntime.open(BUNDLES / "face_locator") as locator,
    ):
        for session in (verifier, locator):
            assert status(lambda session=session: session.detect(picture)) == "USAGE"
        for session in (verifier, detector):
            assert status(lambda session=session: session.locate(picture)) == "USAGE"
        for session in (detector, locator):
            assert status(lambda session=session: session.verify([picture], picture)) == "USAGE"
            assert status(lambda session=session: session.enroll([picture])) == "USAGE"


# --- null pointers and struct sizes ---


def calls(session: Session) -> dict[str, tuple[Any, ...]]:
    """Every call with sound arguments, most of them pointers."""
    picture = image(SIGNATURE)
    template = session.enroll([picture])
    gallery, size = c.c_void_p(), c.c_size_t(1)
    held = (c.c_void_p * 1)(template.value)
    session.library.call("edge_gallery_new", session.handle, held, size, c.byref(gallery))
    return {
        "edge_describe": (session.handle, c.pointer(Info())),
        "edge_selftest": (session.handle, c.pointer(Replay())),
        "edge_verify": (session.handle, array([picture]), size, c.pointer(picture), c.pointer(Verification())),
        "edge_verify_template": (session.handle, template, c.pointer(picture), c.pointer(Verification())),
        "edge_enroll": (session.handle, array([picture]), size, c.pointer(c.c_void_p())),
        "edge_template_from_bytes": (b"x", size, c.pointer(c.c_void_p())),
        "edge_template_to_bytes": (template, None, c.c_size_t(0), c.pointer(c.c_size_t())),
        "edge_template_encrypt": (template, bytes(32), c.c_size_t(32), None, c.c_size_t(0), c.pointer(c.c_size_t())),
        "edge_template_decrypt": (b"x", size, bytes(32), c.c_size_t(32), c.pointer(c.c_void_p())),
        "edge_gallery_new": (session.handle, held, size, c.pointer(c.c_void_p())),
        "edge_identify": (
            session.handle, gallery, c.pointer(picture), c.pointer(Identification()), (Candidate * 1)(), size,
        ),
        "edge_locate": (session.handle, c.pointer(picture), (Face * 1)(), size, c.pointer(c.c_size_t())),
        "edge_detect": (session.handle, c.pointer(picture), c.pointer(Liveness())),
        "edge_open": (b"nowhere", c.pointer(Options()), c.pointer(c.c_void_p())),
    }  # fmt: skip


def rejected(argument: object) -> bool:
    """Whether a result says no."""
    result = getattr(argument, "contents", None)
    if isinstance(result, c.c_void_p):
        return result.value is None
    no = ("accepted", "identified", "passed")
    return all(not getattr(result, name, 0) for name in no) and getattr(result, "decision", 0) != DECISIONS.index(
        "live"
    )


def test_every_null_pointer_is_an_error(scripted: Session) -> None:
    for name, arguments in calls(scripted).items():
        for n, argument in enumerate(arguments):
            optional = (name, n) in {("edge_open", 1), ("edge_template_to_bytes", 1)}
            if isinstance(argument, c.c_size_t) or argument is None or optional:
                continue
            given = [None if k == n else other for k, other in enumerate(arguments)]
            code = getattr(scripted.library.c, name)(*given)
            assert STATUSES[code] == "USAGE", (name, n)
            assert scripted.library.c.edge_last_error()
            assert all(rejected(other) for other in given)


def test_every_wrong_struct_size_is_an_error(scripted: Session) -> None:
    for name, arguments in calls(scripted).items():
        for n, argument in enumerate(arguments):
            given = getattr(argument, "contents", None)
            if not isinstance(given, Sized):
                continue
            for size in (0, 4, given.struct_size - 8, given.struct_size + 8, 2**32 - 1):
                made = type(given).from_buffer_copy(given)
                made.struct_size = size
                for member in ("accepted", "identified", "passed", "decision"):
                    if hasattr(made, member):
                        setattr(made, member, 1)
                changed_ = [c.pointer(made) if k == n else other for k, other in enumerate(arguments)]
                assert STATUSES[getattr(scripted.library.c, name)(*changed_)] == "USAGE", (name, n, size)
                assert isinstance(made, Options | Image) or rejected(changed_[n])


def test_freeing_nothing_does_nothing(library: Library) -> None:
    for name in ("edge_close", "edge_template_free", "edge_gallery_free"):
        getattr(library.c, name)(None)
    assert library.c.edge_template_references(None) == 0
    assert library.c.edge_template_id(None) == b""


def test_names(library: Library) -> None:
    for number, name in enumerate(STATUSES):
        wanted = "EDGE_OK" if name == "OK" else f"EDGE_ERROR_{name}"
        assert library.c.edge_status_name(number).decode() == wanted
    assert library.c.edge_status_name(99) == library.c.edge_status_name(-1) == b"unknown"
    assert library.c.edge_flag_name(0) is library.c.edge_flag_name(3) is library.c.edge_flag_name(1 << 40) is None


def test_the_text_of_an_error_is_the_threads_own(library: Library) -> None:
    assert status(lambda: library.open("nowhere")) == "BUNDLE"
    other: list[bytes] = []
    thread = threading.Thread(target=lambda: other.append(library.c.edge_last_error()))
    thread.start()
    thread.join()
    assert other == [b""]
    assert b"no bundle" in library.c.edge_last_error()


def test_counts_have_bounds(scripted: Session) -> None:
    picture = image(SIGNATURE)
    for count in (0, 501, 2**63):
        result = Verification()
        code = scripted.library.c.edge_verify(
            scripted.handle, array([picture]), c.c_size_t(count), c.byref(picture), c.byref(result)
        )
        assert (STATUSES[code], result.accepted) == ("USAGE", 0)


def test_a_gallery_is_of_one_manifest(hooks: Hooks, copied: Callable[[str], Path], scripted: Session) -> None:
    picture, gallery = image(SIGNATURE), c.c_void_p()
    held = (c.c_void_p * 2)(*[scripted.enroll([picture]).value] * 2)
    call, size = scripted.library.call, scripted.library.c.edge_gallery_size
    call("edge_gallery_new", scripted.handle, held, c.c_size_t(2), c.byref(gallery))
    assert (size(gallery), size(None)) == (2, 0)
    updated = copied("deepsign_nano")
    rewrite(updated, lambda manifest: manifest.update(version="9.0.0"))
    with (
        hooks.open(BUNDLES / "deepsign_nano", "fp32.onnx", EMBEDDING) as same,
        hooks.open(BUNDLES / "deepsign_nano", "int8.onnx", EMBEDDING) as variant,
        hooks.open(updated, "fp32.onnx", EMBEDDING) as other,
    ):
        for session, expected in ((same, "OK"), (variant, "TEMPLATE"), (other, "TEMPLATE")):
            result = Identification(identified=1)
            code = scripted.library.c.edge_identify(
                session.handle, gallery, c.byref(picture), c.byref(result), None, c.c_size_t(0)
            )
            assert (STATUSES[code], result.identified) == (expected, expected == "OK")
        scripted.library.c.edge_gallery_free(gallery)


def test_pictures_are_decoded_one_by_one(scripted: Session) -> None:
    """What is wrong with the first is said before the second is decoded."""
    assert status(lambda: scripted.enroll([image(BLANK), image(b"no picture")])) == "UNUSABLE_SAMPLE"
    assert status(lambda: scripted.enroll([image(b"no picture"), image(BLANK)])) == "INPUT"


def test_memory_does_not_grow_with_the_references(scripted: Session) -> None:
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("the system does not say how much memory was used")
    page = np.full((4000, 4000, 3), 255, np.uint8)
    page[1800:2200, 1800:2200] = 0
    picture = image(page)

    def peak(count: int) -> int:
        Path("/proc/self/clear_refs").write_text("5")
        scripted.verify([picture] * count, picture)
        (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    peak(1)
    assert peak(6) - peak(1) < 2 * page.nbytes


# --- pictures that must not be accepted ---


@pytest.mark.parametrize("count", [1, 3])
def test_a_blank_signature_is_never_accepted(scripted: Session, count: int) -> None:
    """The engine says that all pictures are alike."""
    good, blank = image(SIGNATURE), image(BLANK)
    assert scripted.verify([good] * count, good).accepted
    template = scripted.enroll([good] * count)
    for result in (
        scripted.verify([good] * count, blank),
        scripted.verify([good] * (count - 1) + [blank], good),
        scripted.verify([blank], blank),
        scripted.verify(template, blank),
    ):
        assert (result.accepted, result.score) == (0, 0)
        assert "empty" in scripted.library.flags(result.blocking)
    found, candidates = scripted.identify([template], blank)
    assert (found.identified, candidates) == (0, [])
    assert "empty" in scripted.library.flags(found.blocking)


@pytest.mark.parametrize("data", [b"", b"x" * 100, cv2.imencode(".jpg", SIGNATURE)[1].tobytes()[:-500]])
def test_a_picture_that_cannot_be_decoded_is_an_error(scripted: Session, data: bytes) -> None:
    good, bad = image(SIGNATURE), image(data)
    wanted = "INPUT" if data else "USAGE"
    template = scripted.enroll([good])
    for call in (
        lambda: scripted.verify([good], bad),
        lambda: scripted.verify([bad, good], good),
        lambda: scripted.verify(template, bad),
        lambda: scripted.identify([template], bad),
        lambda: scripted.enroll([bad]),
    ):
        assert status(call) == wanted


OUTPUTS: dict[str, dict[str, np.ndarray]] = {
    "it throws": {},
    "NaN": {"embedding": np.full((1, 128), np.nan, np.float32)},
    "one NaN": {"embedding": np.where(np.arange(128) == 99, np.nan, 1).astype(np.float32)[None]},
    "zeros": {"embedding": np.zeros((1, 128), np.float32)},
    "too few": {"embedding": np.ones((1, 64), np.float32)},
    "too many": {"embedding": np.ones((1, 256), np.float32)},
    "another shape": {"embedding": np.ones((128, 1), np.float32)},
    "another name": {"logit": np.ones((1, 128), np.float32)},
}


@pytest.mark.parametrize("name", ["deepsign", "deepsign_nano"])
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_an_engine_that_gives_no_embedding_decides_nothing(hooks: Hooks, name: str, outputs: str) -> None:
    good = image(SIGNATURE)
    with hooks.open(BUNDLES / name, "fp32.onnx", EMBEDDING) as sound:
        template = sound.enroll([good])
    with hooks.open(BUNDLES / name, "fp32.onnx", OUTPUTS[outputs]) as session:
        for call in (
            lambda: session.verify([good], good),
            lambda: session.verify(template, good),
            lambda: session.identify([template], good),
            lambda: session.enroll([good]),
            session.selftest,
        ):
            assert status(call) == "ENGINE"


# --- faces ---


def faces(*found: tuple[int, int, float, float]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return grid(rng, 8, list(found)) | grid(rng, 16, [])


SCENE = textured(drawn_frame((200, 100, 240)))
ONE, OTHER = (7, 9, 0.99, 60.0), (2, 16, 0.99, 30.0)


def scripted_faces(hooks: Hooks, outputs: dict[str, np.ndarray]) -> Session:
    locator = hooks.open(BUNDLES / "face_locator", "fp32.onnx", outputs)
    with locator:
        return hooks.open(BUNDLES / "face_lite", "fp32.onnx", EMBEDDING, locator=locator)


def two_faces(near: float) -> dict[str, np.ndarray]:
    """A face of 60 pixels, and one of `near` in another place."""
    outputs = faces((7, 6, 0.99, 60.0))
    outputs["confidence8"][0, 0, 7, 14] = 5
    shape = outputs["geometry8"][0, :, 7, 6] * near / 60
    outputs["geometry8"][0, :, 7, 14] = shape
    return outputs


def test_one_face_is_accepted_and_none_is_not(hooks: Hooks) -> None:
    picture = image(SCENE)
    with scripted_faces(hooks, faces(ONE)) as session:
        assert session.verify([picture], picture).accepted
        assert session.enroll([picture])
    with scripted_faces(hooks, faces()) as session:
        result = session.verify([picture], picture)
        assert (result.accepted, session.library.flags(result.blocking)) == (0, {"no_face"})
        assert status(lambda: session.enroll([picture])) == "UNUSABLE_SAMPLE"


def test_two_faces_are_not_accepted(hooks: Hooks) -> None:
    picture = image(SCENE)
    with scripted_faces(hooks, two_faces(50)) as session:
        result = session.verify([picture], picture)
        assert (result.accepted, session.library.flags(result.blocking)) == (0, {"several_faces"})
        assert status(lambda: session.enroll([picture])) == "UNUSABLE_SAMPLE"


@pytest.mark.parametrize(
    ("picture", "flag"),
    [
        (np.zeros((480, 640, 3), np.uint8), "too_dark"),
        (np.full((480, 640, 3), 255, np.uint8), "overexposed"),
        (np.full((480, 640, 3), 120, np.uint8), "flat"),
        (SCENE[:20], "too_small"),
        (cv2.GaussianBlur(SCENE, (0, 0), 15), "blurred"),
    ],
)
def test_an_unfit_frame_is_not_accepted(hooks: Hooks, picture: np.ndarray, flag: str) -> None:
    with scripted_faces(hooks, faces(ONE)) as session:
        result = session.verify([image(SCENE)], image(picture))
        assert not result.accepted
        assert flag in session.library.flags(result.blocking)


def test_a_locator_that_fails_decides_nothing(hooks: Hooks) -> None:
    for outputs in ({}, faces(ONE) | {"geometry8": np.full((1, 14, 16, 20), np.nan, np.float32)}):
        with scripted_faces(hooks, outputs) as session:
            assert status(lambda session=session: session.verify([image(SCENE)], image(SCENE))) == "ENGINE"


# --- liveness ---


def logits(first: float, second: float) -> dict[str, np.ndarray]:
    values = {"spoof_lbp.logit": first, "spoof_lite.logit": second}
    return {name: np.full((1, 1), value, np.float32) for name, value in values.items()}


def detector(hooks: Hooks, outputs: dict[str, np.ndarray], located: dict[str, np.ndarray]) -> Session:
    with hooks.open(BUNDLES / "face_locator", "fp32.onnx", located) as locator:
        return hooks.open(BUNDLES / "liveness", "fp32.onnx", outputs, locator=locator)


@pytest.mark.parametrize(
    ("outputs", "located", "expected"),
    [
        (logits(9, 9), faces(ONE), "live"),
        (logits(9, -9), faces(ONE), "spoof"),
        (logits(-9, 9), faces(ONE), "spoof"),
        (logits(9, 9), faces(), "no_face"),
        (logits(9, 9), two_faces(50), "uncertain"),
    ],
)
def test_one_live_face_is_live_and_nothing_else(
    hooks: Hooks, outputs: dict[str, np.ndarray], located: dict[str, np.ndarray], expected: str
) -> None:
    with detector(hooks, outputs, located) as session:
        result = session.detect(image(SCENE))
        assert DECISIONS[result.decision] == expected
        assert np.isnan(result.score) == (expected in ("no_face", "uncertain"))


@pytest.mark.parametrize("outputs", [{}, logits(np.nan, 9), logits(np.inf, 9)])
def test_an_engine_that_gives_no_logit_decides_nothing(hooks: Hooks, outputs: dict[str, np.ndarray]) -> None:
    with detector(hooks, outputs, faces(ONE)) as session:
        assert status(lambda: session.detect(image(SCENE))) == "ENGINE"


@pytest.mark.parametrize("level", [0, 120, 255])
def test_an_unfit_frame_is_uncertain(hooks: Hooks, level: int) -> None:
    with detector(hooks, logits(9, 9), faces(ONE)) as session:
        result = session.detect(image(np.full((480, 640, 3), level, np.uint8)))
        assert DECISIONS[result.decision] == "uncertain"
        assert result.flags


# --- templates ---


@pytest.fixture(scope="module")
def plain() -> bytes:
    """A template as Python writes it."""
    with Verifier("deepsign_nano", engine="onnxruntime", precision="fp32.onnx") as verifier:
        return verifier.enroll([SIGNATURE, SyntheticWriter(1).genuine(1)]).to_bytes(plain=True)


def again(data: bytes, change: Callable[[dict[str, Any]], object], order: Callable[[Any], Any] = lambda x: x) -> bytes:
    """A template with another record, and the checksum that fits it."""
    record = msgspec.msgpack.decode(data[32:])
    change(record)
    payload = msgspec.msgpack.encode(order(record))
    return data[:16] + hashlib.sha256(payload).digest()[:16] + payload


RECORDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another kind": lambda record: record.update(kind="gaussian_mixture"),
    "no kind": lambda record: record.pop("kind"),
    "no values": lambda record: record.update(values=b""),
    "one value less": lambda record: record.update(values=record["values"][:-4]),
    "no references": lambda record: record.update(count=0),
    "more references": lambda record: record.update(count=3),
    "a count of text": lambda record: record.update(count="2"),
    "a count below 0": lambda record: record.update(count=-2),
    "a huge count": lambda record: record.update(count=2**63, dim=2**63),
    "NaN": lambda record: record.update(values=np.full(256, np.nan, "<f4").tobytes()),
    "zeros": lambda record: record.update(values=bytes(1024)),
    "a zero row": lambda record: record.update(values=record["values"][:512] + bytes(512)),
    "more added than updates add": lambda record: record.update(count=12, added=11, values=record["values"][:512] * 12),
    "more enrolled than anybody enrols": lambda record: record.update(count=501, values=record["values"][:512] * 501),
    "more added than there are": lambda record: record.update(added=2),
    "added below 0": lambda record: record.update(added=-1),
    "another id": lambda record: record.update(template_id="x" * 32),
    "a short id": lambda record: record.update(template_id="ab"),
    "another field": lambda record: record.update(key=1),
    "a long name": lambda record: record.update(bundle_name="x" * 5000),
    "values of text": lambda record: record.update(values="x" * 1024),
}


@pytest.mark.parametrize("record", RECORDS)
def test_a_template_that_nobody_could_have_enrolled_is_refused(library: Library, plain: bytes, record: str) -> None:
    data = again(plain, RECORDS[record])
    assert status(lambda: library.template(data)) == "TEMPLATE"
    with pytest.raises(Exception, match=r".") as refused:
        Template.from_bytes(data, plain=True)
    assert type(refused.value).__name__ == "TemplateError"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(dim=64, values=record["values"][:512]), "another size"),
        (lambda record: record.update(values=np.full(256, 1.0, "<f4").tobytes()), "another length than 1"),
    ],
)
def test_a_template_that_this_network_cannot_have_made_is_refused(
    onnxruntime: Library, plain: bytes, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with onnxruntime.open(BUNDLES / "deepsign_nano", variant="fp32.onnx") as session:
        assert session.verify(onnxruntime.template(plain), image(SIGNATURE)).accepted
        template = onnxruntime.template(again(plain, change))
        for call in (
            lambda: session.verify(template, image(SIGNATURE)),
            lambda: session.identify([template], image(SIGNATURE)),
        ):
            with pytest.raises(NativeError, match=message) as refused:
                call()
            assert refused.value.status == "TEMPLATE"


@pytest.mark.parametrize("start", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"], ids=bytes.hex)
def test_a_template_holds_utf_8(library: Library, plain: bytes, start: bytes) -> None:
    record = plain[32:].replace(b"deepsign_nano", start + b"deepsign_nano"[len(start) :])
    assert record != plain[32:]
    data = plain[:16] + hashlib.sha256(record).digest()[:16] + record
    assert status(lambda: library.template(data)) == "TEMPLATE"
    with pytest.raises(TemplateError):
        Template.from_bytes(data, plain=True)


def test_the_order_of_a_templates_fields_is_one(library: Library, plain: bytes) -> None:
    assert library.to_bytes(library.template(again(plain, lambda _: None))) == plain
    other = again(plain, lambda _: None, lambda record: dict(sorted(record.items())))
    assert status(lambda: library.template(other)) == "TEMPLATE"


def test_every_shorter_or_changed_template_is_refused(library: Library, plain: bytes) -> None:
    for length in (*range(1, 40), len(plain) // 2, len(plain) - 1):
        assert status(lambda length=length: library.template(plain[:length])) == "TEMPLATE"
    for place in range(0, len(plain), 7):
        data = bytearray(plain)
        data[place] ^= 4
        assert status(lambda data=data: library.template(bytes(data))) == "TEMPLATE"
    assert status(lambda: library.template(plain + b"\0")) == "TEMPLATE"


def test_a_record_within_a_record_is_refused(library: Library, plain: bytes) -> None:
    for payload in (b"\x91" * 100_000, b"\x81\xa4kind" + b"\x81\xa1x" * 50_000):
        data = plain[:16] + hashlib.sha256(payload).digest()[:16] + payload
        assert status(lambda data=data: library.template(data)) == "TEMPLATE"


def test_a_template_is_written_whole_or_not_at_all(library: Library, plain: bytes) -> None:
    template, length = library.template(plain), c.c_size_t()
    room = c.create_string_buffer(b"\xaa" * len(plain), len(plain))
    short = library.c.edge_template_to_bytes(template, room, c.c_size_t(len(plain) - 1), c.byref(length))
    assert (STATUSES[short], length.value, room.raw) == ("BUFFER", len(plain), b"\xaa" * len(plain))


def test_threads_share_a_session(scripted: Session) -> None:
    good, results = image(SIGNATURE), list[int]()

    def verify() -> None:
        for _ in range(5):
            results.append(scripted.verify([good], good).accepted)

    threads = [threading.Thread(target=verify) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 20
