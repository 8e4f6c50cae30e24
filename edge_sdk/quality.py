"""Is there a usable signature in the picture? Cheap checks on the ink, before any network sees it.

Flags (:data:`FLAGS`):

``empty``
    No ink, or ink over more than half of the picture: blank paper, a covered lens, a black frame.
``too_little_ink``
    Fewer than 300 ink pixels: a dot or a short line.
``too_small``
    The picture has fewer than 32 pixels on a side, or the ink's box fewer than 48 on its longer side.
``several_regions``
    A page with ink in places far apart, such as two signatures, or with printed text: nobody knows which ink is meant.
``clipped``
    Two strokes or more leave the picture on one side: part of the signature is outside. One alone may be the outermost
    stroke of a picture that was cut to its ink, or a line along a scan's edge.
``printed_lines``
    A straight line, of a form or to sign on, is cut out of a page with the ink, and is ink to the pipeline.
``thin_strokes``
    Most strokes are thinner than two pixels where the pipeline looks at them: some have probably vanished.

Where a region was cut out of a page (:class:`edge_sdk.preprocess.region.InkRegion`), it is the picture that is
assessed. Pixels are those of the picture, or of one shrunk to 640 pixels on its longer side if it is larger, whatever
size a pipeline works at; only ``thin_strokes`` counts the pipeline's own.

The first four are :data:`BLOCKING`: such a picture is never accepted and cannot be enrolled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.boxed import Boxed
from edge_sdk.preprocess.region import Found, InkRegion
from edge_sdk.preprocess.step import as_image

BLOCKING = ("empty", "too_little_ink", "too_small", "several_regions")
FLAGS = (*BLOCKING, "clipped", "printed_lines", "thin_strokes")

# Against 240 scans of CEDAR, SigComp2011 and SVC2004: ink never covered more than 0.25 of a picture, never fewer than
# 2,400 pixels, and its box was never below 190 pixels. The limits leave room for scans of half that resolution.
SIDE = 640
MAX_COVERAGE = 0.5
MIN_INK = 300
MIN_SIDE = 32
MIN_INK_SIDE = 48
# Training writers' scans are often cut to their ink, so that one stroke touches the border: it does in a third of
# CEDAR's genuine scans, a fifth of its forged ones and in half of SigComp2011's.
BORDER = 10  # pixels that a stroke comes in from the border at least: more than dust and a scan's dark edge
MIN_THICK = 0.5  # of the ink, in strokes of two pixels or more; of the same scans' at least 0.79

Operations = Sequence[preprocess.Operation]
Sides = tuple[bool, bool, bool, bool]
"""Top, bottom, left, right."""


def prepare(
    operations: Operations,
    image: preprocess.Image,
    region: InkRegion | None = None,
    out: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Pre-process an image and assess it on the way, where the ink is found and before anything is cut or stretched.

    Args:
        operations: The pipeline of the manifest's input.
        image: ``uint8`` as :func:`edge_sdk.images.load` gives it; not changed.
        region: How the ink is cut out of a page before, as the manifest's source says.
        out: As of :func:`edge_sdk.preprocess.apply`.

    Returns:
        What :func:`edge_sdk.preprocess.apply` returns, and the flags.

    Raises:
        InputError: As :func:`edge_sdk.preprocess.trace` does.
    """
    first, rest, inverts = _at_geometry(tuple(operations))
    found, ink = _search(first, inverts, image, region)
    part = found.cut(image)
    if ink is None or part is not image:
        ink = preprocess.run(first, part)
    flags = assess(_bright(ink, inverts), part, found.at_border(image))
    raised = {"empty": found.empty, "several_regions": found.several, "printed_lines": found.lined}
    return preprocess.apply(rest, ink, out), tuple(flag for flag in FLAGS if flag in flags or raised.get(flag))


def seen(operations: Operations, image: preprocess.Image, region: InkRegion | None) -> preprocess.Image:
    """What of a picture :func:`prepare` looks at: the ink cut out of a page, otherwise the same array."""
    first, _, inverts = _at_geometry(tuple(operations))
    return _search(first, inverts, image, region)[0].cut(image)


def assess(ink: preprocess.Image | Boxed, image: preprocess.Image, at_border: Sides = (True,) * 4) -> tuple[str, ...]:
    """Return the flags of a picture, none if all is well.

    Args:
        ink: ``uint8 (H, W)``, ink above 127, uncut: the picture's own borders.
        image: The picture that it was found in, which may be larger.
        at_border: Where a picture's border is that of what was photographed or scanned, so that ink there is clipped.
    """
    whole = ink if isinstance(ink, Boxed) else Boxed(ink, 0, 0, *ink.shape)
    mask = as_image(cv2.threshold(whole.part, 127, 1, cv2.THRESH_BINARY)[1])
    scale = min(SIDE, max(image.shape[:2])) / max(whole.height, whole.width)
    amount = cv2.countNonZero(mask)
    flags = []
    if not 0 < amount <= MAX_COVERAGE * whole.height * whole.width:
        flags.append("empty")
    if amount * scale**2 < MIN_INK:
        flags.append("too_little_ink")
    if min(image.shape[:2]) < MIN_SIDE or max(cv2.boundingRect(mask)[2:]) * scale < MIN_INK_SIDE:
        flags.append("too_small")
    sides = mask, mask[::-1], mask.T, mask.T[::-1]
    reached = [one and real for one, real in zip(whole.at_sides, at_border, strict=True)]
    depth = max(1, round(BORDER / scale))
    if any(real and _leaving(side, depth) > 1 for side, real in zip(sides, reached, strict=True)):
        flags.append("clipped")
    if _thick(whole._replace(part=mask)) < MIN_THICK * amount:
        flags.append("thin_strokes")
    return tuple(flags)


def _leaving(mask: preprocess.Image, depth: int) -> int:
    """How many strokes, apart from each other, go from the first row to the one ``depth`` further in."""
    border = mask[0]
    if len(mask) <= depth or cv2.countNonZero(border) < 2 or border[0] + np.count_nonzero(border[1:] > border[:-1]) < 2:
        return 0
    _, labels = cv2.connectedComponents(np.ascontiguousarray(mask[: depth + 1]), connectivity=8)
    return int(np.count_nonzero(np.intersect1d(labels[0], labels[depth])))


def _thick(mask: Boxed) -> int:
    """How many pixels of ink there are in strokes of two pixels or more."""
    # OpenCV opens as if ink went on outside a picture, which is right at the picture's border alone.
    top, bottom, left, right = (0 if at_side else 2 for at_side in mask.at_sides)
    wider = cv2.copyMakeBorder(mask.part, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return cv2.countNonZero(cv2.morphologyEx(wider, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))


@lru_cache(maxsize=64)
def _at_geometry(operations: tuple[preprocess.Operation, ...]) -> tuple[Operations, Operations, bool]:
    """The operations before anything is cut or stretched, the rest, and whether the rest inverts the ink."""
    at = next((i for i, step in enumerate(operations) if isinstance(step, preprocess.GEOMETRY)), len(operations))
    rest = operations[at:]
    return operations[:at], rest, any(isinstance(step, preprocess.Invert) for step in rest)


def _search(
    first: Operations, inverts: bool, image: preprocess.Image, region: InkRegion | None
) -> tuple[Found, preprocess.Image | Boxed | None]:
    """Where the ink is, and what the first operations made of all of the picture, if they ran."""
    if region is None:
        return Found(), None
    ink = None
    if max(image.shape[:2]) <= region.SMALL:
        ink = preprocess.run(first, image)
        if not region.may_be_page(_bright(ink, inverts)):
            return Found(), ink
    return preprocess.checked("region", region.find, image), ink


def _bright(ink: preprocess.Image | Boxed, inverts: bool) -> preprocess.Image | Boxed:
    """The ink as gray, brighter than paper, where a pipeline inverts it only in the rest of its operations."""
    if not inverts and (isinstance(ink, Boxed) or ink.ndim == 2):
        return ink
    whole = ink.whole() if isinstance(ink, Boxed) else ink
    return preprocess.ToGray()(preprocess.Invert()(whole) if inverts else whole)
