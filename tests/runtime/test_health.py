"""What a supervisor is told of a session: the rules of docs/audit.md, one by one."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import Locator, SessionStatus, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import DeviceMemoryError, EdgeSdkError, EngineError, ImageDecodeError, StorageError
from edge_sdk.runtime import clock
from edge_sdk.runtime.health import DEADLINE_MISSES, ENGINE_ERRORS, Health

from .drawn import frame
from .test_detector import detector, live_frames, spoof_bundle, stamped

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]


def told(health: Health, *, closed: bool = False, forked: bool = False) -> tuple[str, tuple[str, ...]]:
    status = health.status("id", closed=closed, forked=forked)
    return status.state, status.reasons


def test_a_new_session_is_healthy(tiny_bundle: Bundle) -> None:
    with Verifier(tiny_bundle) as verifier:
        status = verifier.status()
        assert (status.state, status.reasons, status.calls) == ("healthy", (), 0)
        assert len(status.session) == 32
        with Verifier(tiny_bundle) as other:
            assert other.status().session != status.session


def test_engine_errors_in_a_row_degrade_and_then_fail() -> None:
    health = Health()
    for number in range(1, ENGINE_ERRORS + 1):
        health.raised(EngineError("failed") if number % 2 else DeviceMemoryError("full"))
        assert told(health) == ("failed" if number == ENGINE_ERRORS else "degraded", ("engine",))
    health.decided(engine_ran=False)
    health.raised(ImageDecodeError("not a picture"))
    assert told(health) == ("failed", ("engine",)), "the engine was not asked"
    health.decided(engine_ran=True)
    assert told(health) == ("healthy", ())


def test_what_edge_sdk_does_not_know_counts_as_the_engines() -> None:
    health = Health()
    health.raised(ZeroDivisionError())
    assert told(health) == ("degraded", ("engine",))


@pytest.mark.parametrize("error", [ImageDecodeError("x"), StorageError("x"), EdgeSdkError("x")])
def test_errors_of_the_application_and_its_samples_are_counted_alone(error: Exception) -> None:
    health = Health()
    for _ in range(10):
        health.raised(error)
    status = health.status("id", closed=False, forked=False)
    assert (status.state, status.calls, status.errors, status.engine_errors) == ("healthy", 10, 10, 0)


def test_deadlines_missed_in_a_row_degrade_until_one_is_met() -> None:
    health = Health()
    for number in range(1, DEADLINE_MISSES + 5):
        health.streamed(("undecided", "deadline"))
        health.streamed(("no_face",))
        assert told(health) == (("degraded", ("deadline",)) if number >= DEADLINE_MISSES else ("healthy", ()))
    health.streamed(("evidence",))
    assert told(health) == ("healthy", ())


def test_the_gravest_reason_stands_first() -> None:
    health = Health()
    for _ in range(DEADLINE_MISSES):
        health.streamed(("deadline",))
    health.raised(EngineError("failed"))
    health.audited(written=False)
    assert told(health, closed=True, forked=True) == ("failed", ("closed", "forked", "audit", "engine", "deadline"))


def test_a_call_tells_how_long_ago_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 100.0)
    health = Health()
    monkeypatch.setattr(clock, "now", lambda: 160.0)
    assert health.status("id", closed=False, forked=False).idle_s == 60
    health.decided(engine_ran=True)
    assert health.status("id", closed=False, forked=False).idle_s == 0


# --- of sessions -----------------------------------------------------------------------------------------------------


def test_an_engine_that_fails_and_recovers(
    tiny_bundle: Bundle, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object, __: object) -> None:
        raise EngineError("the device is gone")

    blank = np.full((380, 600), 255, np.uint8)
    with Verifier(tiny_bundle) as verifier:
        with monkeypatch.context() as broken:
            broken.setattr("edge_sdk.runtime.model.Model.run", fail)
            for _ in range(ENGINE_ERRORS):
                with pytest.raises(EngineError):
                    verifier.verify(signer(1), signer(1))
            assert not verifier.verify(blank, blank), "which never gets to the engine"
            status = verifier.status()
        assert (status.state, status.engine_errors, status.errors, status.calls) == ("failed", 3, 3, 4)
        verifier.verify(signer(1), signer(1))
        assert verifier.status().state == "healthy"


def test_a_disk_that_fills_and_is_cleared(
    tiny_bundle: Bundle, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, __: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "audit.jsonl")

    with Verifier(tiny_bundle, audit=tmp_path / "audit.jsonl") as verifier:
        with monkeypatch.context() as broken:
            broken.setattr("edge_sdk.files.appending.AppendedFile.append", full)
            for _ in range(2):
                with pytest.raises(StorageError):
                    verifier.verify(signer(1), signer(1))
            status = verifier.status()
            assert (status.state, status.reasons, status.audit_errors) == ("failed", ("audit",), 2)
            assert (status.calls, status.errors, status.engine_errors) == (2, 2, 0)
        verifier.verify(signer(1), signer(1))
        assert verifier.status().state == "healthy"


def test_a_stream_that_never_decides(make_bundle: Maker) -> None:
    bundle = spoof_bundle(make_bundle)
    undecided = [(i * 0.5, frame((200, 100, 200), seed=i % 2)) for i in range(10)]
    with detector(bundle) as opened:
        list(opened.stream(undecided, deadline=0.5))
        status = opened.status()
        assert (status.state, status.reasons) == ("degraded", ("deadline",))
        assert status.deadline_misses >= DEADLINE_MISSES
        assert status.calls == 10
        list(opened.stream(stamped(live_frames(4))))  # type: ignore[arg-type]
        assert opened.status().state == "healthy"


def test_frames_without_a_face_do_not_hide_an_engine_that_fails(make_bundle: Maker) -> None:
    with detector(spoof_bundle(make_bundle, model={"failure": "error"})) as opened:
        for failures in range(1, ENGINE_ERRORS + 1):
            with pytest.raises(EngineError):
                list(opened.stream(stamped([frame(seed=failures), *live_frames(1)])))  # type: ignore[arg-type]
            assert opened.status().engine_errors == failures
        opened.detect(frame(seed=9))
        assert (opened.status().state, opened.status().calls) == ("failed", 2 * ENGINE_ERRORS + 1)


def test_a_closed_session(tiny_bundle: Bundle, signer: Signer) -> None:
    verifier = Verifier(tiny_bundle)
    verifier.close()
    for _ in range(ENGINE_ERRORS):
        with pytest.raises(EngineError, match="closed"):
            verifier.verify(signer(1), signer(1))
    assert (verifier.status().state, verifier.status().reasons) == ("failed", ("closed",))


def test_a_locator_has_a_status() -> None:
    with Locator() as locator:
        locator.find(frame((200, 100, 200)))
        locator.locate(frame(seed=2))
        assert (locator.status().state, locator.status().calls) == ("healthy", 2)


def tell(verifier: Verifier, connection: Connection) -> None:
    connection.send(verifier.status())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where another test has imported it
def test_a_fork_is_told_even_where_a_thread_held_the_lock(tiny_bundle: Bundle) -> None:
    context = multiprocessing.get_context("fork")
    with Verifier(tiny_bundle, engine="onnxruntime") as verifier:
        here, there = context.Pipe()
        with verifier._health._lock:
            process = context.Process(target=tell, args=(verifier, there))
            process.start()
        assert here.poll(60)
        status = here.recv()
        process.join()
        assert isinstance(status, SessionStatus)
        assert (status.state, status.reasons) == ("failed", ("forked",))
        assert verifier.status().state == "healthy"
        assert msgspec.to_builtins(status)["state"] == "failed"
