"""What opens a bundle of each task, and replays and measures it with its golden pictures: a row a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError
from edge_sdk.manifest import Task
from edge_sdk.results import LocateResult, SpoofResult, VerifyResult
from edge_sdk.runtime.detector import SpoofDetector
from edge_sdk.runtime.locator import Locator
from edge_sdk.runtime.verifier import Verifier

AnySession = Verifier | SpoofDetector | Locator
Result = VerifyResult | SpoofResult | LocateResult
Pictures = list[bytes]


@dataclass(frozen=True)
class TaskRow:
    """One task.

    Attributes:
        open: A session, whose pictures are as the golden ones.
        first: What is done with one picture when a session has just been opened.
        decide: The call that decides on the golden pictures as an application would, to be repeated.
        blocking: The flags for which a golden picture would never get to the engine.
    """

    open: Callable[..., AnySession]
    first: Callable[[Any, bytes], object]
    decide: Callable[[Any, Pictures], Callable[[], Result]]
    blocking: Callable[[Any, bytes], tuple[str, ...]]


def _compared(session: Verifier, pictures: Pictures) -> Callable[[], VerifyResult]:
    """The last picture against a template of the others."""
    return partial(session.verify, session.enroll(pictures[:-1]), pictures[-1])


TASKS: Mapping[Task, TaskRow] = {
    "verify": TaskRow(
        open=partial(Verifier, faces="aligned"),
        first=Verifier.embed,
        decide=_compared,
        blocking=lambda session, picture: session.prepare(picture).blocking,
    ),
    "spoof": TaskRow(
        open=partial(SpoofDetector, faces="cropped"),
        first=SpoofDetector.detect,
        decide=lambda session, pictures: partial(session.detect, pictures[-1]),
        blocking=lambda session, picture: session.detect(picture).quality,
    ),
    "locate": TaskRow(
        open=Locator,
        first=Locator.find,
        decide=lambda session, pictures: partial(session.find, pictures[-1]),
        blocking=lambda session, picture: session.find(picture).quality,
    ),
}


def open_session(bundle: Bundle, *, engine: str, variant: str, threads: int) -> AnySession:
    """Open one variant of a bundle, whatever its task."""
    return TASKS[bundle.manifest.task].open(bundle, engine=engine, precision=variant, threads=threads)


def repeated(session: AnySession, pictures: Pictures) -> Callable[[], Result]:
    """The call that decides on the golden pictures; BundleError if it never gets to the engine."""
    row = TASKS[session.task]
    if blocked := row.blocking(session, pictures[-1]):
        raise BundleError(f"the golden query never reaches the engine: {', '.join(sorted(blocked))}")
    return row.decide(session, pictures)
