"""Walks: files, recordings and streams give the same cycles, the same templates and the same decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk import Shots, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import InputError, UnsupportedRecordingError, UnusableSampleError, UsageError
from edge_sdk.modalities.walks import WalkStream
from edge_sdk.preprocess import GaitCycles, apply
from edge_sdk.sensors import Recording

from .walked import CYCLES, SCORE, csv, features, gait_bundle, models, recording

PIPELINE = (CYCLES,)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return gait_bundle(tmp_path_factory.mktemp("gait") / "walkers")


def streamed(walk: WalkStream, source: Recording) -> WalkStream:
    for time, row in zip(source.times_ms.tolist(), source.values.tolist(), strict=True):
        walk.push(time, *row)
    return walk


def standing(seconds: float = 20.0) -> Recording:
    times = np.arange(0, seconds * 1000, 40.0)
    noise = np.random.default_rng(0).normal(0, 0.02, (len(times), 3))
    return Recording(noise + np.array([0, 9.81, 0]), times)


def test_a_stream_is_the_file_to_the_bit() -> None:
    walk = WalkStream(CYCLES)
    streamed(walk, recording(1))
    before = len(walk)
    assert 0 < before < walk.finish() == len(walk)
    prepared = walk.prepared()
    np.testing.assert_array_equal(prepared.rows, apply(PIPELINE, recording(1)))
    assert prepared.rows.shape == (len(walk), 4, 100)
    assert (prepared.flags, prepared.blocking) == ((), ())
    portions = WalkStream(CYCLES)
    source = recording(1)
    for at in range(0, len(source.times_ms), 7):
        portions.push_rows(source.times_ms[at : at + 7], source.values[at : at + 7])
        if at % 3 == 0:
            portions.push(
                source.times_ms[at], *source.values[at]
            )  # a time that is not above all before it counts for nothing
    portions.finish()
    np.testing.assert_array_equal(portions.prepared().rows, prepared.rows)
    assert portions.prepared().flags == ("gaps",)
    assert walk.finish() == len(walk)
    with pytest.raises(UsageError, match="has ended"):
        walk.push(0.0, 0, 9.81, 0)


def test_it_says_when_it_is_enough() -> None:
    walk = WalkStream(CYCLES, wanted=10)
    counts = [
        walk.push(time, *row)
        for time, row in zip(recording(2).times_ms.tolist(), recording(2).values.tolist(), strict=True)
        if not walk.enough
    ]
    assert sorted(counts) == counts
    assert 10 <= counts[-1] == len(walk) < 19
    assert WalkStream(CYCLES).wanted == 5
    for wanted, most in ((0, 5), (6, 5)):
        with pytest.raises(UsageError, match="wanted is from 1 to most"):
            WalkStream(CYCLES, wanted=wanted, most=most)
    counts: list[Any] = ["7", 5.5, float("nan")]
    for count in counts:
        for name in ("wanted", "most"):
            with pytest.raises(UsageError, match=f"{name} is .* whole number"):
                WalkStream(CYCLES, **{name: count})


def test_the_newest_cycles_are_kept_and_memory_is_bounded() -> None:
    walk, every = WalkStream(CYCLES, most=6), apply(PIPELINE, recording(2))
    streamed(walk, recording(2)).finish()
    np.testing.assert_array_equal(walk.prepared().rows, every[-6:])
    endless = WalkStream(CYCLES, most=20)
    source = recording(2)
    for lap in range(20):
        endless.push_rows(source.times_ms + lap * (source.times_ms[-1] + 40), source.values)
        assert len(endless._stream._times_s) < 30 * (CYCLES.window_s + 2 * CYCLES.hop_s)
    assert len(endless) == 20
    assert endless.found > 300
    assert endless.seen.rows > 10_000


@pytest.mark.parametrize(
    ("source", "flags", "blocking"),
    [
        (standing(), ("no_walk",), ("no_walk",)),
        (recording(1, seconds=5.0), ("few_cycles",), ("few_cycles",)),
        (
            Recording(np.clip(recording(1).values, -3, 11.5), recording(1).times_ms),
            ("clipped",),
            (),
        ),
    ],
    ids=["standing", "short", "clipped"],
)
def test_flags_are_those_of_a_file(
    bundle: Bundle, source: Recording, flags: tuple[str, ...], blocking: tuple[str, ...]
) -> None:
    walk = streamed(WalkStream(CYCLES), source)
    walk.finish()
    with Verifier(bundle) as verifier:
        for prepared in (walk.prepared(), verifier.prepare(source), verifier.prepare(walk)):
            assert (prepared.flags, prepared.blocking) == (flags, blocking)


def test_after_an_error_the_stream_is_as_new() -> None:
    for spoil in (
        lambda walk: [walk.push(k, 0, 9.81, 0) for k in range(0, 100_000, 200)],  # 5 rows a second
        lambda walk: walk.push_rows(np.array([np.nan]), np.zeros((1, 3))),
        lambda walk: walk.push_rows(np.zeros(3), np.zeros((3, 2))),
        lambda walk: [walk.push("no time", 0, 9.81, 0) for _ in range(32)],  # type: ignore[arg-type]
        lambda walk: [walk.push(10**400, 0, 9.81, 0) for _ in range(32)],  # beyond float64
        lambda walk: [walk.push(0, 0, 9.81, 0) for _ in range(32)],  # the clock goes back
        lambda walk: walk.push_rows(walk._at + np.arange(300) * 40.0, np.full((300, 3), 0.5)),
    ):
        walk = WalkStream(CYCLES)
        streamed(walk, recording(1))
        assert walk.enough
        walk._at = recording(1).times_ms[-1] + 40  # type: ignore[attr-defined]
        with pytest.raises(UnsupportedRecordingError):
            spoil(walk)
        assert (len(walk), walk.enough, walk.seen.rows) == (0, False, 0)
        assert walk.prepared().blocking == ("no_walk",)
        streamed(walk, recording(1)).finish()
        np.testing.assert_array_equal(walk.prepared().rows, apply(PIPELINE, recording(1)))


# --- the verifier ---


def test_files_recordings_and_streams_are_decided_alike(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "walk.csv"
    path.write_bytes(csv(1, 1))
    with Verifier(bundle) as verifier:
        walk = streamed(verifier.walk(), recording(1, 1))
        walk.finish()
        template = verifier.enroll([csv(1, 0), recording(1, 2)])
        own = np.concatenate([apply(PIPELINE, recording(1, number)) for number in (0, 2)])
        asked = apply(PIPELINE, recording(1, 1))
        assert template.count == len(own)
        expected = SCORE.compare(SCORE.enroll(features(own), models()), features(asked), models()).score
        for query in (path, str(path), csv(1, 1), recording(1, 1), walk):
            result = verifier.verify(template, query)
            assert result.score == pytest.approx(expected, abs=1e-3)
            assert result.score == verifier.verify(template, walk).score
            assert result
            assert not verifier.verify(template, csv(2, 1))
        assert verifier.identify(walk, {str(p): verifier.enroll(csv(p)) for p in range(4)}).identity == "1"


def test_a_walk_may_go_on_after_it_was_compared(bundle: Bundle) -> None:
    source = recording(1, 1)
    with Verifier(bundle) as verifier:
        template, walk = verifier.enroll(csv(1, 0)), verifier.walk(most=8)
        scores = []
        for time, row in zip(source.times_ms.tolist(), source.values.tolist(), strict=True):
            before = len(walk)
            if walk.push(time, *row) != before and walk.enough:
                scores.append(verifier.verify(template, walk).score)
        assert len(scores) > 1
        assert min(scores) > 1


def test_a_walk_for_enrolment_is_enough_later(bundle: Bundle) -> None:
    with Verifier(bundle) as verifier:
        assert (verifier.walk().wanted, verifier.walk(enrolling=True).wanted) == (5, 10)
        walk = verifier.walk(enrolling=True)
        with pytest.raises(UnusableSampleError, match="no_walk"):
            verifier.enroll(walk)
        streamed(walk, recording(1, seconds=10.0)).finish()
        assert not walk.enough
        with pytest.raises(UnusableSampleError, match=f"{len(walk)} cycles to enrol, 10 are needed"):
            verifier.enroll(walk)


def test_what_is_no_walk_is_never_accepted(bundle: Bundle) -> None:
    with Verifier(bundle) as verifier:
        template = verifier.enroll(csv(1))
        still = verifier.verify(template, standing())
        assert (still.decision, still.score, still.quality) == (False, -5.0, ("no_walk",))
        empty = verifier.verify(template, verifier.walk())
        assert (empty.decision, empty.quality) == (False, ("no_walk",))
        for other in (np.zeros((8, 8), np.uint8), b"no csv", "nowhere.csv"):
            with pytest.raises(InputError):
                verifier.verify(template, other)
        with pytest.raises(UsageError, match="no pictures"):
            verifier.verify(template, Shots([csv(1)]))
        for foreign in (WalkStream(GaitCycles(axes="sensor")), WalkStream(GaitCycles(samples=64))):
            with pytest.raises(UsageError, match=r"verifier\.walk\(\)"):
                verifier.verify(template, foreign)


def test_bundles_of_pictures_take_no_walks(tiny_bundle: Bundle) -> None:
    with Verifier(tiny_bundle) as verifier:
        with pytest.raises(UsageError, match="takes no walks"):
            verifier.walk()
        with pytest.raises(InputError):
            verifier.prepare(WalkStream(CYCLES))  # type: ignore[arg-type]
