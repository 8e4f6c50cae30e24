"""Gait: recordings of an accelerometer, such as a phone's in a pocket.

Sources are those of :func:`edge_sdk.sensors.load`: a :class:`~edge_sdk.sensors.Recording`, or the path or bytes of a
CSV file with a time stamp in milliseconds, then ax, ay and az.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_sdk import preprocess, sensors
from edge_sdk.manifest import SensorStream
from edge_sdk.modalities.base import Prepared
from edge_sdk.preprocess.align import FaceCut

AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Gait:
    """Recordings of one person walking each."""

    name: str = "gait"
    suffixes: frozenset[str] = sensors.SUFFIXES
    flags: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()

    def source(self, operations: Sequence[preprocess.Operation], cut: FaceCut | None) -> SensorStream:
        """One window of the pipeline's length and rate, of the axes x, y and z."""
        del cut
        samples, channels = preprocess.input_shape(operations)
        (resample,) = operations
        assert isinstance(resample, preprocess.Resample)
        seconds = samples / resample.rate_hz
        return SensorStream(
            channels=AXES[:channels], rate_hz=resample.rate_hz, window_s=seconds, hop_s=seconds, unit="m/s^2"
        )

    def decode(self, source: sensors.RecordingSource) -> sensors.Recording:
        """See :func:`edge_sdk.sensors.load`."""
        return sensors.load(source)

    def prepare(
        self, operations: Sequence[preprocess.Operation], raw: sensors.Recording, source: SensorStream
    ) -> Prepared:
        """The pipeline's result, without flags.

        Raises:
            UnsupportedRecordingError: Other channels than the pipeline takes, or too short for it.
        """
        del source
        return Prepared(preprocess.apply(operations, raw))


MODALITY = Gait()
