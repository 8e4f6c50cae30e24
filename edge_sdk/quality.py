"""Is there a usable signature in the picture? Cheap checks on the ink, before any network sees it.

Flags (:data:`FLAGS`):

``empty``
    No ink, or ink over more than half of the picture: blank paper, a covered lens, a black frame.
``too_little_ink``
    Fewer than 300 ink pixels: a dot or a short line.
``too_small``
    The picture has fewer than 32 pixels on a side, or the ink's box fewer than 48 on its longer side.
``clipped``
    Ink runs into the border: part of the signature is probably outside.

Pixels are those of the picture, or of one shrunk to 640 pixels on its longer side if it is larger, whatever size a
pipeline works at.

The first three are :data:`BLOCKING`: such a picture is never accepted and cannot be enrolled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.opencv import cv2

BLOCKING = ("empty", "too_little_ink", "too_small")
FLAGS = (*BLOCKING, "clipped")

# Against 240 scans of CEDAR, SigComp2011 and SVC2004: ink never covered more than 0.25 of a picture, never fewer than
# 2,400 pixels, and its box was never below 190 pixels. The limits leave room for scans of half that resolution.
SIDE = 640
MAX_COVERAGE = 0.5
MIN_INK = 300
MIN_SIDE = 32
MIN_INK_SIDE = 48
MAX_BORDER_INK = 4  # pixels; more than dust


def prepare(
    operations: Sequence[preprocess.Operation], image: preprocess.Image
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Pre-process an image and assess it on the way, where the ink is found and before anything is cut or stretched.

    Args:
        operations: The pipeline of the manifest's input.
        image: ``uint8`` as :func:`edge_sdk.images.load` gives it; not changed.

    Returns:
        What :func:`edge_sdk.preprocess.apply` returns, and the flags.
    """
    cut = next((i for i, step in enumerate(operations) if isinstance(step, preprocess.GEOMETRY)), len(operations))
    ink = image
    for _, stage in preprocess.trace(operations[:cut], image):
        ink = stage
    tensor = preprocess.apply(operations[cut:], ink)
    if any(isinstance(step, preprocess.Invert) for step in operations[cut:]):
        ink = preprocess.Invert()(ink)
    return tensor, assess(preprocess.ToGray()(ink), image)


def assess(ink: preprocess.Image, image: preprocess.Image) -> tuple[str, ...]:
    """Return the flags of a picture, none if all is well.

    Args:
        ink: ``uint8 (H, W)``, ink above 127, uncut: the picture's own borders.
        image: The picture that it was found in, which may be larger.
    """
    mask = (ink > 127).view(np.uint8)
    scale = min(SIDE, max(image.shape[:2])) / max(mask.shape)
    amount = cv2.countNonZero(mask)
    flags = []
    if not 0 < amount <= MAX_COVERAGE * mask.size:
        flags.append("empty")
    if amount * scale**2 < MIN_INK:
        flags.append("too_little_ink")
    if min(image.shape[:2]) < MIN_SIDE or max(cv2.boundingRect(mask)[2:]) * scale < MIN_INK_SIDE:
        flags.append("too_small")
    border = int(mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum())
    if border > MAX_BORDER_INK:
        flags.append("clipped")
    return tuple(flags)
