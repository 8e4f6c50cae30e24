"""A process that decides, and somebody who watches it: it says that it is well, ends when it is not, and starts again.

    python examples/watchdog.py SOURCE [AUDIT]              watched by systemd, or by nobody
    python examples/watchdog.py --restart SOURCE [AUDIT]    watched by this program, where there is no systemd

SOURCE is the number of a camera, or a video; AUDIT the file that gets a line a decision. The process tells its state
by systemd's protocol (``man sd_notify``): ``READY=1`` when the first frame can be judged, ``WATCHDOG=1`` with
decisions, at least twice in the time that it is given, and ``STATUS=`` when its state changes. It says nothing while it
hangs, in a camera or an engine, so that it is killed and started again. docs/audit.md has a unit for systemd.

Exit codes: 0: the source has ended; 2: wrong usage, or what no restart mends, such as a bundle that is not there, or a
trust file or an audit that cannot be used at the start; 3: an error, or a session that has failed: start it again; 130:
Ctrl-C. With ``--restart`` an end with 0 or 2 is the end, and so is the fifth failure within a minute.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from edge_sdk import EdgeSdkError, SpoofDetector
from edge_sdk.errors import BundleError, EngineError, MissingEngineError, StorageError, UsageError
from edge_sdk.runtime import sources

ENDED, FINAL, FAILED, INTERRUPTED = 0, 2, 3, 130

START_S = 60.0  # until READY=1
SILENCE_S = 10.0  # without WATCHDOG=1 before the process is killed
PAUSE_S = 1.0  # before it is started again
FAILURES, WITHIN_S = 5, 60.0  # so many are the end


# --- the process that decides ----------------------------------------------------------------------------------------


class Supervisor:
    """Whoever started this process and set ``NOTIFY_SOCKET``; nobody, where it is not set."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        asked = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6 if asked else 0.0
        self._told, self._said = 0.0, ""

    def tell(self, **states: object) -> None:
        """Send ``NAME=value`` lines in one datagram; an OSError where the supervisor is gone."""
        if self._address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outbox:
                outbox.sendto("\n".join(f"{name}={value}" for name, value in states.items()).encode(), self._address)

    def well(self, state: str) -> None:
        """The process has just decided, and its session is in this state."""
        if state != self._said:
            self._said = state
            self.tell(STATUS=state)
        if self._every_s and time.monotonic() - self._told >= self._every_s:
            self._told = time.monotonic()
            self.tell(WATCHDOG=1)


def decide(detector: SpoofDetector, frames: Iterable[tuple[float, Any]], supervisor: Supervisor) -> None:
    """Judge the frames to their end. An error ends a stream; another one begins, unless the session has failed."""
    left, known = iter(frames), None
    while True:
        try:
            for result in detector.stream(left):
                status = detector.status()
                supervisor.well(" ".join((status.state, *status.reasons)))
                if result.decision is not known:  # and here an application acts
                    known = result.decision
                    print(known.name, *result.reasons, flush=True)
        except EngineError:
            if detector.status().state == "failed":
                raise
        else:
            return


def work(source: str, audit: str | None) -> int:
    """The process that decides."""
    supervisor, started = Supervisor(), False
    try:
        frames = sources.camera(int(source)) if source.isdecimal() else sources.video(source)
        with SpoofDetector("liveness", faces="locator", warm_up=True, audit=audit) as detector:
            started = True
            supervisor.tell(READY=1)
            decide(detector, frames, supervisor)
    except (BundleError, MissingEngineError, UsageError) as error:
        return said(error, FINAL)
    except StorageError as error:  # a full disk may have room again; a trust file that is missing does not come back
        return said(error, FAILED if started else FINAL)
    except (EdgeSdkError, OSError) as error:  # whatever goes wrong, nobody is live
        return said(error, FAILED)
    supervisor.tell(STOPPING=1)
    return ENDED


def said(error: Exception, code: int) -> int:
    """The exit code, after the error was printed."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return code


# --- a supervisor, where there is no systemd -------------------------------------------------------------------------


def restart(command: Sequence[str]) -> int:
    """Start a program, and again whenever it fails or falls silent; return its last exit code."""
    failures: deque[float] = deque(maxlen=FAILURES)
    while (code := watched(command)) not in (ENDED, FINAL):
        failures.append(time.monotonic())
        print(f"ended with {code}; failure {len(failures)} of {FAILURES}", file=sys.stderr, flush=True)
        if len(failures) == FAILURES and failures[-1] - failures[0] < WITHIN_S:
            return FAILED
        time.sleep(PAUSE_S)
    return code


def watched(command: Sequence[str]) -> int:
    """Run a program to its end, or kill it once it has been silent for too long; its exit code, negative if killed."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(Path(folder, "notify")))
        inbox.settimeout(0.1)
        asked = {"NOTIFY_SOCKET": inbox.getsockname(), "WATCHDOG_USEC": str(int(SILENCE_S * 1e6))}
        with subprocess.Popen(command, env=os.environ | asked) as process:
            try:
                heard, patience = time.monotonic(), START_S
                while process.poll() is None and time.monotonic() - heard < patience:
                    try:
                        told = inbox.recv(4096).decode(errors="replace").splitlines()
                    except TimeoutError:
                        continue
                    if "READY=1" in told or "WATCHDOG=1" in told:
                        heard, patience = time.monotonic(), SILENCE_S
            finally:
                process.kill()  # which an ended one does not mind
    return process.returncode


def end(number: int, _: FrameType | None) -> NoReturn:
    """Of SIGTERM: leave by way of ``finally``, so that the program does not stay behind."""
    sys.exit(128 + number)


def main(words: list[str]) -> int:
    if words[:1] == ["--restart"] and len(words) in (2, 3):
        signal.signal(signal.SIGTERM, end)
        return restart([sys.executable, __file__, *words[1:]])
    if len(words) not in (1, 2) or words[0].startswith("-"):
        print("usage: watchdog.py [--restart] SOURCE [AUDIT]", file=sys.stderr)
        return FINAL
    return work(words[0], words[1] if len(words) == 2 else None)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
