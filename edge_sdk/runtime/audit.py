"""One JSON line for each decision of a session: what decided, how, and what came of it.

docs/audit.md says what each key means. No line holds a picture, a template, an embedding, or the path of a sample, and
none names a person unless the log was asked to. A line is written before its result is returned: a decision that cannot
be written is a ``StorageError``.
"""

import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import msgspec

from edge_sdk import files
from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle
from edge_sdk.errors import RejectedSampleError, StorageError, UsageError
from edge_sdk.logs import Log
from edge_sdk.manifest import Variant
from edge_sdk.results import Timings
from edge_sdk.results.base import Result
from edge_sdk.runtime.arguments import check_switches, is_whole
from edge_sdk.scoring.base import Comparison

if TYPE_CHECKING:
    from typing_extensions import Self

    from edge_sdk.results import IdentifyResult, SpoofResult, StreamResult, VerifyResult
    from edge_sdk.runtime.gallery import TemplateGallery
    from edge_sdk.runtime.template import Template

_LOG = Log(__name__)

CONTRACT_VERSION = 1
"""Of the lines: it rises when a key goes, or changes its type, unit or meaning; a key that is added changes nothing."""

STREAM_LINE_S = 10.0
"""Seconds of a stream's frames after which there is a line though the decision has not changed."""

LEAST_BYTES = 64 * 2**10
"""Of a file that is moved away when it is full: some ninety lines of ``verify``."""

_BEGINS = b'{"contract_version":'
"""Each line: it is the first key, which :class:`AuditLine` and its test see to."""

Event = Literal["verify", "identify", "compare", "enroll", "update", "detect", "stream"]
Outcome = Literal[
    "accepted", "rejected", "identified", "not_identified", "compared", "enrolled", "updated",
    "live", "spoof", "uncertain", "no_face", "error",
]  # fmt: skip


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a call; what a call has no use for is None."""

    outcome: Outcome
    error: str | None = None
    operating_point: str | None = None
    threshold: float | None = None
    references: int | None = None
    score: float | None = None
    raw_score: float | None = None
    quality: tuple[str, ...] | None = None
    timings: Timings | None = None
    enrolled: int | None = None
    identity: str | None = None
    template_id: str | None = None
    count: int | None = None
    stream: int | None = None
    time_s: float | None = None
    frames: int | None = None
    track: int | None = None
    reasons: tuple[str, ...] | None = None


class AuditLine(Facts, frozen=True, omit_defaults=True):
    """A line: whose session it is, and the facts of one call."""

    contract_version: int
    time: datetime
    session: str
    sequence: int
    event: Event
    bundle_id: str
    bundle_sha256: str
    variant: str
    variant_sha256: str
    engine: str
    edge_sdk: str


class AuditLog:
    """A file of audit lines, for the sessions of one process or of many.

    ::

        with AuditLog("/var/log/unit/audit.jsonl", sync=True) as log, Verifier("deepsign", audit=log) as verifier:
            verifier.verify("reference.png", "query.png")

    The file is appended to, one write a line (:mod:`edge_sdk.files.appending`); a new one is its owner's alone. It may
    be moved away at any time: the next line goes to a new file of the old name.

    Args:
        path: The file, in a folder that is there.
        sync: Whether each line is on the disk before its result is returned (``fsync``). Without it a line outlives
            the process, but perhaps not a power cut.
        max_bytes: Size at which the file is moved to ``NAME.1``, that to ``NAME.2`` and so on; 0 leaves it to others,
            such as ``logrotate``.
        keep: With ``max_bytes``, how many moved files are kept, from 1. The oldest is deleted.
        names: Whether lines of ``identify`` hold the name that the application gave to the template that it found.
        every_frame: Whether each frame of a stream has a line; else each change of the decision, each missed deadline
            and every ten seconds.

    Raises:
        StorageError: The file cannot be written, is none, holds something else, or belongs to somebody else or may be
            written by others.
        UsageError: ``max_bytes`` without ``keep``, or the other way round, or below :data:`LEAST_BYTES`; a switch that
            is neither True nor False.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: bool = False,
        max_bytes: int = 0,
        keep: int = 0,
        names: bool = False,
        every_frame: bool = False,
    ) -> None:
        check_switches(sync=sync, names=names, every_frame=every_frame)
        whole = is_whole(max_bytes) and is_whole(keep)
        if not whole or ((max_bytes or keep) and not (max_bytes >= LEAST_BYTES and keep >= 1)):
            raise UsageError(
                f"max_bytes is {max_bytes!r}, keep {keep!r}: to move full files away give both, whole numbers, "
                f"max_bytes from {LEAST_BYTES} and keep from 1"
            )
        self.names, self.every_frame = names, every_frame
        self.path = os.fspath(path)
        try:
            self._file = files.AppendedFile(path, begins=_BEGINS, sync=sync, max_bytes=max_bytes, keep=keep)
        except OSError as exc:
            raise _unwritten(exc) from exc

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, line: bytes) -> None:
        """Write one line, which holds no line end; ``StorageError`` if it cannot be."""
        try:
            self._file.append(line)
        except OSError as exc:
            raise _unwritten(exc) from exc

    def close(self) -> None:
        """Let go of the file; sessions that write to it raise ``StorageError`` afterwards."""
        self._file.close()


Audit: TypeAlias = Union[str, "os.PathLike[str]", AuditLog]
"""What a session takes: a log, which its owner closes, or the path of one of the session's own."""


class Trail:
    """The lines of one session, numbered from 1 in the order in which they are written.

    Raises:
        StorageError: The file cannot be opened.
        UsageError: ``audit`` is neither a path nor a log.
    """

    def __init__(self, audit: Audit, session: str, bundle: Bundle, variant: Variant, engine: str) -> None:
        if not isinstance(audit, (str, os.PathLike, AuditLog)):
            raise UsageError(f"audit is a {type(audit).__name__}: pass the path of a file, or an AuditLog")
        self._own = not isinstance(audit, AuditLog)
        self._log = audit if isinstance(audit, AuditLog) else AuditLog(audit)
        _LOG.info("session %s of %s writes to %s", session, bundle.id, self._log.path)
        self._lock = threading.Lock()
        self._written, self._streams = 0, 0
        self._whose: dict[str, Any] = {
            "session": session,
            "bundle_id": bundle.id,
            "bundle_sha256": bundle.sha256,
            "variant": variant.id,
            "variant_sha256": bundle.manifest.variant_sha256(variant.id),
            "engine": engine,
            "edge_sdk": __version__,
        }

    def write(self, event: Event, facts: Facts) -> None:
        """Write a line; ``StorageError`` if it cannot be. Its number is used up: a gap is a line that is missing."""
        if facts.identity is not None and not self._log.names:
            facts = msgspec.structs.replace(facts, identity=None)
        with self._lock:
            self._written += 1
            line = AuditLine(
                contract_version=CONTRACT_VERSION,
                time=datetime.now(timezone.utc),
                sequence=self._written,
                event=event,
                **self._whose,
                **msgspec.structs.asdict(facts),
            )
            self._log.append(msgspec.json.encode(line))

    def stream(self) -> Callable[["StreamResult"], Facts | None]:
        """What follows one more stream, and has facts of a frame that gets a line."""
        with self._lock:
            self._streams += 1
            return _StreamLines(self._streams, every_frame=self._log.every_frame)

    def close(self) -> None:
        """Close the log, if it is the session's own."""
        if self._own:
            self._log.close()


class _StreamLines:
    def __init__(self, number: int, *, every_frame: bool) -> None:
        self._number = number
        self._every_frame = every_frame
        self._last: StreamResult | None = None
        self._frames = 0

    def __call__(self, result: "StreamResult") -> Facts | None:
        self._frames += 1
        last = self._last
        if not (
            self._every_frame
            or last is None
            or result.decision is not last.decision
            or "deadline" in result.reasons
            or not 0 <= result.time - last.time < STREAM_LINE_S
        ):
            return None
        self._last, frames, self._frames = result, self._frames, 0
        return _facts(
            result.decision.value,
            result.frame,
            stream=self._number,
            time_s=result.time,
            frames=frames,
            track=result.track,
            reasons=result.reasons,
        )


# --- what came of each call ------------------------------------------------------------------------------------------


def failed(error: Exception, *given: object, **named: object) -> Facts:
    """Of a call that raised, with what it was given: the error's type. Its message may hold the path of a sample."""
    return Facts(
        outcome="rejected" if isinstance(error, RejectedSampleError) else "error",
        error=type(error).__name__,
        template_id=next(filter(None, map(_template_id, (*given, *named.values()))), None),
    )


def verified(result: "VerifyResult", reference: object, query: object) -> Facts:
    """Of ``verify``."""
    del query
    accepted: Outcome = "accepted" if result.decision else "rejected"
    return _facts(accepted, result, references=result.references, template_id=_template_id(reference))


def identified(
    result: "IdentifyResult", probe: object, templates: "TemplateGallery | Mapping[str, Template]", *, count: int = 5
) -> Facts:
    """Of ``identify``."""
    del probe, count
    name, found = result.identity, None
    if name is not None:
        found = templates[name].template_id if isinstance(templates, Mapping) else templates.template_id_of(name)
    return _facts(
        "not_identified" if name is None else "identified",
        result,
        references=result.references,
        enrolled=result.enrolled,
        identity=None if name is None else name.encode("utf-8", "backslashreplace").decode(),
        template_id=found or None,
    )


def compared(result: Comparison, references: object, query: object) -> Facts:
    """Of ``compare``."""
    del query
    return Facts(
        outcome="compared",
        score=float(result.score),
        raw_score=float(result.raw),
        template_id=_template_id(references),
    )


def enrolled(template: "Template", references: object) -> Facts:
    """Of ``enroll``."""
    del references
    return Facts(outcome="enrolled", count=template.count, template_id=_template_id(template))


def updated(result: "Template", template: object, samples: object) -> Facts:
    """Of ``update``."""
    del template, samples
    return Facts(outcome="updated", count=result.count, template_id=_template_id(result))


def detected(result: "SpoofResult", picture: object) -> Facts:
    """Of ``detect``."""
    del picture
    return _facts(result.decision.value, result)


def _template_id(given: object) -> str | None:
    """Of a template that has an id."""
    return getattr(given, "template_id", None) or None


def _facts(outcome: Any, result: Result[Any], **more: Any) -> Facts:
    return Facts(
        outcome=outcome,
        operating_point=result.operating_point,
        threshold=float(result.threshold),
        score=float(result.score),
        raw_score=float(result.raw_score),
        quality=result.quality,
        timings=result.timings,
        **more,
    )


def _unwritten(error: OSError) -> StorageError:
    if isinstance(error, StorageError):
        return error
    return StorageError(
        f"the audit file {error.filename} cannot be written: {error.strerror}; nothing is decided without its line"
    )
