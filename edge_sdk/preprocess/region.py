"""Where the ink of a signature lies on a page, so that it is cut out before a pipeline shrinks the picture."""

import math
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess.boxed import Boxed
from edge_sdk.preprocess.crop import Box
from edge_sdk.preprocess.general import LimitSize, ToGray
from edge_sdk.preprocess.ink import Binarize, EraseRules, FlattenPaper
from edge_sdk.preprocess.step import Image, as_image

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Boxes = NDArray[np.int64]
"""``(N, 4)``: left, top, right, bottom; right and bottom are the first column and row outside."""


class Found(msgspec.Struct, frozen=True):
    """What :meth:`InkRegion.find` says of a picture.

    Attributes:
        box: What to cut out, None for the whole picture.
        empty: No ink that could be a signature.
        several: Ink that cannot be one signature, so that nothing is cut: in places far apart on a page, or in more
            pieces than a signature has, as printed text.
        lined: A printed line is cut out with the ink.
    """

    box: Box | None = None
    empty: bool = False
    several: bool = False
    lined: bool = False

    def cut(self, image: Image) -> Image:
        """The box of the picture, or all of it: the same array."""
        if self.box is None:
            return image
        at = self.box
        return image[at.top : at.top + at.height, at.left : at.left + at.width]

    def at_border(self, image: Image) -> tuple[bool, bool, bool, bool]:
        """Whether the top, bottom, left and right of what is cut out are those of the picture."""
        if self.box is None:
            return True, True, True, True
        at, (height, width) = self.box, image.shape[:2]
        return at.top == 0, at.top + at.height == height, at.left == 0, at.left + at.width == width


class InkRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Find the one region of ink on a page, and cut it out with a margin; a picture that is cut out already stays.

    It is looked for on a gray copy of at most ``side`` pixels. Ink is what is darker than the paper round it; dust,
    punch holes, straight printed lines, and what lies along the border, such as a scanner's dark frame, are none.
    Pieces of ink near each other, sideways up to ``gap`` of the longer side of the box round some of them and half as
    far up and down, are one region. Beside others, a region shorter than ``speck`` of the page's longer side, such as a
    staple, does not count.

    A region shorter than ``fills`` of the page's longer side is cut out, wider on each side by ``margin`` of its own
    longer side. Several regions are no signature, unless they fill the picture as one that was cut out does.
    """

    side: Annotated[int, msgspec.Meta(ge=384, le=4096)] = 1536
    gap: Share = 0.25
    speck: Share = 0.05
    fills: Share = 0.4
    margin: Share = 0.04

    PAPER: ClassVar[FlattenPaper] = FlattenPaper(window=96, shrink=8)
    INK: ClassVar[Binarize] = Binarize(floor=30, fraction=0.4, percentile=75.0)
    RULES: ClassVar[EraseRules] = EraseRules(coverage=0.75)
    # Shares of the page's longer side.
    DUST: ClassVar[float] = 1 / 200  # 1.5 mm of A4
    NEAR: ClassVar[float] = 1 / 16  # 19 mm of A4: closer pieces are one region, however small
    RUN: ClassVar[float] = 1 / 40  # how far a line goes in one row or column at least, tilted by up to 3 degrees
    TILT: ClassVar[float] = 0.06
    LINE: ClassVar[float] = 1 / 8  # 37 mm of A4: a shorter line may be the pen's
    THIN: ClassVar[float] = 1 / 64
    THICK: ClassVar[float] = 1 / 300  # 1 mm of A4; the strokes of scans that are cut out are 1/170 and more
    BROAD: ClassVar[float] = 0.25  # of its pixels may be in thicker places
    HOLE: ClassVar[float] = 1 / 100  # 3 mm of A4
    FRAME: ClassVar[float] = 1 / 8
    DARK: ClassVar[float] = 0.35  # of the paper's brightness
    # Of 3,900 scans of CEDAR, SigComp2011 and SVC2004 none has more pieces than 84, and the boxes of the regions are
    # 0.13 of the picture or more; those of two signatures on a page are 0.05.
    PIECES: ClassVar[int] = 120
    FLAT: ClassVar[int] = 4  # times as long as wide: a stroke, or the dash of a line, but no letter
    APART: ClassVar[float] = 0.12
    # What is worth a look: see may_be_page.
    SMALL: ClassVar[int] = 1152  # pixels of the picture's longer side
    FREE: ClassVar[float] = 0.08
    TALL: ClassVar[float] = 1.25
    SPARSE: ClassVar[float] = 0.02

    def may_be_page(self, ink: Image | Boxed) -> bool:
        """Whether a picture is worth a look, by the ink that a pipeline found in all of it, brighter than 127.

        It is where the ink is in a small or a tall box, or scattered; pictures larger than :attr:`SMALL` always are. So
        a signature that is cut out already costs nothing more.
        """
        whole = ink if isinstance(ink, Boxed) else Boxed(ink, 0, 0, *ink.shape)
        mask = cv2.threshold(whole.part, 127, 1, cv2.THRESH_BINARY)[1]
        _, _, width, height = cv2.boundingRect(mask)
        box, size = width * height, whole.height * whole.width
        return box < self.FREE * size or height > self.TALL * width or cv2.countNonZero(mask) < self.SPARSE * box

    def find(self, image: Image) -> Found:
        """Look at a picture, ``uint8``: gray, BGR or BGRA."""
        small = self._without_frame(ToGray()(LimitSize(side=self.side)(image)))
        flat = self.PAPER(small)
        # Print may be far darker than the pen, and ink is what is dark beside the darkest.
        dark = as_image(cv2.threshold(flat, 255 - self.INK.floor, 255, cv2.THRESH_BINARY_INV)[1])
        lines = self._lines(dark)
        printed = cv2.dilate(lines | self._holes(dark), np.ones((3, 3), np.uint8))
        pieces = self._pieces(self.RULES(self.INK(as_image(cv2.max(flat, printed)))))
        if len(pieces) == 0:
            return Found(empty=True)
        if np.count_nonzero(_sides(pieces).min(axis=1) * self.FLAT >= _lengths(pieces)) > self.PIECES:
            return Found(several=True)
        page = max(small.shape)
        regions = self._regions(pieces, page)
        if len(regions) > 1:
            return Found(several=bool(_sides(regions).prod(axis=1).sum() < self.APART * small.size))
        if _lengths(regions)[0] >= self.fills * page:
            return Found()
        region = self._widened(regions[0], small)
        left, top, right, bottom = region
        scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        (x, y), (end_x, end_y) = np.floor(region[:2] * scale), np.ceil(region[2:] * scale)
        box = Box(int(x), int(y), int(end_x - x), int(end_y - y))
        return Found(box, lined=cv2.countNonZero(lines[top:bottom, left:right]) > 0)

    def _without_frame(self, gray: Image) -> Image:
        """White where a dark frame, as of an open scanner or a table under the page, reaches the border."""
        level = int(self.DARK * np.median(gray[::8, ::8]))
        border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
        if np.count_nonzero(border <= level) < self.FRAME * max(gray.shape):
            return gray
        dark = cv2.threshold(gray, level, 255, cv2.THRESH_BINARY_INV)[1]
        count, labels = cv2.connectedComponents(dark, connectivity=8)
        frame = _along_border(labels, count) >= self.FRAME * max(gray.shape)
        frame[0] = False
        # A little more than it, for its edge is blurred.
        wide = cv2.dilate(frame.view(np.uint8)[labels], np.ones((9, 9), np.uint8))
        return np.where(wide > 0, np.uint8(255), gray)

    def _lines(self, ink: Image) -> Image:
        """Straight lines, level or upright as far as a page is held so, of a form or a frame."""
        page = max(ink.shape)
        run, least, thick = max(2, int(self.RUN * page)), self.LINE * page, math.ceil(self.THICK * page) + 1
        found = np.zeros_like(ink)
        broad = as_image(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((thick, thick), np.uint8)))
        for kernel in ((1, run), (run, 1)):
            straight = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones(kernel, np.uint8))
            if cv2.countNonZero(straight) < least:
                continue
            joined = cv2.dilate(straight, np.ones((3, 3), np.uint8))
            count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
            length, across = stats[:, 2:4].max(axis=1), stats[:, 2:4].min(axis=1)
            long = (length >= least) & (across <= self.THIN * page + self.TILT * length)
            long &= np.bincount(labels[broad > 0], minlength=count) < self.BROAD * np.bincount(labels[straight > 0])
            long[0] = False
            found |= np.where(long[labels], np.uint8(255), np.uint8(0))
        return found

    def _holes(self, ink: Image) -> Image:
        """Round or square ink without a stroke in it: punch holes, stamps' edges, blots."""
        least = self.HOLE * max(ink.shape)
        core = max(3, int(least / 2))
        solid = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((core, core), np.uint8))
        if not cv2.countNonZero(solid):
            return np.zeros_like(ink)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
        wide, high, area = stats[:, 2:5].T
        hole = (np.minimum(wide, high) >= least) & (np.maximum(wide, high) <= 2 * np.minimum(wide, high))
        hole &= area >= 0.6 * wide * high
        hole[0] = False
        return np.asarray(
            cv2.dilate(np.where(hole[labels], np.uint8(255), np.uint8(0)), np.ones((5, 5), np.uint8)), np.uint8
        )

    def _pieces(self, ink: Image) -> Boxes:
        """The boxes of connected ink, without dust and without what lies along the border."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        left, top, wide, high = stats[1:, :4].T.astype(np.int64)
        longer, page = np.maximum(wide, high), max(ink.shape)
        edge = (_along_border(labels, count)[1:] >= longer / 2) & (longer >= page / 50)
        kept = (longer >= self.DUST * page) & ~edge
        return np.asarray(np.stack([left, top, left + wide, top + high], axis=1)[kept], np.int64)

    def _regions(self, boxes: Boxes, page: int) -> Boxes:
        """Join boxes until no two are near each other, and leave out what is small."""
        at = 0
        while at < len(boxes):
            reach = max(self.NEAR * page, self.gap * float(_lengths(boxes[at : at + 1])[0]))
            joined = _distances(boxes[at], boxes) <= reach
            if np.count_nonzero(joined) == 1:
                at += 1
                continue
            one = np.concatenate([boxes[joined, :2].min(axis=0), boxes[joined, 2:].max(axis=0)])
            boxes, at = np.vstack([one, boxes[~joined]]), 0
        lengths = _lengths(boxes)
        return np.asarray(boxes[lengths >= min(self.speck * page, lengths.max())], np.int64)

    def _widened(self, region: NDArray[np.int64], page: Image) -> NDArray[np.int64]:
        """The region with its margin, as far as the page goes."""
        margin = math.ceil(self.margin * float(_lengths(region[None])[0]))
        return np.concatenate([np.maximum(0, region[:2] - margin), np.minimum(page.shape[::-1], region[2:] + margin)])


def _along_border(labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """How many pixels of the picture's border each label has."""
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.asarray(np.bincount(border, minlength=count), np.int64)


def _sides(boxes: Boxes) -> NDArray[np.int64]:
    return np.asarray(boxes[:, 2:] - boxes[:, :2])


def _lengths(boxes: Boxes) -> NDArray[np.int64]:
    return np.asarray(_sides(boxes).max(axis=1))


def _distances(box: NDArray[np.int64], boxes: Boxes) -> NDArray[np.int64]:
    """Of each box from one, 0 where they overlap: the wider gap, one up or down counting double."""
    gaps = np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]).clip(min=0) * (1, 2)
    return np.asarray(gaps.max(axis=1))
