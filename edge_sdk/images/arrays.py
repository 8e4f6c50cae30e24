"""Arrays as pictures: which types and shapes are taken, and what becomes of 16 bits and of a fourth channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import BitDepthError, UnsupportedImageError, UsageError
from edge_sdk.images.budget import Budget
from edge_sdk.opencv import cv2

Image = NDArray[np.uint8]


_BAND = 256  # rows
DEEP = 1 << 14
"""Below this all values of a 16-bit array may as well be of 8 to 14 bits."""


def given(array: NDArray[np.generic], budget: Budget) -> Image:
    """The picture in an array that an application made; see :func:`edge_sdk.images.load`.

    Files hold 16 bits from 0 to full scale, as their formats say. Cameras put 10, 12 or 14 bits into words of 16, in
    most drivers the lower ones. Such an array taken for full scale would be a night scene.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise UnsupportedImageError("array is masked, and what is behind the mask is unknown: pass array.filled(255)")
    image = from_array(np.asarray(array), budget)
    if array.dtype.itemsize == 2 and int(array.max()) < DEEP:
        raise BitDepthError(
            f"array is uint16 with values up to {array.max()} only: full scale is 65535, so these are 8 to 14 bits, or "
            "a very dark picture; pass edge_sdk.images.from_bits(array, bits=12) with the camera's number of bits"
        )
    return image


def from_bits(array: NDArray[np.generic], bits: int) -> Image:
    """Scale an array of fewer bits than its type has: ``[0, 2^bits - 1]`` to [0, 255], rounded.

    ::

        result = detector.detect(images.from_bits(frame, bits=10))  # Y10: values from 0 to 1023

    Args:
        array: ``uint8`` or ``uint16``, any shape.
        bits: 1 to 16, as many as the camera has. Not for words whose *upper* bits are the camera's: they are full
            scale already.

    Raises:
        UnsupportedImageError: Another type, or a value of more bits.
        UsageError: No such number of bits.
    """
    if isinstance(bits, bool) or not hasattr(bits, "__index__") or bits not in range(1, 17):
        raise UsageError(f"bits is {bits!r}; a camera's picture has 1 to 16, a whole number")
    array = np.asarray(array)
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise UnsupportedImageError(f"array is {array.dtype}; pass uint8 or uint16")
    if array.size and int(array.max()) >= 1 << bits:
        raise UnsupportedImageError(f"array has values up to {array.max()}, {bits} bits end at {(1 << bits) - 1}")
    levels = np.rint(np.arange(1 << bits) * (255 / ((1 << bits) - 1))).astype(np.uint8)
    return np.asarray(levels[array], np.uint8)


def from_array(array: NDArray[np.generic], budget: Budget) -> Image:
    """The picture in an array whose 16 bits are full scale."""
    if array.dtype.kind == "f":
        finite = bool(np.isfinite(array).all())
        found = "floating point" if finite else "floating point with NaN or infinity"
        raise UnsupportedImageError(f"array is {found} ({array.dtype}); pass uint8 in [0, 255] or uint16 in [0, 65535]")
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        hint = "; of truth values array.astype(numpy.uint8) * 255" if array.dtype.kind == "b" else ""
        raise UnsupportedImageError(f"array is {array.dtype}; pass uint8 or uint16{hint}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        hint = "; of an encoded picture array.tobytes()" if array.ndim == 1 else ""
        raise UnsupportedImageError(
            f"array has shape {array.shape}; pass (H, W), (H, W, 3) BGR or (H, W, 4) BGRA{hint}"
        )
    height, width = array.shape[:2]
    budget.check(width, height, 8 * array.itemsize * (array.size // (width * height)), "array")
    return opaque(eight_bits(array))


def eight_bits(array: NDArray[np.generic]) -> Image:
    """Full scale to full scale: [0, 65535] to [0, 255], rounded."""
    if array.dtype.itemsize == 2:
        array = cv2.convertScaleAbs(array.astype(np.uint16, copy=False), alpha=1 / 257)
    return np.ascontiguousarray(array, dtype=np.uint8)


def opaque(image: Image) -> Image:
    """``(H, W)`` and ``(H, W, 3)`` as they are; of ``(H, W, 4)`` the colours as they look on white paper.

    A fourth channel that is 0 everywhere, or 255 everywhere, holds no transparency: cameras and screens fill the
    fourth byte of a pixel so. The colours are then taken as they are.
    """
    if image.ndim == 2 or image.shape[2] == 3:
        return image
    colors, alpha = split(image)
    return colors if no_alpha(alpha) else on_paper(colors, alpha)


def split(image: Image) -> tuple[Image, Image]:
    """``(H, W, 3)`` colours and ``(H, W)`` alpha of ``(H, W, 4)``."""
    colors = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), np.uint8)
    return colors, np.asarray(cv2.extractChannel(image, 3), np.uint8)


def no_alpha(channel: Image) -> bool:
    """Whether a fourth channel is 0 everywhere or 255 everywhere."""
    lowest, highest, _, _ = cv2.minMaxLoc(channel)
    return lowest == highest and lowest in (0, 255)


def on_paper(colors: Image, alpha: Image) -> Image:
    """``(H, W)`` or ``(H, W, 3)`` as it looks on white paper.

    Where every partly transparent pixel is pure white, an editor has not kept the colours of the edges, which would
    vanish: they take the darkest opaque colour within two pixels.
    """
    partly = cv2.inRange(alpha, 1, 254)
    if cv2.countNonZero(partly) and _white(colors, partly):
        ink = colors.copy()
        ink[alpha < 255] = 255
        ink = np.asarray(cv2.erode(ink, np.ones((5, 5), np.uint8)), np.uint8)
        ink[partly == 0] = colors[partly == 0]
        colors = ink
    return composed(colors, alpha)


def _white(colors: Image, mask: cv2.typing.MatLike) -> bool:
    """Whether all pixels in a mask are pure white."""
    channels = [colors] if colors.ndim == 2 else (cv2.extractChannel(colors, n) for n in range(3))
    return all(cv2.minMaxLoc(channel, mask)[0] == 255 for channel in channels)


def composed(colors: Image, alpha: Image) -> Image:
    """``(color * alpha + 255 * (255 - alpha)) / 255``, rounded."""
    out = np.empty_like(colors)
    for top in range(0, len(out), _BAND):  # or a large picture would lie in memory five times
        rows = slice(top, top + _BAND)
        weights = alpha[rows] if colors.ndim == 2 else cv2.merge([alpha[rows]] * colors.shape[2])
        out[rows] = cv2.bitwise_not(cv2.multiply(cv2.bitwise_not(colors[rows]), weights, scale=1 / 255))
    return out
