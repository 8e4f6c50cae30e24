"""What a network sees of a signature, in a few numbers: how thick, dense, slanted and many the strokes are.

They tell thick pens, print, stamps and drawings from most signatures. All are of the pre-processed picture, so they do
not depend on how a picture was scanned as far as the network does not.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2

MEASURES = ("stroke_width", "ink_in_box", "aspect", "upright", "pieces")


def measure(tensor: NDArray[np.float32]) -> tuple[float, ...] | None:
    """:data:`MEASURES` of a picture, ``float32 (C, H, W)``, ink 1 and paper 0; None without ink.

    ``stroke_width``
        Twice the ink's area by the length of its outline, which runs along both sides of a stroke, in pixels. By
        Crofton's formula the outline is pi / 4 for each step between ink and paper along rows and columns.
    ``ink_in_box``
        Share of the ink's box that is ink.
    ``aspect``
        Width of the box by its height.
    ``upright``
        Share of those steps that lie along rows: 1 of upright strokes, 0 of level ones.
    ``pieces``
        How many there are, 8-connected.

    Sizes are given as logarithms, of which differences are ratios.
    """
    ink = tensor[0] > 0.5
    mask = ink.view(np.uint8)
    area = cv2.countNonZero(mask)
    if not area:
        return None
    along_rows = int(np.count_nonzero(ink[:, 1:] != ink[:, :-1]))
    along_columns = int(np.count_nonzero(ink[1:] != ink[:-1]))
    steps = max(1, along_rows + along_columns)  # none where all is ink
    _, _, width, height = cv2.boundingRect(mask)
    count, _ = cv2.connectedComponents(mask, connectivity=8)
    return (
        math.log(2 * area / (steps * math.pi / 4)),
        math.log(area / (width * height)),
        math.log(width / height),
        along_rows / steps,
        math.log(count - 1),  # without the paper
    )
