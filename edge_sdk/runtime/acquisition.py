"""From a picture, or many frames of one person, to what the network takes: decode, cut out, pre-process, assess."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

from edge_sdk import images
from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, UnusableSampleError, UsageError
from edge_sdk.manifest import UNFAMILIAR, Image
from edge_sdk.modalities import Modality, Prepared
from edge_sdk.modalities.walks import WalkStream
from edge_sdk.runtime import shots
from edge_sdk.runtime.cut import Cutter
from edge_sdk.runtime.shots import Shots
from edge_sdk.runtime.stopwatch import Stopwatch
from edge_sdk.sensors import Recording

Sample: TypeAlias = images.Source | Shots | Recording | WalkStream
"""One picture, or frames of one person of which the best count; a recording, or a stream, of one walk."""


class Acquisition:
    """What becomes of samples before the network sees them, as a bundle's manifest says.

    Raises:
        BundleError: The manifest has measures of samples that the modality does not take.
    """

    def __init__(self, bundle: Bundle, modality: Modality, cutter: Cutter) -> None:
        self._bundle = bundle
        self._modality = modality
        self._cutter = cutter
        self._known = tuple(dict.fromkeys((*shots.FLAGS, *cutter.flags, *modality.flags, UNFAMILIAR)))
        self._familiarity = bundle.manifest.familiarity
        if self._familiarity is not None and self._familiarity.measures != modality.measures:
            raise BundleError(
                f"{bundle.id} tells unfamiliar samples by {', '.join(self._familiarity.measures)}; this edge-sdk "
                f"measures {', '.join(modality.measures) or 'nothing'} of a {modality.name}: export the bundle again"
            )

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
        strange = () if self._is_familiar(prepared) else (UNFAMILIAR,)
        return msgspec.structs.replace(
            prepared,
            flags=(*cut.flags, *prepared.flags, *strange),
            blocking=(*cut.blocking, *prepared.blocking),
            not_enrolled=(*cut.not_enrolled, *prepared.not_enrolled),
            quality=cut.quality * prepared.quality,
        )

    def references(self, references: Sample | Sequence[Sample], watch: Stopwatch) -> list[Prepared]:
        """One or several references; ``watch`` learns how long each stage took.

        Raises:
            InputError: A picture cannot be decoded, or there is none.
            UsageError: Frames of a camera, for a bundle that takes no pictures.
        """
        return [one for source in as_list(references) for one in self._acquired(source, watch)]

    def query(self, query: Sample | Sequence[Sample], watch: Stopwatch) -> list[Prepared]:
        """A query: one picture, or the best of its frames, which a list stands for; of walks a list stands for all.

        Errors: those of references.
        """
        frames: Any = query  # a str is a sequence too
        if isinstance(frames, (list, tuple)) and self._takes_pictures:
            return self._acquired(Shots(as_list(frames)), watch)
        return self.references(frames, watch)

    def to_enroll(self, references: Sample | Sequence[Sample]) -> list[Prepared]:
        """References that are all fit to be enrolled.

        Raises:
            UnusableSampleError: One is not, or there is none.
            InputError, UsageError: Those of references.
        """
        prepared: list[Prepared] = []
        sources = as_list(references)
        for number, source in enumerate(sources, start=1):
            found = self._acquired(source, Stopwatch(), enrolling=True)
            if any(one.blocking or one.not_enrolled for one in found):
                name = f" ({os.fspath(source)})" if isinstance(source, (str, os.PathLike)) else ""
                flags = ", ".join(self.flags(found))
                raise UnusableSampleError(f"reference {number} of {len(sources)}{name}: {flags}; enroll another one")
            prepared += found
        return prepared

    def flags(self, prepared: Sequence[Prepared]) -> tuple[str, ...]:
        """The quality flags of all, each once, in one order."""
        raised = {flag for one in prepared for flag in one.flags}
        return tuple(flag for flag in self._known if flag in raised)

    def _is_familiar(self, prepared: Prepared) -> bool:
        """Whether a sample is like those that the bundle was made with, or nobody can tell."""
        if self._familiarity is None or prepared.blocking:
            return True
        return self._familiarity.knows(self._modality.measure(prepared))

    @property
    def _takes_pictures(self) -> bool:
        return isinstance(self._bundle.manifest.source, Image)

    def _acquired(self, source: Sample, watch: Stopwatch, *, enrolling: bool = False) -> list[Prepared]:
        """One picture, or the best of several frames."""

        def prepare(raw: Any) -> Prepared:
            watch.lap("decode")
            one = self.prepare(raw)
            watch.lap("preprocess")
            return one

        if not isinstance(source, Shots):
            return [prepare(self.decode(source))]
        if not self._takes_pictures:
            raise UsageError(f"{self._bundle.id} takes no pictures, so no frames of a camera either")
        found = source.select(prepare, enrolling=enrolling)
        watch.lap("decode")
        if not found:
            raise UnusableSampleError("no picture: the frames ended before the first")
        return found


def as_list(sources: Any) -> list[Any]:  # types cannot tell one from several
    """What a list or tuple holds, or the one source; UnusableSampleError if it is empty."""
    if not isinstance(sources, (list, tuple)):
        return [sources]
    if not sources:
        raise UnusableSampleError("no picture")
    return list(sources)
