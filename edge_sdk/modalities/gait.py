"""Gait: recordings of an accelerometer, such as a phone's in a pocket.

Sources are those of :func:`edge_sdk.sensors.load`: a :class:`~edge_sdk.sensors.Recording`, or the path or bytes of a
CSV file with a time stamp in milliseconds, then ax, ay and az.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk import preprocess, sensors
from edge_sdk.manifest import SensorStream
from edge_sdk.modalities.base import Prepared
from edge_sdk.preprocess.align import FaceCut
from edge_sdk.preprocess.cycles import GaitCycles, Seen, walked

AXES = ("x", "y", "z")
CLIPPED = 0.01
"""Share of the rows in which an axis is at its highest or lowest value, beyond the six that any recording has."""


@dataclass(frozen=True)
class Gait:
    """Recordings of one person walking each."""

    name: str = "gait"
    suffixes: frozenset[str] = sensors.SUFFIXES
    flags: tuple[str, ...] = ("no_walk", "few_cycles", "pauses", "gaps", "clipped")
    blocking: tuple[str, ...] = ("no_walk", "few_cycles")

    def source(self, operations: Sequence[preprocess.Operation], cut: FaceCut | None) -> SensorStream:
        """The windows in which the pipeline looks at a stream of the axes x, y and z."""
        del cut
        (step,) = operations
        assert isinstance(step, preprocess.OF_RECORDINGS)
        return SensorStream(
            channels=AXES[: step.channels], rate_hz=step.rate_hz, window_s=step.window_s, hop_s=step.hop_s, unit="m/s^2"
        )

    def decode(self, source: sensors.RecordingSource) -> sensors.Recording:
        """See :func:`edge_sdk.sensors.load`."""
        return sensors.load(source)

    def prepare(
        self, operations: Sequence[preprocess.Operation], raw: sensors.Recording, source: SensorStream
    ) -> Prepared:
        """The pipeline's result; flags where it is gait cycles.

        Raises:
            UnsupportedRecordingError: Other channels than the pipeline takes, too short for it, or no recording of an
                accelerometer in m/s^2 (:meth:`edge_sdk.preprocess.cycles.CycleStream.push`).
        """
        del source
        match tuple(operations):
            case (GaitCycles() as step,):
                cycles, seen = preprocess.checked(step.op, lambda recording: walked(step, recording), raw)
                flags = _flags(step, len(cycles.rows), seen, raw)
                blocking = tuple(flag for flag in flags if flag in self.blocking)
                return Prepared(cycles.rows, flags, blocking, batched=True)
        return Prepared(preprocess.apply(operations, raw))


def _flags(step: GaitCycles, count: int, seen: Seen, recording: sensors.Recording) -> tuple[str, ...]:
    extreme = (recording.values == recording.values.max(axis=0)) | (recording.values == recording.values.min(axis=0))
    found = {
        "no_walk": count == 0,
        "few_cycles": 0 < count < step.least,
        "pauses": 0 < 2 * seen.walking < seen.windows,
        "gaps": seen.gaps > 0 or seen.passed_over > 0,
        "clipped": np.count_nonzero(extreme.any(axis=1)) > 2 * recording.channels + CLIPPED * len(recording.values),
    }
    return tuple(flag for flag, is_so in found.items() if is_so)


MODALITY = Gait()
