"""Where the ink of a signature lies on a page, so that it is cut out before a pipeline shrinks the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess.crop import Box
from edge_sdk.preprocess.general import LimitSize, ToGray
from edge_sdk.preprocess.ink import Binarize, EraseRules, FlattenPaper
from edge_sdk.preprocess.step import Image

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Boxes = NDArray[np.int64]
"""``(N, 4)``: left, top, right, bottom; right and bottom are the first column and row outside."""


@dataclass(frozen=True)
class Found:
    """What :meth:`InkRegion.find` says of a picture.

    Attributes:
        box: What to cut out, None for the whole picture.
        empty: No ink that could be a signature.
        several: Ink that cannot be one signature, so that nothing is cut: in places far apart on a page, or in more
            pieces than a signature has, as printed text.
    """

    box: Box | None = None
    empty: bool = False
    several: bool = False

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

    It is looked for on a gray copy of at most ``side`` pixels. Ink is what differs from the paper round it; dust, the
    dark edge of a page, and a straight line across half of the page are no ink here. Pieces of ink near each other,
    sideways up to ``gap`` of the longer side of the box round them and half as far up and down, are one region; regions
    shorter than ``speck`` of the longest, such as punch holes and staples, do not count.

    A region shorter than ``fills`` of the picture's longer side is cut out, wider on each side by ``margin`` of its own
    longer side. Several make a page that is not one signature, unless they fill a picture that was cut out.
    """

    side: Annotated[int, msgspec.Meta(ge=384, le=4096)] = 1536
    gap: Share = 0.25
    speck: Share = 0.3
    fills: Share = 0.4
    margin: Share = 0.1

    PAPER: ClassVar[FlattenPaper] = FlattenPaper(window=96, shrink=8)
    INK: ClassVar[Binarize] = Binarize(floor=30, fraction=0.4, percentile=75.0)
    RULES: ClassVar[EraseRules] = EraseRules(coverage=0.75)
    # Shares of the page's longer side.
    DUST: ClassVar[float] = 1 / 200  # 1.5 mm of A4
    NEAR: ClassVar[float] = 1 / 16  # 19 mm of A4: closer pieces are one region, however small
    # Shares of the page's width or height.
    ACROSS: ClassVar[float] = 0.5  # a shorter line may be the pen's
    THIN: ClassVar[float] = 0.03  # the box of a line that is tilted by up to 3 degrees
    # Of 3,900 scans of CEDAR, SigComp2011 and SVC2004 none has more pieces than 84, and the boxes of the regions are
    # 0.2 of the picture or more; those of two signatures on a page are 0.05.
    PIECES: ClassVar[int] = 120
    FLAT: ClassVar[int] = 4  # times as long as wide: a stroke, or the dash of a line, but no letter
    APART: ClassVar[float] = 0.15
    # What is worth a look: see may_be_page.
    SMALL: ClassVar[int] = 1152  # pixels of the picture's longer side
    FREE: ClassVar[float] = 0.08
    TALL: ClassVar[float] = 1.25
    SPARSE: ClassVar[float] = 0.02

    def may_be_page(self, ink: Image) -> bool:
        """Whether a picture is worth a look, by the ink that a pipeline found in all of it, brighter than 127.

        It is where the ink is in a small or a tall box, or scattered; pictures larger than :attr:`SMALL` always are. So
        a signature that is cut out already costs nothing more.
        """
        mask = (ink > 127).view(np.uint8)
        _, _, width, height = cv2.boundingRect(mask)
        box = width * height
        return box < self.FREE * mask.size or height > self.TALL * width or cv2.countNonZero(mask) < self.SPARSE * box

    def find(self, image: Image) -> Found:
        """Look at a picture, ``uint8``: gray, BGR or BGRA."""
        small = ToGray()(LimitSize(side=self.side)(image))
        pieces = self._pieces(self.RULES(self.INK(self.PAPER(small))))
        if len(pieces) == 0:
            return Found(empty=True)
        if np.count_nonzero(_sides(pieces).min(axis=1) * self.FLAT >= _lengths(pieces)) > self.PIECES:
            return Found(several=True)
        regions = self._regions(pieces, self.NEAR * max(small.shape))
        if len(regions) > 1:
            return Found(several=bool(_sides(regions).prod(axis=1).sum() < self.APART * small.size))
        if _lengths(regions)[0] >= self.fills * max(small.shape):
            return Found()
        return Found(self._widened(regions[0], small, image))

    def _pieces(self, ink: Image) -> Boxes:
        """The boxes of connected ink, without dust, the edge of a page and lines across it."""
        height, width = ink.shape
        count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        left, top, wide, high = stats[1:, :4].T.astype(np.int64)
        longer, page = np.maximum(wide, high), max(ink.shape)
        border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        along = np.bincount(border, minlength=count)[1:]
        edge = (along >= longer / 2) & (longer >= page / 50)
        line = (wide >= self.ACROSS * width) & (high <= self.THIN * height)
        line |= (high >= self.ACROSS * height) & (wide <= self.THIN * width)
        kept = (longer >= self.DUST * page) & ~edge & ~line
        return np.asarray(np.stack([left, top, left + wide, top + high], axis=1)[kept], np.int64)

    def _regions(self, boxes: Boxes, near: float) -> Boxes:
        """Join boxes until no two are near each other, and leave out what is small."""
        at = 0
        while at < len(boxes):
            reach = max(near, self.gap * float(_lengths(boxes[at : at + 1])[0]))
            joined = _distances(boxes[at], boxes) <= reach
            if np.count_nonzero(joined) == 1:
                at += 1
                continue
            one = np.concatenate([boxes[joined, :2].min(axis=0), boxes[joined, 2:].max(axis=0)])
            boxes, at = np.vstack([one, boxes[~joined]]), 0
        lengths = _lengths(boxes)
        return np.asarray(boxes[lengths >= self.speck * lengths.max()], np.int64)

    def _widened(self, region: NDArray[np.int64], small: Image, image: Image) -> Box:
        """The region in pixels of the picture, with its margin."""
        scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        margin = self.margin * float(_lengths(region[None])[0])
        left, top = np.maximum(0, np.floor((region[:2] - margin) * scale)).astype(int).tolist()
        right, bottom = np.minimum(image.shape[1::-1], np.ceil((region[2:] + margin) * scale)).astype(int).tolist()
        return Box(left, top, right - left, bottom - top)


def _sides(boxes: Boxes) -> NDArray[np.int64]:
    return np.asarray(boxes[:, 2:] - boxes[:, :2])


def _lengths(boxes: Boxes) -> NDArray[np.int64]:
    return np.asarray(_sides(boxes).max(axis=1))


def _distances(box: NDArray[np.int64], boxes: Boxes) -> NDArray[np.int64]:
    """Of each box from one, 0 where they overlap: the wider gap, one up or down counting double."""
    gaps = np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]).clip(min=0) * (1, 2)
    return np.asarray(gaps.max(axis=1))
