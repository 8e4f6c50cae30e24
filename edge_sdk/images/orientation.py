"""Which way up a picture is: tag 274 of TIFF 6.0 and EXIF, the same in every format that carries it."""

from __future__ import annotations

import struct

import numpy as np

from edge_sdk.images.arrays import Image
from edge_sdk.opencv import cv2

TAG = 274
JPEG_PREFIX = b"Exif\0\0"
_TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_READ = {1: "B", 3: "H", 4: "I"}


def in_exif(exif: bytes) -> int:
    """The orientation, 1 to 8, that the first directory of an EXIF block says; 1 if it says none or is damaged."""
    exif = exif.removeprefix(JPEG_PREFIX)  # some writers keep it elsewhere too
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    try:
        if order:
            (at,) = struct.unpack_from(order + "I", exif, 4)
            (count,) = struct.unpack_from(order + "H", exif, at)
            for entry in range(at + 2, at + 2 + 12 * count, 12):
                tag, kind = struct.unpack_from(order + "HH", exif, entry)
                if tag == TAG and kind in _READ:
                    (value,) = struct.unpack_from(order + _READ[kind], exif, entry + 8)
                    return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(image: Image, orientation: int) -> Image:
    """Turn and mirror a stored picture as its orientation, 1 to 8, says; 1 leaves it as it is."""
    if orientation in _TURNS:
        return np.asarray(cv2.rotate(image, _TURNS[orientation]), np.uint8)
    if orientation in (2, 4):
        return np.asarray(cv2.flip(image, 1 if orientation == 2 else 0), np.uint8)
    if orientation in (5, 7):
        turned = np.asarray(cv2.transpose(image), np.uint8)
        return turned if orientation == 5 else np.asarray(cv2.flip(turned, -1), np.uint8)
    return image
