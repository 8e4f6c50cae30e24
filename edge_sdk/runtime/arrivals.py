"""What an application hands to a stream: frames with their times, or without.

A *damaged* frame is a camera's business: None where it gave nothing, bytes or a file that cannot be decoded. Such a
frame is ``corrupt``, and the next one may be sound. A *wrong* one is the application's mistake, and would come again
with every frame: it is raised, once, with what to pass instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from io import IOBase
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.errors import (
    BitDepthError,
    ImageDecodeError,
    ImageNotFoundError,
    ImageTooLargeError,
    UnsupportedImageError,
    UsageError,
)
from edge_sdk.files import open_regular
from edge_sdk.runtime import clock

Arrival = images.Source | tuple[float, images.Source | None] | None
Taken = tuple[images.Image | None, tuple[str, ...]]

CORRUPT: Taken = None, ("corrupt",)


def opened(pictures: Any) -> Iterator[Arrival]:
    """An iterator over the frames.

    Raises:
        UsageError: One picture, the name of a video, or what gives no frames at all.
    """
    if isinstance(pictures, (str, os.PathLike)):
        raise UsageError(
            f"{os.fspath(pictures)!r}: a stream takes frames, not a name: "
            "edge_sdk.runtime.sources.video(path) gives those of a file, camera(number) those of a camera"
        )
    if isinstance(pictures, (bytes, bytearray, memoryview)) or (
        isinstance(pictures, np.ndarray) and (pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] <= 4))
    ):
        raise UsageError(
            "a stream takes frames, this is one picture: pass it to the call for one picture, or [picture]"
        )
    if isinstance(pictures, (Mapping, set, frozenset, IOBase)) or not isinstance(pictures, Iterable):
        raise UsageError(
            f"a stream takes frames in their order, not {_kind(pictures)}: pass a list or a generator of pictures or "
            "of (seconds, picture); edge_sdk.runtime.sources.camera(number) gives those of a camera"
        )
    return iter(pictures)


def stamped(arrival: Any) -> tuple[float, images.Source | None]:
    """The time and the picture of a frame; now, if it has no time.

    Raises:
        UsageError: Neither a picture nor ``(seconds, picture)``.
    """
    if isinstance(arrival, (list, Mapping)):
        raise UsageError(f"a frame is {_kind(arrival)}: pass the picture as an array, or a tuple (seconds, picture)")
    if not isinstance(arrival, tuple):
        return clock.now(), arrival
    if len(arrival) != 2:
        raise UsageError(f"a frame is a tuple of {len(arrival)}: pass (seconds, picture), or the picture alone")
    time, picture = arrival
    if isinstance(time, (bool, np.bool_)):
        raise UsageError(
            "the time of a frame is a bool, as OpenCV's read() gives: pass the picture alone, or take the frames of "
            "edge_sdk.runtime.sources.camera(number) or video(path)"
        )
    if not isinstance(time, Real):
        raise UsageError(
            f"the time of a frame is {_kind(time)}: pass (seconds, picture) with a number, such as time.monotonic(), "
            "or the picture alone, which then gets the time at which it arrives"
        )
    try:
        return float(time), picture
    except OverflowError:  # an int beyond all floats
        return math.inf, picture


def taken(picture: images.Source) -> Taken:
    """The picture, ``uint8 (H, W)`` or ``(H, W, 3)`` and this process' own, or a flag that stands in its place.

    Raises:
        InputError: It cannot be decoded, or is an array with transparent pixels, which no camera has.
    """
    if isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] == 4 and picture.dtype.kind == "u":
        _require_opaque(picture[:, :, 3])
    try:
        image = images.load(picture)
    except BitDepthError:
        return None, ("bit_depth",)
    own = not isinstance(picture, np.ndarray) or not np.may_share_memory(image, picture)
    return (image if own else image.copy()), ()


def _require_opaque(fourth: NDArray[Any]) -> None:
    if not fourth.size:
        return
    fourth = np.ascontiguousarray(fourth)
    lowest, highest = int(fourth.min()), int(fourth.max())
    if lowest != highest or lowest not in (0, np.iinfo(fourth.dtype).max):
        raise UnsupportedImageError(
            f"the fourth channel has values from {lowest} to {highest}: a camera has no transparent pixels, and "
            "of BGRx the fourth byte means nothing; pass array[:, :, :3]"
        )


def decoded(picture: images.Source | None) -> Taken:
    """As :func:`taken`, with the flag ``corrupt`` for a frame that is damaged or absent.

    Raises:
        ImageNotFoundError: There is no such file.
        ImageDecodeError: A folder or a device, or a file that cannot be read.
        UnsupportedImageError: No picture by its type, shape or values, or one of a format that is not decoded.
        ImageTooLargeError: An array beyond the budget.
    """
    if picture is None:
        return CORRUPT
    _require_there(picture)
    try:
        return taken(picture)
    except (ImageDecodeError, ImageTooLargeError):
        if isinstance(picture, np.ndarray):
            raise
        return CORRUPT


def _require_there(picture: Any) -> None:
    """Raise unless a file can be read: a wrong path is no damage."""
    if isinstance(picture, memoryview) and (picture.ndim != 1 or picture.itemsize != 1):
        raise UnsupportedImageError("a frame is a memoryview that is no string of bytes: pass numpy.asarray(view)")
    if not isinstance(picture, (str, os.PathLike)):
        return
    try:
        open_regular(picture).close()
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ImageNotFoundError(f"{picture}: no such file") from exc
    except OSError as exc:
        raise ImageDecodeError(f"{picture}: {exc.strerror or exc}") from exc


def _kind(value: object) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
