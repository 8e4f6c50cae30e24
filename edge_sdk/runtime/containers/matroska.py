"""Frames of Matroska and WebM files (RFC 9559): the blocks of the first video track in the last clusters."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from edge_sdk.runtime.containers.announced import MOST_PARTS, Announced

START = b"\x1aE\xdf\xa3"

_SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_TICK, _TRACK, _NUMBER, _TYPE = 0x2AD7B1, 0xAE, 0xD7, 0x83
_TIME, _GROUP, _BLOCK, _SIMPLE_BLOCK = 0xE7, 0xA0, 0xA1, 0xA3
_VIDEO = 1
_FARTHEST = 1 << 15  # a block's time is 16 bits from its cluster's
_MOST_HEADER = 2**20


def announced(file: BinaryIO, size: int, after: float) -> Announced | None:
    """Read the times of the blocks later than ``after`` seconds after the first; None without a video track."""
    film, at = _Film(file, after), 0
    for _ in range(MOST_PARTS):
        if at + 2 > size:
            break
        file.seek(at)
        name, begin, length = _element(file.read(12))
        end = begin + at + length if length is not None else None
        film.cut |= end is not None and end > size
        at = film.take(name, at + begin, end)
    else:
        return None
    if film.track is None or film.first is None:
        return None
    times = np.sort(np.asarray(film.times, np.float64) - film.first) * film.tick
    return Announced(times, None, film.cut)


@dataclass
class _Film:
    """All times in ticks of ``tick`` seconds. ``first``: of the first block; ``times``: of those that may be late."""

    file: BinaryIO
    after: float
    tick: float = 1e-3
    track: int | None = None
    cluster: int = 0
    first: int | None = None
    times: list[int] = field(default_factory=list)
    cut: bool = False

    def take(self, name: int, begin: int, end: int | None) -> int:
        """Take in an element, whose length may be unknown; return where the next one is."""
        if name in (_SEGMENT, _GROUP) or (name == _CLUSTER and (end is None or self._matters(begin))):
            return begin  # its parts follow
        if end is None:
            raise ValueError("only segments and clusters may be of unknown length")
        if name in (_INFO, _TRACKS, _TIME, _BLOCK, _SIMPLE_BLOCK):
            self.file.seek(begin)
            block = name in (_BLOCK, _SIMPLE_BLOCK)
            self._read(name, self.file.read(min(end - begin, 12 if block else _MOST_HEADER)))
        return end

    def _matters(self, begin: int) -> bool:
        """Whether the cluster that begins here may hold a late block."""
        if self.first is None:
            return True
        self.file.seek(begin)
        time = dict(_elements(self.file.read(64))).get(_TIME)  # at its beginning, behind a checksum perhaps
        return time is None or _number(time) + _FARTHEST >= self.first + self.after / self.tick

    def _read(self, name: int, content: bytes) -> None:
        if name == _INFO:
            self.tick = _number(dict(_elements(content)).get(_TICK, b"\x0f\x42\x40")) * 1e-9
        elif name == _TRACKS:
            entries = [dict(_elements(entry)) for kind, entry in _elements(content) if kind == _TRACK]
            videos = (_number(entry[_NUMBER]) for entry in entries if _number(entry[_TYPE]) == _VIDEO)
            self.track = next(videos, None)
        elif name == _TIME:
            self.cluster = _number(content)
        else:
            track, length = _vint(content)
            if track == self.track:
                time = self.cluster + struct.unpack_from(">h", content, length)[0]
                self.first = time if self.first is None else self.first
                self.times.append(time)


def _vint(data: bytes) -> tuple[int | None, int]:
    """A number of variable length, None where it says "unknown", and how many bytes it takes."""
    length = 9 - data[0].bit_length()
    value = int.from_bytes(data[:length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), length


def _element(head: bytes) -> tuple[int, int, int | None]:
    """Name of an element, length of its head, and length of its content, None if unknown."""
    name_length = 9 - head[0].bit_length()
    if name_length > 4:
        raise ValueError("no element")
    length, more = _vint(head[name_length:])
    return int.from_bytes(head[:name_length], "big"), name_length + more, length


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements in one."""
    at = 0
    while at + 2 <= len(content):
        name, begin, length = _element(content[at : at + 12])
        if length is None:
            return
        yield name, content[at + begin : at + begin + length]
        at += begin + length


def _number(content: bytes) -> int:
    return int.from_bytes(content, "big")
