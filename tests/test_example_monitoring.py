"""The example ``driver_monitoring.py``: the newest frame, answers while a camera hangs, and none that is old."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edge_sdk import SpoofDecision, StreamResult
from edge_sdk.errors import CameraError

from .paths import ROOT
from .runtime.drawn import frame
from .runtime.filmed import film

EXAMPLE = ROOT / "examples" / "driver_monitoring.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver_monitoring", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_frames_that_nobody_took_are_dropped(example: ModuleType) -> None:
    ended = threading.Event()

    def camera() -> Iterator[tuple[float, str]]:
        yield from ((float(i), f"frame {i}") for i in range(5))
        ended.set()

    frames = example.newest(camera(), patience=60)
    first = next(frames)
    assert ended.wait(60)
    taken = [first, *frames]
    assert taken[-1] == (4.0, "frame 4")
    assert [time for time, _ in taken] == sorted({time for time, _ in taken})


def test_a_camera_that_hangs_gives_none_and_one_that_fails_its_error(example: ModuleType) -> None:
    plugged_out = threading.Event()

    def camera() -> Iterator[tuple[float, str]]:
        yield 0.0, "frame"
        plugged_out.wait(60)
        raise CameraError("unplugged")

    frames = example.newest(camera(), patience=0.001)
    seen = [next(frames) for _ in range(20)]
    assert sum(picture == "frame" for _, picture in seen) <= 1
    assert seen[-1][1] is None
    plugged_out.set()
    with pytest.raises(CameraError, match="unplugged"):
        list(frames)


def test_what_is_old_is_no_answer(example: ModuleType) -> None:
    live = StreamResult(SpoofDecision.LIVE, ("evidence",), 10.0, 0, frame=None)  # type: ignore[arg-type]
    assert example.answer(live, 10.0 + example.OLDEST_S) is SpoofDecision.LIVE
    for now in (10.0 + 1.01 * example.OLDEST_S, 9.0):
        assert example.answer(live, now) is SpoofDecision.UNCERTAIN


def test_the_program(tmp_path: Path) -> None:
    path = film(tmp_path / "driver.avi", [frame((200, 100, 200), seed=seed) for seed in range(12)], 8)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(EXAMPLE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    done = run(str(path))
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.startswith("UNCERTAIN: undecided")
    assert "frames, none older than" in done.stdout
    assert run().returncode == 2
    assert run(str(path), "soon").returncode == 2
    assert run(str(tmp_path / "none.mkv")).returncode == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_ctrl_c_is_no_traceback(tmp_path: Path) -> None:
    path = film(tmp_path / "driver.avi", [frame((200, 100, 200), seed=seed) for seed in range(2)] * 300, 8)
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it watches
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
