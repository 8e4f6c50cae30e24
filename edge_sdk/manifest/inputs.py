"""What a model looks at: camera images or a sensor's stream, and the tensors that its graphs take."""

from __future__ import annotations

from typing import Literal

from edge_sdk.preprocess.crop import FaceCrop
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.schema import IDENTIFIER, Dimension, Strict, require, require_finite, require_shape, require_unique

SAMPLE = "sample"
"""What feeds an input that takes the pre-processed sample itself."""

DataType = Literal["float32", "int8", "uint8"]


class Image(Strict, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A camera image; ``color`` is the channel order that the pre-processing hands to the model.

    ``face`` says how a face is cut out of a frame where the pre-processing expects it cut out already, ``region`` how
    the ink is cut out of a page.
    """

    color: Literal["gray", "bgr", "rgb"] = "gray"
    face: FaceCrop | None = None
    region: InkRegion | None = None

    def fits(self, shape: tuple[Dimension, ...], preprocessed: bool) -> bool:
        """Whether a tensor ``(batch, C, H, W)`` has as many channels as the colour order."""
        del preprocessed  # which keeps them
        return len(shape) != 4 or shape[1] == (1 if self.color == "gray" else 3)


class SensorStream(Strict, frozen=True, kw_only=True, tag_field="kind", tag="sensor_stream"):
    """A stream of T x channels, cut into windows of ``window_s`` seconds every ``hop_s`` seconds at ``rate_hz``.

    ``channels`` gives their names and order. Gravity is part of an accelerometer's signal: at rest it reads 9.81 m/s^2.
    """

    channels: tuple[str, ...]
    rate_hz: float
    window_s: float
    hop_s: float
    unit: Literal["m/s^2", "g"] = "m/s^2"

    def __post_init__(self) -> None:
        require_finite(self)
        require(len(self.channels) > 0, "a sensor stream needs channels")
        require_unique(self.channels, "channel")
        require(self.rate_hz > 0 and self.window_s > 0 and self.hop_s > 0, "rate_hz, window_s and hop_s are positive")
        require(self.hop_s <= self.window_s, "hop_s beyond window_s skips part of the stream")

    @property
    def samples(self) -> int:
        """Samples per channel in one window."""
        return round(self.rate_hz * self.window_s)

    def fits(self, shape: tuple[Dimension, ...], preprocessed: bool) -> bool:
        """Whether a tensor ``(batch, ...)`` holds a window of all channels; a pre-processing may give another shape."""
        inner = shape[1:]
        holds_all = len(self.channels) in inner and any(isinstance(d, str) or d == self.samples for d in inner)
        return preprocessed or holds_all


Source = Image | SensorStream


class Input(Strict, frozen=True, kw_only=True):
    """One named input tensor of a graph.

    ``shape`` may hold names for free sizes; ``"batch"`` only in front. ``feed`` is what it takes: ``"sample"``, the
    pre-processed sample, or ``graph.output`` of an earlier graph. A graph that compares a pair has a ``"reference"``
    input beside the ``"query"``: the same of another sample.
    """

    name: str
    shape: tuple[Dimension, ...]
    feed: str = SAMPLE
    dtype: DataType = "float32"
    role: Literal["query", "reference"] = "query"

    def __post_init__(self) -> None:
        require_shape(self.shape)
        require(bool(IDENTIFIER.fullmatch(self.name)), f"bad input name {self.name!r}")
