"""Between decoding and pre-processing: what a manifest says is cut out of a sample.

Where it says nothing of it, a sample stays as it is, to the bit.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from edge_sdk.bundle import Trust
from edge_sdk.logs import Log
from edge_sdk.manifest import Image, Source
from edge_sdk.runtime.cut import Cut, Cutter, FaceLocator

_LOG = Log(__name__)

Faces: TypeAlias = FaceLocator | Literal["locator", "aligned"]


class Nothing:
    """The pre-processing starts from the sample as it is."""

    flags: tuple[str, ...] = ()

    def __call__(self, raw: Any) -> Cut:
        """The sample."""
        return Cut(raw)

    def close(self) -> None:
        """Nothing was opened."""


def of(source: Source, faces: Faces, threads: int = 1, *, warm_up: bool = False, trust: Trust | None = None) -> Cutter:
    """What a manifest asks for.

    Args:
        source: The manifest's.
        faces, threads, warm_up, trust: As those of :class:`edge_sdk.runtime.verifier.Verifier`.

    Raises:
        BundleError, EngineError: The shipped locator cannot be opened.
        UsageError: ``faces`` is no locator.
    """
    cut_out = (source.alignment or source.face) if isinstance(source, Image) else None
    if cut_out is None:
        return Nothing()
    _LOG.info("faces: %s", faces if isinstance(faces, str) else type(faces).__name__)
    # Imported here, for a device that sees no faces starts faster without.
    from edge_sdk.runtime.faces import TakingTurns
    from edge_sdk.runtime.locator import Locator
    from edge_sdk.runtime.one_face import CutOutFace, OneFace

    if faces == "aligned":
        return CutOutFace(cut_out)
    if faces == "locator":
        locator = Locator(threads=threads, warm_up=warm_up, trust=trust)
        return OneFace(locator, cut_out, locator.close)
    return OneFace(faces if isinstance(faces, Locator) else TakingTurns(faces), cut_out)
