"""Gait: recordings of an accelerometer, such as a phone's in a pocket.

Sources are those of :func:`edge_sdk.sensors.load`: a :class:`~edge_sdk.sensors.Recording`, or the path or bytes of a
CSV file with a time stamp in milliseconds, then ax, ay and az. Or a :class:`~edge_sdk.modalities.walks.WalkStream`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_sdk import preprocess, sensors
from edge_sdk.errors import UsageError
from edge_sdk.manifest import SensorStream
from edge_sdk.modalities.base import Prepared
from edge_sdk.modalities.walks import BLOCKING, FLAGS, WalkStream
from edge_sdk.preprocess.align import FaceCut
from edge_sdk.preprocess.cycles import GaitCycles

AXES = ("x", "y", "z")


class Gait(msgspec.Struct, frozen=True):
    """Recordings of one person walking each."""

    name: str = "gait"
    suffixes: frozenset[str] = sensors.SUFFIXES
    flags: tuple[str, ...] = FLAGS
    blocking: tuple[str, ...] = BLOCKING
    measures: tuple[str, ...] = ()

    def source(self, operations: Sequence[preprocess.Operation], cut: FaceCut | None) -> SensorStream:
        """The windows in which the pipeline looks at a stream of the axes x, y and z."""
        del cut
        (step,) = operations
        assert isinstance(step, preprocess.OF_RECORDINGS)
        return SensorStream(
            channels=AXES[: step.channels], rate_hz=step.rate_hz, window_s=step.window_s, hop_s=step.hop_s, unit="m/s^2"
        )

    def decode(self, source: sensors.RecordingSource | WalkStream) -> sensors.Recording | WalkStream:
        """See :func:`edge_sdk.sensors.load`; a stream stays one."""
        return source if isinstance(source, WalkStream) else sensors.load(source)

    def prepare(
        self, operations: Sequence[preprocess.Operation], raw: sensors.Recording | WalkStream, source: SensorStream
    ) -> Prepared:
        """The pipeline's result; flags where it is gait cycles.

        Raises:
            UnsupportedRecordingError: Other channels than the pipeline takes, too short for it, or no recording of an
                accelerometer in m/s^2 (:meth:`edge_sdk.preprocess.cycles.CycleStream.push`).
            UsageError: A stream for another pipeline.
        """
        del source
        match tuple(operations), raw:
            case ((GaitCycles() as step,), sensors.Recording()):
                prepared: Prepared = preprocess.checked(step.op, lambda recording: _walked(step, recording), raw)
                return prepared
            case ((step,), WalkStream(operation=operation)) if step == operation:
                return raw.prepared()
            case (_, WalkStream()):
                raise UsageError("this walk was analysed for another bundle: use the verifier's own, verifier.walk()")
        return Prepared(preprocess.apply(operations, raw))

    def measure(self, prepared: Prepared) -> tuple[float, ...] | None:
        """None: nothing is measured yet."""
        del prepared
        return None


def _walked(step: GaitCycles, recording: sensors.Recording) -> Prepared:
    walk = WalkStream(step, most=None)
    walk.push_rows(recording.times_ms, recording.values)
    walk.finish()
    return walk.prepared()


MODALITY = Gait()
