"""A film in real time: which frames are taken, late and dropped, by a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, ImageNotFoundError, UsageError, VideoDecodeError
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import device
from edge_sdk.runtime.profile.records import StreamProfile
from edge_sdk.runtime.profile.stream_report import html, text
from edge_sdk.runtime.profile.streams import STAGES, profile_stream

from .filmed import film, spoil
from .test_detector import FACE, live_frames, spoof_bundle

pytestmark = pytest.mark.usefixtures("fake_engine")

FPS = 8  # an eighth of a second is a binary fraction, so that times add up exactly
FRAMES = 12


class Watch:
    """A clock that goes on while somebody sleeps, or looks for a face.

    As a locator, it takes so many seconds for each frame in turn; the last of them for all that follow.
    """

    def __init__(self, *work: float, faces: bool = True) -> None:
        self.now = 100.0
        self.work = list(work)
        self.faces = faces
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += seconds

    def locate(self, _: np.ndarray) -> list[Box]:
        self.now += self.work.pop(0) if len(self.work) > 1 else self.work[0]
        return [FACE] if self.faces else []


@pytest.fixture(scope="module")
def lenient(make_bundle: Callable[..., Bundle]) -> Bundle:
    """A bundle that calls every face live, from the seventh on."""
    return spoof_bundle(make_bundle)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "driver.avi", live_frames(FRAMES), FPS)


def played(path: Path, bundle: Bundle, watch: Watch, **settings: object) -> StreamProfile:
    return profile_stream(
        path,
        bundle,
        engine="fake",
        faces=watch.locate,
        clock=watch,
        sleep=watch.sleep,
        **settings,  # type: ignore[arg-type]
    )


def test_a_detector_that_keeps_up(lenient: Bundle, driver: Path) -> None:
    watch = Watch(1 / 16)
    report = played(driver, lenient, watch)
    found = report.measured
    assert (report.fps, found.frames, found.dropped, found.late, found.held) == (FPS, FRAMES, 0, 0, True)
    assert (found.plays, found.interrupted, found.deadlines) == (1, False, 0)
    assert found.decisions == {"uncertain": 6, "live": 6}
    assert found.first_decision_s == (6 / 8 + 1 / 16,)
    assert found.seconds == 11 / 8 + 1 / 16
    assert watch.slept == FRAMES / 16, "after each frame until the next, or the end"
    for name, expected in (("wait", 0.0), ("latency", 62.5), ("work", 62.5), ("age", 187.5)):
        assert {quantile.ms for quantile in found.stage(name).quantiles[1:]} == {expected}, name
    assert tuple(stage.name for stage in found.stages) == STAGES


def test_frames_that_wait_are_late_and_those_replaced_are_dropped(lenient: Bundle, driver: Path) -> None:
    """Three frames' time for the second: it is late, two are dropped, and the next one waits for nobody."""
    found = played(driver, lenient, Watch(1 / 32, 3 / 8, 1 / 32)).measured
    assert (found.frames, found.dropped, found.late, found.held) == (FRAMES - 2, 2, 1, False)
    assert found.stage("latency").max_ms == 375
    assert found.stage("wait").max_ms == 0
    assert found.stage("age").max_ms == 500, "what was known of frame 0 until frame 1 was, and of 1 until 4 was"
    waiting = played(driver, lenient, Watch(1 / 32, 3 / 16, 1 / 32)).measured
    assert (waiting.dropped, waiting.late, waiting.held) == (0, 1, True), "one buffer holds what comes meanwhile"
    assert waiting.stage("wait").max_ms == 62.5


def test_a_detector_that_is_too_slow(lenient: Bundle, driver: Path) -> None:
    found = played(driver, lenient, Watch(1 / 4)).measured
    assert (found.frames, found.dropped, found.held) == (7, 5, False)
    assert found.late == found.frames
    assert found.stage("work").quantiles[0].ms == 250


def test_the_last_frame_is_taken_however_late(lenient: Bundle, driver: Path) -> None:
    found = played(driver, lenient, Watch(60.0)).measured
    assert (found.frames, found.dropped) == (2, FRAMES - 2)


def test_rate_time_and_number_of_plays(lenient: Bundle, driver: Path) -> None:
    report = played(driver, lenient, Watch(1 / 64), fps=32, loops=3)
    found = report.measured
    assert (report.fps, found.plays, found.frames, found.dropped) == (32, 3, 3 * FRAMES, 0)
    assert len(found.first_decision_s) == 3
    assert played(driver, lenient, Watch(1 / 16), seconds=2.5).measured.plays == 2
    short = played(driver, lenient, Watch(1 / 16), seconds=0.5).measured
    assert (short.plays, short.frames) == (1, 5)
    assert played(driver, lenient, Watch(1 / 16), seconds=9, loops=1).measured.frames == FRAMES


def test_the_deadline_is_that_of_the_stream(lenient: Bundle, driver: Path) -> None:
    assert played(driver, lenient, Watch(1 / 16), deadline=0.25).measured.deadlines == 5


def test_without_a_score_nothing_is_said_of_the_rate(lenient: Bundle, driver: Path) -> None:
    report = played(driver, lenient, Watch(1 / 16, faces=False))
    assert (report.measured.scored, report.measured.held) == (0, None)
    assert report.measured.decisions == {"no_face": FRAMES}
    assert report.measured.first_decision_s == (None,)
    assert "the network never ran" in text(report)
    assert "never LIVE or SPOOF" in text(report)


def test_a_run_that_is_interrupted_gives_what_it_has(lenient: Bundle, driver: Path) -> None:
    class Interrupted(Watch):
        def locate(self, picture: np.ndarray) -> list[Box]:
            if self.now > 100.7:
                raise KeyboardInterrupt
            return super().locate(picture)

    report = played(driver, lenient, Interrupted(1 / 16))
    assert (report.measured.frames, report.measured.interrupted) == (6, True)
    assert "Interrupted" in text(report)
    early = Interrupted(1 / 16)
    early.now = 200.0
    with pytest.raises(KeyboardInterrupt):
        played(driver, lenient, early)


def test_what_cannot_be_played(lenient: Bundle, driver: Path, tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError):
        played(tmp_path / "none.mkv", lenient, Watch(1.0))
    (tmp_path / "text.mkv").write_text("no film")
    with pytest.raises(VideoDecodeError):
        played(tmp_path / "text.mkv", lenient, Watch(1.0))
    black = film(tmp_path / "black.avi", live_frames(2), FPS)
    spoil(black, 0, 1)
    with pytest.raises(VideoDecodeError, match="no frame"):
        played(black, lenient, Watch(1.0))
    with pytest.raises(BundleError, match="presentation attacks"):
        played(driver, tiny_bundle, Watch(1.0))
    for settings in ({"fps": 0}, {"fps": float("inf")}, {"seconds": -1}, {"loops": 0}, {"deadline": 0}):
        with pytest.raises(UsageError, match=next(iter(settings))):
            played(driver, lenient, Watch(1.0), **settings)


def test_memory_is_that_of_the_second_half(lenient: Bundle, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([100, 150, 180, 200])
    monkeypatch.setattr(device, "peak_memory", lambda: next(peaks))
    found = played(
        driver, lenient, Watch(1 / 16), loops=2
    ).measured  # asked for after 0, 1 and 2 seconds, and at the end
    assert (found.peak_bytes, found.grown_bytes) == (200, 50)
    monkeypatch.setattr(device, "peak_memory", lambda: None)
    unknown = played(driver, lenient, Watch(1 / 16))
    assert (unknown.measured.peak_bytes, unknown.measured.grown_bytes) == (None, None)
    assert "memory: unavailable" in text(unknown)


def test_the_report_says_it_all(lenient: Bundle, driver: Path) -> None:
    said: list[str] = []
    report = played(driver, lenient, Watch(1 / 32, 3 / 8, 1 / 32), say=said.append)
    assert said[0] == "0 s, 1 frames, 0 dropped"
    assert msgspec.json.decode(msgspec.json.encode(report), type=StreamProfile) == report
    for words in (
        f"{driver} at 8 frames a second",
        "8 frames a second do not hold: of 125.0 ms a frame, work takes up to 31.2 ms for half of the frames, 375.0",
        "12 frames in 1.4 s: 2 (16.7%) dropped",
        "of 10 taken, 1 (10.0%) were late",
        "UNCERTAIN 6, LIVE 4; first LIVE or SPOOF after 1.03 s",
        "fake fp32.onnx, 1 thread, faces: method",
        "p99.9",
    ):
        assert words in text(report), words
    page = html(report)
    assert page.startswith("<!doctype html>")
    assert page.count('role="img"') == 2
    assert "http" not in page
