"""Gait cycles of made walks, whose cycles are known by construction: right ones, and none of anything else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.errors import ManifestError, RecordingDecodeError, UnsupportedRecordingError, UsageError
from edge_sdk.modalities import Prepared, get
from edge_sdk.preprocess import GaitCycles, walking
from edge_sdk.preprocess.cycles import BLOCK, CycleStream, walked
from edge_sdk.sensors import Recording

from .walks import acceleration, even_times, uneven_times, walk

GAIT = get("gait")
OPERATIONS = (GaitCycles(),)
UPRIGHT = np.array([0.0, 9.81, 0.0])
Times = NDArray[np.float64]
Values = NDArray[np.float64]


def prepare(recording: Recording) -> Prepared:
    return GAIT.prepare(OPERATIONS, recording, GAIT.source(OPERATIONS, None))


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


def test_turned_by_the_swing_a_walk_is_the_same_whichever_side_of_the_phone_faces_the_leg() -> None:
    times = even_times(20, 50.0)
    values = walk(times).values.astype(np.float64)
    values[:, 2] = 2 * np.exp(2 * np.cos(2 * np.pi * (times - times[0]) / 1100)) / np.exp(2)  # peaks to one side
    operation = GaitCycles(axes="swing")
    rows = operation(Recording(values, times))
    np.testing.assert_allclose(operation(Recording(values * [-1, 1, -1], times)), rows, atol=1e-5)
    assert rows[:, 1].max() > -rows[:, 1].min()


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
@given(cuts=st.lists(st.integers(0, 900), max_size=12), seed=st.integers(0, 3))
def test_a_stream_in_any_portions_gives_what_the_file_gives(cuts: list[int], seed: int) -> None:
    times = uneven_times(36, 25.0, seed)
    times[200 * seed + 100 :] += 700  # a gap, and a row that comes twice
    times[500] = times[499]
    recording = walk(times)
    operation = GaitCycles(axes="gravity")
    stream = CycleStream(operation)
    bounds = [0, *sorted(cuts), len(recording.values)]
    found = [
        stream.push(recording.times_ms[begin:end], recording.values[begin:end])
        for begin, end in itertools.pairwise(bounds)
    ]
    found.append(stream.finish())
    cycles, seen = walked(operation, recording)
    assert np.array_equal(np.concatenate([one.rows for one in found]), cycles.rows)
    assert np.array_equal(np.concatenate([one.spans_ms for one in found]), cycles.spans_ms)
    assert stream.seen == seen
    assert len(cycles.rows) >= 20


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


def still(times_ms: Times) -> Values:
    return UPRIGHT + np.random.default_rng(0).normal(0, 0.05, (len(times_ms), 3))


def driving(times_ms: Times) -> Values:
    """Bumps of all frequencies below about 10 Hz, and a body that sways by its own, slower one."""
    rng = np.random.default_rng(0)
    bumps = np.apply_along_axis(np.convolve, 0, rng.normal(0, 2.5, (len(times_ms), 3)), np.ones(4) / 4, "same")
    return UPRIGHT + bumps + 0.5 * np.sin(2 * np.pi * 1.4 * (times_ms - times_ms[0]) / 1000)[:, None]


def shaking(times_ms: Times, hertz: float = 5.0) -> Values:
    turn = 2 * np.pi * hertz * (times_ms - times_ms[0]) / 1000
    return UPRIGHT + 4 * np.sin(turn)[:, None] * np.array([1.0, 0.5, 0.2])


def shaking_slowly(times_ms: Times) -> Values:
    return shaking(times_ms, 3.0)


def turning(times_ms: Times) -> Values:
    """A phone that is slowly turned over, in a hand."""
    turn = 2 * np.pi * (times_ms - times_ms[0]) / 8000
    return 9.81 * np.stack([np.sin(turn), np.cos(turn), 0 * turn], axis=1)


def one_value(times_ms: Times) -> Values:
    return np.broadcast_to(UPRIGHT, (len(times_ms), 3))


@pytest.mark.parametrize("movement", [still, driving, shaking, shaking_slowly, turning, one_value])
def test_what_is_no_walk_has_no_cycles_and_is_blocked(movement: Callable[[Times], Values]) -> None:
    times = uneven_times(36, 50.0)
    prepared = prepare(Recording(movement(times), times))
    assert prepared.tensor.shape == (0, 4, 100)
    assert prepared.blocking == ("no_walk",)


def test_cycles_are_those_of_the_walk_alone() -> None:
    """Standing, then walking, then standing: what is cut out lies within the walk."""
    times = even_times(60, 50.0)
    values = still(times)
    values[1000:2000] = walk(times[1000:2000]).values
    cycles, seen = walked(GaitCycles(), Recording(values, times))
    spans = (cycles.spans_ms - times[0]) / 1000
    assert 14 <= len(spans) <= 18
    assert 20 - 0.2 < spans.min() < spans.max() < 40 + 0.2
    assert 2 * seen.walking < seen.windows
    assert prepare(Recording(values, times)).flags == ("pauses",)


def test_few_cycles_are_blocked() -> None:
    prepared = prepare(walk(even_times(5, 50.0)))
    assert 0 < len(prepared.tensor) < GaitCycles().least
    assert prepared.blocking == ("few_cycles",)
    assert prepare(walk(even_times(20, 50.0))).flags == ()
    assert prepare(walk(even_times(2, 50.0))).blocking == ("no_walk",)


def test_an_axis_that_clips_is_a_flag() -> None:
    recording = walk(even_times(20, 50.0))
    prepared = prepare(Recording(np.clip(recording.values, -19.6, 11.0), recording.times_ms))
    assert (prepared.flags, prepared.blocking) == (("clipped",), ())


def test_a_phone_that_lies_another_way_gives_other_axes_but_the_same_cycles() -> None:
    recording = walk(even_times(20, 50.0))
    other = Recording(recording.values[:, [1, 2, 0]] * np.float32([-1, 1, -1]), recording.times_ms)
    first, second = walked(GaitCycles(), recording)[0], walked(GaitCycles(), other)[0]
    np.testing.assert_allclose(first.spans_ms, second.spans_ms, atol=1)
    np.testing.assert_allclose(first.rows[:, 3], second.rows[:, 3], atol=1e-3)
    assert np.abs(first.rows[:, :3] - second.rows[:, :3]).max() > 0.5


@pytest.mark.parametrize(
    ("factor", "gravity", "message"),
    [
        (1 / 9.81, 9.81, "multiply by 9.81"),
        (1000 / 9.81, 9.81, "multiply by 0.00981"),
        (1.0, 0.0, "with gravity"),
        (0.0, 9.81, "with gravity"),
        (100.0, 9.81, "if it is cm/s\\^2, by 0.01"),
        (3.28, 9.81, "convert its unit"),
    ],
    ids=["g", "mg", "linear acceleration", "zero", "cm/s^2", "ft/s^2"],
)
def test_other_units_are_refused(factor: float, gravity: float, message: str) -> None:
    recording = walk(even_times(20, 50.0), gravity=gravity)
    with pytest.raises(UnsupportedRecordingError, match=message):
        prepare(Recording(recording.values * factor, recording.times_ms))


TIMES = even_times(20, 50.0)


@pytest.mark.parametrize("row", [0, 3, 500, 999])
def test_a_damaged_row_is_named_and_no_unit_blamed(row: int) -> None:
    for value in (3e38, -1e6):
        values = walk(TIMES).values.copy()
        values[row, 1] = value
        with pytest.raises(
            UnsupportedRecordingError, match=re.escape(f"a magnitude of {abs(value):.3g} ") + ".*leave such rows out"
        ):
            prepare(Recording(values, TIMES))


def test_a_hard_knock_is_no_damage() -> None:
    values = walk(TIMES).values.copy()
    values[500] = 400.0  # 70 g: beyond the range of phones
    assert len(prepare(Recording(values, TIMES)).tensor) >= len(prepare(walk(TIMES)).tensor) - 8


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (TIMES[::-1].copy(), "repeat or go back"),
        (np.full(len(TIMES), TIMES[0]), "repeat or go back"),
        (even_times(200, 5.0), "5 rows a second; gait needs at least 20"),
        (TIMES / 1000, "more than a phone's sensor gives: time stamps are in milliseconds"),
        (TIMES * 1000, "needs at least 20, with time stamps in milliseconds"),
        (TIMES * 1e6, "needs at least 20, with time stamps in milliseconds"),
        (np.concatenate([TIMES[:500], TIMES[:500]]), "time goes back by 10.0 s"),
        (np.arange(1000) * 1e305 - 5e307, "rows a second"),
    ],
    ids=["reversed", "repeated", "5 Hz", "seconds", "microseconds", "nanoseconds", "twice", "absurd"],
)
def test_time_must_be_as_a_sensor_gives_it(times: Times, message: str) -> None:
    with pytest.raises(UnsupportedRecordingError, match=message):
        prepare(Recording(walk(TIMES).values, times))


def test_other_columns_are_refused() -> None:
    """Time last, in another file's order, with a head line, or a second sensor's axes beside the first."""
    recording = walk(TIMES)
    for columns in ([1, 2, 3, 0], [1, 0, 2, 3]):
        table = np.column_stack([recording.times_ms - recording.times_ms[0], recording.values])[:, columns]
        text = "".join(",".join(f"{value:.4f}" for value in row) + "\n" for row in table)
        with pytest.raises(UnsupportedRecordingError, match="first column"):
            prepare(GAIT.decode(text.encode()))
    with pytest.raises(RecordingDecodeError, match="remove the head line"):
        GAIT.decode(b"time,x,y,z\n" + text.encode())
    with pytest.raises(UnsupportedRecordingError, match=r"6 channel\(s\); a walk has the three axes"):
        prepare(Recording(np.hstack([recording.values] * 2), recording.times_ms))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([15.0, 20.0, 25.0, 60.0, 200.0]),
    spread=st.sampled_from([0.0, 0.5, 3.0, 30.0]),
    level=st.sampled_from([0.0, 1.0, 9.81, 40.0]),
)
def test_noise_is_refused_or_gives_rows_that_are_numbers(seed: int, rate: float, spread: float, level: float) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(
        rng.choice([0.0, 0.3, 1.0, 1.0, 1.5, 12.0], 400, p=[0.02, 0.2, 0.3, 0.3, 0.17, 0.01]) * 1000 / rate
    )
    values = np.array([0.0, level, 0.0]) + rng.normal(0, spread, (400, 3)).cumsum(axis=0) * rng.integers(0, 2)
    try:
        prepared = prepare(Recording(values, times))
    except UnsupportedRecordingError:
        return
    assert np.isfinite(prepared.tensor).all()
    assert prepared.tensor.shape[1:] == (4, 100)


def test_a_stream_is_usable_after_an_error() -> None:
    recording = walk(TIMES)
    stream = CycleStream(GaitCycles())
    for bad in (np.full((5, 3), np.nan), np.zeros((5, 2)), np.zeros(5)):
        with pytest.raises(UnsupportedRecordingError):
            stream.push(np.arange(5.0), bad)
    stream.push(recording.times_ms[:100], recording.values[:100])
    with pytest.raises(UnsupportedRecordingError, match="goes back"):
        stream.push(recording.times_ms[:100] - 5000, recording.values[:100])
    found = stream.push(recording.times_ms, recording.values), stream.finish()
    assert np.array_equal(np.concatenate([one.rows for one in found]), GaitCycles()(recording))


def test_a_stream_keeps_no_more_than_its_window() -> None:
    operation = GaitCycles()
    stream = CycleStream(operation)
    recording = walk(even_times(120, 50.0))
    cycles = 0
    for row in range(0, len(recording.values), 40):
        cycles += len(stream.push(recording.times_ms[row : row + 40], recording.values[row : row + 40]).rows)
        kept = sum(len(one) for one in vars(stream).values() if isinstance(one, np.ndarray))
        assert kept <= 2 * ((operation.window_s + operation.hop_s + 0.1) * 50 + 2 * BLOCK)
    assert cycles >= 100


def test_no_cycle_lies_over_a_gap() -> None:
    recording = walk(even_times(36, 50.0))
    seconds = (recording.times_ms - recording.times_ms[0]) / 1000
    kept = (seconds < 12) | (seconds > 12.5)
    holed = Recording(recording.values[kept], recording.times_ms[kept])
    cycles, seen = walked(GaitCycles(), holed)
    assert seen.gaps == 1
    spans = (cycles.spans_ms - recording.times_ms[0]) / 1000
    assert not ((spans[:, 0] < 12.4) & (spans[:, 1] > 12.1)).any()
    assert len(spans) >= 28
    assert prepare(holed).flags == ("gaps",)


def test_duplicate_and_late_rows_are_passed_over() -> None:
    recording = walk(TIMES)
    times, values = recording.times_ms.copy(), recording.values.copy()
    times = np.insert(times, [300, 700], [times[299], times[690]])
    values = np.insert(values, [300, 700], 50.0, axis=0)
    cycles, seen = walked(GaitCycles(), Recording(values, times))
    assert seen.passed_over == 2
    np.testing.assert_allclose(cycles.rows, GaitCycles()(recording), atol=1e-6)
    assert prepare(Recording(values, times)).flags == ("gaps",)


@pytest.mark.parametrize(
    "change", [{"least_s": 2.0}, {"hop_s": 7.0}, {"window_s": 3.0}, {"samples": 4}, {"gap_s": np.nan}]
)
def test_parameters_are_checked(change: dict[str, float]) -> None:
    with pytest.raises(ManifestError):
        GaitCycles(**change)  # type: ignore[arg-type]


def test_shapes_and_source() -> None:
    assert preprocess.input_shape(OPERATIONS) == (4, 100)
    assert preprocess.is_recording(OPERATIONS)
    source = GAIT.source(OPERATIONS, None)
    source.check(("batch", 4, 100), OPERATIONS)
    with pytest.raises(UsageError, match="does not hold what the pre-processing gives"):
        source.check(("batch", 100, 4), OPERATIONS)
    with pytest.raises(UsageError, match="a window of the source is"):
        source.check(("batch", 4, 100), (GaitCycles(window_s=8.0),))
