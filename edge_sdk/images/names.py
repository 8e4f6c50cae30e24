"""Names of files in folders: which end as pictures do, which systems leave there, and their order for people."""

from __future__ import annotations

import re

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
"""What names of image files end in, in lower case."""

PICTURE_SUFFIXES = SUFFIXES | {
    ".jfif", ".jpe", ".jif", ".dib", ".webp", ".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".dng", ".cr2", ".cr3",
    ".nef", ".arw", ".raf", ".orf", ".rw2",
}  # fmt: skip
"""As :data:`SUFFIXES`, with those of names that pictures rarely have, or that are of formats which are not decoded."""

LEFT_BY_SYSTEMS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "__macosx"})
"""Names, in lower case, of what systems leave in folders of pictures."""


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which 2 stands before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
