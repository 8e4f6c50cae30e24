"""Gait cycles of made walks, whose cycles are known by construction: right ones, and none of anything else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import preprocess
from edge_sdk.errors import ManifestError, UnsupportedRecordingError
from edge_sdk.modalities import get
from edge_sdk.preprocess import GaitCycles, walking
from edge_sdk.preprocess.cycles import CycleStream, walked
from edge_sdk.sensors import Recording

from .walks import acceleration, even_times, uneven_times, walk

GAIT = get("gait")


@pytest.mark.parametrize(
    ("period", "rate"), [(0.85, 25.0), (0.85, 50.0), (1.0, 25.0), (1.1, 1000.0), (1.3, 100.0), (1.6, 25.0), (1.6, 50.0)]
)
def test_every_cycle_of_a_made_walk_is_found_where_it_is(period: float, rate: float) -> None:
    recording = walk(even_times(36, rate), period)
    cycles, seen = walked(GaitCycles(), recording)
    durations = np.diff(cycles.spans_ms, axis=1)[:, 0] / 1000
    np.testing.assert_allclose(durations, period, atol=0.03)
    whole = int(36 / period)
    assert whole - 2 <= len(cycles.rows) <= whole
    assert (seen.rejected, seen.gaps, seen.passed_over) == (0, 0, 0)
    starts = (cycles.spans_ms[:, 0] - recording.times_ms[0]) / 1000 / period
    assert np.abs(starts - np.rint(starts)).max() < 0.03  # the higher hill of the two is at whole periods
    assert np.array_equal(cycles.spans_ms[1:, 0], cycles.spans_ms[:-1, 1])


def test_rows_are_the_axes_in_units_of_the_mean_magnitude() -> None:
    recording = walk(even_times(36, 100.0), 1.2, noise=0.0)
    rows = GaitCycles()(recording)
    assert (rows.dtype, rows.shape[1:]) == (np.float32, (4, 100))
    exact = acceleration(np.arange(100) / 100 * 1.2, 1.2)
    exact /= np.linalg.norm(exact, axis=1).mean()
    expected = np.column_stack([exact, np.linalg.norm(exact, axis=1)]).T
    # 40 ms round each moment are averaged, which takes 1 % of what moves at twice the frequency of steps
    np.testing.assert_allclose(rows, np.broadcast_to(expected, rows.shape), atol=0.02)


@pytest.mark.parametrize("gravity", [9.2, 9.81, 11.8])
def test_the_scale_of_a_sensor_does_not_count(gravity: float) -> None:
    recording = walk(even_times(20, 50.0), noise=0.0)
    scaled = Recording(recording.values.astype(np.float64) * gravity / 9.81, recording.times_ms)
    np.testing.assert_allclose(GaitCycles()(scaled), GaitCycles()(recording), atol=1e-5)


def test_turned_to_gravity_a_walk_is_the_same_however_the_phone_is_turned_about_z() -> None:
    recording = walk(even_times(20, 50.0))
    operation = GaitCycles(axes="gravity")
    upright = operation(recording)
    assert upright[:, 0].mean() == pytest.approx(1, abs=0.05)  # up
    assert abs(upright[:, 1:3].mean()) < 0.02
    for angle in (0.3, np.pi / 2, np.pi):
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        turned = Recording(recording.values.astype(np.float64) @ turn.T, recording.times_ms)
        np.testing.assert_allclose(operation(turned), upright, atol=1e-4)
        assert np.abs(GaitCycles()(turned) - GaitCycles()(recording)).max() > 0.2


def test_the_turned_axes_are_a_rotation() -> None:
    for gravity in ([0.1, 9.8, 0.3], [-3.0, -9.0, 2.0], [0.0, 0.0, 9.8], [0.0, 0.2, -9.8], [9.0, 1.0, 4.0]):
        turn = walking.upright(np.array(gravity))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert abs(np.linalg.det(turn)) == pytest.approx(1)
        np.testing.assert_allclose(turn @ gravity, [np.linalg.norm(gravity), 0, 0], atol=1e-12)


def test_centred_rows_have_no_mean() -> None:
    rows = GaitCycles(centred=True)(walk(even_times(20, 50.0)))
    np.testing.assert_allclose(rows.mean(axis=2), 0, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 900), max_size=12), seed=st.integers(0, 5))
def test_a_stream_in_any_portions_gives_what_the_file_gives(cuts: list[int], seed: int) -> None:
    recording = walk(uneven_times(36, 25.0, seed))
    operation = GaitCycles(axes="gravity")
    stream = CycleStream(operation)
    bounds = [0, *sorted(cuts), len(recording.values)]
    found = [
        stream.push(recording.times_ms[begin:end], recording.values[begin:end])
        for begin, end in itertools.pairwise(bounds)
    ]
    found.append(stream.finish())
    assert np.array_equal(np.concatenate([one.rows for one in found]), operation(recording))


def test_means_are_exact_integrals_of_the_line_through_the_rows() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.001, 0.1, 40))
    values = rng.normal(0, 1, (40, 2))
    at = rng.uniform(times[0] - 0.1, times[-1] + 0.1, 25)
    found = walking.means(times, values, at, 0.07)
    for moment, mean in zip(at, found, strict=True):
        fine = moment - 0.035 + (np.arange(20_000) + 0.5) * 0.07 / 20_000
        expected = [np.interp(fine, times, column).mean() for column in values.T]
        np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_likenesses_are_correlations() -> None:
    signal = np.random.default_rng(4).normal(0, 1, (60, 3))
    found = walking.likenesses(signal, 20)
    centred = signal - signal.mean(axis=0)
    for lag in range(21):
        first, second = centred[: 60 - lag], centred[lag:]
        expected = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
        assert found[lag] == pytest.approx(expected, abs=1e-9)


# --- what is no walk ---


def still(times_ms: np.ndarray) -> np.ndarray:
    return np.array([0.0, 9.81, 0.0]) + np.random.default_rng(0).normal(0, 0.05, (len(times_ms), 3))


def driving(times_ms: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = np.apply_along_axis(np.convolve, 0, rng.normal(0, 2.5, (len(times_ms), 3)), np.ones(4) / 4, "same")
    return np.array([0.0, 9.81, 0.0]) + smooth


def shaking(times_ms: np.ndarray) -> np.ndarray:
    turn = 2 * np.pi * 5.0 * (times_ms - times_ms[0]) / 1000
    return np.array([0.0, 9.81, 0.0]) + 4 * np.sin(turn)[:, None] * np.array([1.0, 0.5, 0.2])


@pytest.mark.parametrize("movement", [still, driving, shaking])
def test_what_is_no_walk_has_no_cycles_and_is_blocked(movement) -> None:  # type: ignore[no-untyped-def]
    times = uneven_times(36, 50.0)
    operations = (GaitCycles(),)
    prepared = GAIT.prepare(operations, Recording(movement(times), times), GAIT.source(operations, None))
    assert prepared.tensor.shape == (0, 4, 100)
    assert prepared.blocking == ("no_walk",)


def test_few_cycles_are_blocked() -> None:
    operations = (GaitCycles(least=5),)
    prepared = GAIT.prepare(operations, walk(even_times(5, 50.0)), GAIT.source(operations, None))
    assert 0 < len(prepared.tensor) < 5
    assert prepared.blocking == ("few_cycles",)
    prepared = GAIT.prepare(operations, walk(even_times(20, 50.0)), GAIT.source(operations, None))
    assert prepared.flags == ()


@pytest.mark.parametrize(
    ("factor", "gravity", "message"),
    [(1 / 9.81, 9.81, "multiply by 9.81"), (1000 / 9.81, 9.81, "multiply by 0.00981"), (1.0, 0.0, "with gravity")],
    ids=["g", "mg", "linear acceleration"],
)
def test_other_units_are_refused(factor: float, gravity: float, message: str) -> None:
    recording = walk(even_times(20, 50.0), gravity=gravity)
    with pytest.raises(UnsupportedRecordingError, match=message):
        GaitCycles()(Recording(recording.values * factor, recording.times_ms))


def test_time_must_be_as_a_sensor_gives_it() -> None:
    recording = walk(even_times(20, 50.0))
    times, values = recording.times_ms, recording.values
    for bad, message in (
        (times[::-1].copy(), "time goes back|repeat or go back"),
        (np.full(len(times), times[0]), "repeat or go back"),
        (even_times(200, 5.0)[: len(times)], "5 rows a second"),
        (times / 1000, "more than a phone's sensor gives"),
        (times * 1000, "needs at least 20"),
        (np.concatenate([times[:500], times[:500]]), "time goes back by 10.0 s"),
    ):
        with pytest.raises(UnsupportedRecordingError, match=message):
            GaitCycles()(Recording(values, bad))


def test_a_stream_is_usable_after_an_error() -> None:
    recording = walk(even_times(20, 50.0))
    stream = CycleStream(GaitCycles())
    for bad in (np.full((5, 3), np.nan), np.zeros((5, 2)), np.zeros(5)):
        with pytest.raises(UnsupportedRecordingError):
            stream.push(np.arange(5.0), bad)
    stream.push(recording.times_ms[:100], recording.values[:100])
    with pytest.raises(UnsupportedRecordingError, match="goes back"):
        stream.push(recording.times_ms[:100] - 5000, recording.values[:100])
    found = stream.push(recording.times_ms, recording.values), stream.finish()
    assert np.array_equal(np.concatenate([one.rows for one in found]), GaitCycles()(recording))


def test_no_cycle_lies_over_a_gap() -> None:
    recording = walk(even_times(36, 50.0))
    seconds = (recording.times_ms - recording.times_ms[0]) / 1000
    kept = (seconds < 12) | (seconds > 12.5)
    operations = (GaitCycles(),)
    cycles, seen = walked(operations[0], Recording(recording.values[kept], recording.times_ms[kept]))
    assert seen.gaps == 1
    spans = (cycles.spans_ms - recording.times_ms[0]) / 1000
    assert not ((spans[:, 0] < 12.4) & (spans[:, 1] > 12.1)).any()
    assert len(spans) >= 28


@pytest.mark.parametrize(
    "change", [{"least_s": 2.0}, {"hop_s": 7.0}, {"window_s": 3.0}, {"samples": 4}, {"gap_s": np.nan}]
)
def test_parameters_are_checked(change: dict[str, float]) -> None:
    with pytest.raises(ManifestError):
        GaitCycles(**change)  # type: ignore[arg-type]


def test_shapes_and_source() -> None:
    operations = (GaitCycles(),)
    assert preprocess.input_shape(operations) == (4, 100)
    assert preprocess.is_recording(operations)
    source = GAIT.source(operations, None)
    source.check(("batch", 4, 100), operations)
