"""Frames and their times, from files as they should be and as they should not, from cameras and from folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import CameraError, ImageDecodeError, ImageNotFoundError, ImageTooLargeError, VideoDecodeError
from edge_sdk.runtime import sources

from .drawn import frame
from .filmed import Camera, cut, delay, film, spoil
from .filmed_mp4 import film_mp4, turn

PICTURES = [frame(seed=seed) for seed in range(6)]
TIMES = [0.0, 0.125, 0.25, 0.375, 0.5, 0.625]


def read(path: Path) -> tuple[list[float], list[int]]:
    """The times of a video's frames, and the numbers of those that are None."""
    found = list(sources.video(path))
    return [time for time, _ in found], [number for number, (_, picture) in enumerate(found) if picture is None]


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_a_video_is_its_frames_at_its_times(name: str, tmp_path: Path) -> None:
    found = list(sources.video(film(tmp_path / name, PICTURES)))
    assert [time for time, _ in found] == TIMES
    for (_, picture), original in zip(found, PICTURES, strict=True):
        assert picture is not None
        assert (picture.dtype, picture.shape) == (np.uint8, original.shape)
        assert np.abs(picture.astype(int) - original).mean() < 4, "but for JPEG"


def test_other_codecs(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 8, (640, 480))
    for picture in PICTURES:
        writer.write(picture)
    writer.release()
    assert read(tmp_path / "a.mp4") == (TIMES, [])


def test_a_phone_held_upright(tmp_path: Path) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES[:1])
    ((_, lying),) = sources.video(path)
    turn(path)
    ((_, upright),) = sources.video(path)
    assert lying is not None
    assert upright is not None
    np.testing.assert_array_equal(upright, cv2.rotate(lying, cv2.ROTATE_90_CLOCKWISE))


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
@pytest.mark.parametrize("spoiled", [(2,), (0, 1), (1, 3, 4)])
def test_frames_that_cannot_be_decoded_keep_their_places(name: str, spoiled: tuple[int, ...], tmp_path: Path) -> None:
    spoil(film(tmp_path / name, PICTURES), *spoiled)
    times, lost = read(tmp_path / name)
    assert times == pytest.approx(TIMES)
    assert lost == list(spoiled)


def test_no_end_is_silent(tmp_path: Path) -> None:
    spoil(film(tmp_path / "spoiled.avi", PICTURES), 4, 5)
    cut(film(tmp_path / "cut.avi", PICTURES), 4)
    for name in ("spoiled.avi", "cut.avi"):
        times, lost = read(tmp_path / name)
        assert times == pytest.approx(TIMES)
        assert lost == [4, 5]


def test_matroska_that_is_cut_off_misses_what_its_length_announces(tmp_path: Path) -> None:
    cut(film(tmp_path / "short.mkv", PICTURES), 4)
    assert read(tmp_path / "short.mkv") == (TIMES, [4, 5])
    cut(film(tmp_path / "long.mkv", PICTURES * 2), 4)
    times, lost = read(tmp_path / "long.mkv")
    assert times == pytest.approx([number / 8 for number in range(12)])
    assert lost == list(range(4, 12))


def test_times_are_not_corrected(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mkv", PICTURES)
    delay(video, 2, 5000)
    delay(video, 4, -4500)
    times, lost = read(video)
    assert times == pytest.approx([0.0, 0.125, 5.25, 5.375, 1.0, 1.125])
    assert lost == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"words\n" * 1000, "neither"),
        (b"", "neither"),
        (b"\0\0\0\x20ftypheic" + bytes(1000), "neither"),
        (b"\0\0\0\x20ftypisom" + bytes(1000), "damaged"),
        (b"RIFF\0\0\0\0AVI " + bytes(1000), "damaged"),
        (b"RIFF\0\0\0\0WAVE" + bytes(1000), "neither"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "PNG, a picture; this takes a video"),
    ],
)
def test_what_is_no_video_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "clip.txt").write_bytes(content)
    with pytest.raises(VideoDecodeError, match=f"clip.txt: {message}"):
        sources.video(tmp_path / "clip.txt")


def test_frames_of_another_size_are_scaled_to_that_of_the_first(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", PICTURES)
    data = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(rb"\xff\xd8\xff", data)]
    shrunk = cv2.resize(PICTURES[3], (320, 240), interpolation=cv2.INTER_AREA)
    small = cv2.imencode(".jpg", shrunk, [cv2.IMWRITE_JPEG_QUALITY, 40])[1].tobytes()
    assert len(small) < starts[4] - starts[3] - 8, "it has to fit into its place"
    data[starts[3] : starts[3] + len(small)] = small
    path.write_bytes(data)
    found = [picture for _, picture in sources.video(path)]
    assert found[3] is not None
    assert found[3].shape == (480, 640, 3)
    blurred = cv2.blur(PICTURES[3], (9, 9)).astype(int)
    assert np.abs(cv2.blur(found[3], (9, 9)).astype(int) - blurred).mean() < 4


def test_a_video_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """OpenCV would end the process."""
    path = film(tmp_path / "a.avi", PICTURES).rename(tmp_path / "a\udcff.avi")
    with pytest.raises(VideoDecodeError, match="not text in UTF-8; rename it"):
        sources.video(path)


def test_a_video_larger_than_pictures_may_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.avi", PICTURES)
    monkeypatch.setattr(images, "MAX_PIXELS", 640 * 480 - 1)
    with pytest.raises(ImageTooLargeError, match="frames of 640 x 480 pixels"):
        sources.video(path)


def test_names_that_mean_something_to_ffmpeg(tmp_path: Path) -> None:
    for name in ("a%03d.avi", "concat:a.avi", "a\nb.avi", "-i.avi"):
        path = film(tmp_path / "a.avi", PICTURES).rename(tmp_path / name)
        assert read(path) == (TIMES, [])


def test_a_video_without_frames_is_an_error(tmp_path: Path) -> None:
    film(tmp_path / "none.avi", [])
    spoil(film(tmp_path / "spoiled.avi", PICTURES), *range(6))
    for name in ("none.avi", "spoiled.avi"):
        with pytest.raises(VideoDecodeError, match="no frame"):
            list(sources.video(tmp_path / name))
    with pytest.raises(ImageNotFoundError):
        sources.video(tmp_path / "nonesuch.avi")
    with pytest.raises(VideoDecodeError):
        sources.video(tmp_path)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null", "n" * 10_000, "a\0.png", tmp_path):
        with pytest.raises(ImageDecodeError, match=r"not a file|too long|no file can|directory|folder"):
            sources.is_picture(path)
        with pytest.raises(VideoDecodeError, match=r"not a file|too long|no file can|directory|folder"):
            sources.video(path)


def test_what_is_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "a.bin"
    for encoding, known in ((".png", True), (".jpg", True), (".bmp", True), (".tiff", True), (".webp", False)):
        picture.write_bytes(cv2.imencode(encoding, PICTURES[0])[1].tobytes())
        assert sources.is_picture(picture) is known
    assert not sources.is_picture(film(tmp_path / "a.avi", PICTURES))
    with pytest.raises(ImageNotFoundError, match=r"nonesuch\.png: no such"):
        sources.is_picture(tmp_path / "nonesuch.png")


def test_a_camera_that_falls_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera(PICTURES[0], None, PICTURES[1])
    monkeypatch.setattr(cv2, "VideoCapture", {7: camera}.get)
    monkeypatch.setattr(sources, "CAMERA_PATIENCE_S", 0.2)
    found: list[sources.Stamped] = []
    with pytest.raises(CameraError, match="camera 7 has given no picture"):
        found.extend(sources.camera(7))
    times = [time for time, _ in found]
    assert times == sorted(times)
    assert times[-1] - times[2] < 0.2
    assert [picture is None for _, picture in found[:4]] == [False, True, False, True]
    assert all(picture is None for _, picture in found[3:])
    assert camera.released


def test_a_camera_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", {7: Camera()}.get)
    with pytest.raises(CameraError, match="camera 7 cannot be opened"):
        sources.camera(7)
