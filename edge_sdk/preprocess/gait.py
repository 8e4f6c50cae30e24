"""Operations for recordings of a sensor: uneven rows to a fixed number of even ones."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UnsupportedRecordingError
from edge_sdk.preprocess.step import Positive
from edge_sdk.sensors import Recording

PositiveRate = Annotated[float, msgspec.Meta(gt=0)]


class Resample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="resample"):
    """A recording to ``float32 (samples, channels)`` at ``rate_hz``, from its first row on, linearly interpolated.

    Rows whose time stamp is not above all before them are passed over.
    """

    rate_hz: PositiveRate
    samples: Positive
    channels: Positive

    def __call__(self, recording: Recording) -> NDArray[np.float32]:
        """Raises UnsupportedRecordingError for other channels, or fewer seconds than the samples take."""
        if recording.channels != self.channels:
            raise UnsupportedRecordingError(
                f"a recording of {recording.channels} channel(s), the model takes {self.channels}"
            )
        seconds = (recording.times_ms - recording.times_ms[0]) / 1000
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
