"""From a decoded image to the network's input: typed operations, shared by training and runtime.

A pipeline is a tuple of operations. Each is a frozen, serialisable record in the manifest and a pure function of an
image, so that what a model was trained on and what the device computes cannot drift apart. Between operations an
image is ``uint8``: ``(H, W)`` gray, or ``(H, W, 3)`` BGR / ``(H, W, 4)`` BGRA before :class:`ToGray` or
:class:`ToColor`. :func:`apply` ends with ``float32`` of shape ``(C, H, W)`` in [0, 1], C 1 for gray and 3 for colour.

A pipeline of recordings of a sensor is one operation: :class:`Resample` to ``float32 (T, C)``, or :class:`GaitCycles`
to ``float32 (N, 4, T)``, any number of gait cycles.

Every parameter has bounds, which constructors and manifests check, and :func:`final_form` follows an image through a
pipeline without one: what an operation takes is what those before it give, whatever the picture is.

Three pipelines for signatures are named here. :data:`PAPER` is section 4.1.1 of the DeepSign paper to the letter: it
assumes white paper, because its threshold is absolute. :data:`BINARIZED` is section 4.1.2, for scans that have two
values already: no threshold, and no blur that would take thin strokes away. :data:`INK` measures ink against the paper
round it, so gray paper and uneven light give the same picture as a clean scan, and it crops to the ink. All end with
ink 1, paper 0.

Two are for faces, of which they expect a crop: :data:`FACE` is the anti-spoofing thesis' scaling of 128 x 128 pixels,
:data:`FACE_OVAL` the same without what lies round the face. :data:`ALIGNED` is for faces that were aligned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import EdgeSdkError, PreprocessingError, UsageError
from edge_sdk.preprocess.boxed import Boxed
from edge_sdk.preprocess.cycles import GaitCycles
from edge_sdk.preprocess.face import CropSquare, Oval, Standardize
from edge_sdk.preprocess.gait import Resample
from edge_sdk.preprocess.general import Fit, Invert, LimitSize, MedianBlur, Resize, Threshold, ToColor, ToGray
from edge_sdk.preprocess.ink import Binarize, ClearBorder, CropToInk, Despeckle, EraseRules, FlattenPaper
from edge_sdk.preprocess.step import MAX_FRAME, Form, Image, Step, block_means, resized

__all__ = [
    "ALIGNED", "BINARIZED", "FACE", "FACE_OVAL", "GEOMETRY", "INK", "MAX_FRAME", "MAX_PASSES", "OF_RECORDINGS",
    "PAPER", "Binarize", "ClearBorder", "CropSquare", "CropToInk", "Despeckle", "EraseRules", "Fit", "FlattenPaper",
    "Form", "GaitCycles", "Image", "Invert", "LimitSize", "MedianBlur", "Operation", "Oval", "Resample", "Resize",
    "Standardize", "Step", "Threshold", "ToColor", "ToGray", "apply", "block_means", "checked", "color_order",
    "digest", "final_form", "framed", "input_shape", "is_recording", "resized", "run", "trace",
]  # fmt: skip

Operation = (
    ToGray
    | ToColor
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
    | Resample
    | GaitCycles
)
# Made once, at import: see edge_sdk.schema.
_DECODER = msgspec.json.Decoder(tuple[Operation, ...])

OF_RECORDINGS = (Resample, GaitCycles)
"""Operations that take a recording of a sensor, and are a pipeline by themselves."""
MAX_PASSES = 32
"""How often a pipeline may go over its picture: once an operation, a blur once an iteration or more."""
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

# Section 4.1.2, for BHSig260, which "was originally grey scaled and binarized".
BINARIZED: tuple[Operation, ...] = (ToGray(), *PAPER[-2:])

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

# A face that its alignment has turned and scaled, in levels as the camera gave them.
ALIGNED: tuple[Operation, ...] = (ToGray(), Fit(height=112, width=112, stretch=1.0))


def framed(operations: Sequence[Operation], height: int, width: int) -> tuple[Operation, ...]:
    """The same pipeline with each frame (``Fit``, ``Resize``) of ``height`` x ``width`` pixels."""
    return tuple(
        msgspec.structs.replace(step, height=height, width=width) if isinstance(step, Fit | Resize) else step
        for step in operations
    )


def trace(operations: Sequence[Operation], raw: Any) -> Iterator[tuple[Operation, Any]]:
    """Yield each operation with the image or recording after it.

    Raises:
        InputError: An operation cannot take it; ``PreprocessingError`` where a library says so, or memory is short.
    """
    for call in operations:
        raw = checked(call.op, call, raw)
        yield call, raw


def checked(name: str, call: Any, raw: Any) -> Any:
    """``call(raw)``; whatever OpenCV, numpy or Python find wrong is a ``PreprocessingError`` with the name."""
    try:
        return call(raw)
    except EdgeSdkError:
        raise
    except Exception as error:
        kind = f"an array of {raw.shape}" if isinstance(raw, np.ndarray) else f"a {type(raw).__name__}"
        raise PreprocessingError(f"{name} failed on {kind}: {type(error).__name__}: {error}") from error


def run(operations: Sequence[Operation], raw: Any) -> Any:
    """What the last of :func:`trace` gives, the same to the bit in less time.

    Args:
        operations: The pipeline, or a part of it.
        raw: As of :func:`apply`, or what ``run`` gave for the operations before.

    Returns:
        The image or recording; :class:`~edge_sdk.preprocess.boxed.Boxed` for an image of ink that is 0 outside a box.

    Raises:
        InputError: As :func:`trace` does.
    """
    for name, call, boxed in _calls(tuple(operations)):
        raw = checked(name, boxed if isinstance(raw, Boxed) else call, raw)
    return raw


@lru_cache(maxsize=64)
def _calls(operations: tuple[Operation, ...]) -> tuple[tuple[str, Any, Any], ...]:
    """Of each operation the name, and what to call with an image or recording, and with an image in a box."""
    return tuple(
        (step.op, step.found if isinstance(step, Binarize) else step, getattr(step, "boxed", step))
        for step in operations
    )


def apply(operations: Sequence[Operation], raw: Any, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Run a pipeline.

    Args:
        operations: The pipeline.
        raw: ``uint8``, ``(H, W)`` gray, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA, or a
            :class:`~edge_sdk.sensors.Recording`; not changed.
        out: Where to put the result, of its shape; such as a place in the network's input.

    Returns:
        ``float32``, of an image ``(C, H', W')`` in [0, 1], of a recording ``(T, C)`` or
            ``(N, 4, T)``; ``out``, where it is given.

    Raises:
        InputError: As :func:`trace` does.
        UsageError: ``out`` has another shape or type.
    """
    last = run(operations, raw)
    if isinstance(last, Boxed):
        last = last.whole()
    if not isinstance(last, np.ndarray):
        raise PreprocessingError(f"a pipeline of images got a {type(last).__name__}")
    recording = is_recording(operations)
    planes = last if recording else last[np.newaxis] if last.ndim == 2 else last.transpose(2, 0, 1)
    if out is None:
        out = np.empty(planes.shape, np.float32)
    elif out.shape != planes.shape or out.dtype != np.float32:
        raise UsageError(f"out is {out.dtype} {out.shape}; it must be float32 {planes.shape}")
    if recording:
        out[...] = planes
    else:
        np.divide(planes, np.float32(255), out=out)
    return out


def is_recording(operations: Sequence[Operation]) -> bool:
    """Whether a pipeline takes recordings of a sensor, not images."""
    return any(isinstance(step, OF_RECORDINGS) for step in operations)


def color_order(operations: Sequence[Operation]) -> Literal["gray", "bgr", "rgb"]:
    """The channels of the image that a pipeline ends with."""
    return final_form(operations).color or "gray"


def final_form(operations: Sequence[Operation]) -> Form:
    """What a pipeline of images ends with, whatever the picture.

    Raises:
        UsageError: An operation takes something else than those before it give, or the pipeline is too long.
    """
    form = Form()
    for step in operations:
        if isinstance(step, OF_RECORDINGS):
            raise UsageError(f"{step.op} takes recordings of a sensor, not images: it is a pipeline by itself")
        form = step.after(form)
    passes = sum(step.passes for step in operations if isinstance(step, Step))
    if passes > MAX_PASSES:
        raise UsageError(f"the pre-processing goes over a picture {passes} times; it may {MAX_PASSES} times")
    return form


def input_shape(operations: Sequence[Operation]) -> tuple[int, ...]:
    """``(C, H, W)``, ``(T, C)``, or ``(4, T)`` of each cycle: what :func:`apply` gives, whatever the sample.

    Raises:
        UsageError: As :func:`final_form` does; or the pipeline does not end with a fixed size and known colours.
    """
    match operations:
        case (Resample() | GaitCycles() as step,):
            return step.shape
    form = final_form(operations)
    if form.color is None:
        raise UsageError("the pre-processing lacks to_gray or to_color")
    if form.size is None:
        raise UsageError("the pre-processing does not end with a fixed size: put fit or resize at its end")
    return 1 if form.color == "gray" else 3, *form.size


def digest(operations: Sequence[Operation]) -> str:
    """SHA-256 over the canonical JSON of the operations: equal exactly when every parameter is."""
    # Decoded once, so that a 75 given for a 75.0 counts as what it will be in the manifest.
    decoded = _DECODER.decode(msgspec.json.encode(tuple(operations)))
    return hashlib.sha256(msgspec.json.encode(decoded, order="deterministic")).hexdigest()
