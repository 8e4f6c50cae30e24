"""A clock that goes on while the machine sleeps, and the evidence of a stream that does not outlive the sleep."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_sdk import SpoofDecision
from edge_sdk.bundle import Bundle
from edge_sdk.runtime import clock, sources

from .filmed import Camera
from .test_detector import STEP, detector, live_frames, spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")

LIVE, SPOOF, UNCERTAIN, NO_FACE = SpoofDecision


class Machine:
    """Its clocks, in seconds: what stands still during sleep, and what does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.awake, self.asleep, self.wall = 1000.0, 0.0, 1e9
        monkeypatch.setattr(clock, "now", lambda: self.awake + self.asleep)
        monkeypatch.setattr(clock, "suspended", lambda: self.asleep)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def film(self, *before: float, stamped: bool = False) -> Iterator[object]:
        """Frames, with so much sleep before each; stamped by a clock that stands still meanwhile."""
        for seconds, picture in zip(before, live_frames(len(before)), strict=True):
            self.asleep += seconds
            self.awake += STEP
            yield (self.awake, picture) if stamped else picture


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture(scope="module")
def lenient(make_bundle: Callable[..., Bundle]) -> Bundle:
    return spoof_bundle(make_bundle)


@pytest.mark.parametrize("stamped", [False, True], ids=["unstamped", "stamped"])
@pytest.mark.parametrize("slept", [1.5, 3600.0])
def test_evidence_does_not_outlive_a_sleep(lenient: Bundle, machine: Machine, slept: float, *, stamped: bool) -> None:
    with detector(lenient) as opened:
        results = list(opened.stream(machine.film(0, 0, 0, slept, 0, 0, 0, stamped=stamped)))  # type: ignore[arg-type]
    assert [result.decision for result in results] == [UNCERTAIN, UNCERTAIN, LIVE, *[UNCERTAIN] * 3, LIVE]
    assert results[3].reasons == ("time_jump",)
    if stamped:
        assert [result.time for result in results] == [1000 + STEP * n for n in range(1, 8)], "the camera's own times"


def test_short_sleeps_add_up(lenient: Bundle, machine: Machine) -> None:
    with detector(lenient) as opened:
        results = list(opened.stream(machine.film(0, 0, 0, 0.75, 0.75, stamped=True)))  # type: ignore[arg-type]
    assert [result.reasons[-1] for result in results[2:]] == ["evidence", "evidence", "time_jump"]


def test_neither_the_wall_clock_nor_slow_work_matters(lenient: Bundle, machine: Machine) -> None:
    def film() -> Iterator[object]:
        for number, item in enumerate(machine.film(*[0] * 6, stamped=True)):
            machine.wall += (-1) ** number * 86_400
            yield item

    def slowly() -> Iterator[object]:
        for number, picture in enumerate(live_frames(6)):
            machine.awake += 60  # a film that is worked on for a minute a frame
            yield number * STEP, picture

    with detector(lenient) as opened:
        for frames in (film(), slowly()):
            assert [result.decision for result in opened.stream(frames)][2:] == [LIVE] * 4  # type: ignore[arg-type]


def test_the_clock_of_this_machine() -> None:
    first, slept = clock.now(), clock.suspended()
    time.sleep(0.02)
    assert clock.now() - first > 0.015
    assert abs(clock.suspended() - slept) < 60, "seconds, and no sleep in between"
    if sys.platform == "linux":
        assert clock.now() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=60)


def test_a_clock_that_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock._named("CLOCK_NO_SUCH") is None

    def refuses(_: int) -> float:
        raise OSError(22, "Invalid argument")

    with monkeypatch.context() as patched:
        patched.setattr(time, "clock_gettime", refuses, raising=False)
        assert clock._named("CLOCK_REALTIME") is None
    monkeypatch.setattr(clock, "_ASLEEP_TOO", None)
    assert clock.now() == pytest.approx(time.monotonic(), abs=60)
    assert clock.suspended() == 0.0


def test_a_camera_is_stamped_by_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.cv2, "VideoCapture", lambda *_: Camera(*[np.zeros((4, 4, 3), np.uint8)] * 2))
    frames = sources.camera(0)
    first, _ = next(frames)
    machine.asleep += 3600
    second, _ = next(frames)
    assert second - first == 3600
    frames.close()  # type: ignore[attr-defined]
