"""Faces aligned as a device does it: found by the shipped locator, judged, moved onto the template.

Beside the square that a device sees lies one with more on each side, for random changes of a training: what a turned or
moved face shows at its edges is then the picture's own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import numpy as np

from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.faces import recapture
from edge_sdk.export.data.layouts import Entry
from edge_sdk.images.arrays import opaque
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.preprocess.step import Image
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.locator import Locator
from edge_sdk.runtime.one_face import OneFace

# Part of the cache folder's name: raise it when a change here, to alignment or quality flags alters pictures.
VERSION = 1
ALIGNED = FaceAlignment()
BORDER = 16
"""Pixels more on each side."""
WIDE = FaceAlignment(side=ALIGNED.side + 2 * BORDER, margin=BORDER / (ALIGNED.side + 2 * BORDER))


class _Remembering:
    """A locator that keeps what it found last."""

    def __init__(self, locate: FaceLocator) -> None:
        self._locate = locate
        self.found: tuple[LocatedFace, ...] = ()

    def __call__(self, image: Image) -> tuple[LocatedFace, ...]:
        self.found = tuple(face for face in self._locate(image) if isinstance(face, LocatedFace))
        return self.found


def aligned(entries: Sequence[Entry], on: str = "", progress: cache.Count = cache.uncounted) -> list[Entry]:
    """The entries whose pictures show a face that a device would compare, aligned once into the user's cache folder.

    ``path`` is the square of 112 x 112 pixels, ``surroundings`` the larger one.

    Args:
        on: What the live entries are rendered on first, as :func:`recapture.recaptured` says; empty: nothing.
        progress: Called with the number of images done and in all.

    Raises:
        BundleError, EngineError: The shipped locator cannot be opened.
        DatasetError: Nothing to render, a picture that cannot be read, or no such face in any.
    """
    with Locator() as locator:
        shown = recapture.as_attacks(entries, on) if on else entries
        group = f"align-v{VERSION}-{locator.bundle.id}" + (f"-{on}-v{recapture.VERSIONS[on]}" if on else "")
        cut = partial(_wide, locator, threading.local(), on)
        wide = cache.rendered(shown, group, ".png", cut, "aligned", progress=progress)
    if not wide:
        raise DatasetError("the locator finds a face that can be compared in none of the pictures")
    inner = cache.rendered(wide, f"{group}-inner", ".png", _inner, "cut out")
    return [one._replace(surroundings=larger.path) for one, larger in zip(inner, wide, strict=True)]


def _wide(locator: FaceLocator, own: threading.local, on: str, picture: Image, rng: np.random.Generator) -> bytes:
    """The larger square as the bytes of a PNG file; empty where a device would refuse the picture."""
    if not hasattr(own, "faces"):  # one for each thread
        own.faces = _Remembering(locator)
        own.cutter = OneFace(own.faces, ALIGNED)
    frame = recapture.photographed(picture, on, rng) if on else picture
    found = own.cutter(frame)
    if found.sample is None or found.blocking:
        return b""
    face = max(own.faces.found, key=lambda one: max(one.width, one.height))
    return _png(WIDE(opaque(frame) if frame.ndim == 3 else frame, face.points))


def _inner(picture: Image, _rng: np.random.Generator) -> bytes:
    return _png(picture[BORDER:-BORDER, BORDER:-BORDER])


def _png(picture: Image) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()
