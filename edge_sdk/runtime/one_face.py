"""The one face of a picture: found, assessed and cut out, or cut out already.

A picture with several faces counts only if one of them is clearly the largest: :data:`CLEARLY` times as wide as the
next. The others then stand far behind it, as passengers do behind a driver; that is a warning, and forbids to enrol,
where nobody may be taken for somebody else.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_sdk import preprocess
from edge_sdk.errors import InputError, UsageError
from edge_sdk.images.arrays import opaque
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import Box, FaceCrop, LocatedFace
from edge_sdk.runtime import face_quality, frames
from edge_sdk.runtime.cut import Cut, FaceLocator
from edge_sdk.runtime.face_quality import Geometry

CLEARLY = 2.0


class CutOutFace:
    """Pictures of one face each, cut out or aligned elsewhere: assessed, and taken as they are."""

    flags = face_quality.FLAGS

    def __init__(self, cut_out: FaceAlignment | FaceCrop) -> None:
        self._cut_out = cut_out

    def __call__(self, raw: preprocess.Image) -> Cut:
        """The picture.

        Raises:
            UsageError: It was not aligned as the manifest says, for it is no square: whole frames look alike.
        """
        height, width = raw.shape[:2]
        if isinstance(self._cut_out, FaceAlignment) and height != width:
            raise UsageError(
                f"a picture of {width} x {height} pixels is no aligned face, a square of {self._cut_out.side} "
                f'pixels a side: leave "aligned" out, and the locator finds the face'
            )
        return _judged(raw, self._cut_out)

    def close(self) -> None:
        """Nothing was opened."""


class OneFace:
    """Finds the faces of a frame, and cuts out the only one, or the one that is clearly the largest.

    Args:
        locate: Finds faces.
        cut_out: How the manifest cuts a face out of a frame.
        close: Frees the locator, where it is this one's own.
    """

    flags = face_quality.FLAGS

    def __init__(
        self, locate: FaceLocator, cut_out: FaceAlignment | FaceCrop, close: Callable[[], None] = lambda: None
    ) -> None:
        self._locate = locate
        self._cut_out = cut_out
        self.close = close

    def __call__(self, raw: preprocess.Image) -> Cut:
        """The face.

        Raises:
            UsageError: The locator gave no boxes, or boxes without points where faces are to be aligned.
        """
        frame = opaque(raw) if raw.ndim == 3 else raw
        if unfit := frames.assess(frame):
            return _none(*unfit)
        found = sorted(self._locate(frame), key=lambda face: -_width(face))
        if not found:
            return _none("no_face")
        others = len(found) > 1
        if others and _width(found[0]) < CLEARLY * _width(found[1]):
            return _none("several_faces")
        if isinstance(self._cut_out, FaceCrop):
            return _judged(self._cut_out(frame, found[0]), self._cut_out, others=others)
        if not isinstance(found[0], LocatedFace):
            raise UsageError(
                "the locator gave a box without points, and faces are aligned by their five points: return "
                'edge_sdk.preprocess.crop.LocatedFace, or pass pictures that are aligned already with faces="aligned"'
            )
        try:
            face = self._cut_out(frame, found[0].points)
            geometry = Geometry.of(found[0].points, self._cut_out, frame.shape)
        except InputError:  # points that lie as no face's do
            return _none("no_face")
        return _judged(face, self._cut_out, geometry, others=others)


def _width(face: Box) -> int:
    return max(face.width, face.height)


def _none(*flags: str) -> Cut:
    return Cut(None, flags, flags)


def _judged(
    face: preprocess.Image, cut_out: FaceAlignment | FaceCrop, geometry: Geometry | None = None, *, others: bool = False
) -> Cut:
    aligned = isinstance(cut_out, FaceAlignment)
    found = face_quality.assess(face, geometry, aligned=aligned, others=others)
    return Cut(face, found.flags, found.blocking, found.not_enrolled, found.quality)
