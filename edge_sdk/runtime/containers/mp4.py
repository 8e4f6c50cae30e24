"""Frames of MP4 and QuickTime files: sample tables, fragments and edit lists of ISO/IEC 14496-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_sdk.runtime.containers.announced import MOST_FRAMES, MOST_PARTS, Announced

_MOST_BYTES = 64 * 2**20  # of one box with tables: those of MOST_FRAMES samples take less
_MOST_EDITS = 1000
_DEEPEST = 8  # boxes in boxes; the tables lie five deep
_DATA = (b"mdat", b"moof", b"moov")
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf")


def announced(file: BinaryIO, size: int) -> Announced | None:
    """Read which frames the first video track shows; None if there is none."""
    movie: _Movie | None = None
    cut = False
    at = parts = 0
    while at + 8 <= size:
        parts += 1
        if parts > MOST_PARTS:
            return None
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            header = 16
        elif length == 0:  # to the end of the file
            length = size - at
        if length < header:
            break
        cut |= kind in _DATA and at + length > size
        if kind in (b"moov", b"moof") and length <= _MOST_BYTES:
            body = file.read(length - header)
            if kind == b"moov":
                movie = _movie(body)
            elif movie is not None:
                _add_fragment(movie, body)
        at += length
    if movie is None:
        return None
    times = _presented(movie)
    return Announced(times - times[:1], len(times), cut) if len(times) else None


@dataclass
class _Movie:
    """The first video track; all times in ticks, ``scale`` of them a second.

    ``edits``: length of each, 0 for all that follows, and where it begins in the track; -1 shows nothing.
    """

    track: int
    scale: int
    edits: list[tuple[float, int]]
    default_duration: int = 0
    samples: int = 0
    ends: int = 0
    """Decoding time behind the last sample."""
    shown: list[NDArray[np.int64]] = field(default_factory=list)
    durations: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, durations: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        self.samples += len(durations)
        if self.samples > MOST_FRAMES:
            raise ValueError("too many samples")
        starts = self.ends + np.cumsum(durations) - durations
        self.shown.append(starts + offsets)
        self.durations.append(durations)
        self.ends += int(durations.sum())


def _boxes(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in a box."""
    at = parts = 0
    while at + 8 <= len(body):
        parts += 1
        length, kind = struct.unpack_from(">I4s", body, at)
        if length == 0:
            length = len(body) - at
        if length < 8 or parts > MOST_PARTS // 10:
            raise ValueError("too many boxes, or one that holds less than nothing")
        yield kind, body[at + 8 : at + length]
        at += length


def _flat(body: bytes, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """All boxes below one that hold no others, in their order."""
    if depth > _DEEPEST:
        raise ValueError("boxes lie too deep")
    for kind, content in _boxes(body):
        if kind in _CONTAINERS:
            yield from _flat(content, depth + 1)
        else:
            yield kind, content


def _movie(body: bytes) -> _Movie | None:
    parts = list(_boxes(body))
    tracks = (_first_of_each(content) for kind, content in parts if kind == b"trak")
    track = next((one for one in tracks if one.get(b"hdlr", b"")[8:12] == b"vide"), None)
    if track is None:
        return None
    movie = _track(track, _scale(dict(parts)[b"mvhd"]))
    for kind, content in _flat(body):
        if kind == b"trex" and struct.unpack_from(">I", content, 4) == (movie.track,):
            (movie.default_duration,) = struct.unpack_from(">I", content, 12)
    return movie


def _first_of_each(body: bytes) -> dict[bytes, bytes]:
    """By kind; QuickTime has a second ``hdlr``, of the data."""
    return dict(reversed(list(_flat(body))))


def _track(boxes: dict[bytes, bytes], movie_scale: int) -> _Movie:
    head = boxes[b"tkhd"]
    (number,) = struct.unpack_from(">I", head, 20 if head[0] else 12)
    scale = _scale(boxes[b"mdhd"])
    movie = _Movie(number, scale, list(_edits(boxes.get(b"elst", b""), scale / movie_scale)))
    (samples,) = struct.unpack_from(">I", boxes[b"stsz"] if b"stsz" in boxes else boxes[b"stz2"], 8)
    durations = _runs(boxes[b"stts"], samples)
    offsets = _runs(boxes[b"ctts"], samples) if b"ctts" in boxes else np.zeros_like(durations)
    movie.add(durations, offsets)
    return movie


def _scale(head: bytes) -> int:
    """Ticks a second of ``mvhd`` or ``mdhd``."""
    (scale,) = struct.unpack_from(">I", head, 20 if head[0] else 12)
    if not scale:
        raise ValueError("no ticks")
    return int(scale)


def _runs(table: bytes, samples: int) -> NDArray[np.int64]:
    """A value a sample from ``stts`` or ``ctts``, which say how often each follows; the last one for the rest."""
    (count,) = struct.unpack_from(">I", table, 4)
    pairs = np.frombuffer(table, ">i4", 2 * count, 8).reshape(-1, 2).astype(np.int64)
    repeats = pairs[:, 0] & 0xFFFFFFFF
    if samples > MOST_FRAMES or repeats.sum() > MOST_FRAMES:
        raise ValueError("too many samples")
    values = np.repeat(pairs[:, 1], repeats)[:samples]
    return np.pad(values, (0, samples - len(values)), mode="edge") if len(values) else np.zeros(samples, np.int64)


def _edits(table: bytes, ticks: float) -> Iterator[tuple[float, int]]:
    """Length and start of each edit in ticks of the track, of which ``ticks`` are one of the film's."""
    if not table:
        return
    layout = struct.Struct(">Qqi" if table[0] else ">Iii")
    (count,) = struct.unpack_from(">I", table, 4)
    if count > _MOST_EDITS:
        raise ValueError("too many edits")
    for number in range(min(count, len(table) // layout.size)):
        length, start, _ = layout.unpack_from(table, 8 + number * layout.size)
        yield length * ticks, start


def _add_fragment(movie: _Movie, body: bytes) -> None:
    for kind, track in _boxes(body):
        if kind != b"traf":
            continue
        boxes = list(_boxes(track))
        head = dict(boxes)[b"tfhd"]
        flags, number = struct.unpack_from(">II", head)
        if number != movie.track:
            continue
        skipped = 8 * bool(flags & 1) + 4 * bool(flags & 2)
        duration = struct.unpack_from(">I", head, 8 + skipped)[0] if flags & 8 else movie.default_duration
        for part, content in boxes:
            if part == b"tfdt":
                (movie.ends,) = struct.unpack_from(">Q" if content[0] else ">I", content, 4)
            elif part == b"trun":
                movie.add(*_run(content, duration))


def _run(content: bytes, duration: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Durations and offsets of the samples of a ``trun``."""
    flags, count = struct.unpack_from(">II", content)
    if count > MOST_FRAMES:
        raise ValueError("too many samples")
    columns = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    begin = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
    table = np.frombuffer(content, ">i4", count * len(columns), begin).reshape(count, -1).astype(np.int64)
    durations = table[:, columns.index(0x100)] if 0x100 in columns else np.full(count, duration, np.int64)
    offsets = table[:, columns.index(0x800)] if 0x800 in columns else np.zeros(count, np.int64)
    return durations, offsets


def _presented(movie: _Movie) -> NDArray[np.float64]:
    """When each frame is shown, in seconds, after the edit list."""
    shown, durations = np.concatenate(movie.shown), np.concatenate(movie.durations)
    order = np.argsort(shown, kind="stable")
    shown, durations = shown[order], durations[order]
    if not any(start >= 0 for _, start in movie.edits):
        return shown / movie.scale
    times, begin = [], 0.0
    for length, start in movie.edits:
        if start >= 0:
            inside = shown >= start
            if length:
                inside &= shown < start + length
            times.append(begin + shown[inside] - start)
        begin += length
    return np.concatenate(times) / movie.scale
