"""Recordings of a sensor: what is decoded, and that everything else is a typed error."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import preprocess, sensors
from edge_sdk.errors import (
    InputError,
    RecordingDecodeError,
    RecordingNotFoundError,
    UnsupportedRecordingError,
    UsageError,
)
from edge_sdk.modalities import get

ROWS = b"1000,0.5,9.8,-1\n1040,0.6,9.7,-1.5\n1080,0.7,9.6,-2\n"


def test_csv_as_bytes_and_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "walk.csv"
    path.write_bytes(ROWS)
    for source in (ROWS, path, str(path)):
        recording = sensors.load(source)
        assert recording.values.dtype == np.float32
        np.testing.assert_allclose(recording.values[1], [0.6, 9.7, -1.5], rtol=1e-6)
        assert recording.times_ms.tolist() == [1000, 1040, 1080]
        assert recording.channels == 3


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"t,x,y,z\n" + ROWS, ROWS + b"1120,0.5,9", ROWS[:-2], b"\xff\xfe\x00", b"1;2;3\n", b"1000\n1040\n"],
    ids=["empty", "blank", "head line", "short line", "truncated", "binary", "semicolons", "no channels"],
)
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        sensors.load(data)


def test_errors_are_typed(tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFoundError):
        sensors.load(tmp_path / "none.csv")
    with pytest.raises(RecordingDecodeError):
        sensors.load(tmp_path)
    with pytest.raises(RecordingDecodeError, match="line 4"):
        sensors.load(ROWS + b"oops\n")
    for data in (b"1,2,3,4\n", b"1,2\n2,nan\n", b"1,2\n2,inf\n", b"1,2\nnan,2\n"):
        with pytest.raises(UnsupportedRecordingError):
            sensors.load(data)
    with pytest.raises(UnsupportedRecordingError, match="Recording"):
        sensors.load(np.zeros((5, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "times"),
    [
        (np.zeros((5, 3)), np.arange(4.0)),
        (np.zeros(5), np.arange(5.0)),
        (np.zeros((1, 3)), np.zeros(1)),
        (np.zeros((5, 0)), np.arange(5.0)),
        (np.full((5, 3), np.nan), np.arange(5.0)),
        (np.zeros((5, 3)), np.full(5, np.inf)),
        (np.full((5, 3), "1"), np.arange(5.0)),
        ([[1.0], [2.0]], np.arange(2.0)),
    ],
)
def test_arrays_are_checked(values: np.ndarray, times: np.ndarray) -> None:
    with pytest.raises(UnsupportedRecordingError):
        sensors.Recording(values, times)


def test_values_beyond_float32_are_refused() -> None:
    with pytest.raises(UnsupportedRecordingError, match="infinity"):
        sensors.Recording(np.full((2, 3), 1e300), np.arange(2.0))
    with pytest.raises(UnsupportedRecordingError, match="infinity"):
        sensors.load(b"0,1e300,2,3\n10,1,2,3\n")


def test_resampling_is_linear_and_passes_over_time_that_steps_back() -> None:
    times = np.array([0.0, 100, 90, 100, 200, 300])
    values = np.array([[0.0, 5], [1, 5], [50, 50], [60, 60], [2, 5], [3, 5]])
    resample = preprocess.Resample(rate_hz=20.0, samples=6, channels=2)
    found = preprocess.apply((resample,), sensors.Recording(values, times))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 5], [0.5, 5], [1, 5], [1.5, 5], [2, 5], [2.5, 5]], atol=1e-6)


def test_gait_refuses_other_channels_and_short_recordings() -> None:
    gait = get("gait")
    recording = gait.decode(ROWS)
    for rate, samples, channels in ((25.0, 3, 2), (25.0, 4, 3)):
        other = (preprocess.Resample(rate_hz=rate, samples=samples, channels=channels),)
        with pytest.raises(UnsupportedRecordingError):
            gait.prepare(other, recording, gait.source(other, None))
    operations = (preprocess.Resample(rate_hz=25.0, samples=3, channels=3),)
    prepared = gait.prepare(operations, recording, gait.source(operations, None))
    np.testing.assert_allclose(prepared.tensor, recording.values, rtol=1e-6)
    assert prepared.flags == prepared.blocking == ()


def test_input_shapes_follow_from_the_pipeline() -> None:
    resample = preprocess.Resample(rate_hz=25.0, samples=50, channels=3)
    frame = preprocess.Fit(height=4, width=6, stretch=1.0)
    assert preprocess.input_shape((resample,)) == (50, 3)
    assert preprocess.input_shape((preprocess.ToGray(), frame)) == (1, 4, 6)
    assert preprocess.input_shape((preprocess.ToColor(order="rgb"), frame)) == (3, 4, 6)
    for wrong in ((resample, frame), (preprocess.ToColor(order="rgb"), *preprocess.INK), (preprocess.ToGray(),)):
        with pytest.raises(UsageError):
            preprocess.input_shape(wrong)


def test_colour_is_kept_in_order_and_transparency_is_white() -> None:
    bgr = np.zeros((4, 6, 3), np.uint8)
    bgr[..., 0], bgr[..., 2] = 10, 200
    frame = preprocess.Fit(height=4, width=6, stretch=1.0)
    rgb = preprocess.apply((preprocess.ToColor(order="rgb"), frame), bgr)
    assert rgb.shape == (3, 4, 6)
    np.testing.assert_allclose(rgb[:, 0, 0] * 255, [200, 0, 10], atol=1e-4)
    clear = np.dstack([bgr, np.zeros((4, 6), np.uint8)])
    clear[0, 0] = 255, 255, 255, 1  # for where it is 0 everywhere it is no transparency
    assert (preprocess.apply((preprocess.ToColor(order="bgr"), frame), clear) == 1).all()
    gray = preprocess.apply((preprocess.ToColor(order="rgb"), frame), bgr[..., 2])
    assert (gray[0] == gray[2]).all()


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(UsageError, match="signature, face, gait"):
        get("iris")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices with a path")
def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path, kind in ((tmp_path / "pipe.csv", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(RecordingDecodeError, match=f"is {kind}, not a file"):
            sensors.load(path)
    for name in ("null\0byte", "n" * 10_000):
        with pytest.raises(RecordingDecodeError):
            sensors.load(name)
