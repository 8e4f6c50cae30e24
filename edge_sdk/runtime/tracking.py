"""Faces of a stream by OpenCV's cascade: near where they were, and elsewhere a part of the sizes in every frame.

A search of a whole frame asks the classifier about some 60,000 windows, and has a few dozen hits for a face, whose mean
is its box. Nearly all of that is the same from frame to frame. So a face that is known is looked for about its last
box, in sizes near its last one, at every second row and column: a quarter of the windows, of the same shrunk pictures.
Each frame looks at every :data:`TURNS`-th size, and what the others had counts on. Where a frame has no hit, it is
searched there window for window, as a search of the whole frame does it.

For faces that come, every frame is searched as a whole, at every second row and column again, in every
:data:`PARTS`-th size, the next frame in others. A face has hits in several sizes beside each other, so that few are
overlooked for long; after ``4 * PARTS`` frames each size was searched from each first row and column. OpenCV skips what
is beside a window very unlike a face, so that this is no bound. Where there is no face, or one was lost, a frame is
searched in all sizes. Wherever there is a hit, the
search window for window decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

MANY = 5
"""Places from which on a search of the whole frame takes no longer than one near each."""

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
    """The faces of one stream: a :class:`~edge_sdk.runtime.cut.FaceLocator` that remembers those of the last frame.

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
        known, near = self._again(search)
        lost = not known or len(known) < len(self._faces)
        part, phase = self._frame % PARTS, self._frame // PARTS % len(_PHASES)
        hits = search.coarse(self._levels if lost else self._levels[part::PARTS], *_PHASES[phase])
        # Grouped with what is near a known face, hits at its border are its own. Twice, for a group has more than one.
        strange = [
            place
            for place in grouped([*near, *hits] * 2, 1)
            if not _same(place, (face.box for face in known)) and _same(place, hits)
        ]
        if strange:
            boxes = grouped(search.closely([*(face.box for face in known), *strange]), self._neighbours)
            known = [*map(_Known, boxes), *(face for face in known if not _same(face.box, boxes))]
        self._faces = known
        self._frame += 1
        return enlarged((face.box for face in known), gray.shape, image.shape)

    @property
    def _neighbours(self) -> int:
        return self._cascade.settings.neighbours

    def _again(self, search: _Search) -> tuple[list[_Known], list[Box]]:
        """The known faces that are there again, and all hits near them.

        Several are looked for window for window, so that no hit too few flags a frame.
        """
        if len(self._faces) == 1:
            (face,) = self._faces
            hits, fresh = search.quickly(face, self._levels[self._frame % TURNS :: TURNS])
            near = list(chain(*hits.values()))
            now = _same(face.box, grouped(near, self._neighbours // 4)) if fresh else None
            if now:
                return [_Known(now, hits)], near
        near = search.closely([face.box for face in self._faces])
        return list(map(_Known, grouped(near, self._neighbours))), near


class _Search:
    """One frame, shrunk to a size of faces when that is searched."""

    def __init__(self, gray: Image, levels: Sequence[Level], cascade: Cascade) -> None:
        self._gray = gray
        self._levels = levels
        self._cascade = cascade
        self._shrunk: dict[Level, Image] = {}

    def quickly(self, face: _Known, turn: Sequence[Level]) -> tuple[Mapping[Level, Sequence[Box]], bool]:
        """Hits of each size near a known face, at every second row and column, and whether there is one of this frame.

        Looked for in the sizes whose turn it is, and in those that were not near before; the others are remembered.
        """
        around = self._around(face.box)
        now = {
            level: self._near(face.box, level, coarse=True)
            for level in around
            if level in turn or level not in face.hits
        }
        return {level: now[level] if level in now else face.hits[level] for level in around}, any(now.values())

    def closely(self, faces: Sequence[Box]) -> list[Box]:
        """All hits near these places, window for window; of many places, all hits of the frame."""
        if len(faces) > MANY:
            return [hit for one in self._levels for hit in self._hits(one, 0, 0, one.columns, one.rows, coarse=False)]
        return list(
            dict.fromkeys(
                hit for face in faces for level in self._around(face) for hit in self._near(face, level, coarse=False)
            )
        )

    def coarse(self, levels: Iterable[Level], left: int, top: int) -> list[Box]:
        """The hits of these sizes anywhere in the frame, at every second row and column from a first one on."""
        return [hit for level in levels for hit in self._hits(level, left, top, level.columns, level.rows, coarse=True)]

    def _around(self, face: Box) -> list[Level]:
        """The sizes near a face's."""
        return [
            level for level in self._levels if face.width <= level.side * REACH and level.side <= face.width * REACH
        ]

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
