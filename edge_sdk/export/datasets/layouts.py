"""How each public data set names its files: one pattern for genuine images, one for forgeries.

A pattern is matched against the whole path below the data set's root, without the file's ending, with ``/`` between
folders and regardless of case. Its group ``writer`` names the person.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
_SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """File names of one data set; ``description`` is what an error message says the folder should look like."""

    description: str
    genuine: str
    forged: str

    def entries(self, root: Path) -> list[tuple[str, bool, Path]]:
        """Every image below ``root`` as (writer, genuine?, path), sorted.

        Files that are no images and hidden files are passed over.

        Raises:
            DatasetError: no folder, no images, images whose names do not fit, empty files, or a writer
                with genuine signatures only or forgeries only.
        """
        if not root.is_dir():
            raise DatasetError(f"{root}: no such folder; expected {self.description}")
        kinds = [(True, re.compile(self.genuine, re.IGNORECASE)), (False, re.compile(self.forged, re.IGNORECASE))]
        found: list[tuple[str, bool, Path]] = []
        strange: list[str] = []
        hollow: list[str] = []
        for path in images(root):
            relative = path.relative_to(root)
            name = relative.with_suffix("").as_posix()
            fits = [(match["writer"], genuine) for genuine, kind in kinds if (match := kind.fullmatch(name))]
            if not fits:
                strange.append(relative.as_posix())
            elif path.stat().st_size == 0:
                hollow.append(relative.as_posix())
            else:
                found.append((*fits[0], path))
        if strange:
            raise DatasetError(
                f"{root}: {len(strange)} image(s) do not fit the layout: {_some(strange)}; "
                f"expected {self.description}; rename or move them"
            )
        if hollow:
            raise DatasetError(f"{root}: {len(hollow)} file(s) of 0 bytes: {_some(hollow)}; fetch them again")
        if not found:
            raise DatasetError(f"{root}: no images; expected {self.description}")
        _require_both_kinds(root, found)
        return sorted(found, key=lambda entry: (_natural(entry[0]), not entry[1], _natural(entry[2].as_posix())))


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
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(folder, name)


def _require_both_kinds(root: Path, entries: list[tuple[str, bool, Path]]) -> None:
    genuine = {writer for writer, is_genuine, _ in entries if is_genuine}
    forged = {writer for writer, is_genuine, _ in entries if not is_genuine}
    for have, lack, some in (("genuine", "forged", genuine - forged), ("forged", "genuine", forged - genuine)):
        if some:
            raise DatasetError(
                f"{root}: half-complete: {len(some)} writer(s) with {have} but no {lack} images: "
                f"{_some(sorted(some, key=_natural))}; add the {lack} images or remove those writers"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which 2 stands before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
