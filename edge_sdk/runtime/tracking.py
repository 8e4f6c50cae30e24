"""Faces of a stream by OpenCV's cascade: near where they were, and elsewhere a part of the sizes in every frame.

A search of a whole frame asks the classifier about some 60,000 windows, and has a few dozen hits for a face, whose mean
is its box. Nearly all of that is the same from frame to frame. So a face that is known is looked for about its last
box, in sizes near its last one, at every second row and column: a quarter of the windows, of the same shrunk pictures.
Each frame looks at every :data:`TURNS`-th size, and what the others had counts on. Where a frame has no hit, it is
searched there window for window, as a search of the whole frame does it.

For faces that come, every frame is searched as a whole, at every second row and column again, in every
:data:`PARTS`-th size, the next frame in others. A face has hits in several sizes beside each other, so that few are
overlooked for long; the rows and columns change from round to round, so that after ``4 * PARTS`` frames every window
had its turn. Where there is no face, or one was lost, a frame is searched in all sizes. Wherever there is a hit, the
search window for window decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime.faces import WINDOW, Cascade, CascadeSettings, enlarged, grouped

PARTS = 6
"""Frames in which a whole frame is searched once in every size of faces."""

TURNS = 3
"""Frames in which a known face is looked for once in every size near its last one."""

MARGIN = 0.25
"""How far about a known face it is looked for, in sides of its box."""

REACH = 1.4
"""Ratio of the sizes of faces that are looked for to the last one, at most, either way."""

SAME = 0.3
"""Overlap from which two boxes are of one face."""

_PHASES = ((0, 0), (1, 1), (1, 0), (0, 1))  # first rows and columns


@dataclass(frozen=True)
class Level:
    """One size of faces, in a picture that shrinks them to the classifier's window.

    Attributes:
        scale: Of the gray picture's pixels to those of the shrunk one.
        columns, rows: Of the shrunk picture.
        side: Of the faces, in the gray picture's pixels.
        step: Rows, and columns, from one window to the next.
    """

    scale: np.float32
    columns: int
    rows: int
    side: int
    step: int


def levels_of(shape: tuple[int, ...], settings: CascadeSettings) -> tuple[Level, ...]:
    """Those of OpenCV's ``detectMultiScale``, to the bit, the smallest faces first.

    Where it has none, as of faces above a frame's size, it takes the nearest one; here there is none.
    """
    height, width = shape[:2]
    smallest, factor = settings.smallest_side(shape), 1.0
    found = []
    while round(WINDOW * factor) <= min(height, width):
        scale = np.float32(factor)
        columns, rows = (int(np.rint(np.float32(length) / scale)) for length in (width, height))
        if (side := int(np.rint(WINDOW * scale))) >= smallest:
            found.append(Level(scale, columns, rows, side, 1 if scale >= 2 else 2))
        factor *= settings.step
    return tuple(found)


@dataclass(frozen=True)
class _Known:
    """A face of the last frame, in the gray picture, and the last hits of each size of which it is the mean."""

    box: Box
    hits: Mapping[Level, Sequence[Box]] = field(default_factory=dict)


class FaceTracking:
    """The faces of one stream: a :class:`~edge_sdk.runtime.faces.FaceLocator` that remembers those of the last frame.

    Frames of another size begin anew. One thread at a time may call it.
    """

    def __init__(self, cascade: Cascade) -> None:
        self._cascade = cascade
        self._shape: tuple[int, ...] = ()
        self._levels: tuple[Level, ...] = ()
        self._faces: list[_Known] = []
        self._frame = 0

    def __call__(self, image: Image) -> tuple[Box, ...]:
        """Return the boxes of the faces, the largest first.

        Raises:
            EngineError: OpenCV fails in a search.
        """
        gray = self._cascade.settings.shrunk(image)
        if gray.shape != self._shape:
            self._shape, self._levels = gray.shape, levels_of(gray.shape, self._cascade.settings)
            self._faces = []
        if not self._levels:
            return self._cascade(image)
        search = _Search(gray, self._levels, self._cascade)
        turn = self._levels[self._frame % TURNS :: TURNS]
        again = [search.again(face, turn, alone=len(self._faces) == 1) for face in self._faces]
        known = _distinct(face for face in again if face)
        part, phase = self._frame % PARTS, self._frame // PARTS % len(_PHASES)
        lost = not known or None in again
        sizes = self._levels if lost else self._levels[part::PARTS]
        others = search.others([face.box for face in known], sizes, _PHASES[phase])
        self._faces = _distinct((*known, *map(_Known, others)))
        self._frame += 1
        return enlarged((face.box for face in self._faces), gray.shape, image.shape)


class _Search:
    """One frame, shrunk to a size of faces when that is searched."""

    def __init__(self, gray: Image, levels: Sequence[Level], cascade: Cascade) -> None:
        self._gray = gray
        self._levels = levels
        self._cascade = cascade
        self._shrunk: dict[Level, Image] = {}

    def again(self, face: _Known, turn: Sequence[Level], *, alone: bool) -> _Known | None:
        """Where a known face is now; None if it is not near.

        That it is no longer the only one is decided window for window, so that no hit too few flags a frame.
        """
        return (self._quickly(face, turn) if alone else None) or self._carefully(face.box)

    def _quickly(self, face: _Known, turn: Sequence[Level]) -> _Known | None:
        """Looked for in the sizes whose turn it is, and in those that were not near before."""
        hits = {
            level: face.hits[level]
            if level in face.hits and level not in turn
            else self._near(face.box, level, coarse=True)
            for level in self._around(face.box)
        }
        fresh = any(hits[level] for level in hits if level in turn or level not in face.hits)
        now = _same(face.box, grouped(chain(*hits.values()), self._cascade.settings.neighbours // 4)) if fresh else None
        return _Known(now, hits) if now else None

    def _carefully(self, face: Box) -> _Known | None:
        now = _same(face, grouped(self._all_near(face), self._cascade.settings.neighbours))
        return _Known(now) if now else None

    def others(self, known: Sequence[Box], sizes: Iterable[Level], phase: tuple[int, int]) -> Iterator[Box]:
        """Faces beside the known ones, of which a coarse search of these sizes has a hit."""
        hits = [hit for level in sizes for hit in self._hits(level, *phase, level.columns, level.rows, coarse=True)]
        strange = [hit for hit in hits if not any(hit.overlap(face) >= SAME for face in known)]
        for place in grouped(strange * 2, 1):  # twice, for a group has more than one
            for face in grouped(self._all_near(place), self._cascade.settings.neighbours):
                if not any(face.overlap(other) >= SAME for other in known):
                    yield face

    def _around(self, face: Box) -> list[Level]:
        """The sizes near a face's."""
        return [
            level for level in self._levels if face.width <= level.side * REACH and level.side <= face.width * REACH
        ]

    def _all_near(self, face: Box) -> Iterator[Box]:
        """All hits near a face, window for window."""
        return chain.from_iterable(self._near(face, level, coarse=False) for level in self._around(face))

    def _near(self, face: Box, level: Level, *, coarse: bool) -> list[Box]:
        """The hits of one size near a face."""
        scale, reach = float(level.scale), MARGIN * face.width
        middle = face.left + (face.width - level.side) / 2, face.top + (face.width - level.side) / 2
        # Even, as OpenCV's own are where it goes by two pixels.
        left, top = (max(0, int((place - reach) / scale)) // 2 * 2 for place in middle)
        right, bottom = (int((place + reach) / scale) + 1 + WINDOW for place in middle)
        return self._hits(level, left, top, right, bottom, coarse=coarse)

    def _hits(self, level: Level, left: int, top: int, right: int, bottom: int, *, coarse: bool) -> list[Box]:
        """The hits in a part of a shrunk picture, in the gray one's pixels."""
        if level not in self._shrunk:
            self._shrunk[level] = np.asarray(
                cv2.resize(self._gray, (level.columns, level.rows), interpolation=cv2.INTER_LINEAR_EXACT), np.uint8
            )
        part = self._shrunk[level][top:bottom, left:right]
        step = 2 if coarse else level.step
        return [
            Box(int(np.rint((x + left) * level.scale)), int(np.rint((y + top) * level.scale)), level.side, level.side)
            for x, y in self._cascade.windows(part, step)
        ]


def _same(face: Box, others: Iterable[Box]) -> Box | None:
    """The box that overlaps a face most, if it does so enough to be the same."""
    nearest = max(others, key=face.overlap, default=None)
    return nearest if nearest and face.overlap(nearest) >= SAME else None


def _distinct(faces: Iterable[_Known]) -> list[_Known]:
    """Without those that another one covers: two known faces may have become one."""
    kept: list[_Known] = []
    for face in faces:
        if all(face.box.overlap(other.box) < SAME for other in kept):
            kept.append(face)
    return kept
