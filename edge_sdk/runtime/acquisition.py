"""From a picture, or many frames of one person, to what the network takes: decode, cut out, pre-process, assess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_sdk import images
from edge_sdk.bundle import Bundle
from edge_sdk.errors import UnusableSampleError, UsageError
from edge_sdk.manifest import Image
from edge_sdk.modalities import Modality, Prepared
from edge_sdk.runtime import shots
from edge_sdk.runtime.cutting import Cutter
from edge_sdk.runtime.shots import Shots
from edge_sdk.runtime.stopwatch import Stopwatch

Sample = images.Source | Shots
"""One picture, or frames of one person of which the best count."""


class Acquisition:
    """What becomes of samples before the network sees them, as a bundle's manifest says."""

    def __init__(self, bundle: Bundle, modality: Modality, cutter: Cutter) -> None:
        self._bundle = bundle
        self._modality = modality
        self._cutter = cutter
        self._known = tuple(dict.fromkeys((*shots.FLAGS, *cutter.flags, *modality.flags)))

    def decode(self, source: Any) -> Any:
        """The raw sample; InputError if it cannot be had."""
        return self._modality.decode(source)

    def prepare(self, raw: Any) -> Prepared:
        """Cut out what the pre-processing expects cut out, pre-process it, and assess both."""
        cut = self._cutter(raw)
        if cut.sample is None:
            return Prepared(np.empty(0, np.float32), cut.flags, cut.blocking)
        manifest = self._bundle.manifest
        prepared = self._modality.prepare(manifest.preprocessing, cut.sample, manifest.source)
        return replace(
            prepared,
            flags=(*cut.flags, *prepared.flags),
            blocking=(*cut.blocking, *prepared.blocking),
            not_enrolled=(*cut.not_enrolled, *prepared.not_enrolled),
            quality=cut.quality * prepared.quality,
        )

    def acquire(self, source: Sample, watch: Stopwatch, *, enrolling: bool = False) -> list[Prepared]:
        """One picture, or the best of several frames; ``watch`` learns how long each stage took.

        Raises:
            InputError: A picture cannot be decoded, or there are no frames.
            UsageError: Frames of a sensor that takes no pictures.
        """

        def prepare(raw: Any) -> Prepared:
            watch.lap("decode")
            one = self.prepare(raw)
            watch.lap("preprocess")
            return one

        if not isinstance(source, Shots):
            return [prepare(self.decode(source))]
        if not isinstance(self._bundle.manifest.source, Image):
            raise UsageError(f"{self._bundle.id} takes no pictures, so no frames of a camera either")
        found = source.select(prepare, enrolling=enrolling)
        watch.lap("decode")
        if not found:
            raise UnusableSampleError("no picture: the frames ended before the first")
        return found

    def flags(self, prepared: Sequence[Prepared]) -> tuple[str, ...]:
        """The quality flags of all, each once, in one order."""
        return tuple(flag for flag in self._known if any(flag in one.flags for one in prepared))
