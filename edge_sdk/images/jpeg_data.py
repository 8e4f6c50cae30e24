"""Decode a JPEG, and find out whether its coded data are those of all blocks.

libjpeg, with which OpenCV decodes, fills what is missing with gray and tells the terminal alone. But where the data
end without a marker, it waits for more, and OpenCV returns nothing. So a scan is decoded without the end marker: it
comes through only if the data suffice. And it must not come through when its last bytes are taken away: data that are
left over belong to blocks that the decoder did not find, because it lost its place before.
"""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError, ImageTooLargeError, UnsupportedImageError
from edge_sdk.images import jpeg_progressive
from edge_sdk.images.jpeg_file import EOI, RESTART, SOI, File, Frame, Scan, segment_of
from edge_sdk.images.opencv import decoded_or_none
from edge_sdk.opencv import cv2

READ_AHEAD = 8
"""Bytes that libjpeg may ask for behind the last block: it fills a register of 64 bits."""
SPARE = 8
"""As many bytes before the end marker may be no data: some cameras write a few."""
ZEROS = 64
"""So many zero bytes in a row are a lost block of a disk, if zero bits stand for anything but empty blocks."""

_PAD = bytes(READ_AHEAD)
_REDUCED = cv2.IMREAD_REDUCED_GRAYSCALE_8  # the cheapest
_MAX_SIDE = 65_500  # of libjpeg
_SHORT = 8  # MCUs of a restart interval
_MOST = 100_000
_EMPTY_BLOCKS = frozenset({0})  # end of block


def decode(file: File, name: str, codes: int) -> NDArray[np.generic]:
    """The pixels, 8 bits, ``(H, W)`` or ``(H, W, 3)`` BGR.

    Raises:
        ImageDecodeError: Data are missing, or are not those of this picture.
        ImageTooLargeError: A progressive picture of more than so many code words.
        UnsupportedImageError: A sequential picture with a scan of two of its components.
    """
    if not file.frame.progressive and any(len(scan.numbers) == 2 for scan in file.scans):  # no picture of its own
        raise UnsupportedImageError(f"{name}: a JPEG with a scan of two components; save it as baseline JPEG")
    stream = SOI + file.color + file.kept
    if file.frame.progressive:
        jpeg_progressive.check(file.frame, file.scans, codes, name)
        pixels = decoded_or_none(stream + EOI, cv2.IMREAD_ANYCOLOR)
        whole = pixels is not None
    elif len(file.scans) == 1:
        pixels = _decoded(stream, cv2.IMREAD_ANYCOLOR)
        whole = pixels is not None and _last_bytes_count(stream, file.scans[0]) and _intervals_whole(file, pixels, name)
    else:
        pixels = decoded_or_none(stream + EOI, cv2.IMREAD_ANYCOLOR)
        whole = pixels is not None and all(_scan_whole(file.frame, scan) for scan in file.scans)
    if pixels is None or not whole:
        raise ImageDecodeError(f"{name}: damaged JPEG: data are missing, or are not those of this picture")
    if not file.frame.progressive and any(map(_zeroed, file.scans)):
        raise ImageDecodeError(f"{name}: damaged JPEG: a part of its data is zero")
    return pixels


def _decoded(stream: bytes, flags: int) -> NDArray[np.generic] | None:
    """The picture in a stream without an end marker, None if it ends before the last block."""
    pixels = decoded_or_none(stream + _PAD, flags)
    if pixels is None or _waits():
        return pixels
    filled = decoded_or_none(stream + EOI, flags)  # rows that no data came for are left as they were, or filled
    return pixels if filled is not None and np.array_equal(pixels, filled) else None


def _too_short(stream: bytes) -> bool:
    """Whether a stream without its last bytes lacks them; OpenCV 4.10 cannot tell."""
    return not _waits() or decoded_or_none(stream, _REDUCED) is None


@cache
def _waits() -> bool:
    """Whether OpenCV returns nothing where data end early, as it does from 4.11 on."""
    whole = cv2.imencode(".jpg", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))[1].tobytes()
    return decoded_or_none(whole[:-40], cv2.IMREAD_ANYCOLOR) is None


def _last_bytes_count(stream: bytes, scan: Scan) -> bool:
    """Whether the last blocks come from the last bytes. Zero bytes at the end may be a camera's filling."""
    spare = SPARE + len(scan.data) - len(scan.data.rstrip(b"\0"))
    return _too_short(stream[:-spare])


def _intervals_whole(file: File, pixels: NDArray[np.generic], name: str) -> bool:
    """Whether every restart interval is whole. The decoder goes on at the next one, so none is missed otherwise.

    Blocks without data are filled with middle gray: an interval that ends so is looked at by itself. None may have data
    left; very short ones, whose number is large, are not asked.
    """
    frame, scan = file.frame, file.scans[0]
    parts = RESTART.split(scan.data)
    if len(parts) == 1:  # an interval may be longer than the picture
        return True
    filled = np.flatnonzero(_end_gray(frame, scan, pixels))
    if len(filled) > _MOST:
        raise ImageTooLargeError(
            f"{name}: a JPEG of too many restart intervals that end gray; save it without restart markers"
        )
    if not all(_part_whole(frame, scan, parts[n], scan.interval) for n in filled):
        return False
    if scan.interval < _SHORT:
        return True
    start = _picture(frame, scan, scan.interval)
    return all(_too_short(start + part[:-1]) for part in parts[:-1])


def _end_gray(frame: Frame, scan: Scan, pixels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Of each restart interval whether its last MCU is middle gray."""
    across, down = frame.unit(scan.numbers)
    columns, rows = frame.units(scan.numbers)
    last = np.arange(scan.interval - 1, columns * rows, scan.interval)
    gray = np.ones(len(last), bool)
    for inner in (1, 0):  # pixels in the middle of the MCU, which its neighbours' colours do not touch
        y = np.minimum(last // columns * down + down // 2 - inner, frame.height - 1)
        x = np.minimum(last % columns * across + across // 2 - inner, frame.width - 1)
        levels = pixels[y, x].astype(int).reshape(len(last), -1)
        gray &= (abs(levels - 128) <= 1).all(axis=1)
    return gray


def _part_whole(frame: Frame, scan: Scan, data: bytes, units: int) -> bool:
    """Whether these coded data are enough for so many MCUs: decoded as a picture of their own."""
    return _decoded(_picture(frame, scan, units) + data, _REDUCED) is not None


def _scan_whole(frame: Frame, scan: Scan) -> bool:
    """The same of a scan, one of several of a sequential JPEG, and of each of its intervals."""
    columns, rows = frame.units(scan.numbers)
    units, step = columns * rows, scan.interval or columns * rows
    parts = RESTART.split(scan.data)
    if not all(_part_whole(frame, scan, part, min(step, units - n * step)) for n, part in enumerate(parts)):
        return False
    return len(parts) > 1 or _too_short(_picture(frame, scan, units) + scan.data[:-SPARE])


def _picture(frame: Frame, scan: Scan, units: int) -> bytes:
    """A sequential JPEG of so many MCUs of this scan's components, up to its coded data."""
    parts = [c for c in frame.components if c.number in scan.numbers]
    alone = len(parts) == 1  # an MCU is one block, however many pixels of the picture it covers
    across, down = (8, 8) if alone else frame.unit(scan.numbers)
    columns = next(n for n in range(min(units, _MAX_SIDE // across), 0, -1) if units % n == 0)
    width, height = columns * across, units // columns * down
    if height > _MAX_SIDE:  # as long a restart interval as no other number divides
        raise ImageDecodeError("a JPEG with a restart interval that cannot be checked")
    body = struct.pack(">BHHB", 8, height, width, len(parts))
    for part in parts:
        body += bytes((part.number, 0x11 if alone else part.across << 4 | part.down, part.table))
    huffman = b"".join(segment_of(0xC4, bytes((number,)) + table) for number, table in scan.huffman.items())
    return SOI + scan.quantization + huffman + segment_of(0xC1, body) + scan.header


def _zeroed(scan: Scan) -> bool:
    """Whether zero bytes take the place of data. All-zero codes that stand for empty blocks make long runs, too."""
    return bytes(ZEROS) in scan.data.rstrip(b"\0") and not _EMPTY_BLOCKS.issuperset(_first_symbols(scan))


def _first_symbols(scan: Scan) -> set[int]:
    """What the code of zero bits stands for in the tables of AC coefficients that a scan uses."""
    used = {0x10 | selector & 15 for selector in scan.selectors}
    return {table[16] for number, table in scan.huffman.items() if number in used}
