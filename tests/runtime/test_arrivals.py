"""What an application may hand to a stream: a mistake is raised once, damage is a flag."""

from __future__ import annotations

import datetime as dt
import io
import os
from collections import namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import SpoofDecision, images
from edge_sdk.bundle import Bundle
from edge_sdk.errors import (
    ImageDecodeError,
    ImageNotFoundError,
    ImageTooLargeError,
    UnsupportedImageError,
    UsageError,
)
from edge_sdk.preprocess.crop import Box

from .drawn import frame
from .test_detector import WITH_FACE, detector, spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")

PNG = cv2.imencode(".png", WITH_FACE)[1].tobytes()


class Tensor:
    """As torch's: no array, but one can be had."""

    def __array__(self) -> np.ndarray:
        return WITH_FACE


class Pillow:
    """As Pillow's images, of which one can be had another way."""

    __array_interface__ = WITH_FACE.__array_interface__


@pytest.fixture(scope="module")
def lenient(make_bundle: Callable[..., Bundle]) -> Bundle:
    return spoof_bundle(make_bundle)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ("film.mkv", "sources.video"),
        (Path("film.mkv"), "sources.video"),
        (0, "camera"),
        (None, "list or a generator"),
        (cv2.VideoCapture(), "list or a generator"),
        ({0.0: WITH_FACE}, "dict"),
        ({1, 2}, "set"),
        (io.BytesIO(b"one line\nand another"), "BytesIO"),
        (PNG, "one picture"),
        (WITH_FACE, "one picture"),
        (WITH_FACE[:, :, 0], "one picture"),
    ],
    ids=["name", "path", "number", "None", "capture", "dict", "set", "open file", "bytes", "colour", "gray"],
)
def test_what_gives_no_frames_is_refused_at_once(lenient: Bundle, pictures: object, words: str) -> None:
    with detector(lenient) as opened, pytest.raises(UsageError, match=words):
        opened.stream(pictures)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [0.5, 0, "k of n"])
def test_what_is_no_rule_is_refused_at_once(lenient: Bundle, rule: object) -> None:
    with detector(lenient) as opened, pytest.raises(UsageError, match="the rule is"):
        opened.stream([WITH_FACE], rule)  # type: ignore[arg-type]
    with detector(lenient, rule=rule) as opened, pytest.raises(UsageError, match="the rule is"):
        opened.stream([WITH_FACE])


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        ([0.0, WITH_FACE], UsageError, "tuple"),
        ({"time": 0.0, "frame": WITH_FACE}, UsageError, "dict"),
        ((), UsageError, "tuple of 0"),
        ((WITH_FACE,), UsageError, "tuple of 1"),
        ((True, WITH_FACE, None), UsageError, "tuple of 3"),
        ((None, WITH_FACE), UsageError, "None"),
        (("0.04", WITH_FACE), UsageError, "str"),
        ((True, WITH_FACE), UsageError, "bool"),
        ((1j, WITH_FACE), UsageError, "complex"),
        ((np.zeros(1), WITH_FACE), UsageError, "ndarray"),
        ((dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), WITH_FACE), UsageError, "datetime"),
        ((dt.timedelta(seconds=1), WITH_FACE), UsageError, "timedelta"),
        ((Decimal(1), WITH_FACE), UsageError, "Decimal"),
        ((WITH_FACE, 0.0), UsageError, "ndarray"),
        (WITH_FACE / 255, UnsupportedImageError, "floating point"),
        (WITH_FACE[:, :, :2], UnsupportedImageError, "shape"),
        (WITH_FACE[np.newaxis], UnsupportedImageError, "shape"),
        (WITH_FACE.transpose(2, 0, 1), UnsupportedImageError, "shape"),
        (WITH_FACE[:0], UnsupportedImageError, "shape"),
        (WITH_FACE > 99, UnsupportedImageError, "bool"),
        (WITH_FACE.astype(np.int64), UnsupportedImageError, "int64"),
        (np.array(None), UnsupportedImageError, "object"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), ImageTooLargeError, "20000"),
        (Pillow(), UnsupportedImageError, "asarray"),
        (Tensor(), UnsupportedImageError, "asarray"),
        (memoryview(WITH_FACE), UnsupportedImageError, "asarray"),
        (7, UnsupportedImageError, "int"),
        ("none.png", ImageNotFoundError, "none.png"),
        (Path("none") / "none.png", ImageNotFoundError, "none.png"),
        (os.fspath(Path(__file__) / "none.png"), ImageNotFoundError, "none.png"),
        (os.curdir, ImageDecodeError, "folder"),
        ("\0.png", ImageDecodeError, "name"),
        ("x" * 10_000, ImageDecodeError, "x"),
        (b"GIF89a" + bytes(99), UnsupportedImageError, "GIF"),
        (b"RIFF\0\0\0\0WEBP" + bytes(99), UnsupportedImageError, "WebP"),
    ],
)
def test_a_mistake_is_raised_at_its_frame(lenient: Bundle, item: object, error: type[Exception], words: str) -> None:
    with detector(lenient) as opened:
        results = opened.stream([(0.0, WITH_FACE), item])  # type: ignore[list-item]
        assert next(results).reasons == ("undecided",)
        with pytest.raises(error, match=words):
            next(results)
        assert list(results) == [], "the stream has ended"
        if not isinstance(item, (tuple, list, dict)):
            with pytest.raises(error, match=words):
                list(opened.stream([(0.0, item)]))  # type: ignore[list-item]


def test_damage_is_a_flag(lenient: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    path.write_bytes(PNG[:-40])
    jpeg = cv2.imencode(".jpg", WITH_FACE)[1].tobytes()
    damaged = [
        None,
        b"",
        b"broken",
        bytes(5000),
        PNG[:-40],
        bytearray(jpeg[: len(jpeg) // 2]),
        memoryview(PNG[8:]),
        path,
    ]
    with detector(lenient) as opened:
        results = list(opened.stream((n / 8, picture) for n, picture in enumerate([*damaged, PNG])))  # type: ignore[misc]
    assert [result.reasons for result in results] == [("corrupt",)] * len(damaged) + [("undecided",)]
    assert {result.decision for result in results} == {SpoofDecision.UNCERTAIN}


def test_what_frames_and_times_may_be(lenient: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    path.write_bytes(PNG)
    stamped = namedtuple("stamped", "time picture")  # noqa: PYI024 - as people write it
    batch = np.stack([frame((200, 100, 200), seed=seed) for seed in range(3)])
    with detector(lenient) as opened:
        expected = opened.detect(WITH_FACE).score
        for source in (
            WITH_FACE,
            PNG,
            bytearray(PNG),
            memoryview(PNG),
            path,
            str(path),
            WITH_FACE.astype(np.uint16) * 257,
        ):
            (result,) = opened.stream([source])  # type: ignore[list-item]
            assert result.frame.score == expected
        for time in (0, np.float32(0), np.int64(0), Fraction(0)):
            (result,) = opened.stream([(time, WITH_FACE)])  # type: ignore[list-item]
            assert (result.time, type(result.time)) == (0.0, float)
        (result,) = opened.stream([stamped(0.5, WITH_FACE)])
        assert result.time == 0.5
        for time in (float("nan"), float("inf"), 10**400):
            assert next(opened.stream([(time, WITH_FACE)])).reasons == ("time_jump",)
        assert [result.frame.decision for result in opened.stream(batch)] == [SpoofDecision.LIVE] * 3


def test_times_in_another_unit_are_told(lenient: Bundle) -> None:
    pictures = [frame((200, 100, 200), seed=seed) for seed in range(6)]
    for times, reason in (([1040 * n for n in range(6)], "time_jump"), ([0.0] * 6, "stale")):
        with detector(lenient) as opened:
            results = list(opened.stream(zip(times, pictures, strict=True)))
        assert {result.decision for result in results} == {SpoofDecision.UNCERTAIN}
        assert {result.reasons for result in results[1:]} == {(reason,)}


def test_bits_that_cannot_be_told_are_a_flag(lenient: Bundle) -> None:
    deep = WITH_FACE.astype(np.uint16) * 257 >> 6
    with detector(lenient) as opened:
        result = opened.detect(deep)
        assert (result.decision, result.quality, result.faces) == (SpoofDecision.UNCERTAIN, ("bit_depth",), ())
        assert opened.examine(deep).flags == ("bit_depth",)
        assert [one.reasons for one in opened.stream([deep, images.from_bits(deep, 10)])] == [
            ("bit_depth",),
            ("undecided",),
        ]
        assert opened.detect(images.from_bits(deep, 10)).score == opened.detect(WITH_FACE).score


@pytest.mark.parametrize("fourth", [0, 255])
def test_a_fourth_byte_of_no_meaning(lenient: Bundle, fourth: int) -> None:
    four = np.dstack([WITH_FACE, np.full(WITH_FACE.shape[:2], fourth, np.uint8)])
    with detector(lenient) as opened:
        assert opened.detect(four).score == opened.detect(WITH_FACE).score


@pytest.mark.parametrize("fourth", ["another number", "any numbers", "16 bits"])
def test_a_fourth_byte_of_some_meaning_is_refused(lenient: Bundle, fourth: str) -> None:
    channel = np.full(WITH_FACE.shape[:2], 128, np.uint8)
    if fourth == "any numbers":
        channel[:] = np.random.default_rng(0).integers(0, 256, channel.shape)
    four = np.dstack([WITH_FACE, channel])
    if fourth == "16 bits":
        four = four.astype(np.uint16) * 257
    with detector(lenient) as opened:
        for call in (opened.detect, opened.examine, lambda picture: list(opened.stream([picture]))):
            with pytest.raises(UnsupportedImageError, match="pass array"):
                call(four)


def test_a_camera_may_write_into_its_buffer_meanwhile(lenient: Bundle) -> None:
    buffer = WITH_FACE.copy()

    def locate(picture: np.ndarray) -> tuple[Box, ...]:
        buffer[:] = 0
        return (Box(220, 120, 160, 160),)

    with detector(lenient) as opened:
        expected = opened.detect(WITH_FACE).score
    with detector(lenient, faces=locate) as opened:
        assert opened.detect(buffer).score == expected
        buffer[:] = WITH_FACE
        assert next(opened.stream([buffer])).frame.score == expected


@pytest.mark.parametrize(
    "given",
    [None, 3, [(220, 120, 160, 160)], [Box(220.5, 120, 160, 160)], np.zeros((1, 4)), iter(())],  # type: ignore[arg-type]
)
def test_a_locator_that_gives_no_boxes(lenient: Bundle, given: object) -> None:
    with detector(lenient, faces=lambda _: given) as opened:
        for call in (opened.detect, opened.examine, lambda picture: list(opened.stream([picture]))):
            with pytest.raises(UsageError, match="the locator gave"):
                call(WITH_FACE)
    with pytest.raises(UsageError, match="cascade"):
        detector(lenient, faces="casacde")
