"""By the deadline a stream has decided or says that it has not, whatever its frames do; and nothing of it accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_sdk import SpoofDecision, StreamResult
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, InputError, UsageError
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime.temporal import KOfN, Limits

from .drawn import frame
from .test_clock import Machine
from .test_detector import FACE, STEP, detector, live_frames, spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")

LIVE, SPOOF, UNCERTAIN, NO_FACE = SpoofDecision
DEADLINE_S = 1.0
LIMITS = Limits(gap_s=0.5, deadline_s=DEADLINE_S)
NEVER = KOfN(threshold=-1e9, live=1000, spoof=1, window=1000)
"""A rule of which no stream here has frames enough."""
ANSWERS = {"deadline", "no_face", "time_jump", "track_lost"}
"""Reasons that say that an attempt is over, or that nobody is there."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture(scope="module")
def lenient(make_bundle: Callable[..., Bundle]) -> Bundle:
    """A bundle that calls every face live."""
    return spoof_bundle(make_bundle)


def film(machine: Machine, steps: list[float], *, asleep: bool = False) -> Iterator[np.ndarray]:
    """Live frames, so many seconds apart, in which the machine was awake or not."""
    for step, picture in zip(steps, live_frames(len(steps)), strict=True):
        machine.awake, machine.asleep = machine.awake + step * (not asleep), machine.asleep + step * asleep
        yield picture


def answered(results: list[StreamResult], start: float) -> list[float]:
    """Times of the results that tell the application something, and of the start."""
    told = [one.time for one in results if one.decision is not UNCERTAIN or ANSWERS & set(one.reasons)]
    return [start, *told]


@pytest.mark.parametrize(
    "steps",
    [
        [STEP] * 40,
        [0.5] * 12,
        [STEP, STEP, 0.5, 0.5, STEP] * 5,
        [STEP] * 5 + [0.75] * 3 + [STEP] * 20,
        [STEP] * 5 + [3600.0] + [STEP] * 20,
        [0.0] * 10 + [STEP] * 20,
    ],
    ids=["in time", "slow", "uneven", "late by more than the gap", "an hour away", "standing clock"],
)
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "asleep"])
def test_an_undecided_stream_says_so_by_the_deadline(
    lenient: Bundle, machine: Machine, steps: list[float], *, asleep: bool
) -> None:
    start = machine.awake + machine.asleep
    with detector(lenient, rule=NEVER, limits=LIMITS) as opened:
        results = list(opened.stream(film(machine, steps, asleep=asleep)))
    assert len(results) == len(steps), "each frame has its result"
    assert {result.decision for result in results} == {UNCERTAIN}
    times = answered(results, start + steps[0])
    for before, after in zip(times, [*times[1:], results[-1].time], strict=True):
        assert after - before <= DEADLINE_S + max(LIMITS.gap_s, *steps)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (lambda _: None, "corrupt"),
        (lambda _: b"no picture", "corrupt"),
        (lambda _: np.zeros((480, 640, 3), np.uint8), "too_dark"),
        (lambda seed: frame((200, 100, 200), (0, 280, 200), seed=seed), "several_faces"),
        (lambda seed: frame(seed=seed), "no_face"),
    ],
    ids=["dropped", "damaged", "dark", "two faces", "nobody"],
)
def test_frames_without_a_score_are_answered_by_the_deadline(
    lenient: Bundle, picture: Callable[[int], object], reason: str
) -> None:
    frames = [(i * STEP, picture(i)) for i in range(20)]
    with detector(lenient, limits=LIMITS) as opened:
        results = list(opened.stream(frames))  # type: ignore[arg-type]
    assert all(reason in result.reasons for result in results)
    assert {result.decision for result in results} == {NO_FACE if reason == "no_face" else UNCERTAIN}
    if reason != "no_face":
        ends = [i for i, result in enumerate(results) if "deadline" in result.reasons]
        assert ends == [8, 16], "each second at 8 frames a second"


def test_a_stream_may_have_a_deadline_of_its_own(lenient: Bundle) -> None:
    frames = [(i * STEP, picture) for i, picture in enumerate(live_frames(9))]
    with detector(lenient, rule=NEVER) as opened:
        assert opened.limits.deadline_s == 5.0
        found = list(opened.stream(frames, deadline=0.5))
        assert [i for i, result in enumerate(found) if "deadline" in result.reasons] == [4, 8]
        assert not any("deadline" in result.reasons for result in opened.stream(frames))
        for wrong in (0.0, -1.0, float("nan"), 1e9, "2", True):
            with pytest.raises(UsageError, match="deadline_s"):
                opened.stream(frames, deadline=wrong)


def test_an_attempt_that_met_its_deadline_starts_from_nothing(lenient: Bundle) -> None:
    """Two live frames, a second without any: the third live frame is the first of another attempt."""
    unusable = [None] * 8
    pictures = [*live_frames(2), *unusable, *live_frames(5)[2:]]
    frames = [(i * STEP, picture) for i, picture in enumerate(pictures)]
    with detector(lenient, limits=Limits(gap_s=5.0, deadline_s=DEADLINE_S)) as opened:
        results = list(opened.stream(frames))
    assert results[8].reasons[-1] == "deadline"
    assert [result.decision for result in results[10:]] == [UNCERTAIN, UNCERTAIN, LIVE]


@pytest.mark.parametrize("failing", ["camera", "locator", "engine", "wrong frame"])
def test_a_failure_ends_the_stream_and_accepts_nobody(
    make_bundle: Callable[..., Bundle], lenient: Bundle, failing: str
) -> None:
    def frames() -> Iterator[object]:
        yield from live_frames(2)
        if failing == "camera":
            raise OSError("unplugged")
        yield {} if failing == "wrong frame" else live_frames(3)[2]
        yield from live_frames(9)[3:]

    calls = 0

    def locate(_: np.ndarray) -> list[Box]:
        nonlocal calls
        calls += 1
        if failing == "locator" and calls == 3:
            raise RuntimeError("lost its mind")
        return [FACE]

    bundle = spoof_bundle(make_bundle, model={"failure": "error"}) if failing == "engine" else lenient
    seen: list[StreamResult] = []
    with detector(bundle, faces=locate) as opened:
        stream = opened.stream(frames())  # type: ignore[arg-type]
        with pytest.raises((OSError, RuntimeError, EngineError, UsageError, InputError)):
            seen.extend(stream)
        assert list(stream) == []
    assert len(seen) == (0 if failing == "engine" else 2)
    assert not any(seen)
