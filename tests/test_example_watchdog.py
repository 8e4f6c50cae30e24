"""The example ``watchdog.py``: what it tells a supervisor, and what its own supervisor does with a program."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, StorageError

from .paths import ROOT
from .runtime.drawn import frame
from .runtime.filmed import film
from .runtime.test_detector import detector, live_frames, spoof_bundle, stamped

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd's protocol needs sockets of a file")
EXAMPLE = ROOT / "examples" / "watchdog.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("watchdog", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        yield opened


def received(inbox: socket.socket) -> list[str]:
    inbox.setblocking(False)
    found = []
    while True:
        try:
            found.append(inbox.recv(4096).decode())
        except BlockingIOError:
            return found


# --- what is told ----------------------------------------------------------------------------------------------------


def test_without_a_supervisor_nothing_is_told(example: ModuleType) -> None:
    supervisor = example.Supervisor()
    supervisor.tell(READY=1)
    supervisor.well("healthy")


def test_states_and_signs_of_life(example: ModuleType, inbox: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", inbox.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    supervisor = example.Supervisor()
    supervisor.tell(READY=1, STATUS="watching")
    for now, state in ((100.0, "healthy"), (104.9, "healthy"), (105.0, "degraded engine"), (105.1, "degraded engine")):
        with monkeypatch.context() as clock:
            clock.setattr(time, "monotonic", lambda now=now: now)
            supervisor.well(state)
    assert received(inbox) == [
        "READY=1\nSTATUS=watching",
        "STATUS=healthy",
        "WATCHDOG=1",
        "STATUS=degraded engine",
        "WATCHDOG=1",
    ]


def test_a_watchdog_of_another_process_gets_no_sign(
    example: ModuleType, inbox: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", inbox.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    example.Supervisor().well("healthy")
    assert received(inbox) == ["STATUS=healthy"]


@pytest.mark.skipif(sys.platform != "linux", reason="addresses without a file are Linux's")
def test_an_address_without_a_file(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edge-sdk-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        example.Supervisor().tell(READY=1)
        assert received(opened) == ["READY=1"]


def test_a_supervisor_that_is_gone_is_an_error(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with pytest.raises(FileNotFoundError):
        example.Supervisor().tell(READY=1)


@pytest.mark.usefixtures("fake_engine")
def test_an_engine_that_goes_on_failing_ends_the_process(
    example: ModuleType, make_bundle: Callable[..., Bundle], inbox: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", inbox.getsockname())
    with detector(spoof_bundle(make_bundle, model={"failure": "error"})) as opened:
        frames = stamped(live_frames(9))
        with pytest.raises(EngineError):
            example.decide(opened, frames, example.Supervisor())
        assert opened.status().engine_errors == 3
        assert len(list(frames)) == 6, "two more streams were begun with the frames that came"
    assert received(inbox) == []


@pytest.mark.usefixtures("fake_engine")
def test_an_engine_that_fails_once_goes_on(
    example: ModuleType, make_bundle: Callable[..., Bundle], inbox: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", inbox.getsockname())
    with detector(spoof_bundle(make_bundle)) as opened:
        real, calls = opened._model.run, iter(range(9))

        def run(samples: object) -> object:
            if next(calls) == 1:
                raise EngineError("once")
            return real(samples)  # type: ignore[arg-type]

        monkeypatch.setattr(opened._model, "run", run)
        example.decide(opened, stamped(live_frames(4)), example.Supervisor())
        assert (opened.status().state, opened.status().errors) == ("healthy", 1)
    assert received(inbox) == ["STATUS=healthy"]


@pytest.mark.usefixtures("fake_engine")
def test_an_audit_that_cannot_be_written_ends_the_process(
    example: ModuleType, make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    with detector(spoof_bundle(make_bundle), audit=folder / "audit.jsonl") as opened:
        (folder / "audit.jsonl").unlink()
        folder.rmdir()
        with pytest.raises(StorageError):
            example.decide(opened, stamped(live_frames(4)), example.Supervisor())
        assert opened.status().reasons == ("audit",)


def test_the_program_under_a_supervisor(tmp_path: Path, inbox: socket.socket) -> None:
    path = film(tmp_path / "driver.avi", [frame((200, 100, 200), seed=seed) for seed in range(6)], 8)
    audit = tmp_path / "audit.jsonl"
    environment = os.environ | {"NOTIFY_SOCKET": inbox.getsockname(), "WATCHDOG_USEC": "1"}

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command, changed = [sys.executable, str(EXAMPLE), *arguments], environment | variables
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=changed)

    done = run(str(path), str(audit))
    assert done.returncode == 0, done.stderr
    told = received(inbox)
    assert (told[0], told[1], told[-1]) == ("READY=1", "STATUS=healthy", "STOPPING=1")
    assert told.count("WATCHDOG=1") == 6
    assert msgspec.json.decode(audit.read_bytes().splitlines()[0])["event"] == "stream"
    assert run().returncode == run("--restart").returncode == 2
    assert run(str(path), str(tmp_path / "absent" / "audit.jsonl")).returncode == 2
    assert run(str(path), str(path)).returncode == 2, "an audit that holds something else"
    assert run(str(path), EDGE_SDK_TRUST=str(tmp_path / "missing.json")).returncode == 2
    absent = run(str(tmp_path / "none.avi"))
    assert (absent.returncode, "Traceback" in absent.stderr) == (3, False)
    assert received(inbox) == []


# --- the supervisor of the example -----------------------------------------------------------------------------------


@pytest.fixture
def patient(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(example, "PAUSE_S", 0.0)
    return example


def program(tmp_path: Path, code: str) -> list[str]:
    """A program that counts its starts in ``number``, and tells its supervisor by ``tell``."""
    path = tmp_path / "program.py"
    path.write_text(
        "import os, socket, sys, time\nfrom pathlib import Path\n"
        f"starts = Path({str(tmp_path / 'starts')!r})\n"
        "number = len(starts.read_text()) + 1 if starts.exists() else 1\n"
        "starts.write_text('x' * number)\n"
        "def tell(text):\n"
        "    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "    to.sendto(text, os.environ['NOTIFY_SOCKET'])\n" + textwrap.dedent(code)
    )
    return [sys.executable, "-S", str(path)]


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "starts").read_text())


def test_a_program_that_fails_is_started_again(patient: ModuleType, tmp_path: Path) -> None:
    assert patient.restart(program(tmp_path, "sys.exit(0 if number == 3 else 3)")) == 0
    assert starts(tmp_path) == 3


@pytest.mark.parametrize("code", [0, 2])
def test_a_program_that_is_done_or_cannot_start_is_not(patient: ModuleType, tmp_path: Path, code: int) -> None:
    assert patient.restart(program(tmp_path, f"sys.exit({code})")) == code
    assert starts(tmp_path) == 1


def test_a_program_that_always_fails_is_given_up(patient: ModuleType, tmp_path: Path) -> None:
    assert patient.restart(program(tmp_path, "sys.exit(3)")) == 3
    assert starts(tmp_path) == patient.FAILURES


def test_a_program_that_falls_silent_is_killed_and_started_again(
    patient: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "SILENCE_S", 0.2)
    assert patient.restart(program(tmp_path, "if number == 1: tell(b'READY=1'); time.sleep(600)")) == 0
    assert starts(tmp_path) == 2


def test_a_program_that_never_gets_ready_is_killed(
    patient: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "START_S", 0.2)
    assert patient.watched(program(tmp_path, "tell(b'STATUS=starting'); time.sleep(600)")) == -signal.SIGKILL


def test_a_supervisor_that_is_ended_takes_its_program_along(tmp_path: Path) -> None:
    code = f"""
        import importlib.util, signal, sys
        spec = importlib.util.spec_from_file_location("watchdog", {str(EXAMPLE)!r})
        watchdog = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(watchdog)
        signal.signal(signal.SIGTERM, watchdog.end)
        sys.exit(watchdog.restart({program(tmp_path, "print(os.getpid(), flush=True); time.sleep(600)")!r}))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.terminate()
        process.wait(60)
    assert process.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
