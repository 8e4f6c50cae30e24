"""Faces: crops or frames, prepared as they are.

Sources are those of :func:`edge_sdk.images.load`. What is wrong with a frame (dark, blurred, no face) is assessed
before the face is cut out, by :mod:`edge_sdk.runtime.frames`; a crop has no flags of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_sdk import images, preprocess
from edge_sdk.manifest import Image
from edge_sdk.modalities.base import Prepared
from edge_sdk.preprocess.align import FaceAlignment, FaceCut


class Face(msgspec.Struct, frozen=True):
    """Pictures of one face each."""

    name: str = "face"
    suffixes: frozenset[str] = images.SUFFIXES
    flags: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()

    def source(self, operations: Sequence[preprocess.Operation], cut: FaceCut | None) -> Image:
        """Images of the pipeline's colours."""
        color = preprocess.color_order(operations)
        return Image(color=color, alignment=cut) if isinstance(cut, FaceAlignment) else Image(color=color, face=cut)

    def decode(self, source: images.Source) -> preprocess.Image:
        """See :func:`edge_sdk.images.load`."""
        return images.load(source)

    def prepare(self, operations: Sequence[preprocess.Operation], raw: preprocess.Image, source: Image) -> Prepared:
        """The pipeline's result, without flags."""
        del source
        return Prepared(preprocess.apply(operations, raw))

    def measure(self, prepared: Prepared) -> tuple[float, ...] | None:
        """None: nothing is measured yet."""
        del prepared
        return None


MODALITY = Face()
