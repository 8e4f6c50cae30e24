"""From a decoded image to the network's input: typed operations, shared by training and runtime.

A pipeline is a tuple of operations. Each is a frozen, serialisable record in the manifest and a pure function of an
image, so that what a model was trained on and what the device computes cannot drift apart. Between operations an
image is ``uint8``: ``(H, W)`` gray, or ``(H, W, 3)`` BGR / ``(H, W, 4)`` BGRA before :class:`ToGray`. :func:`apply`
ends with ``float32`` of shape ``(1, H, W)`` in [0, 1].

Two pipelines for signatures are named here. :data:`PAPER` is section 4.1 of the DeepSign paper to the letter: it
assumes white paper, because its threshold is absolute. :data:`INK` measures ink against the paper round it, so gray
paper and uneven light give the same picture as a clean scan, and it crops to the ink. Both end with ink 1, paper 0.

Two are for faces, of which they expect a crop: :data:`FACE` is the anti-spoofing thesis' scaling of 128 x 128 pixels,
:data:`FACE_OVAL` the same without what lies round the face.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.preprocess.face import CropSquare, Oval, Standardize
from edge_sdk.preprocess.general import Fit, Invert, LimitSize, MedianBlur, Resize, Threshold, ToGray
from edge_sdk.preprocess.ink import Binarize, ClearBorder, CropToInk, Despeckle, EraseRules, FlattenPaper
from edge_sdk.preprocess.step import Image, Step, block_means, resized

__all__ = [
    "FACE", "FACE_OVAL", "GEOMETRY", "INK", "PAPER", "Binarize", "ClearBorder", "CropSquare", "CropToInk", "Despeckle",
    "EraseRules", "Fit", "FlattenPaper", "Image", "Invert", "LimitSize", "MedianBlur", "Operation", "Oval", "Resize",
    "Standardize", "Step", "Threshold", "ToGray", "apply", "block_means", "digest", "framed", "resized", "trace",
]  # fmt: skip

Operation = (
    ToGray
    | LimitSize
    | Threshold
    | MedianBlur
    | Resize
    | Invert
    | FlattenPaper
    | Binarize
    | EraseRules
    | ClearBorder
    | Despeckle
    | CropToInk
    | Fit
    | CropSquare
    | Oval
    | Standardize
)
GEOMETRY = (Resize, CropToInk, Fit, CropSquare)

# DeepSign paper, section 4.1.1. "Binary interpolation" is read as nearest neighbour, which keeps two values.
PAPER: tuple[Operation, ...] = (
    ToGray(),
    Threshold(at=225),
    MedianBlur(size=3, iterations=15),
    Threshold(at=210),
    Resize(height=300, width=360, interpolation="nearest"),
    Invert(),
)

# 384 pixels are more than twice the frame's width, and bound the work on a 12-megapixel photo. The window of 48 is
# several strokes wide; a floor of 30/255 is above scanner noise; a blurred edge lies at half of a stroke's darkness,
# 0.4 also keeps strokes of light pressure whole. Signatures are two to three times as wide as high: a stretch of 1.5
# spends the frame on ink, not on paper.
INK: tuple[Operation, ...] = (
    LimitSize(side=384),
    ToGray(),
    FlattenPaper(window=48),
    Binarize(floor=30, fraction=0.4, percentile=75.0),
    EraseRules(coverage=0.75),
    ClearBorder(share=0.05),
    Despeckle(area=5),
    CropToInk(tail=0.002, margin=0.04),
    Fit(height=150, width=180, stretch=1.5),
)

# Anti-spoofing thesis, section 3.2.3 and tables 3.2 to 3.4. Means over blocks, as Fit takes them, keep the dots of a
# print and the grid of a screen from turning into patterns of the scaling's own making.
FACE: tuple[Operation, ...] = (
    ToGray(),
    CropSquare(),
    Fit(height=128, width=128, stretch=1.0),
    Standardize(mean=0.5, std=0.25),
)

# The thesis' models spent themselves on the background (section 5.3). The oval covers 0.8 pi / 4 of the picture, the
# rest is flat: a standard deviation of 0.25 sqrt(0.628) over all of it is one of 0.25 within the face.
FACE_OVAL: tuple[Operation, ...] = (*FACE[:-1], Oval(height=1.0, width=0.8), Standardize(mean=0.5, std=0.198))


def framed(operations: Sequence[Operation], height: int, width: int) -> tuple[Operation, ...]:
    """The same pipeline with each frame (``Fit``, ``Resize``) of ``height`` x ``width`` pixels."""
    return tuple(
        msgspec.structs.replace(step, height=height, width=width) if isinstance(step, Fit | Resize) else step
        for step in operations
    )


def trace(operations: Sequence[Operation], image: Image) -> Iterator[tuple[Operation, Image]]:
    """Yield each operation with the image after it."""
    for operation in operations:
        image = operation(image)
        yield operation, image


def apply(operations: Sequence[Operation], image: Image) -> NDArray[np.float32]:
    """Run a pipeline.

    Args:
        operations: The pipeline.
        image: ``uint8``, ``(H, W)`` gray, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA; not changed.

    Returns:
        ``float32`` of shape ``(1, H', W')`` in [0, 1].
    """
    for _, stage in trace(operations, image):
        image = stage
    return (image.astype(np.float32) / np.float32(255))[np.newaxis]


def digest(operations: Sequence[Operation]) -> str:
    """SHA-256 over the canonical JSON of the operations: equal exactly when every parameter is."""
    # Decoded once, so that a 75 given for a 75.0 counts as what it will be in the manifest.
    decoded = msgspec.json.decode(msgspec.json.encode(tuple(operations)), type=tuple[Operation, ...])
    return hashlib.sha256(msgspec.json.encode(decoded, order="deterministic")).hexdigest()
