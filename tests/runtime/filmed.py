"""Video files as cameras leave them, what happens to such files, and a camera.

Every frame of a file is a JPEG, in AVI or Matroska.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

FPS = 8


def film(path: Path, pictures: Sequence[np.ndarray], fps: float = FPS) -> Path:
    """Write ``uint8 (480, 640, 3)`` pictures as a video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (640, 480))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def spoil(path: Path, *numbers: int) -> None:
    """Overwrite frames, so that they cannot be decoded."""
    data = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(rb"\xff\xd8\xff", data)]
    for number in numbers:
        data[starts[number] : starts[number] + 2000] = bytes(2000)
    path.write_bytes(data)


def cut(path: Path, number: int) -> None:
    """Let the file end within a frame, as where the power failed."""
    data = path.read_bytes()
    starts = [match.start() for match in re.finditer(rb"\xff\xd8\xff", data)]
    path.write_bytes(data[: starts[number] + 100])


def delay(path: Path, number: int, milliseconds: int) -> None:
    """Change the times of the frames from ``number`` on in a Matroska file; before any is spoiled.

    A block is the track, two bytes of time, flags and the JPEG.
    """
    data = bytearray(path.read_bytes())
    stamps = [match.start() + 1 for match in re.finditer(rb"\x81..\x80(?=\xff\xd8\xff)", data, re.DOTALL)]
    for stamp in stamps[number:]:
        (time,) = struct.unpack_from(">h", data, stamp)
        struct.pack_into(">h", data, stamp, time + milliseconds)
    path.write_bytes(data)


class Camera:
    """Stands in for ``cv2.VideoCapture``: gives its pictures, None for a failure, then fails."""

    def __init__(self, *pictures: np.ndarray | None) -> None:
        self.pictures = list(pictures)
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return bool(self.pictures)

    def set(self, *_: object) -> bool:
        return False

    def get(self, _: int) -> float:
        return 0.0  # as a driver that does not tell

    def read(self) -> tuple[bool, np.ndarray | None]:
        picture = self.pictures.pop(0) if self.pictures else None
        return picture is not None, picture

    def release(self) -> None:
        self.released = True
