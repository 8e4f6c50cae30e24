"""Handwritten signatures: scans or photographs, assessed by :mod:`edge_sdk.quality`.

Sources are those of :func:`edge_sdk.images.load`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_sdk import images, preprocess, quality
from edge_sdk.manifest import Image
from edge_sdk.modalities import strokes
from edge_sdk.modalities.base import Prepared
from edge_sdk.preprocess.align import FaceCut
from edge_sdk.preprocess.region import InkRegion


class Signature(msgspec.Struct, frozen=True):
    """Pictures of one signature each."""

    name: str = "signature"
    suffixes: frozenset[str] = images.SUFFIXES
    flags: tuple[str, ...] = quality.FLAGS
    blocking: tuple[str, ...] = quality.BLOCKING
    measures: tuple[str, ...] = strokes.MEASURES

    def source(self, operations: Sequence[preprocess.Operation], cut: FaceCut | None) -> Image:
        """Images of the pipeline's colours, from which the ink is cut out where they are pages."""
        del cut
        return Image(color=preprocess.color_order(operations), region=InkRegion())

    def decode(self, source: images.Source) -> preprocess.Image:
        """See :func:`edge_sdk.images.load`."""
        return images.load(source)

    def prepare(self, operations: Sequence[preprocess.Operation], raw: preprocess.Image, source: Image) -> Prepared:
        """Cut the ink out of a page, pre-process, and assess the ink on the way, before it is cropped or stretched."""
        tensor, flags = quality.prepare(operations, raw, source.region)
        return Prepared(tensor, flags, tuple(flag for flag in flags if flag in self.blocking))

    def measure(self, prepared: Prepared) -> tuple[float, ...] | None:
        """See :mod:`edge_sdk.modalities.strokes`."""
        return strokes.measure(prepared.tensor)


MODALITY = Signature()
