"""Where the faces are, and which one is which in the next frame."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_sdk.errors import EngineError, UsageError
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, LimitSize, ToGray
from edge_sdk.preprocess.crop import Box
from edge_sdk.preprocess.step import as_image
from edge_sdk.runtime.cut import FaceLocator

WINDOW = 24
"""Pixels a side of the smallest face that the cascade knows: all larger ones are shrunk to it."""

_SIMILAR = 0.2  # OpenCV's own: what corners of one face's hits may differ by, in sides


class TakingTurns:
    """A locator that one thread at a time may call, and whose boxes are checked.

    Few face detectors may be called by several threads at once: most keep what they computed last in themselves.
    """

    def __init__(self, locator: FaceLocator) -> None:
        if not callable(locator):
            raise UsageError(
                f"faces is {locator!r}: name one of SpoofDetector's (cascade, locator, cropped) or Verifier's "
                "(locator, aligned), or pass a function of a picture"
            )
        self._locator = locator
        self._lock = threading.RLock()

    def __call__(self, image: Image) -> tuple[Box, ...]:
        """Return the locator's boxes; UsageError if they are none."""
        with self._lock:
            found: object = self._locator(image)
        if not isinstance(found, Sequence) or not all(map(_is_box, found)):
            raise UsageError(
                f"the locator gave {found!r}: it must return a list of edge_sdk.preprocess.crop.Box in whole pixels, "
                "one for each face"
            )
        return tuple(found)


def _is_box(value: object) -> bool:
    return isinstance(value, Box) and all(
        isinstance(number, (int, np.integer)) for number in (value.left, value.top, value.width, value.height)
    )


@dataclass(frozen=True)
class Rescaled:
    """A locator whose boxes are made smaller or larger about their middle, as far as the frame goes.

    Attributes:
        scale: Of the sides.
    """

    locator: FaceLocator
    scale: float

    def __call__(self, image: Image) -> tuple[Box, ...]:
        """See :class:`FaceLocator`."""
        height, width = image.shape[:2]
        boxes = []
        for box in self.locator(image):
            across, down = box.width * (1 - self.scale) / 2, box.height * (1 - self.scale) / 2
            left, top = max(0, round(box.left + across)), max(0, round(box.top + down))
            right = min(width, max(left + 1, round(box.left + box.width - across)))
            bottom = min(height, max(top + 1, round(box.top + box.height - down)))
            boxes.append(replace(box, left=left, top=top, width=right - left, height=bottom - top))
        return tuple(boxes)


@dataclass(frozen=True)
class CascadeSettings:
    """How the cascade searches.

    Attributes:
        smallest: Smallest face, as a share of the frame's shorter side, in (0, 1]. It also says whose faces count:
            those of the back seat are small.
        side: The longer side that a frame is shrunk to before the search, in pixels.
        step: Ratio of one size of faces to the next, above 1: finer finds more and takes longer.
        neighbours: Overlapping hits that make a face; more are stricter.
    """

    smallest: float = 0.2
    side: int = 480
    step: float = 1.1
    neighbours: int = 5

    def __post_init__(self) -> None:
        if not (0 < self.smallest <= 1 and self.side >= 32 and 1 < self.step < 4 and self.neighbours >= 1):
            raise UsageError(f"{self}: smallest is in (0, 1], side at least 32, step in (1, 4), neighbours at least 1")

    def shrunk(self, image: Image) -> Image:
        """The gray picture that is searched."""
        return LimitSize(side=self.side)(ToGray()(image))

    def smallest_side(self, shape: tuple[int, ...]) -> int:
        """Of the smallest face in a gray picture, in its pixels."""
        return max(1, round(self.smallest * min(shape)))


class Cascade:
    """OpenCV's frontal faces by Haar features (Viola and Jones, 2001), bundled with OpenCV 4.

    Threads may share it. OpenCV's classifier keeps the picture that it searches, so each search has one of its own: as
    many are kept (0.3 MB, 10 ms to load) as searches ever ran at the same time.

    Raises:
        EngineError: This OpenCV has no cascades, or fails in a search.
    """

    def __init__(self, settings: CascadeSettings | None = None) -> None:
        self.settings = settings or CascadeSettings()
        self._idle = deque([_classifier()])  # taking and adding are atomic

    def __call__(self, image: Image) -> tuple[Box, ...]:
        """Return the boxes of the faces, the largest first; see :class:`FaceLocator`."""
        settings = self.settings
        gray = settings.shrunk(image)
        shortest = settings.smallest_side(gray.shape)
        with self._borrowed() as classifier:
            found = classifier.detectMultiScale(
                gray, scaleFactor=settings.step, minNeighbors=settings.neighbours, minSize=(shortest, shortest)
            )
        return enlarged((Box(*map(int, box)) for box in found), gray.shape, image.shape)

    def windows(self, image: Image, step: int) -> list[tuple[int, int]]:
        """Columns and rows of the windows of :data:`WINDOW` pixels a side, of a gray picture, that show a face.

        Args:
            image: ``uint8 (H, W)``.
            step: 1 looks at every window, but for those beside one that is very unlike a face, as OpenCV does it; 2 at
                those in every second row and column.
        """
        # OpenCV goes by two pixels while it shrinks a picture by less than 2. Of one that was doubled without any
        # change in it, it makes the same picture again.
        scale = 3 - step
        if scale == 2:
            image = as_image(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST))
        side = scale * WINDOW
        with self._borrowed() as classifier:
            found = classifier.detectMultiScale(
                image, scaleFactor=2.0, minNeighbors=0, minSize=(side, side), maxSize=(side, side)
            )
        return [(int(left) // scale, int(top) // scale) for left, top, _, _ in found]

    @contextmanager
    def _borrowed(self) -> Iterator[cv2.CascadeClassifier]:
        """A classifier that nobody else has meanwhile."""
        try:
            classifier = self._idle.pop()
        except IndexError:
            classifier = _classifier()
        try:
            yield classifier
        except (cv2.error, MemoryError) as exc:
            raise EngineError(f"OpenCV's face cascade failed: {exc}") from exc
        self._idle.append(classifier)


def grouped(hits: Iterable[Box], neighbours: int) -> list[Box]:
    """The means of hits that lie close together, of more than ``neighbours`` each, as the cascade takes them."""
    found, _ = cv2.groupRectangles([(hit.left, hit.top, hit.width, hit.height) for hit in hits], neighbours, _SIMILAR)
    return [Box(*map(int, box)) for box in found]


def enlarged(faces: Iterable[Box], searched: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Box, ...]:
    """Boxes of the picture that was searched in the pixels of the frame, the largest first."""
    rows, columns = shape[0] / searched[0], shape[1] / searched[1]
    boxes = []
    for face in faces:
        # Both ends are rounded, so that a box at the border ends at the border.
        x, y = int(face.left * columns), int(face.top * rows)
        right, bottom = int((face.left + face.width) * columns), int((face.top + face.height) * rows)
        boxes.append(Box(x, y, right - x, bottom - y))
    return tuple(sorted(boxes, key=lambda box: (-box.area, box.left, box.top)))


def _classifier() -> cv2.CascadeClassifier:
    try:
        folder = Path(cv2.data.haarcascades)  # type: ignore[attr-defined] # OpenCV's stubs omit it
        classifier = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
        loaded = not classifier.empty()
    except (AttributeError, cv2.error):  # OpenCV 5, and builds of distributions
        loaded = False
    if not loaded:
        raise EngineError(
            f"OpenCV {cv2.__version__} has no face cascade: install opencv-python-headless 4, or give a locator"
        )
    return classifier


@dataclass(frozen=True)
class _Track:
    name: int
    box: Box
    time: float


class Tracker:
    """Numbers faces by overlap with where they were: a new number for every face that does not follow from a known one.

    It follows one camera. Calls from several threads take turns, and count in the order in which they come.

    Args:
        overlap: The least intersection over union with the last box, in (0, 1).
        gap_s: How long a face may be missing and still be the same, in seconds.
    """

    def __init__(self, overlap: float = 0.3, gap_s: float = 1.0) -> None:
        if not (0 < overlap < 1 and gap_s > 0):
            raise UsageError(f"overlap is {overlap}, gap_s {gap_s}; they must be in (0, 1) and positive")
        self._overlap = overlap
        self._gap = gap_s
        self._tracks: list[_Track] = []
        self._count = 0
        self._lock = threading.Lock()

    def update(self, time: float, boxes: Sequence[Box]) -> tuple[int, ...]:
        """Return a number for each box, in their order; none is ever used for another face.

        Pairs are taken by overlap, the largest first. A clock that runs backwards, or is not finite, ends all tracks.
        """
        with self._lock:
            return self._update(time, boxes)

    def _update(self, time: float, boxes: Sequence[Box]) -> tuple[int, ...]:
        known = [track for track in self._tracks if 0 <= time - track.time <= self._gap]
        pairs = sorted(
            ((track.box.overlap(box), track, i) for track in known for i, box in enumerate(boxes)),
            key=lambda pair: (-pair[0], pair[1].name, pair[2]),
        )
        names: dict[int, int] = {}
        for overlap, track, i in pairs:
            if overlap >= self._overlap and i not in names and track.name not in names.values():
                names[i] = track.name
        for i in range(len(boxes)):
            if i not in names:
                names[i], self._count = self._count, self._count + 1
        missing = [track for track in known if track.name not in names.values()]
        self._tracks = missing + [_Track(names[i], box, time) for i, box in enumerate(boxes)]
        return tuple(names[i] for i in range(len(boxes)))
