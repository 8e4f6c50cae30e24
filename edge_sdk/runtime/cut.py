"""What of a sample the pre-processing starts from, what cuts it out, and what finds faces before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from edge_sdk.preprocess import Image
from edge_sdk.preprocess.crop import Box


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


class FaceLocator(Protocol):
    """Anything that finds faces. A detector calls its locator from one thread at a time."""

    def __call__(self, image: Image) -> Sequence[Box]:
        """Return a box inside the frame for each face, in any order.

        Args:
            image: ``uint8``, ``(H, W)`` gray or ``(H, W, 3)`` BGR; not to be changed.
        """
