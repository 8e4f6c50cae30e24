"""The structure of a JPEG file, by ITU-T T.81: frame, tables, scans and restart markers."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable

import msgspec
import numpy as np

from edge_sdk.errors import ImageDecodeError, UnsupportedImageError
from edge_sdk.images.budget import Budget

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
MAX_SEGMENTS = 20_000  # a color profile has at most 255, a phone's depth map some hundred

_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DHT, _EOI, _SOS, _DQT, _DRI, _APP0, _APP1, _ADOBE = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xEE
_FILL = re.compile(rb"\xff+")
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_BLOCK = 2**20
_SPREAD_STUFFING = re.compile(rb"\xff\xff+\x00")


class Component(msgspec.Struct, frozen=True):
    """Gray, or one of three colour components: its number, sampling factors and quantisation table."""

    number: int
    across: int
    down: int
    table: int


class Frame(msgspec.Struct, frozen=True):
    """What SOF says."""

    width: int
    height: int
    progressive: bool
    components: tuple[Component, ...]

    def unit(self, numbers: tuple[int, ...]) -> tuple[int, int]:
        """Pixels across and down of one MCU in a scan of these components."""
        across, down = (max(getattr(c, side) for c in self.components) for side in ("across", "down"))
        if len(numbers) > 1:
            return 8 * across, 8 * down
        (single,) = (c for c in self.components if c.number == numbers[0])
        return 8 * across // single.across, 8 * down // single.down

    def units(self, numbers: tuple[int, ...]) -> tuple[int, int]:
        """MCUs in a row, and rows of them, in a scan of these components."""
        across, down = self.unit(numbers)
        return -(-self.width // across), -(-self.height // down)


class Scan(msgspec.Struct, frozen=True):
    """What SOS says, the tables before it, and its coded data."""

    numbers: tuple[int, ...]
    selectors: tuple[int, ...]  # of Huffman tables: DC in the high four bits, AC in the low ones
    band: tuple[int, int]
    high: int
    low: int
    interval: int
    quantization: bytes  # segments
    huffman: dict[int, bytes]  # 16 counts and the symbols, by class (DC 0x00, AC 0x10) and number
    header: bytes
    data: bytes


class File(msgspec.Struct):
    """The first picture of a file.

    Attributes:
        frame: What it announces.
        exif: The block of APP1, empty if there is none.
        color: The segments of JFIF and Adobe that say which colours the components are.
        kept: Everything between SOI and EOI but applications' segments and comments.
        scans: In their order.
    """

    frame: Frame
    exif: bytes
    color: bytes
    kept: bytes
    scans: list[Scan]

    @property
    def density(self) -> tuple[int, int]:
        """Pixels across and down to some length, by JFIF; 0, 0 if it says none."""
        at = self.color.find(b"JFIF\0")
        if at < 0 or len(self.color) < at + 12:
            return 0, 0
        across, down = struct.unpack_from(">HH", self.color, at + 8)
        return int(across), int(down)


class _Reading(msgspec.Struct):
    frame: Frame | None = None
    exif: bytes = b""
    color: bytes = b""
    kept: list[bytes] = msgspec.field(default_factory=list)
    quantization: dict[int, bytes] = msgspec.field(default_factory=dict)
    huffman: dict[int, bytes] = msgspec.field(default_factory=dict)
    interval: int = 0
    scans: list[Scan] = msgspec.field(default_factory=list)


def read(data: bytes, name: str, budget: Budget) -> File:
    """Read the markers of a file's first picture.

    Raises:
        ImageDecodeError: Truncated or damaged.
        ImageTooLargeError: More than the budget.
        UnsupportedImageError: A kind of JPEG that is not decoded.
    """
    reading, at = _Reading(), len(SOI)
    for _ in range(MAX_SEGMENTS):
        fill = _FILL.match(data, at)
        if fill is None:
            raise ImageDecodeError(f"{name}: damaged JPEG: no marker where one must be")
        at = fill.end()
        marker = data[at]
        if marker == _EOI:
            return _whole(reading, name)
        (length,) = struct.unpack_from(">H", data, at + 1)
        body = data[at + 3 : at + 1 + length]
        if length < 2 or len(body) != length - 2:
            raise ImageDecodeError(f"{name}: truncated JPEG")
        at += 1 + length
        _segment(reading, marker, body, name, budget)
        if marker == _SOS:
            end, restarts = _coded(data, at, name)
            _scan(reading, body, data[at:end].rstrip(b"\xff"), restarts, name)
            budget.check_scans(len(reading.scans), name)
            at = end
    raise ImageDecodeError(f"{name}: JPEG of more than {MAX_SEGMENTS} segments")


def _segment(reading: _Reading, marker: int, body: bytes, name: str, budget: Budget) -> None:
    if marker == _APP1 and body.startswith(b"Exif\0"):
        reading.exif = reading.exif or body[6:]
    elif (marker == _APP0 and body.startswith(b"JFIF")) or (marker == _ADOBE and body.startswith(b"Adobe")):
        reading.color += segment_of(marker, body)
    elif marker < _APP0:  # others are applications' segments and comments
        _kept(reading, marker, body, name, budget)


def _kept(reading: _Reading, marker: int, body: bytes, name: str, budget: Budget) -> None:
    if marker in _FRAMES:
        if reading.frame is not None:
            raise ImageDecodeError(
                f"{name}: JPEG of several frames; damaged, or hierarchical: save it as baseline JPEG"
            )
        reading.frame = _frame(marker, body, name, budget)
    elif marker == _DHT:
        _split(body, reading.huffman, lambda table: 17 + sum(table[1:17]))
    elif marker == _DQT:
        _split(body, reading.quantization, lambda table: 65 + 64 * (table[0] >> 4))
    elif marker == _DRI:
        (reading.interval,) = struct.unpack(">H", body)
    elif marker != _SOS:
        raise ImageDecodeError(f"{name}: damaged JPEG: marker {marker:#x} where none may be")
    reading.kept.append(segment_of(marker, body))


def _split(body: bytes, tables: dict[int, bytes], size: Callable[[bytes], int]) -> None:
    """Store each table of a segment by its first byte, and so in place of the one before it."""
    while body:
        length = size(body)
        if len(body) < length:
            raise IndexError("a table is cut")
        tables[body[0]] = body[1:length]
        body = body[length:]


def segment_of(marker: int, body: bytes) -> bytes:
    """A marker with its segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _frame(marker: int, body: bytes, name: str, budget: Budget) -> Frame:
    precision, height, width, count = struct.unpack_from(">BHHB", body)
    budget.check(width, height, precision * count, name)
    if marker not in _SEQUENTIAL and marker != _PROGRESSIVE:
        kind = "lossless or hierarchical" if marker < 0xC8 else "arithmetic-coded"
        raise UnsupportedImageError(f"{name}: {kind} JPEG; save it as baseline JPEG or PNG")
    if precision != 8:
        raise UnsupportedImageError(f"{name}: JPEG of {precision} bits a sample; save it with 8 bits, or as PNG")
    if count not in (1, 3):
        kind = "CMYK" if count == 4 else f"{count}-component"
        raise UnsupportedImageError(f"{name}: {kind} JPEG; save it as gray or RGB")
    parts = [struct.unpack_from("BBB", body, 6 + 3 * i) for i in range(count)]
    components = tuple(Component(number, factors >> 4, factors & 15, table) for number, factors, table in parts)
    if len({c.number for c in components}) != count or any(
        not (0 < c.across < 5 and 0 < c.down < 5) for c in components
    ):
        raise ImageDecodeError(f"{name}: damaged JPEG: sampling factors that none has")
    return Frame(width, height, marker == _PROGRESSIVE, components)


def _coded(data: bytes, at: int, name: str) -> tuple[int, bytes]:
    """Where coded data end, and the numbers of their restart markers; FF 00 stands for a byte FF."""
    restarts = []
    for start in range(at, len(data), _BLOCK):
        block = np.frombuffer(data[start : start + _BLOCK + 1], np.uint8)
        places = np.flatnonzero(block[:-1] == 0xFF)
        behind = block[places + 1]
        is_restart = behind & 0xF8 == 0xD0
        markers = np.flatnonzero((behind != 0) & (behind != 0xFF) & ~is_restart)
        last = markers[0] if len(markers) else len(places)
        restarts.append((behind[:last][is_restart[:last]] & 7).tobytes())
        if len(markers):
            return start + int(places[last]), b"".join(restarts)
    raise ImageDecodeError(f"{name}: truncated JPEG: no end marker")


def _scan(reading: _Reading, body: bytes, data: bytes, restarts: bytes, name: str) -> None:
    count = body[0]
    numbers, selectors = tuple(body[1 : 1 + 2 * count : 2]), tuple(body[2 : 2 + 2 * count : 2])
    first, last, bits = struct.unpack_from("BBB", body, 1 + 2 * count)
    frame = reading.frame
    if frame is None or not numbers or not set(numbers) <= {c.number for c in frame.components}:
        raise ImageDecodeError(f"{name}: damaged JPEG: a scan of unknown components")
    columns, rows = frame.units(numbers)
    expected = (columns * rows - 1) // reading.interval if reading.interval else 0
    if restarts and RESTART.match(data, len(data) - 2):  # some cameras write one more
        data, restarts = data[:-2], restarts[:-1]
    if restarts != (bytes(range(8)) * (expected // 8 + 1))[:expected]:
        raise ImageDecodeError(f"{name}: damaged JPEG: restart markers are missing or out of order")
    if b"\xff\xff" in data and _SPREAD_STUFFING.search(data):
        raise ImageDecodeError(f"{name}: damaged JPEG: a run of fill bytes within coded data")
    reading.kept.append(data)
    reading.scans.append(
        Scan(
            numbers=numbers,
            selectors=selectors,
            band=(first, last),
            high=bits >> 4,
            low=bits & 15,
            interval=reading.interval,
            quantization=b"".join(segment_of(_DQT, bytes((n,)) + q) for n, q in reading.quantization.items()),
            huffman=dict(reading.huffman),
            header=segment_of(_SOS, body),
            data=data,
        )
    )


def _whole(reading: _Reading, name: str) -> File:
    """Check that the scans hold every coefficient of every component."""
    if reading.frame is None or not reading.scans:
        raise ImageDecodeError(f"{name}: JPEG without a picture")
    complete = _all_bits(reading) if reading.frame.progressive else _all_components(reading)
    if not complete:
        raise ImageDecodeError(f"{name}: truncated JPEG: scans are missing, or come twice")
    return File(reading.frame, reading.exif, reading.color, b"".join(reading.kept), reading.scans)


def _all_components(reading: _Reading) -> bool:
    """Whether each component has its scan."""
    frame = reading.frame
    return frame is not None and sorted(n for scan in reading.scans for n in scan.numbers) == sorted(
        c.number for c in frame.components
    )


def _all_bits(reading: _Reading) -> bool:
    """Whether each coefficient gets its first bits once, and then one by one the others."""
    lowest: dict[tuple[int, int], int] = {}
    for scan in reading.scans:
        for place in itertools.product(scan.numbers, range(scan.band[0], scan.band[1] + 1)):
            if lowest.get(place, 0) != scan.high or (place in lowest) != bool(scan.high):
                return False
            lowest[place] = scan.low
    components = reading.frame.components if reading.frame else ()
    return len(lowest) == 64 * len(components) and not any(lowest.values())
