"""Operations for recordings of a sensor: uneven rows to a fixed number of even ones."""

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UnsupportedRecordingError
from edge_sdk.schema import require_bounds
from edge_sdk.sensors import Recording

MAX_CHANNELS = 64
Hertz = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]


class Resample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="resample"):
    """A recording to ``float32 (samples, channels)`` at ``rate_hz``, from its first row on, linearly interpolated.

    Rows whose time stamp is not above all before them are passed over.
    """

    rate_hz: Hertz
    samples: Annotated[int, msgspec.Meta(ge=1, le=65_536)]
    channels: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHANNELS)]

    def __post_init__(self) -> None:
        require_bounds(self)

    @property
    def op(self) -> str:
        """The tag in the manifest."""
        return str(self.__struct_config__.tag)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the result."""
        return self.samples, self.channels

    @property
    def window_s(self) -> float:
        """How long a recording is looked at."""
        return self.samples / self.rate_hz

    @property
    def hop_s(self) -> float:
        """From one window of a stream to the next."""
        return self.window_s

    def __call__(self, recording: Recording) -> NDArray[np.float32]:
        """Raises UnsupportedRecordingError for other channels, or fewer seconds than the samples take."""
        if recording.channels != self.channels:
            raise UnsupportedRecordingError(
                f"a recording of {recording.channels} channel(s), the model takes {self.channels}"
            )
        with np.errstate(over="ignore"):  # refused just below
            seconds = (recording.times_ms - recording.times_ms[0]) / 1000
        if not np.isfinite(seconds).all():
            raise UnsupportedRecordingError("the time stamps of a recording lie too far apart")
        latest = np.maximum.accumulate(seconds)
        forward = np.concatenate([[True], seconds[1:] > latest[:-1]])
        wanted = np.arange(self.samples) / self.rate_hz
        if wanted[-1] > latest[-1]:
            raise UnsupportedRecordingError(
                f"a recording of {latest[-1]:.2f} s, the model takes {self.samples} samples at {self.rate_hz:g} Hz, "
                f"which are {wanted[-1]:.2f} s: record for longer"
            )
        columns = [np.interp(wanted, seconds[forward], channel[forward]) for channel in recording.values.T]
        return np.stack(columns, axis=1).astype(np.float32)
