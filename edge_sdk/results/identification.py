"""Who of the enrolled people it is."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.results.base import Result


@dataclass(frozen=True)
class Candidate:
    """One enrolled person of a candidate list (ISO/IEC 19795-1), with the score that ``verify`` would give."""

    name: str
    score: float
    raw_score: float


@dataclass(frozen=True)
class IdentifyResult(Result[bool]):
    """Who of the enrolled people it is, if any: ``decision`` is whether somebody was identified.

    ``score`` and ``raw_score`` are those of the best candidate. ``identity`` is that candidate's name where its score
    reaches the threshold, else None; ``candidates`` are the best of the ``enrolled`` people, the best first, and none
    if a quality flag stood in the way. ``threshold`` is that for the best candidate's template, and ``references`` says
    with how many references it was measured, as in :class:`~edge_sdk.results.verification.VerifyResult`.
    """

    identity: str | None = None
    candidates: tuple[Candidate, ...] = ()
    enrolled: int = 0
    references: int | None = None

    def __post_init__(self) -> None:
        if self.decision and not self.score >= self.threshold:
            raise ValueError(f"identified with score {self.score} below threshold {self.threshold}")
        if self.decision != (self.identity is not None):
            raise ValueError(f"decision {self.decision} with identity {self.identity!r}")

    def __bool__(self) -> bool:
        """Return whether somebody was identified."""
        return self.decision
