"""Is a session fit to decide? For a supervisor, which restarts what is not."""

import threading
from typing import Literal

import msgspec

from edge_sdk.errors import EdgeSdkError, EngineError
from edge_sdk.runtime import clock

ENGINE_ERRORS = 3
"""Engine errors in a row from which on a session has failed. One may be a sample's; three are the engine's."""

DEADLINE_MISSES = 3
"""Deadlines missed in a row from which on a session is degraded. A person who looks away misses one, too."""

State = Literal["healthy", "degraded", "failed"]
Reason = Literal["closed", "forked", "audit", "engine", "deadline"]


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a session is.

    Attributes:
        state: ``failed``: it cannot decide, or did not lately, and should be opened again. ``degraded``: it decides,
            and something is wrong. ``healthy``: nothing is known to be wrong.
        reasons: Why it is not healthy, the gravest first. ``closed``, ``forked`` (the process is a fork of the one that
            opened it), ``audit`` (the last line could not be written) and ``engine`` (at least
            :data:`ENGINE_ERRORS` engine errors in a row) make it failed. ``engine`` (fewer) and ``deadline``
            (at least :data:`DEADLINE_MISSES` in a row) make it degraded.
        session: The session's id, as in its audit lines.
        calls: That ended, whether in a result or an error; of a stream each frame is one.
        errors: Calls that raised.
        engine_errors: In a row: calls that raised ``EngineError``, or an error that edge-sdk does not know. A call in
            which the engine ran ends the row, one that never got so far leaves it.
        deadline_misses: In a row: attempts of streams that ended with the reason ``deadline``. LIVE or SPOOF by
            evidence ends the row.
        audit_errors: In a row: lines that could not be written.
        idle_s: Seconds since a call ended, or since the session was opened. A session that hangs in a call shows
            nothing else.
    """

    state: State
    reasons: tuple[Reason, ...]
    session: str
    calls: int
    errors: int
    engine_errors: int
    deadline_misses: int
    audit_errors: int
    idle_s: float


class Health:
    """Counts what became of the calls of one session; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = self._errors = self._engine_errors = self._deadline_misses = self._audit_errors = 0
        self._last = clock.now()

    def decided(self, *, engine_ran: bool) -> None:
        """A call came to a result."""
        with self._lock:
            self._ended()
            if engine_ran:
                self._engine_errors = 0

    def raised(self, error: Exception) -> None:
        """A call raised."""
        with self._lock:
            self._ended()
            self._errors += 1
            if isinstance(error, EngineError) or not isinstance(error, EdgeSdkError):
                self._engine_errors += 1

    def streamed(self, reasons: tuple[str, ...]) -> None:
        """A frame of a stream has a decision for these reasons."""
        with self._lock:
            if "deadline" in reasons:
                self._deadline_misses += 1
            elif "evidence" in reasons:
                self._deadline_misses = 0

    def audited(self, *, written: bool) -> None:
        """A line of the audit was written, or could not be."""
        with self._lock:
            self._audit_errors = 0 if written else self._audit_errors + 1

    def status(self, session: str, *, closed: bool, forked: bool) -> SessionStatus:
        """What is known now."""
        if forked:  # where another thread may have held the lock when the process was forked
            return self._status(session, closed, forked)
        with self._lock:
            return self._status(session, closed, forked)

    def _ended(self) -> None:
        self._calls += 1
        self._last = clock.now()

    def _status(self, session: str, closed: bool, forked: bool) -> SessionStatus:
        broken = self._engine_errors >= ENGINE_ERRORS
        failed: dict[Reason, bool] = {
            "closed": closed,
            "forked": forked,
            "audit": self._audit_errors > 0,
            "engine": broken,
        }
        degraded: dict[Reason, bool] = {
            "engine": self._engine_errors > 0 and not broken,
            "deadline": self._deadline_misses >= DEADLINE_MISSES,
        }
        state: State = "failed" if any(failed.values()) else "degraded" if any(degraded.values()) else "healthy"
        return SessionStatus(
            state=state,
            reasons=tuple(reason for found in (failed, degraded) for reason, holds in found.items() if holds),
            session=session,
            calls=self._calls,
            errors=self._errors,
            engine_errors=self._engine_errors,
            deadline_misses=self._deadline_misses,
            audit_errors=self._audit_errors,
            idle_s=clock.now() - self._last,
        )
