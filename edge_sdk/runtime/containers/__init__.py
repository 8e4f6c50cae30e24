"""Which frames a film's container announces, so that a film that ends early is told from one that is over.

OpenCV answers alike behind the last frame and where one cannot be decoded, and its number of frames is that of a table
or an estimate: a film that was trimmed without loss, one with a longer sound track, and one in fragments have other
numbers of frames to show. So the tables are read here: of MP4 and QuickTime samples, fragments and edit lists (ISO/IEC
14496-12), of AVI the index, of Matroska and WebM the blocks of the last clusters (RFC 9559). Nothing but tables is
read, and no more of them than :data:`MOST_FRAMES` needs.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from edge_sdk import files
from edge_sdk.runtime.containers import avi, matroska, mp4
from edge_sdk.runtime.containers.announced import MOST_FRAMES, Announced

__all__ = ["MOST_FRAMES", "Announced", "announced"]


def announced(path: Path, after: float) -> Announced | None:
    """Read which frames a film has, at least all of those that are later than ``after`` seconds after its first.

    Returns None where the container does not say, or is too damaged to say.
    """
    try:
        with files.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(12)
            if head.startswith(matroska.START):
                return matroska.announced(file, size, after)
            if head.startswith(b"RIFF"):
                return avi.announced(file, size)
            return mp4.announced(file, size)
    except (OSError, ValueError, LookupError, ArithmeticError, struct.error):  # damaged tables
        return None
