"""The pictures of a folder, in the order in which a person counts."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
"""What names of image files end in, in lower case."""


def in_folder(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, by the ending of their names; 2 stands before 10.

    Hidden files are passed over.
    """
    named = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted(filter(Path.is_file, named), key=lambda path: natural(path.name))


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which 2 stands before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
