"""Does a camera show what it has shown before? A sensor has noise, so that no frame of it comes twice.

Each frame is cut into tiles, at most 40 a side, and each tile is reduced to 64 bits. A frame repeats as a whole if all
tiles are those of one earlier frame, and a *face* does if nearly all tiles in its box are: a clock that runs in the
corner of a hung picture changes some tiles, and a living face changes the tiles that show it.

Tiles of one colour do not count, for what is black or overexposed has no noise. Compressed video repeats tiles where
little happens, so a few frames of a calm face repeat too. Of a person drifting by 0.1 pixels a frame, at most 10 frames
in 100 did, and 4 in succession, in H.264, MPEG-4, VP9 and Motion JPEG at usual qualities; at H.264's CRF 40, which
leaves little of a face, 61 in 100 and 20 in succession, less than a second.

Not found: a still whose brightness flickers or that is shifted, more frames in rotation than are remembered, and what
hangs before an encoder that makes a little of each frame different.
"""

from __future__ import annotations

import threading
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image
from edge_sdk.preprocess.crop import Box
from edge_sdk.preprocess.step import as_image

REMEMBERED = 128
"""Different frames that are remembered."""

SAME = 0.9
"""The least share of a face's tiles that makes it a repeated one."""

_STEP, _GRID = 8, 40  # a tile has 8 pixels a side or a multiple, so that a row of one fills 64-bit words
_ENOUGH = 4  # tiles that are not of one colour

_Tiles = NDArray[np.uint64]


class Freeze:
    """The last frames of one camera. Calls from several threads take turns, but the frames are those of one camera."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[tuple[int, ...], bytes], _Tiles] = {}  # the latest last

    def look(self, image: Image) -> Repeats:
        """Compare a frame with those before it, and remember it.

        Args:
            image: ``uint8 (H, W)`` or ``(H, W, 3)``; not kept by this object, but by what it returns.
        """
        tiles = _reduce(image)
        key = image.shape, tiles.tobytes()
        with self._lock:
            before = tuple(old for (shape, _), old in self._seen.items() if shape == image.shape)
            whole = self._seen.pop(key, None) is not None
            self._seen[key] = tiles
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        return Repeats(image, tiles, before, whole)


class Repeats:
    """What of one frame was there before.

    Attributes:
        whole: All of it.
    """

    def __init__(self, image: Image, tiles: _Tiles, before: tuple[_Tiles, ...], whole: bool) -> None:
        self.whole = whole
        self._image = image
        self._tiles = tiles
        self._before = before

    def face(self, box: Box) -> bool:
        """Whether what is in the box was there before, all in one frame, but for a few tiles."""
        side = _side(self._image)
        right, bottom = box.left + box.width, box.top + box.height
        part = slice(box.top // side, -(-bottom // side)), slice(box.left // side, -(-right // side))
        if not self._before:
            return False
        same = np.array([old[part] for old in self._before]) == self._tiles[part]
        if np.count_nonzero(same) < _ENOUGH:  # as of every living camera
            return False
        alike = same[same.sum(axis=(1, 2)) >= _ENOUGH]
        if not len(alike):
            return False
        counted = _not_of_one_color(self._image[part[0].start * side : bottom, part[1].start * side : right], side)
        enough = max(_ENOUGH, SAME * np.count_nonzero(counted))
        return bool(((alike & counted).sum(axis=(1, 2)) >= enough).any())


def _side(image: Image) -> int:
    longer: int = max(image.shape[:2])
    return _STEP * -(-longer // (_STEP * _GRID))


def _tiled(image: Image, side: int) -> Image:
    """``(rows, side, columns, side, C)``: the tiles, the last ones filled with the image's border."""
    height, width = image.shape[:2]
    filled = image
    if height % side or width % side or not image.flags.c_contiguous:
        filled = as_image(cv2.copyMakeBorder(image, 0, -height % side, 0, -width % side, cv2.BORDER_REPLICATE))
    return filled.reshape(len(filled) // side, side, filled.shape[1] // side, side, -1)


def _reduce(image: Image) -> _Tiles:
    """Multilinear hashes of the tiles, modulo 2^64: a tile that differs in one word is another one for certain."""
    tiles = _tiled(image, _side(image))
    rows, side, columns = tiles.shape[:3]
    words = tiles.reshape(rows, side, -1).view(np.uint64)
    # A row of all tiles at a time: inner loops over one tile's few words would take twice as long.
    sums = np.einsum("ysj,sj->yj", words, _weights(side, words.shape[2] // columns, columns))
    reduced: _Tiles = np.einsum("yxk->yx", sums.reshape(rows, columns, -1))
    return reduced


def _not_of_one_color(image: Image, side: int) -> NDArray[np.bool_]:
    tiles = _tiled(image, side)
    # Over the rows first, where neighbours in memory are reduced together: ten times as fast as over both axes at once.
    varied: NDArray[np.bool_] = (tiles.max(axis=1).max(axis=2) != tiles.min(axis=1).min(axis=2)).any(axis=-1)
    return varied


@cache
def _weights(rows: int, words: int, columns: int) -> _Tiles:
    """Odd numbers, so that none is a divisor of zero; the same for the tile of each column."""
    tile = np.random.default_rng(0).integers(0, 2**63, (rows, words), np.uint64) | np.uint64(1)
    return np.tile(tile, columns)
