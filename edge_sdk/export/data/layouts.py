"""Files of a data set by their names: patterns below its root folder, and what follows for each sample."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from edge_sdk.errors import DatasetError
from edge_sdk.files import open_regular
from edge_sdk.images import (
    HEAD_BYTES,
    LEFT_BY_SYSTEMS,
    PICTURE_SUFFIXES,
    PICTURES,
    SUFFIXES,
    VIDEOS,
    kind_of,
    natural,
)
from edge_sdk.preprocess.crop import LocatedFace

_SHOWN = 5
_DOCUMENTS = frozenset({"PDF", "PostScript", "SVG", "ICO", "Windows metafile", "DjVu"})
"""What lies beside the images of a data set and is none of them."""


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
    faces: tuple[LocatedFace, ...] | None = None
    surroundings: Path | None = None
    camera: str | None = None


def samples(root: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[tuple[Path, str]]:
    """Every file below ``root`` that may be a sample, and why it cannot be read, empty if nothing speaks against it.

    A sample is what ends as one, by default as an image. An image of another ending (``.jfif``, none) is one too, and
    formats that are not decoded (WebP, HEIC) are named, so that none is missed unnoticed.

    Raises:
        DatasetError: A folder cannot be read.
    """
    for path in _files(root):
        suffix = path.suffix.lower()
        if suffix in suffixes:
            yield path, "" if path.exists() else "a link to nothing"
        elif suffixes is SUFFIXES and (problem := _as_picture(path)) is not None:
            yield path, problem


def images(root: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Every sample below ``root``, whatever its name.

    Raises:
        DatasetError: A folder or a sample cannot be read.
    """
    found = list(samples(root, suffixes))
    require_readable(root, found)
    return [path for path, _ in found]


def _files(root: Path) -> Iterator[Path]:
    """Every file below ``root``; hidden ones and those that systems leave are passed over, linked folders are not.

    What a link leads to is read once: one that leads back below ``root`` is not followed.
    """
    top, seen = os.path.realpath(root), set[str]()

    def refuse(error: OSError) -> None:
        raise DatasetError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error

    for folder, below, names in os.walk(root, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(folder))
        below[:] = [name for name in below if _is_new(os.path.join(folder, name), top, seen)]  # noqa: PTH118
        for name in names:
            if not name.startswith(".") and name.lower() not in LEFT_BY_SYSTEMS:
                yield Path(folder, name)


def _is_new(folder: str, top: str, seen: set[str]) -> bool:
    target = os.path.realpath(folder)
    inside = target == top or target.startswith(os.path.join(top, ""))  # noqa: PTH118
    return not (os.path.islink(folder) and inside) and target not in seen  # noqa: PTH114


def _as_picture(path: Path) -> str | None:
    """What speaks against a file of another ending as a picture; None of what is none."""
    named = path.suffix.lower() in PICTURE_SUFFIXES
    try:
        with open_regular(path) as file:
            kind = kind_of(file.read(HEAD_BYTES))
    except OSError as error:
        return (error.strerror or "cannot be read") if named else None
    if kind in PICTURES:
        return ""
    if kind in VIDEOS | _DOCUMENTS:
        return None
    return kind or ("no picture" if named else None)


def matched(
    root: Path, description: str, *patterns: str, suffixes: Collection[str] = SUFFIXES
) -> list[tuple[re.Match[str], Path]]:
    """Every sample below ``root`` with its match of the first pattern that fits.

    Files that are no :func:`samples` are passed over, and so are images without an ending of images, or of formats that
    are not decoded, that fit no pattern.

    Raises:
        DatasetError: no folder, no samples, samples whose names do not fit, empty files, or images of other formats.
    """
    what = "images" if suffixes is SUFFIXES else "recordings"
    if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        raise DatasetError(f"{root}: no such folder; expected {description}")
    kinds = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    found: list[tuple[re.Match[str], Path]] = []
    problems: list[tuple[Path, str]] = []
    strange: list[str] = []
    for path, problem in samples(root, suffixes):
        relative = path.relative_to(root)
        name = relative.with_suffix("").as_posix()
        if match := next(filter(None, (kind.fullmatch(name) for kind in kinds)), None):
            found.append((match, path))
            problems.append((path, problem))
        elif path.suffix.lower() in suffixes or (not problem and path.suffix.lower() in PICTURE_SUFFIXES):
            strange.append(relative.as_posix())
    if strange:
        raise DatasetError(
            f"{root}: {len(strange)} {what[:-1]}(s) do not fit the layout: {some(strange)}; "
            f"expected {description}; rename or move them"
        )
    if not found:
        raise DatasetError(f"{root}: no {what}; expected {description}")
    require_readable(root, problems)
    require_content(root, [path for _, path in found])
    return found


def require_readable(root: Path, found: list[tuple[Path, str]]) -> None:
    """Raise DatasetError if something speaks against a sample."""
    if bad := [f"{path.relative_to(root).as_posix()} ({problem})" for path, problem in found if problem]:
        raise DatasetError(
            f"{root}: {len(bad)} file(s) cannot be read here: {some(bad)}; "
            "convert them to PNG, JPEG, BMP or TIFF, or take them away"
        )


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
