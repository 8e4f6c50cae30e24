"""Where the face of a data set's picture is known to be: by a list beside the pictures, or by CFP's fiducials."""

from __future__ import annotations

import csv
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.faces import fiducials

FACES = "faces.csv"
"""Optional, in the root of a data set: a line ``file,x,y,x,y,x,y,x,y,x,y`` for each picture, with the five points in
pixels in the order of :class:`edge_sdk.preprocess.crop.LocatedFace`. It takes the place of fiducials."""
_CFP_DEPTH = 4


def face_points(picture: Path) -> NDArray[np.float64] | None:
    """The five points of the picture's face, ``(5, 2)``; None if nothing says where it is.

    Raises:
        DatasetError: :data:`FACES` or the fiducials cannot be read.
    """
    for root in list(picture.parents)[:6]:
        listed = _listed(root)
        if listed is not None:
            return listed.get(picture.relative_to(root).as_posix())
    if len(picture.parts) > _CFP_DEPTH and picture.parts[-_CFP_DEPTH] == "Images":
        return fiducials.five_points(fiducials.read(picture)).points
    return None


@lru_cache(maxsize=4096)
def _listed(root: Path) -> dict[str, NDArray[np.float64]] | None:
    path = root / FACES
    if not path.is_file():
        return None
    found: dict[str, NDArray[np.float64]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is no text in UTF-8: {error}") from error
    for number, row in enumerate(csv.reader(lines), start=1):
        if not row or (number == 1 and row[0] == "file"):
            continue
        try:
            name, *values = row
            coordinates = [float(value) for value in values]
        except ValueError as error:
            raise DatasetError(f"{path}, line {number}: expected file and ten numbers, not {row}") from error
        if len(coordinates) != 10 or not all(map(math.isfinite, coordinates)):
            raise DatasetError(f"{path}, line {number}: expected file and ten numbers, not {row}")
        found[Path(name).as_posix()] = np.array(coordinates).reshape(5, 2)
    return found
