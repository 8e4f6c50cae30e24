"""Where frames come from: video files and cameras, each with its time in seconds.

What they give is what :meth:`~edge_sdk.runtime.detector.SpoofDetector.stream` takes. A frame that is None could not be
decoded, or the camera gave none. No stamp is corrected: what a backward or sudden step means is the decision's to say.
A frame of a film that has none gets one (:class:`edge_sdk.runtime.films.Times`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk import files, images
from edge_sdk.errors import CameraError, ImageDecodeError, ImageNotFoundError, ImageTooLargeError, VideoDecodeError
from edge_sdk.logs import Log
from edge_sdk.opencv import cv2
from edge_sdk.runtime import clock

if TYPE_CHECKING:
    from edge_sdk.runtime.films import Stamped

CAMERA_PATIENCE_S = 3.0
"""How long a camera may give nothing before that is an error."""

_LOG = Log(__name__)
_PAUSE_S = 0.05  # before a camera that gave nothing is asked again

_MATROSKA = b"\x1aE\xdf\xa3"
_OLD_MOVIES = (b"moov", b"mdat", b"wide", b"free", b"skip")  # QuickTime's, which may begin with any of its parts
_STILLS = (b"avif", b"heic", b"heix", b"mif1", b"msf1")  # photos in MP4's container, of which FFmpeg shows one tile


def video(path: str | os.PathLike[str]) -> Iterator[Stamped]:
    """Open a video file, and return its frames in their order.

    The times are those of the container. Frames that FFmpeg refuses are None, evenly spaced between the times of their
    neighbours, and so are those that the container has behind the last: by its tables, edit lists and blocks, not by
    the length that it announces, which may be that of the sound (:mod:`edge_sdk.runtime.containers`). A file that ends
    within a part of it lacks one frame at least; one that was streamed, and ends between two, is over. No more than
    1,800 are shown as missing behind the last. What FFmpeg patches up, such as half a frame, is a frame. Phones' videos
    are turned upright.

    Returns:
        ``(seconds, uint8 (H, W, 3) BGR)``; VideoDecodeError when the end comes without a frame that could be decoded.

    Raises:
        ImageNotFoundError: There is no such file.
        VideoDecodeError: Not an AVI, MP4, MOV, MKV or WebM file, or a damaged one; or OpenCV cannot take its name.
        ImageTooLargeError: Its frames have more pixels than a picture may have.
    """
    path = Path(path)
    from edge_sdk.runtime.films import decoded  # how films are taken apart, which pictures do not ask for

    capture, head = _film(path)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return decoded(capture, path, estimated=head.startswith(_MATROSKA))


def frame_rate(path: str | os.PathLike[str]) -> float:
    """How many frames a second a video file has, as its container says; 25 where it does not.

    Raises:
        ImageNotFoundError, VideoDecodeError, ImageTooLargeError: As :func:`video`.
    """
    from edge_sdk.runtime.films import rate_of

    capture, _ = _film(Path(path))
    try:
        return rate_of(capture)
    finally:
        capture.release()


def camera(number: int) -> Iterator[Stamped]:
    """Open a camera, and return its frames as they come, with the time of :func:`edge_sdk.runtime.clock.now`.

    Args:
        number: From 0, as the system counts its cameras.

    Returns:
        ``(seconds, uint8 (H, W, 3) BGR)`` without end; CameraError when it gives nothing for 3 seconds.

    Raises:
        CameraError: There is no such camera, or it is in use.
    """
    capture = _opened(number, cv2.CAP_ANY)
    if capture is None:
        raise CameraError(f"camera {number} cannot be opened: is it plugged in, yours to read, and in use by nobody?")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a late frame rather than an old one; some drivers refuse
    width, height, rate = map(capture.get, (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS))
    _LOG.info("camera %d: %.0f x %.0f pixels, %.4g a second as it says", number, width, height, rate)
    return _live(capture, number)


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a picture does.

    Raises:
        ImageNotFoundError: There is no such file.
        ImageDecodeError: It cannot be read, or is no file.
    """
    try:
        return images.begins_one(head_of(path))
    except FileNotFoundError as exc:
        raise ImageNotFoundError(f"{path}: no such file or folder") from exc
    except OSError as exc:
        raise ImageDecodeError(f"{path}: {exc.strerror}{_camera_instead(path)}") from exc


def head_of(path: str | os.PathLike[str]) -> bytes:
    """The first bytes of an ordinary file; OSError where it is none."""
    with files.open_regular(path) as file:
        return file.read(images.HEAD_BYTES)


def _camera_instead(path: str | os.PathLike[str]) -> str:
    return "; of a camera give the number: --camera 0" if os.fspath(path).startswith("/dev/video") else ""


def is_video(head: bytes) -> bool:
    """Whether a file that begins so is a film, by its container.

    FFmpeg by itself would show a text file as a film of letters.
    """
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILLS
    avi = head.startswith(b"RIFF") and head[8:12] == b"AVI "
    return avi or head.startswith(_MATROSKA) or head[4:8] in _OLD_MOVIES


def _film(path: Path) -> tuple[cv2.VideoCapture, bytes]:
    """An opened video file, and its first bytes; raises as :func:`video`."""
    try:
        head = head_of(path)
    except FileNotFoundError as exc:
        raise ImageNotFoundError(f"{path}: no such file") from exc
    except OSError as exc:
        raise VideoDecodeError(f"{path}: {exc.strerror}{_camera_instead(path)}") from exc
    if not is_video(head):
        if (kind := images.kind_of(head)) in images.PICTURES:
            raise VideoDecodeError(f"{path}: {kind}, a picture; this takes a video, of AVI, MP4, MOV, MKV or WebM")
        raise VideoDecodeError(
            f"{path}: neither a PNG, JPEG, BMP or TIFF picture nor an AVI, MP4, MOV, MKV or WebM video; convert it"
        )
    # The whole path: a relative one that looks like a protocol would be opened as such.
    whole = str(path.resolve())
    try:
        whole.encode()
    except UnicodeEncodeError as exc:  # OpenCV would end the process
        raise VideoDecodeError(f"{path}: OpenCV takes no path that is not text in UTF-8; rename it") from exc
    capture = _opened(whole, cv2.CAP_FFMPEG)
    if capture is None:
        raise VideoDecodeError(f"{path}: damaged or cut off, or its codec is not known here; record or convert it anew")
    width, height = (int(capture.get(size)) for size in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if max(width, height) > images.MAX_SIDE or width * height > images.MAX_PIXELS:
        capture.release()
        raise ImageTooLargeError(
            f"{path}: frames of {width} x {height} pixels; "
            f"at most {images.MAX_SIDE} a side and {images.MAX_PIXELS} in all"
        )
    _LOG.debug("a film of %d x %d pixels is decoded", width, height)
    return capture, head


def _opened(source: str | int, backend: int) -> cv2.VideoCapture | None:
    """A film or a camera; None if OpenCV cannot open it."""
    try:
        capture = cv2.VideoCapture(source, backend)
    except (cv2.error, SystemError):  # SystemError: what becomes of an exception within
        return None
    return capture if capture.isOpened() else None


def _live(capture: cv2.VideoCapture, number: int) -> Iterator[Stamped]:
    heard = clock.now()
    try:
        while True:
            given, frame = capture.read()
            now = clock.now()
            if given:
                heard = now
                yield now, np.asarray(frame, np.uint8)
            elif now - heard >= CAMERA_PATIENCE_S:
                raise CameraError(
                    f"camera {number} has given no picture for {CAMERA_PATIENCE_S:g} seconds: is it still plugged in?"
                )
            else:
                yield now, None
                time.sleep(_PAUSE_S)
    finally:
        capture.release()
