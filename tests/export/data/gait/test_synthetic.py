"""Walkers who do not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk import sensors
from edge_sdk.errors import UsageError
from edge_sdk.export.data.gait import synthetic
from edge_sdk.export.data.gait.synthetic import PER_WALKER, SyntheticWalker
from edge_sdk.export.data.load import load


def stride(recording: sensors.Recording) -> float:
    """Seconds after which the acceleration is most like itself, from half a second to a second and a half."""
    times = np.arange(recording.times_ms[0], recording.times_ms[-1], 10.0)
    even = np.stack([np.interp(times, recording.times_ms, axis) for axis in recording.values.T], axis=1)
    even -= even.mean(axis=0)
    likeness = [(even[:-lag] * even[lag:]).sum() / (len(even) - lag) for lag in range(60, 150)]
    return (60 + int(np.argmax(likeness))) / 100


def test_a_walker_walks_alike_and_never_twice_the_same() -> None:
    first, again, second = (sensors.load(SyntheticWalker(3).walk(k)) for k in (0, 0, 1))
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, second.values)
    assert stride(first) == pytest.approx(stride(second), rel=0.1)
    assert 0.85 < stride(first) < 1.4


def test_acceleration_is_that_of_a_phone_that_is_carried() -> None:
    for number in range(4):
        recording = sensors.load(SyntheticWalker(number).walk(0))
        magnitude = np.linalg.norm(recording.values, axis=1)
        assert 9 < magnitude.mean() < 12
        assert 1 < magnitude.std() < 5
        gaps = np.diff(recording.times_ms)
        assert 20 < gaps.min() < gaps.max() < 60
        assert np.mean(gaps) == pytest.approx(1000 / synthetic.RATE_HZ, rel=0.05)


def test_walkers_are_a_data_set() -> None:
    data = load("walks:3")
    assert data.name == "walks"
    assert data.subjects == ("walks/0-0", "walks/0-1", "walks/0-2")
    assert len(data.samples) == 3 * PER_WALKER
    assert {sample.modality for sample in data.samples} == {"gait"}
    assert Path(data.samples[0].path).read_bytes() == SyntheticWalker(0).walk(0)
    assert load("walks:1@7").subjects == ("walks/7-0",)


@pytest.mark.parametrize("spec", ["walks:0", "walks:x", "walks:2@x", "walks:-1"])
def test_no_walkers_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="expected walks:N"):
        load(spec)
