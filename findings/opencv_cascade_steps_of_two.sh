#!/usr/bin/env bash
# OpenCV's face cascade finds other faces in a part of a picture than in the whole, if the part begins at an odd pixel.
#
# One would guess: the cascade slides its window over each pixel, and each window's contrast is its own. So the hits in
#   a part of a picture, at one size of faces, are those of the whole picture that lie in the part.
# What happens: up to twice the window's size only every second row and column is looked at, counted from the corner of
#   the picture that is given. A part that begins at an odd row and column shows the cascade none of the windows that
#   the whole picture showed it, but those beside them. Of 325 small drawn faces with three hits, which minNeighbors=3
#   asks for, 29 have fewer in a part from an odd corner on, and none in a part from an even one.
# Versions: opencv-python-headless 4.14.0.94 (haarcascade_frontalface_default.xml), numpy 2.4.6.
# Why it matters here: to look for a face near its last place is the usual way to be quick in films. The boxes jump by
#   the parity of a corner, and with them the crop and the score; a face that stands still is lost and found.
# What the product does: `runtime/tracking.py` sends parts that begin where a whole search would look, and says that
#   this is no proof. `tests/runtime/test_tracking.py` compares tracked faces with searches of whole frames.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 opencv-python-headless==4.14.0.94

cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np

print(f"opencv {cv2.__version__}")
print("guess: the hits in a part are those of the whole picture, wherever the part begins")

cv2.setNumThreads(1)
cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
rng = np.random.default_rng(0)


def drawn(x, y, size):
    """A picture of 160 x 120 pixels with a drawn face: head, eyes, brows, nose, mouth."""
    picture = np.full((480, 640), 110, np.uint8)

    def ellipse(right, down, wide, high, gray):
        middle = (x + round(right * size), y + round(down * size))
        cv2.ellipse(picture, middle, (max(1, round(wide * size)), max(1, round(high * size))), 0, 0, 360, gray, -1)

    ellipse(0, 0, 0.42, 0.55, 190)
    for side in (-1, 1):
        ellipse(side * 0.19, -0.12, 0.1, 0.05, 60)
        ellipse(side * 0.19, -0.22, 0.13, 0.03, 90)
    ellipse(0, 0.25, 0.16, 0.05, 90)
    ellipse(0, 0.05, 0.05, 0.1, 220)
    small = cv2.resize(cv2.GaussianBlur(picture, (0, 0), 2), (160, 120), interpolation=cv2.INTER_AREA)
    return np.clip(small + rng.normal(0, 3, small.shape), 0, 255).astype(np.uint8)


def hits(picture, left=0, top=0):
    """Raw hits at one size, the window's own, in the whole picture's pixels."""
    found = cascade.detectMultiScale(
        np.ascontiguousarray(picture[top:, left:]), scaleFactor=1.1, minNeighbors=0, minSize=(24, 24), maxSize=(24, 24)
    )
    return {(int(x) + left, int(y) + top) for x, y, _, _ in found}


faces = 0
missed = {"even": 0, "odd": 0}
ENOUGH = 3  # raw hits that make a face, as minNeighbors=3
for _ in range(400):
    picture = drawn(int(rng.integers(200, 440)), int(rng.integers(200, 280)), int(rng.integers(72, 104)))
    whole = hits(picture)
    if len(whole) < ENOUGH:
        continue
    faces += 1
    left, top = (max(2, min(corner) - 10) // 2 * 2 for corner in zip(*whole, strict=True))
    missed["even"] += len(hits(picture, left, top)) < ENOUGH
    missed["odd"] += len(hits(picture, left - 1, top - 1)) < ENOUGH
for name, count in missed.items():
    print(f"of {faces} faces with {ENOUGH} hits in whole pictures, in parts from an {name} corner on {count} have fewer")
if not (missed["odd"] > 0.05 * faces and missed["even"] < 0.01 * faces):
    sys.exit("the behaviour has changed")
print("a part is searched like the whole only from an even corner on")
PYTHON
