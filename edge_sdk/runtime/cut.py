"""What of a sample the pre-processing starts from, and what cuts it out."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Cut(msgspec.Struct, frozen=True, eq=False):
    """What of a sample the pre-processing starts from.

    Attributes:
        sample: The sample, or the face cut out of it; None where there is none to be cut out.
        flags: Quality flags, none if all is well.
        blocking: Those of them that forbid to use the sample.
        not_enrolled: Those of them that forbid only to enrol it.
        quality: As that of :class:`edge_sdk.modalities.Prepared`.
    """

    sample: Any
    flags: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    not_enrolled: tuple[str, ...] = ()
    quality: float = 1.0


class Cutter(Protocol):
    """What is done to a raw sample before it is pre-processed."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags it may raise, in the order in which results list them."""
        ...

    def __call__(self, raw: Any) -> Cut:
        """Cut out of a raw sample, which is left as it is, what the pre-processing starts from."""
        ...

    def close(self) -> None:
        """Free what it opened."""
