"""Faces as a device cuts them out of its frames: found by the cascade, with the detector's crop.

A network has to be trained on what it will be shown. What a cascade takes for the face is tighter than most data sets'
pictures, jitters, and has the pixels that the frame had there. Rendered attacks, and live faces before the camera that
renders them, are cut out of its photographs, before anything is scaled.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.faces import recapture
from edge_sdk.export.data.layouts import Entry
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.crop import Box, FaceCrop
from edge_sdk.preprocess.step import Image, as_image
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.detector import CROP
from edge_sdk.runtime.faces import Cascade

# Part of the cache folder's name: raise it when a change here, to the cascade or to the crop alters the pictures.
VERSION = 1
SURROUNDINGS = 0.25
"""Of the picture's sides: how far its border is repeated to find a face that fills it."""
WITHIN = FaceCrop(scale=CROP.scale, overflow="shift")
"""How such a face is cut out: nothing is shown that is not in the picture."""


def cropped(entries: Sequence[Entry], on: str = "", progress: cache.Count = cache.uncounted) -> list[Entry]:
    """The entries whose pictures have one face, cut out once into the user's cache folder.

    Like the detector it leaves out pictures with no face or several, so that fewer come back than went in.

    Args:
        on: What the live entries are rendered on first, as :func:`recapture.recaptured` says; empty: nothing.
        progress: called with the number of images done and in all.

    Raises:
        DatasetError: nothing to render, a picture that cannot be read, or no face in any.
    """
    cascades = threading.local()  # one for each thread

    def cut(picture: Image, rng: np.random.Generator) -> bytes:
        if not hasattr(cascades, "own"):
            cascades.own = Cascade()
        frame = recapture.photographed(picture, on, rng) if on else picture
        boxes = cascades.own(frame)
        crop = CROP if boxes else WITHIN
        boxes = boxes or _among_surroundings(frame, cascades.own)
        return cv2.imencode(".png", crop(frame, boxes[0]))[1].tobytes() if len(boxes) == 1 else b""

    shown = recapture.as_attacks(entries, on) if on else entries
    group = f"crop-v{VERSION}-{on}-v{recapture.VERSIONS[on]}" if on else f"crop-v{VERSION}"
    found = cache.rendered(shown, group, ".png", cut, "rendered", progress=progress)
    if not found:
        raise DatasetError("the cascade finds a single face in none of the pictures, so there is nothing to cut out")
    return found


def _among_surroundings(picture: Image, locate: FaceLocator) -> tuple[Box, ...]:
    """What is found when the picture's border is repeated outwards, as far as it lies inside.

    The cascade overlooks faces that fill the frame, as data sets have them.
    """
    height, width = picture.shape[:2]
    rows, columns = round(SURROUNDINGS * height), round(SURROUNDINGS * width)
    wide = as_image(cv2.copyMakeBorder(picture, rows, rows, columns, columns, cv2.BORDER_REPLICATE))
    found = []
    for box in locate(wide):
        left, top = max(0, box.left - columns), max(0, box.top - rows)
        right, bottom = min(width, box.left - columns + box.width), min(height, box.top - rows + box.height)
        if right > left and bottom > top:
            found.append(Box(left, top, right - left, bottom - top))
    return tuple(found)
