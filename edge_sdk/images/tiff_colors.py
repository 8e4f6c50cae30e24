"""What the samples of a TIFF stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError, UnsupportedImageError
from edge_sdk.images import tiff_directory as directory
from edge_sdk.images.arrays import Image, composed, eight_bits, no_alpha, on_paper
from edge_sdk.opencv import cv2

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
_SAMPLES = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, YCBCR: 3}
_OTHERS = {4: "a transparency mask", 5: "CMYK", 8: "L*a*b*", 9: "L*a*b*", 10: "L*a*b*", 32803: "a raw sensor"}
_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex"}
_PREMULTIPLIED, _STRAIGHT, _UNDECLARED = 1, 2, -1


@dataclass(frozen=True)
class Colors:
    """What :func:`to_bgr` needs: the photometric interpretation, which sample is alpha and of what kind, palette."""

    photometric: int
    bits: int
    alpha: int
    kind: int
    palette: tuple[int, ...]


def check(tags: directory.Tags, bits: int, samples: int, scheme: str, name: str) -> Colors:
    """Find what the samples are.

    Raises:
        ImageDecodeError: Tags that contradict each other.
        UnsupportedImageError: Colours or numbers that are not decoded.
    """
    fax = scheme in ("runs", "g3", "g3-2d", "g4")
    photometric = tags.one(directory.PHOTOMETRIC, WHITE_IS_ZERO if fax else RGB if samples > 2 else BLACK_IS_ZERO)
    if photometric not in _SAMPLES:
        found = _OTHERS.get(photometric, f"colours of kind {photometric}")
        raise UnsupportedImageError(f"{name}: a TIFF of {found}; save it as gray or RGB")
    if photometric == YCBCR and scheme != "jpeg":
        raise UnsupportedImageError(f"{name}: a TIFF of YCbCr without JPEG; save it as RGB")
    for form in set(tags.all(directory.FORMAT, (1,))) - {1, 4}:
        raise UnsupportedImageError(f"{name}: a TIFF of {_FORMATS.get(form, form)} samples; save it with 8 or 16 bits")
    used = _SAMPLES[photometric]
    if scheme == "jpeg" and samples > used:
        raise UnsupportedImageError(f"{name}: a TIFF of JPEG and alpha; save it as PNG")
    if samples < used or (fax and (bits, samples) != (1, 1)) or (scheme == "jpeg" and bits != 8):
        raise ImageDecodeError(f"{name}: damaged TIFF: {samples} samples of {bits} bits with these colours")
    predictor = tags.one(directory.PREDICTOR, 1)
    if scheme in ("lzw", "deflate") and (predictor not in (1, 2) or (predictor == 2 and bits < 8)):
        raise UnsupportedImageError(f"{name}: a TIFF with predictor {predictor} for {bits} bits; save it as PNG")
    palette = tags.all(directory.PALETTE)
    if photometric == PALETTE and len(palette) != 3 << bits:
        raise ImageDecodeError(f"{name}: damaged TIFF: a palette of {len(palette)} values")
    undeclared = (_UNDECLARED,) if samples == used + 1 else ()  # as OpenCV writes BGRA
    extra = tags.all(directory.EXTRA, undeclared)[: samples - used]
    alpha = next((n for n, kind in enumerate(extra) if kind in (_PREMULTIPLIED, _STRAIGHT, _UNDECLARED)), None)
    if alpha is None:
        return Colors(photometric, bits, -1, 0, palette)
    return Colors(photometric, bits, used + alpha, extra[alpha], palette)


def to_bgr(pixels: NDArray[np.generic], colors: Colors) -> Image:
    """``(H, W)`` gray or ``(H, W, 3)`` BGR on white paper, of samples ``(H, W, S)``."""
    if colors.photometric == PALETTE:
        image = _table(colors)[pixels[..., 0]]
    else:
        image = _spread(pixels[..., 0] if _SAMPLES[colors.photometric] == 1 else pixels[..., 2::-1], colors.bits)
        if colors.photometric == WHITE_IS_ZERO:
            image = ~image
    if colors.alpha < 0:
        return np.ascontiguousarray(image)
    alpha = _spread(pixels[..., colors.alpha], colors.bits)
    image = np.ascontiguousarray(image)
    if colors.kind == _UNDECLARED and no_alpha(alpha):
        return image
    if colors.kind != _PREMULTIPLIED:
        return on_paper(image, alpha)
    paper = composed(np.zeros_like(image), alpha)  # 255 - alpha
    return np.asarray(cv2.add(image, paper), np.uint8)


def _spread(samples: NDArray[np.generic], bits: int) -> Image:
    """Full scale to [0, 255]."""
    if bits < 8:
        return np.ascontiguousarray(samples.astype(np.uint8, copy=False) * np.uint8(255 // ((1 << bits) - 1)))
    return eight_bits(samples)


def _table(colors: Colors) -> NDArray[np.uint8]:
    """BGR of each index. Some writers fill the palette's 16 bits with 8."""
    values = np.array(colors.palette, np.uint32).reshape(3, -1)[::-1].T
    return np.asarray(values if values.max() < 256 else values >> 8, np.uint8)
