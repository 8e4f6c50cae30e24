"""Between decoding and pre-processing: the one face of a picture is found, assessed and cut out.

Where a manifest says nothing of it, a sample stays as it is, to the bit. A picture with several faces counts only if
one of them is clearly the largest: :data:`CLEARLY` times as wide as the next. The others then stand far behind it, as
passengers do behind a driver; that is a warning, and forbids to enrol, where nobody may be taken for somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edge_sdk import preprocess
from edge_sdk.errors import InputError, UsageError
from edge_sdk.images.arrays import opaque
from edge_sdk.manifest import Image, Source
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import Box, FaceCrop, LocatedFace
from edge_sdk.runtime import face_quality, frames
from edge_sdk.runtime.face_quality import Geometry
from edge_sdk.runtime.faces import FaceLocator, TakingTurns
from edge_sdk.runtime.locator import Locator

CLEARLY = 2.0

Faces = FaceLocator | Literal["locator", "aligned"]


@dataclass(frozen=True, eq=False)
class Cut:
    """What of a sample the pre-processing starts from.

    Attributes:
        sample: The sample, or the face cut out of it; None where there is none to be cut out.
        flags: Quality flags, none if all is well.
        blocking: Those of them that forbid to use the sample.
        not_enrolled: Those of them that forbid only to enrol it.
        quality: As that of :class:`edge_sdk.modalities.Prepared`.
    """

    sample: Any
    flags: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    not_enrolled: tuple[str, ...] = ()
    quality: float = 1.0


class Cutter(Protocol):
    """What is done to a raw sample before it is pre-processed."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags it may raise, in the order in which results list them."""
        ...

    def __call__(self, raw: Any) -> Cut:
        """Cut out of a raw sample, which is left as it is, what the pre-processing starts from."""
        ...

    def close(self) -> None:
        """Free what it opened."""


class Nothing:
    """The pre-processing starts from the sample as it is."""

    flags: tuple[str, ...] = ()

    def __call__(self, raw: Any) -> Cut:
        """The sample."""
        return Cut(raw)

    def close(self) -> None:
        """Nothing was opened."""


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


def of(source: Source, faces: Faces, threads: int = 1, *, warm_up: bool = False) -> Cutter:
    """What a manifest asks for.

    Args:
        source: The manifest's.
        faces, threads, warm_up: As those of :class:`edge_sdk.runtime.verifier.Verifier`.

    Raises:
        BundleError, EngineError: The shipped locator cannot be opened.
        UsageError: ``faces`` is no locator.
    """
    cut_out = (source.alignment or source.face) if isinstance(source, Image) else None
    if cut_out is None:
        return Nothing()
    if faces == "aligned":
        return CutOutFace(cut_out)
    if faces == "locator":
        locator = Locator(threads=threads, warm_up=warm_up)
        return OneFace(locator, cut_out, locator.close)
    return OneFace(faces if isinstance(faces, Locator) else TakingTurns(faces), cut_out)


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
