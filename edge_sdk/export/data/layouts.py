"""Files of a data set by their names: patterns below its root folder, and what follows for each sample."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from edge_sdk.errors import DatasetError
from edge_sdk.images import SUFFIXES, natural

_SHOWN = 5


class Pose(NamedTuple):
    """Where a head is turned, in degrees; 0, 0, 0 looks into the camera (thesis, table 3.1)."""

    x: float
    """From side to side."""
    y: float
    """Up and down."""
    z: float
    """Tilt."""


class Entry(NamedTuple):
    """One sample of a data set, as :class:`~edge_sdk.export.data.samples.Sample` describes it."""

    person: str
    genuine: bool
    path: Path
    attack: str | None = None
    session: str | None = None
    pose: Pose | None = None


def images(root: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[Path]:
    """Every file below ``root`` with one of these endings, by default those of images; hidden files are passed over."""
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Path(folder, name)


def matched(
    root: Path, description: str, *patterns: str, suffixes: Collection[str] = SUFFIXES
) -> list[tuple[re.Match[str], Path]]:
    """Every sample below ``root`` with its match of the first pattern that fits.

    Files with other endings than ``suffixes`` and hidden files are passed over.

    Raises:
        DatasetError: no folder, no samples, samples whose names do not fit, or empty files.
    """
    what = "images" if suffixes is SUFFIXES else "recordings"
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {description}")
    kinds = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    found: list[tuple[re.Match[str], Path]] = []
    strange: list[str] = []
    for path in images(root, suffixes):
        relative = path.relative_to(root)
        name = relative.with_suffix("").as_posix()
        if match := next(filter(None, (kind.fullmatch(name) for kind in kinds)), None):
            found.append((match, path))
        else:
            strange.append(relative.as_posix())
    if strange:
        raise DatasetError(
            f"{root}: {len(strange)} {what[:-1]}(s) do not fit the layout: {some(strange)}; "
            f"expected {description}; rename or move them"
        )
    if not found:
        raise DatasetError(f"{root}: no {what}; expected {description}")
    require_content(root, [path for _, path in found])
    return found


def require_content(root: Path, paths: list[Path]) -> None:
    """Raise DatasetError if one of the files, which exist, has 0 bytes."""
    if hollow := [path.relative_to(root).as_posix() for path in paths if path.stat().st_size == 0]:
        raise DatasetError(f"{root}: {len(hollow)} file(s) of 0 bytes: {some(hollow)}; fetch them again")


def order(entry: Entry) -> tuple[object, ...]:
    """Sort key: by person, genuine first, then by file, numbers by their value."""
    return natural(entry.person), not entry.genuine, natural(entry.path.as_posix())


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
