#!/usr/bin/env bash
# cv2.imdecode gives a picture for a JPEG or TIFF whose data are missing; what is missing is gray or black. A JPEG's own
# end marker makes it so: without it OpenCV says None.
#
# One would guess: a decoder that cannot undo a strip, or runs out of data, returns None, as OpenCV does for PNG.
# What happens: a JPEG of which half of the coded data is cut out comes back with a gray rest, and one line on the
#   terminal. Take its last two bytes (the end marker FF D9) away, and the same file gives None: libjpeg then waits for
#   data instead of making them up. A whole JPEG without the marker, and with 8 bytes to read ahead, still decodes to the
#   same pixels. A TIFF of 8 bits with a deflate strip that does not unpack comes back with black rows.
# Versions: opencv-python-headless 4.14.0.94 with libjpeg-turbo 3.1.2 and libtiff 4.7.1; JPEG alike since 4.11.
# Why it matters here: a signature whose lower half is gray, or crossed by black bars, is decided and enrolled.
# What the product does: `edge_sdk/images/jpeg_data.py` decodes without the end marker, and `edge_sdk/images/tiff.py`
#   unpacks strips itself. Tests: `tests/images/test_jpeg.py`, `tests/images/test_tiff.py`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
cat > program.py <<'PYTHON'
import struct
import sys
import zlib

import cv2
import numpy as np

print(f"OpenCV {cv2.__version__}")
scene = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (240, 320), dtype=np.uint8), (0, 0), 2)
scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX)
seen = {}


def decode(name, data):
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    seen[name] = picture
    gray = 0 if picture is None else int((picture == 128).all(axis=1).sum())
    black = 0 if picture is None else int((picture == 0).all(axis=1).sum())
    print(f"{name}: " + ("None" if picture is None else f"a picture, {gray} rows gray, {black} rows black"), flush=True)


jpeg = cv2.imencode(".jpg", scene)[1].tobytes()
half = jpeg[: len(jpeg) // 2]
decode("JPEG", jpeg)
decode("JPEG, half of its data, end marker", half + b"\xff\xd9")
decode("JPEG, half of its data", half)
decode("JPEG, all of its data, 8 bytes for the end marker", jpeg[:-2] + bytes(8))

strips = [zlib.compress(scene[top : top + 60].tobytes()) for top in range(0, 240, 60)]
strips[1] = strips[1][:10] + bytes(len(strips[1]) - 10)
data = bytearray(b"II*\0\0\0\0\0")
at = []
for strip in strips:
    at.append(len(data))
    data += strip
data += bytes(len(data) % 2)
offsets, counts = len(data), len(data) + 16
data += struct.pack("<8I", *at, *map(len, strips))
struct.pack_into("<I", data, 4, len(data))
tags = [(256, 1, 320), (257, 1, 240), (258, 1, 8), (259, 1, 8), (262, 1, 1), (273, 4, offsets), (277, 1, 1)]
tags += [(278, 1, 60), (279, 4, counts)]
data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, n, value) for tag, n, value in tags)
decode("TIFF, one of four strips damaged", bytes(data + bytes(4)))

whole, ended, open_, without, tiff = seen.values()
same = without is not None and np.array_equal(whole, without)
sys.exit(not (ended is not None and open_ is None and same and tiff is not None and not tiff[60:120].any()))
PYTHON
echo "guess: a file whose data are missing gives None"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    numpy==2.4.6 opencv-python-headless==4.14.0.94
venv/bin/python program.py || { echo "the behaviour has changed"; exit 1; }
echo "as described"
