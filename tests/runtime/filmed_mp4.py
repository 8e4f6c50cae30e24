"""MP4 files as phones, editors and networks leave them: one that OpenCV writes, with other boxes.

What OpenCV writes has one track, whose samples follow one another in ``mdat``, and one edit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

FPS = 8
HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")

Replacements = dict[bytes, Callable[[bytes], bytes]]


def film_mp4(path: Path, pictures: Sequence[np.ndarray]) -> Path:
    """Write ``uint8 (480, 640, 3)`` pictures as MPEG-4 video, 8 a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (640, 480))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def edit(path: Path, *parts: tuple[float, float | None]) -> None:
    """Show these parts alone: seconds, and from where; None shows nothing for so long."""
    data = path.read_bytes()
    film, track = (struct.unpack_from(">I", data, data.index(kind) + 16)[0] for kind in (b"mvhd", b"mdhd"))

    def elst(_: bytes) -> bytes:
        rows = (
            struct.pack(">Iii", round(length * film), -1 if start is None else round(start * track), 1 << 16)
            for length, start in parts
        )
        return struct.pack(">II", 0, len(parts)) + b"".join(rows)

    path.write_bytes(_rebuilt(data, {b"elst": elst}))


def turn(path: Path) -> None:
    """Say that the pictures are to be shown a quarter turn clockwise, as a phone that was held upright does."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -1 << 16, 0, 0, 480 << 16, 0, 1 << 30)
    path.write_bytes(data)


def begin_with_tables(path: Path) -> None:
    """Move ``moov`` before ``mdat``, as for streaming."""
    parts = dict(_boxes(path.read_bytes()))
    shift = 8 + len(parts[b"moov"])

    def moved(table: bytes) -> bytes:
        (count,) = struct.unpack_from(">I", table, 4)
        return table[:8] + struct.pack(f">{count}I", *(at + shift for at in struct.unpack_from(f">{count}I", table, 8)))

    moov = _rebuilt(_box(b"moov", parts.pop(b"moov")), {b"stco": moved})
    first, *others = (_box(kind, content) for kind, content in parts.items())
    path.write_bytes(b"".join((first, moov, *others)))


def fragment(path: Path, size: int, offset: int = 0) -> None:
    """Write fragments of ``size`` frames, which begin ``offset`` frames after the time 0, behind tables without any."""
    parts = dict(_boxes(path.read_bytes()))
    tables = dict(_leaves(parts[b"moov"]))
    (count,) = struct.unpack_from(">I", tables[b"stsz"], 8)
    sizes = struct.unpack_from(f">{count}I", tables[b"stsz"], 12)
    (ticks,) = struct.unpack_from(">I", tables[b"mdhd"], 12)
    none: Replacements = {kind: lambda _: bytes(8) for kind in (b"stts", b"stsc", b"stco", b"stss")}
    moov = _rebuilt(_box(b"moov", parts[b"moov"]), none | {b"stsz": lambda _: bytes(12), b"elst": lambda _: bytes(8)})
    extends = _box(b"mvex", _box(b"trex", struct.pack(">6I", 0, 1, 1, 0, 0, 0)))
    data = _box(b"ftyp", parts[b"ftyp"]) + _box(b"moov", moov[8:] + extends)
    at = 0
    for number in range(0, count, size):
        part = sizes[number : number + size]
        samples = parts[b"mdat"][at : at + sum(part)]
        at += sum(part)
        rows = b"".join(struct.pack(">II", ticks // FPS, one) for one in part)
        head = _box(b"tfhd", struct.pack(">II", 0x20000, 1))
        head += _box(b"tfdt", struct.pack(">II", 0, (number + offset) * ticks // FPS))
        begin = 16 + 8 + len(head) + 20 + len(rows) + 8 + 8  # of the samples, from the start of moof
        run = _box(b"trun", struct.pack(">III", 0x301, len(part), begin) + rows)
        moof = _box(b"moof", _box(b"mfhd", struct.pack(">II", 0, number + 1)) + _box(b"traf", head + run))
        assert begin == len(moof) + 8
        data += moof + _box(b"mdat", samples)
    path.write_bytes(data)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + length]
        at += length


def _leaves(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for kind, content in _boxes(data):
        yield from _leaves(content) if kind in HOLDERS else [(kind, content)]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _rebuilt(data: bytes, replacements: Replacements) -> bytes:
    built = b""
    for kind, content in _boxes(data):
        inner = _rebuilt(content, replacements) if kind in HOLDERS else content
        built += _box(kind, replacements.get(kind, bytes)(inner))
    return built
