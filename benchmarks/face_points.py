"""Five points of the face of each picture of a data set, by OpenCV's YuNet: a list ``faces.csv`` to learn from.

    python benchmarks/face_points.py lfw:PATH --yunet face_detection_yunet_2023mar.onnx --out lfw/faces.csv

Pictures of data sets are crops, which a face often fills, so each is searched with a margin round it, a wider one where
nothing sure is found. Of several faces the surest one near the middle counts. In profiles of CFP, YuNet's points are
taken where no point is further from the fiducials' than 0.3 of the distance from eyes to mouth, and the fiducials'
elsewhere. Pictures without a face are left out, and counted.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.export.data.faces.known import face_points
from edge_sdk.export.data.load import load
from edge_sdk.images import Image
from edge_sdk.preprocess import ToColor

MARGINS = ((0.35, 240), (0.7, 300))
"""Margin round the picture, as a share of its longer side, and what that side is scaled to with both margins."""
SURE, LEAST = 0.8, 0.3
GRAY = (110, 110, 110)
FAR = 0.3


def points_of(picture: Image, detector: cv2.FaceDetectorYN) -> NDArray[np.float64] | None:
    """``(5, 2)`` of the face that counts, in the picture's pixels; None without one."""
    size = np.array(picture.shape[1::-1])
    best: tuple[float, NDArray[np.float64]] | None = None
    for margin, side in MARGINS:
        border = int(margin * size.max())
        wide = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_CONSTANT, value=GRAY)
        scale = side / max(wide.shape[:2])
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(wide, None, fx=scale, fy=scale, interpolation=kind)
        detector.setInputSize((scaled.shape[1], scaled.shape[0]))
        rows: Any = detector.detect(scaled)[1]  # None where there is no face
        surest = 0.0
        for row in np.empty((0, 15)) if rows is None else np.asarray(rows, float):
            points = row[4:14].reshape(5, 2) / scale - border
            off_centre = float(np.abs((points.mean(axis=0) - size / 2) / size).max())
            if best is None or row[14] * (1 - off_centre) > best[0]:
                best = float(row[14]) * (1 - off_centre), points
            surest = max(surest, float(row[14]))
        if surest > SURE:
            break
    return None if best is None else best[1]


def chosen(found: NDArray[np.float64] | None, marked: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """YuNet's points, or a profile's marked ones where both are far apart."""
    if marked is None or found is None:
        return marked if found is None else found
    length = np.linalg.norm(marked[3:].mean(axis=0) - marked[:2].mean(axis=0))
    return found if np.linalg.norm(found - marked, axis=1).max() < FAR * length else marked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="SPEC")
    parser.add_argument("--yunet", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    detector = cv2.FaceDetectorYN.create(str(arguments.yunet), "", (320, 320), LEAST, 0.3)
    samples = load(arguments.data).samples
    root = Path(arguments.data.partition(":")[2]).expanduser()
    rows = []
    for sample in samples:
        picture = ToColor(order="bgr")(images.load(sample.path))
        profile = "profile" in sample.path.parts
        points = chosen(points_of(picture, detector), face_points(sample.path) if profile else None)
        if points is not None:
            name = Path(os.path.relpath(sample.path, root)).as_posix()
            rows.append([name, *(f"{value:.2f}" for value in points.flatten())])
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    print(f"{len(rows)} faces, {len(samples) - len(rows)} pictures without")


if __name__ == "__main__":
    main()
