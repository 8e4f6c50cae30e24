"""Operations that tell ink from paper, keep the signature and clear what else is on the page.

On most pictures the box round the ink is less than half of them, so what follows :class:`Binarize` has a second form,
``boxed``, that looks at the box alone. The results are the same.
"""

import math
from functools import lru_cache
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess.boxed import Boxed
from edge_sdk.preprocess.step import MAX_FRAME, Form, Image, Level, Step, as_image, block_means
from edge_sdk.schema import require

Reals = NDArray[np.float64]


class FlattenPaper(Step, frozen=True, tag="flatten_paper"):
    """Divide by the brightness of the paper round each pixel, so that paper is 255 in any light.

    The paper is a closing (local maximum, then local minimum, ``window`` pixels wide, wider than any stroke) of a copy
    shrunk by ``shrink``, enlarged again. Unlike a maximum alone it keeps the edge of a shadow where it is.
    """

    gray_only: ClassVar[bool] = True
    longest: ClassVar[int | None] = MAX_FRAME

    window: Annotated[int, msgspec.Meta(ge=1, le=512)]
    shrink: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        cells = self.window // self.shrink
        require(cells <= 64, f"a window of {self.window} holds {cells} cells of {self.shrink} pixels; 64 at most")

    def __call__(self, image: Image) -> Image:
        height, width = image.shape
        # Whole cells only, so that every cell goes back to where it was.
        right, bottom = -width % self.shrink, -height % self.shrink
        whole = image
        if right or bottom:
            whole = as_image(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE))
        small = block_means(whole, self.shrink, self.shrink)
        side = max(1, self.window // self.shrink) | 1
        # The page goes on outside: a shadow that leaves the picture at an angle ends in no wedge of ink. Less than a
        # window of it, and white beyond, so that a stroke along the border is still too narrow to be paper.
        outside = 3 * side // 4
        wider = cv2.copyMakeBorder(small, outside, outside, outside, outside, cv2.BORDER_REPLICATE)
        square = np.ones((side, side), np.uint8)
        brightest = as_image(cv2.dilate(wider, square, borderType=cv2.BORDER_CONSTANT, borderValue=(255,)))
        if brightest.min() == 255:
            return image
        paper = as_image(cv2.erode(brightest, square, borderType=cv2.BORDER_CONSTANT, borderValue=(255,)))
        paper = paper[outside : outside + small.shape[0], outside : outside + small.shape[1]]
        large = cv2.resize(paper, whole.shape[::-1], interpolation=cv2.INTER_LINEAR)[:height, :width]
        return as_image(cv2.divide(image, large, scale=255))


class Binarize(Step, frozen=True, tag="binarize"):
    """Ink to 255, paper to 0: ink is at least ``fraction`` as dark as this image's strokes, and at least ``floor``.

    A stroke's darkness is the ``percentile`` of all pixels darker than ``floor``, in evenly spaced rows, at least
    :attr:`ROWS` of them. A threshold relative to it cuts a stroke's blurred edge at the same place for a black pen and
    a pale one, so that neither pen nor scanner changes the width of the line.
    """

    gray_only: ClassVar[bool] = True

    ROWS: ClassVar[int] = 64  # a level needs no more; all rows would take as long as the closing of FlattenPaper

    floor: Level
    fraction: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    percentile: Annotated[float, msgspec.Meta(gt=0, le=100)]

    def __call__(self, image: Image) -> Image:
        rows = image[:: max(1, image.shape[0] // self.ROWS)]
        if self.floor:  # paper of all levels that do not count, in turn: OpenCV counts equal neighbours slowly
            rows = np.minimum(rows, _paper(rows.shape[1], self.floor))
        histogram = cv2.calcHist([rows], [0], None, [256], [0, 256])[::-1, 0]  # by darkness, 0 is white
        candidates = histogram[self.floor :].cumsum()
        if candidates.size == 0 or candidates[-1] == 0:
            return np.zeros_like(image)
        stroke = self.floor + int(candidates.searchsorted(candidates[-1] * self.percentile / 100))
        darkness = max(self.floor, round(self.fraction * stroke))
        return as_image(cv2.threshold(image, 255 - darkness, 255, cv2.THRESH_BINARY_INV)[1])

    def found(self, image: Image) -> Boxed:
        """The same in a box."""
        return Boxed.around(self(image))


class EraseRules(Step, frozen=True, tag="erase_rules"):
    """Clear the printed lines of ruled paper: straight thin ink from the left border to the right one, even if tilted.

    A line counts when at least ``coverage`` of it is ink; one that leaves through the top or the bottom, when it runs
    as the others do. A stroke that crosses it stays: only ink no taller than twice the line is cleared. One line alone
    stays, too: where a scan was cropped to the ink, it underlines the name. Without ink at both borders, which is the
    rule, nothing is looked for.
    """

    gray_only: ClassVar[bool] = True
    longest: ClassVar[int | None] = 1024  # each line that may be a rule is followed through all columns

    STEEPEST: ClassVar[float] = 0.2  # height by width; a page held straighter than that
    THICKEST: ClassVar[float] = 0.01  # of the width; more is the pen's line
    CANDIDATES: ClassVar[int] = 64  # runs of ink at a border; more is no ruled paper but a dark frame

    coverage: Annotated[float, msgspec.Meta(gt=0, le=1)]

    def __call__(self, image: Image) -> Image:
        rules = self._rules(image)
        if rules is None:
            return image
        tallest = max(2, int(self.THICKEST * image.shape[1]))
        window = 2 * tallest + 1
        ink = cv2.blur(image, (1, window), borderType=cv2.BORDER_CONSTANT)[(rules & image) > 0]
        # The median, as most columns of a rule are crossed by nothing else.
        thickness = round(np.median(ink) * window / 255) if ink.size else 0
        if not 0 < thickness <= tallest:
            return image
        strokes = cv2.morphologyEx(image, cv2.MORPH_OPEN, np.ones((2 * thickness + 2, 1), np.uint8))
        wide = cv2.dilate(rules, np.ones((2 * (thickness // 2) + 3, 1), np.uint8))
        return np.where((wide > 0) & (strokes == 0), np.uint8(0), image)

    def boxed(self, ink: Boxed) -> Boxed:
        """The same of ink in a box."""
        border = self._border(ink.width)
        if ink.left >= border or ink.right <= ink.width - border:
            return ink
        return Boxed.around(self(ink.whole()))

    @staticmethod
    def _border(width: int) -> int:
        """How wide the strips are in which rules begin and end."""
        return max(1, width // 40)

    def _rules(self, image: Image) -> Image | None:
        """The middle of each rule 255, one pixel a column, the rest 0; None for a page without."""
        height, width = image.shape
        border = self._border(width)
        sides = image[:, :border], image[:, -border:]
        if not all(cv2.countNonZero(side) for side in sides):
            return None
        left, right = (self._runs(side) for side in sides)
        if not 1 < len(left) <= self.CANDIDATES or not 1 < len(right) <= self.CANDIDATES:
            return None
        # Straight to a pixel; in dashes, where the line is faint.
        near = as_image(cv2.dilate(image, np.ones((3, 2 * (width // 80) + 1), np.uint8)))
        start, end = (values.ravel() for values in np.meshgrid(left, right))
        level = np.abs(end - start) <= self.STEEPEST * width
        ruled, _ = self._covered(near, start[level], end[level])
        start, end = start[level][ruled], end[level][ruled]
        if len(np.unique(start)) < 2 or len(np.unique(end)) < 2:
            return None
        # All rules of a page run alike, so where one ends outside follows from where it starts.
        steep = round(self.STEEPEST * width)
        slope, offset = np.polyfit(start, end, 1)
        more = np.arange(-steep, height + steep, dtype=float)
        ends = slope * more + offset
        leaves = (np.minimum(more, ends) < 0) | (np.maximum(more, ends) > height - 1)
        start, end = np.concatenate([start, more[leaves]]), np.concatenate([end, ends[leaves]])
        ruled, rows = self._covered(near, start, end)
        line, column = np.nonzero((rows >= 0) & (rows < height) & ruled[:, None])
        rules = np.zeros_like(image)
        rules[rows[line, column], column] = 255
        return rules

    def _covered(self, near: Image, start: Reals, end: Reals) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which lines between rows ``start`` on the left and ``end`` on the right are ink; their row in each column."""
        height, width = near.shape
        columns = np.arange(width)
        rows = np.rint(start[:, None] + (end - start)[:, None] * (columns / max(1, width - 1))).astype(np.int64)
        inside = (rows >= 0) & (rows < height)
        ink = (near[rows.clip(0, height - 1), columns] > 0) & inside
        return ink.sum(axis=1) >= self.coverage * np.maximum(1, inside.sum(axis=1)), rows

    @staticmethod
    def _runs(border: Image) -> Reals:
        """The middle rows of the runs of ink in a strip of the image."""
        ink = np.concatenate([[False], border.max(axis=1) > 0, [False]])
        edges = np.flatnonzero(ink[1:] != ink[:-1])
        return (edges[0::2] + edges[1::2] - 1) / 2


class ClearBorder(Step, frozen=True, tag="clear_border"):
    """Clear ink connected to the image's border (8-connected) where all of it is less than ``share`` of the ink.

    Such is the wedge left of a shadow that leaves the picture at an angle, the edge of the page, the end of a printed
    line. A signature that runs off the picture, or was cropped to its ink, has more there and stays.
    """

    gray_only: ClassVar[bool] = True
    longest: ClassVar[int | None] = MAX_FRAME

    share: Annotated[float, msgspec.Meta(gt=0, lt=1)]

    def __call__(self, image: Image) -> Image:
        return self._cleared(image, (True,) * 4)

    def boxed(self, ink: Boxed) -> Boxed:
        """The same of ink in a box."""
        return ink._replace(part=self._cleared(ink.part, ink.at_sides))

    def _cleared(self, image: Image, at_sides: tuple[bool, bool, bool, bool]) -> Image:
        """The image without what is connected to those of its top, bottom, left and right that count."""
        height, width = image.shape
        top, bottom, left, right = at_sides
        touching = [(x, 0) for x in image[0].nonzero()[0].tolist()] if top else []
        touching += [(x, height - 1) for x in image[-1].nonzero()[0].tolist()] if bottom else []
        touching += [(0, y) for y in image[:, 0].nonzero()[0].tolist()] if left else []
        touching += [(width - 1, y) for y in image[:, -1].nonzero()[0].tolist()] if right else []
        if not touching:
            return image
        kept = as_image(cv2.threshold(image, 0, 255, cv2.THRESH_BINARY)[1])
        most, cleared = self.share * cv2.countNonZero(kept), 0
        for column, row in touching:
            if kept[row, column]:
                cleared += cv2.floodFill(kept, None, (column, row), 0, flags=8)[0]
                if cleared >= most:
                    return image
        return as_image(cv2.bitwise_and(image, kept))


class Despeckle(Step, frozen=True, tag="despeckle"):
    """Clear dust and sensor noise: ink with fewer than ``area`` pixels of ink round it, itself among them.

    Round it is a square that reaches ``area - 1`` pixels each way, so all connected ink (8-connected) of ``area``
    pixels or more stays whole.
    """

    gray_only: ClassVar[bool] = True

    area: Annotated[int, msgspec.Meta(ge=1, le=8)]

    def __call__(self, image: Image) -> Image:
        return self.boxed(Boxed.around(image)).whole()

    def boxed(self, ink: Boxed) -> Boxed:
        """The same of ink in a box."""
        enough = cv2.threshold(self._counts(ink.part), self.area - 1, 255, cv2.THRESH_BINARY)[1]
        return ink._replace(part=as_image(cv2.bitwise_and(ink.part, enough)))

    def _counts(self, ink: Image) -> Image:
        """How many pixels of ink there are in the square round each, at most 225.

        Sums of one, two, four, ... pixels along rows and then columns, each of the last but two of half as many: numpy
        adds whole pictures of bytes faster than OpenCV sums windows of them.
        """
        height, width = ink.shape
        reach, side = self.area - 1, 2 * self.area - 1
        # Rows follow each other without a gap, so what is beside the end of one is the empty start of the next.
        stride = width + 2 * reach
        padded = as_image(cv2.copyMakeBorder(ink, reach, reach + 1, reach, reach, cv2.BORDER_CONSTANT))
        counts = np.bitwise_and(padded, 1, out=padded).reshape(-1)
        for step in (1, stride):
            counts = _window_sums(counts, side, step)
        return counts[: height * stride].reshape(height, stride)[:, :width]


class CropToInk(Step, frozen=True, tag="crop_to_ink"):
    """Cut to the box that leaves a share ``tail`` of the ink outside on each side, then widen it by ``margin``.

    ``margin`` is a share of the box's longer side; the box is clamped to the image. Without ink nothing is cut.
    """

    gray_only: ClassVar[bool] = True

    tail: Annotated[float, msgspec.Meta(ge=0, lt=0.5)]
    margin: Annotated[float, msgspec.Meta(ge=0, le=1)]

    def __call__(self, image: Image) -> Image:
        return self.boxed(Boxed(image, 0, 0, *image.shape))

    def boxed(self, ink: Boxed) -> Image:
        """The same of ink in a box."""
        top, bottom = self._span(cv2.reduce(ink.part, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S))
        left, right = self._span(cv2.reduce(ink.part, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S))
        if bottom <= top or right <= left:
            return ink.whole()
        pad = round(self.margin * max(bottom - top, right - left))
        top, left = max(0, ink.top + top - pad), max(0, ink.left + left - pad)
        bottom, right = min(ink.height, ink.top + bottom + pad), min(ink.width, ink.left + right + pad)
        return ink.cut(top, bottom, left, right)

    def after(self, form: Form) -> Form:
        """Of another size for each picture."""
        return msgspec.structs.replace(super().after(form), size=None)

    def _span(self, sums: object) -> tuple[int, int]:
        """The first of the sums inside the tails, and the one behind the last."""
        ink = np.asarray(sums).ravel().cumsum(dtype=np.int64)
        total = int(ink[-1])
        if total == 0:
            return 0, 0
        tail = self.tail * total
        # Of whole numbers, which numpy would compare as floats otherwise.
        first, last = ink.searchsorted(int(tail) + 1), ink.searchsorted(math.ceil(total - tail))
        return int(first), int(last) + 1


@lru_cache(maxsize=8)
def _paper(width: int, floor: int) -> Image:
    """``(width,)``: all levels that are less dark than ``floor``, in turn."""
    return np.resize(np.arange(256 - floor, 256, dtype=np.uint8), width)


def _window_sums(values: Image, window: int, step: int) -> Image:
    """The sum of each value and the ``window - 1`` behind it, ``step`` apart; where they end, there are none.

    A sum over twice as many is that of two neighbours, so that a window of n takes 2 log2(n) additions at most.
    """
    size = values.size - (window - 1) * step
    total, length = values[:size], 1  # window is odd
    while 2 * length <= window:
        values = values[: -length * step] + values[length * step :]
        length *= 2
        if window & length:
            behind = (window & (length - 1)) * step
            total = total + values[behind : behind + size]
    return total
