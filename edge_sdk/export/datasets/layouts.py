"""How each public set of signatures names its files: one pattern for genuine images, one for forgeries.

A pattern is matched against the whole path below the data set's root, without the file's ending, with ``/`` between
folders and regardless of case. Its group ``writer`` names the person.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
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
    """One image of a data set, as :class:`~edge_sdk.export.datasets.Sample` describes it."""

    person: str
    genuine: bool
    path: Path
    attack: str | None = None
    session: str | None = None
    pose: Pose | None = None


@dataclass(frozen=True)
class Layout:
    """File names of one data set; ``description`` is what an error message says the folder should look like."""

    description: str
    genuine: str
    forged: str

    def entries(self, root: Path) -> list[Entry]:
        """Every image below ``root``, sorted.

        Raises:
            DatasetError: as :func:`matched`, or a writer with genuine signatures only or forgeries only.
        """
        genuine, forged = self.genuine, self.forged
        found = [
            Entry(m["writer"], m.re.pattern == genuine, path)
            for m, path in matched(root, self.description, genuine, forged)
        ]
        _require_both_kinds(root, found)
        return sorted(found, key=order)


LAYOUTS = {
    "cedar": Layout(
        "full_org/original_WRITER_K.png and full_forg/forgeries_WRITER_K.png",
        genuine=r"full_org/original_(?P<writer>\d+)_\d+",
        forged=r"full_forg/forgeries_(?P<writer>\d+)_\d+",
    ),
    # A forgery is named by forger (4 digits) and writer (3 digits); a few stand the other way round (K_FORGERWRITER).
    "sigcomp2011": Layout(
        "WRITER/WRITER_K.png and WRITER_forg/FORGERWRITER_K.png, for instance 001/001_01.png, 001_forg/0119001_01.png",
        genuine=r"(?P<writer>\d+)/(?:(?P=writer)_\d+|\d+_(?P=writer))",
        forged=r"(?P<writer>\d+)_forg/(?:\d{4}(?P=writer)_\d+|\d+_\d{4}(?P=writer))",
    ),
    "svc2004": Layout(
        "userU/genuine/UuSk.png and userU/forged/UuSk.png, for instance user1/genuine/U1S1.png",
        genuine=r"user(?P<writer>\d+)/genuine/U(?P=writer)S\d+",
        forged=r"user(?P<writer>\d+)/forged/U(?P=writer)S\d+",
    ),
    "bhsig260": Layout(
        "Bengali/NNN/B-S-NNN-G-KK.tif (forged: -F-) and the same under Hindi/ with H-S-",
        genuine=r"(?P<writer>(?:(?P<b>Bengali)|Hindi)/0*(?P<n>\d+))/(?(b)B|H)-S-0*(?P=n)-G-\d+",
        forged=r"(?P<writer>(?:(?P<b>Bengali)|Hindi)/0*(?P<n>\d+))/(?(b)B|H)-S-0*(?P=n)-F-\d+",
    ),
    "folder": Layout(
        "WRITER/genuine/*.png and WRITER/forged/*.png (png, jpg, bmp or tif)",
        genuine=r"(?P<writer>[^/]+)/genuine/[^/]+",
        forged=r"(?P<writer>[^/]+)/forged/[^/]+",
    ),
}


def images(root: Path) -> Iterator[Path]:
    """Every image file below ``root``, by its ending; hidden files are passed over."""
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(folder, name)


def matched(root: Path, description: str, *patterns: str) -> list[tuple[re.Match[str], Path]]:
    """Every image below ``root`` with its match of the first pattern that fits.

    Files that are no images and hidden files are passed over.

    Raises:
        DatasetError: no folder, no images, images whose names do not fit, or empty files.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {description}")
    kinds = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    found: list[tuple[re.Match[str], Path]] = []
    strange: list[str] = []
    for path in images(root):
        relative = path.relative_to(root)
        name = relative.with_suffix("").as_posix()
        if match := next(filter(None, (kind.fullmatch(name) for kind in kinds)), None):
            found.append((match, path))
        else:
            strange.append(relative.as_posix())
    if strange:
        raise DatasetError(
            f"{root}: {len(strange)} image(s) do not fit the layout: {some(strange)}; "
            f"expected {description}; rename or move them"
        )
    if not found:
        raise DatasetError(f"{root}: no images; expected {description}")
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


def _require_both_kinds(root: Path, entries: list[Entry]) -> None:
    genuine = {entry.person for entry in entries if entry.genuine}
    forged = {entry.person for entry in entries if not entry.genuine}
    for have, lack, missing in (("genuine", "forged", genuine - forged), ("forged", "genuine", forged - genuine)):
        if missing:
            raise DatasetError(
                f"{root}: half-complete: {len(missing)} writer(s) with {have} but no {lack} images: "
                f"{some(sorted(missing, key=natural))}; add the {lack} images or remove those writers"
            )
