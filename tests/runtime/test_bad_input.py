"""Bad input, from the file to the exit code: a typed error or a blocking flag, and never an accept.

The operating point accepts every score there is, so only the fences can keep anything out.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle, pack
from edge_sdk.cli import main
from edge_sdk.errors import (
    BundleNotFoundError,
    EdgeSdkError,
    ImageDecodeError,
    ImageNotFoundError,
    ImageTooLargeError,
    IntegrityError,
    ManifestError,
    SchemaVersionError,
    UnsafePathError,
    UnsupportedImageError,
    UnusableSampleError,
)
from edge_sdk.manifest import DIGEST_PATH, MANIFEST_PATH
from edge_sdk.runtime import Verifier

from ..bundle.made import reseal

Maker = Callable[..., Bundle]


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def level(value: int, *size: int) -> bytes:
    return png(np.full(size or (380, 600), value, np.uint8))


def huge_header() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def half(signature: np.ndarray) -> bytes:
    data = png(signature)
    return data[: len(data) // 2]


def flipped(signature: np.ndarray) -> bytes:
    data = bytearray(png(signature))
    data[len(data) // 2] ^= 1
    return bytes(data)


def transparent(signature: np.ndarray) -> bytes:
    return png(np.dstack([signature, signature, signature, np.zeros_like(signature)]))


# Files that are no pictures, and the error.
BROKEN = {
    "truncated": (half, ImageDecodeError),
    "flipped byte": (flipped, ImageDecodeError),
    "0 bytes": (lambda _: b"", ImageDecodeError),
    "text": (lambda _: b"signature", ImageDecodeError),
    "truncated jpeg": (lambda s: cv2.imencode(".jpg", s)[1].tobytes()[:-2], ImageDecodeError),
    "20,000 x 20,000": (lambda _: huge_header(), ImageTooLargeError),
}
# Pictures without a signature, and the flag.
EMPTY = {
    "1 x 1": (lambda _: level(0, 1, 1), "too_small"),
    "white": (lambda _: level(255), "empty"),
    "black": (lambda _: level(0), "empty"),
    "gray": (lambda _: level(128), "empty"),
    "invisible": (transparent, "empty"),
    "16-bit white": (lambda _: png(np.full((380, 600), 65535, np.uint16)), "empty"),
}
# Unusual pictures of a signature: accepted like the usual ones.
SOUND = {
    "16-bit": lambda s: png(s.astype(np.uint16) * 257),
    "BGR": lambda s: png(cv2.cvtColor(s, cv2.COLOR_GRAY2BGR)),
    "RGBA": lambda s: png(cv2.cvtColor(s, cv2.COLOR_GRAY2BGRA)),
}


@pytest.fixture(scope="module")
def generous(make_bundle: Maker, tiny_bundle: Bundle) -> Bundle:
    points = tiny_bundle.manifest.variants[0].operating_points
    points = (msgspec.structs.replace(points[1], threshold=1e-9),)
    return make_bundle(operating_points={"fp32": points, "int8": points})


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, object]]:
    code = main([str(argument) for argument in arguments])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def good(tmp_path: Path, signature: np.ndarray) -> Path:
    path = tmp_path / "good.png"
    path.write_bytes(png(signature))
    return path


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(
    name: str, generous: Bundle, good: Path, signature: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    make, error = BROKEN[name]
    bad = good.with_name("bad.png")
    bad.write_bytes(make(signature))
    with Verifier(generous) as verifier:
        for source in (bad, bad.read_bytes()):
            for pair in ((source, good), (good, source), ([good, source], good)):
                with pytest.raises(error):
                    verifier.verify(*pair)
            with pytest.raises(error):
                verifier.enroll([good, source])
    for pair in ((bad, good), (good, bad)):
        code, said = run(capsys, "verify", *pair, "--bundle", generous.path, "--json")
        assert (code, said["error"]["type"]) == (3, error.__name__)  # type: ignore[index]
    template = good.with_name("template")
    assert main(["enroll", str(bad), "-o", str(template), "--plain", "--bundle", str(generous.path)]) == 3
    assert not template.exists()


@pytest.mark.parametrize("name", EMPTY)
def test_pictures_without_a_signature(
    name: str, generous: Bundle, good: Path, signature: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    make, flag = EMPTY[name]
    bad = good.with_name("bad.png")
    bad.write_bytes(make(signature))
    with Verifier(generous) as verifier:
        for pair in ((bad, good), (good, bad), (bad, bad)):
            result = verifier.verify(*pair)
            assert result.decision is False
            assert flag in result.quality
        with pytest.raises(UnusableSampleError, match=flag):
            verifier.enroll(bad)
    for pair in ((bad, good), (good, bad), (bad, bad)):
        code, said = run(capsys, "verify", *pair, "--bundle", generous.path, "--json")
        assert (code, said["decision"], said["score"]) == (1, False, 0.0)
        assert flag in said["quality"]  # type: ignore[operator]


@pytest.mark.parametrize("name", SOUND)
def test_unusual_pictures_of_a_signature(name: str, tiny_bundle: Bundle, good: Path, signature: np.ndarray) -> None:
    with Verifier(tiny_bundle) as verifier:
        result = verifier.verify(good, SOUND[name](signature))
    assert (result.decision, result.score, result.quality) == (True, 1.0, ())


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (np.full((380, 600), np.nan, np.float32), UnsupportedImageError),
        (np.ones((380, 600), np.float64), UnsupportedImageError),
        (np.zeros((0, 0), np.uint8), UnsupportedImageError),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), ImageTooLargeError),
        (None, UnsupportedImageError),
    ],
    ids=["nan", "float", "no pixels", "huge", "None"],
)
def test_bad_arrays(generous: Bundle, good: Path, source: object, error: type[EdgeSdkError]) -> None:
    with Verifier(generous) as verifier:
        for pair in ((source, good), (good, source)):
            with pytest.raises(error):
                verifier.verify(*pair)  # type: ignore[arg-type]
        with pytest.raises(error):
            verifier.enroll(source)  # type: ignore[arg-type]


def test_directories_and_missing_files(
    generous: Bundle, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for bad, error in ((tmp_path, ImageDecodeError), (tmp_path / "none.png", ImageNotFoundError)):
        for pair in ((bad, good), (good, bad)):
            with Verifier(generous) as verifier, pytest.raises(error):
                verifier.verify(*pair)
            code, said = run(capsys, "verify", *pair, "--bundle", generous.path, "--json")
            assert (code, said["error"]["type"]) == (3, error.__name__)  # type: ignore[index]


# --- bundles ---


def flip_model(folder: Path) -> None:
    path = folder / "model.int8.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / MANIFEST_PATH
        text = path.read_bytes()
        assert old in text
        path.write_bytes(text.replace(old, new))
        reseal(folder)

    return change


DAMAGE = {
    "flipped byte": (flip_model, IntegrityError),
    "missing model": (lambda folder: (folder / "model.int8.onnx").unlink(), IntegrityError),
    "missing digest": (lambda folder: (folder / DIGEST_PATH).unlink(), IntegrityError),
    "missing manifest": (lambda folder: (folder / MANIFEST_PATH).unlink(), IntegrityError),
    "path outside": (edit(b'"model.int8.onnx"', b'"../model.int8.onnx"'), UnsafePathError),
    "newer schema": (edit(b'"schema_version": 1', b'"schema_version": 2'), SchemaVersionError),
    "unknown key": (edit(b'"schema_version": 1', b'"schema_version": 1, "surprise": 1'), ManifestError),
    "no JSON": (edit(b"{", b"["), ManifestError),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_bundles(
    name: str, generous: Bundle, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, error = DAMAGE[name]
    folder = pack(generous, tmp_path / "copy").path
    damage(folder)
    with pytest.raises(error):
        Verifier(folder)
    for command in (["verify", good, good, "--bundle", folder], ["inspect", folder], ["selftest", folder]):
        if name == "flipped byte" and command[0] == "selftest":
            continue  # without golden inputs it reads no model
        code, said = run(capsys, *command, "--json")
        assert (code, said["error"]["type"]) == (3, error.__name__)  # type: ignore[index]


def test_a_flipped_byte_in_the_single_file(
    generous: Bundle, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pack(generous, tmp_path / "copy.edge").path
    data = bytearray(path.read_bytes())
    model = generous.read_model("int8.onnx")
    data[data.index(model) + len(model) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        Verifier(path)
    code, said = run(capsys, "verify", good, good, "--bundle", path, "--json")
    assert (code, said["error"]["type"]) == (3, "IntegrityError")  # type: ignore[index]


def test_no_bundle(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BundleNotFoundError):
        Verifier(tmp_path / "none")
    code, said = run(capsys, "verify", good, good, "--bundle", tmp_path / "none", "--json")
    assert (code, said["error"]["type"]) == (3, "BundleNotFoundError")  # type: ignore[index]
