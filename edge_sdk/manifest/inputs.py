"""What a model looks at: camera images or a sensor's stream, and the tensors that its graphs take."""

from typing import Annotated, Literal

import msgspec

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.preprocess import Operation
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import FaceCrop
from edge_sdk.preprocess.gait import MAX_CHANNELS, Hertz
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.schema import IDENTIFIER, Dimension, Name, Shape, Strict, require, require_shape, require_unique

SAMPLE = "sample"
"""What feeds an input that takes the pre-processed sample itself."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
DataType = Literal["float32", "int8", "uint8"]


class Image(Strict, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A camera image; ``color`` is the channel order that the pre-processing hands to the model.

    ``face`` says how a face is cut out of a frame where the pre-processing expects it cut out already, ``alignment``
    how it is aligned where the pre-processing expects that, and ``region`` how the ink is cut out of a page: one of
    them, or none.
    """

    color: Literal["gray", "bgr", "rgb"] = "gray"
    face: FaceCrop | None = None
    region: InkRegion | None = None
    alignment: FaceAlignment | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        cuts = [cut for cut in (self.face, self.region, self.alignment) if cut is not None]
        require(len(cuts) <= 1, "an image is cut out by one of face, region and alignment")

    def check(self, shape: tuple[Dimension, ...], operations: tuple[Operation, ...]) -> None:
        """Refuse (UsageError) a tensor ``(batch, C, H, W)`` that the pre-processing does not make of every image."""
        given, color = preprocess.input_shape(operations), preprocess.color_order(operations)
        if color != self.color:
            raise UsageError(f"the pre-processing gives {color} images, the source says {self.color}")
        _check_given(shape, given)


class SensorStream(Strict, frozen=True, kw_only=True, tag_field="kind", tag="sensor_stream"):
    """A stream of T x channels, cut into windows of ``window_s`` seconds every ``hop_s`` seconds at ``rate_hz``.

    ``channels`` gives their names and order. Gravity is part of an accelerometer's signal: at rest it reads 9.81 m/s^2.
    """

    channels: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_CHANNELS)]
    rate_hz: Hertz
    window_s: Seconds
    hop_s: Seconds
    unit: Literal["m/s^2", "g"] = "m/s^2"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.channels) > 0, "a sensor stream needs channels")
        require_unique(self.channels, "channel")
        require(self.hop_s <= self.window_s, "hop_s beyond window_s skips part of the stream")

    @property
    def samples(self) -> int:
        """Samples per channel in one window."""
        return round(self.rate_hz * self.window_s)

    def check(self, shape: tuple[Dimension, ...], operations: tuple[Operation, ...]) -> None:
        """Refuse (UsageError) a tensor other than ``(batch, *given)``, what the pre-processing gives of such windows.

        Without one, whoever prepares the windows may put time and channels in any order.
        """
        window = self.samples, len(self.channels)
        if operations:
            given = preprocess.input_shape(operations)
            step = operations[0]
            taken = given
            if isinstance(step, preprocess.OF_RECORDINGS):
                taken = round(step.rate_hz * step.window_s), step.channels
            if taken != window:
                raise UsageError(f"the pre-processing takes {taken}, a window of the source is {window}")
            _check_given(shape, given)
        elif not (window[1] in shape[1:] and any(isinstance(d, str) or d == window[0] for d in shape[1:])):
            raise UsageError(f"shape {shape} does not hold a window of the source, {window}")


Source = Image | SensorStream


def _check_given(shape: tuple[Dimension, ...], given: tuple[int, ...]) -> None:
    same = (isinstance(d, str) or d == size for d, size in zip(shape[1:], given, strict=False))
    if len(shape) != 1 + len(given) or not all(same):
        raise UsageError(f"shape {shape} does not hold what the pre-processing gives, {given}")


class Input(Strict, frozen=True, kw_only=True):
    """One named input tensor of a graph.

    ``shape`` may hold names for free sizes; ``"batch"`` only in front. ``feed`` is what it takes: ``"sample"``, the
    pre-processed sample, or ``graph.output`` of an earlier graph. A graph that compares a pair has a ``"reference"``
    input beside the ``"query"``: the same of another sample.
    """

    name: Name
    shape: Shape
    feed: Name = SAMPLE
    dtype: DataType = "float32"
    role: Literal["query", "reference"] = "query"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_shape(self.shape)
        require(bool(IDENTIFIER.fullmatch(self.name)), f"bad input name {self.name!r}")
