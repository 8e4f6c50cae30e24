"""Is a camera's frame fit to be judged? Cheap checks before any network sees it.

Flags (:data:`FLAGS`), each of which forbids a decision:

``corrupt``
    No picture at all: it cannot be decoded, or the camera gave none.
``frozen``
    It was shown before, as a whole or where the face is (:mod:`edge_sdk.runtime.freeze`). A sensor has noise, so the
    camera hangs, or somebody repeats frames.
``bit_depth``
    An array of 16 bits whose values are all below 16,384: 8 to 14 bits that nobody scaled, or a very dark frame. Scale
    it first: :func:`edge_sdk.images.from_bits`.
``too_small``
    Fewer than 32 pixels on a side.
``too_dark``
    99 % of the pixels are below 32: a black frame, a covered lens, no light.
``overexposed``
    Three quarters of the pixels are at least 250.
``flat``
    The levels of the middle 98 % of the pixels differ by less than 16: a covered lens, fog, a wall.

The last four hold for a whole frame as for the crop of a face: a face may be dark before a bright window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, ToGray

FLAGS = ("corrupt", "frozen", "bit_depth", "too_small", "too_dark", "overexposed", "flat")

# Of 1,600 crops of NUAA, LFW and CFP, the darkest reached 52 with 5 % of its pixels, the flattest spanned 29 levels
# with 90 %, and live faces had at most 0.43 of their pixels at 250 or above. A driver's face at night may fill only
# 2 % of the frame, so that 1 % of bright pixels must do.
MIN_SIDE = 32
MIN_BRIGHT = 32
MIN_RANGE = 16
SATURATED, MAX_SATURATED = 250, 0.75
TAIL = 0.01
_EVERY = 8  # rows, of which one settles most pictures


def assess(image: Image) -> tuple[str, ...]:
    """Return the flags of a picture, none if all is well.

    Args:
        image: ``uint8``, ``(H, W)`` gray, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA; not changed.
    """
    gray = ToGray()(image)
    if _is_fit(gray):
        return ()
    shares = np.cumsum(_counts(gray), dtype=np.float64) / gray.size
    low, high = (int(np.searchsorted(shares, share)) for share in (TAIL, 1 - TAIL))
    flags = []
    if min(gray.shape) < MIN_SIDE:
        flags.append("too_small")
    if high < MIN_BRIGHT:
        flags.append("too_dark")
    if 1 - shares[SATURATED - 1] >= MAX_SATURATED:
        flags.append("overexposed")
    if high - low < MIN_RANGE:
        flags.append("flat")
    return tuple(flags)


def _is_fit(gray: Image) -> bool:
    """Whether a few rows, and how many pixels are saturated, suffice to say that there is no flag.

    A level below which more than the tail of *all* pixels lies is at least the lower one, whatever the other rows show,
    and one above which as many lie is at most the upper one.
    """
    saturated = np.count_nonzero(gray >= SATURATED)
    if min(gray.shape) < MIN_SIDE or saturated >= (MAX_SATURATED - TAIL) * gray.size:
        return False
    below = np.cumsum(_counts(gray[::_EVERY]), dtype=np.float64)
    tail = TAIL * gray.size + 1
    low, high = int(np.searchsorted(below, tail)), int(np.searchsorted(below, below[-1] - tail))
    return high >= MIN_BRIGHT and high - low >= MIN_RANGE


def _counts(gray: Image) -> NDArray[np.float32]:
    """Pixels of each level, ``(256,)``."""
    return np.asarray(cv2.calcHist([gray], [0], None, [256], [0, 256]), np.float32).ravel()
