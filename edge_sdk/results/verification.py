"""Same person or not."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.results.base import Result


@dataclass(frozen=True)
class VerifyResult(Result[bool]):
    """Same person or not: ``decision`` is ``score >= threshold`` and no quality flag stood in the way.

    ``references`` says with how many references, or rows such as gait cycles, the threshold was measured; None of one
    of the application's own.
    """

    references: int | None = None

    def __post_init__(self) -> None:
        if self.decision and not self.score >= self.threshold:
            raise ValueError(f"accepted with score {self.score} below threshold {self.threshold}")

    def __bool__(self) -> bool:
        """Return the decision, so that ``if verifier.verify(a, b):`` does what it says."""
        return self.decision
