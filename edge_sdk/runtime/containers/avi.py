"""Frames of AVI files: the header's rate and the index."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from edge_sdk.runtime.containers.announced import MOST_FRAMES, MOST_PARTS, Announced

_ENTRY = 16
_STREAMED = (0, 0xFFFFFFFF)  # sizes of a list whose writer could not go back
# Of fewer bytes a chunk shows what was there: none at all, or MPEG-4's "not coded" picture.
_LEAST_FRAME = 8


def announced(file: BinaryIO, size: int) -> Announced | None:
    """Read which frames the first video stream has; None without an index."""
    stream, interval = -1, 0.0
    cut = False
    at, parts = 12, 0
    while at + 8 <= size:
        parts += 1
        if parts > MOST_PARTS:
            return None
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        name = file.read(4) if kind == b"LIST" else b""
        if name == b"hdrl":
            stream, interval = _video(file.read(min(length, 2**20)))
        if name == b"movi":
            if length in _STREAMED:
                return None
            cut = at + 8 + length > size
        if kind == b"idx1" and stream >= 0:
            return _indexed(file.read(min(length, MOST_FRAMES * _ENTRY)), stream, interval, cut=cut)
        at += 8 + length + length % 2
    return Announced(np.zeros(0), None, cut) if cut else None


def _video(header: bytes) -> tuple[int, float]:
    """Number of the first video stream, -1 if there is none, and seconds a frame."""
    number, at = 0, header.find(b"strh")
    while at >= 0:
        if header[at + 8 : at + 12] == b"vids":
            scale, rate = struct.unpack_from("<II", header, at + 28)
            return number, scale / rate if rate else 0.0
        number, at = number + 1, header.find(b"strh", at + 4)
    return -1, 0.0


def _indexed(table: bytes, stream: int, interval: float, *, cut: bool) -> Announced | None:
    entries = np.frombuffer(table[: len(table) // _ENTRY * _ENTRY], "V2,V2,<u4,<u4,<u4")
    if not len(entries) or not interval:
        return None
    names = np.frombuffer(entries["f0"].tobytes(), "S2")
    kinds = np.frombuffer(entries["f1"].tobytes(), "S2")
    ours = (names == b"%02d" % stream) & np.isin(kinds, [b"dc", b"db"])
    (frames,) = np.nonzero(entries["f4"][ours] >= _LEAST_FRAME)
    return Announced(frames.astype(np.float64) * interval, len(frames), cut) if len(frames) else None
