"""Recordings as a stream's rule sees them: each scored once by a bundle's variant, and kept in the user's cache.

What takes longest is to find the faces, which is the same for every bundle and kept apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edge_sdk import files
from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle
from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.spoof.samples import Count, ScoredSample, score_samples
from edge_sdk.export.evaluation.spoof.sessions import observed, recordings
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, digest
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import SpoofDetector
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.detector import locator_of
from edge_sdk.runtime.selection import Choice
from edge_sdk.runtime.temporal import Observation

MAX_BYTES = 1 << 30
Faces = Literal["cropped", "cascade", "locator"]
# Part of the cache folders' names: raise it when a change alters what is found in a frame.
VERSION = 1


@dataclass(frozen=True)
class FaceRecording:
    """One recording. attack: its species, None of a live person. frames: in order, as the temporal rule gets them."""

    data: str
    subject: str
    attack: str | None
    name: str
    frames: tuple[Observation, ...]


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    score: float
    flags: tuple[str, ...]
    error: str
    boxes: tuple[Box, ...]
    digest: bytes | None


_FRAMES = msgspec.msgpack.Decoder(tuple[_Frame, ...])
_BOXES = msgspec.msgpack.Decoder(dict[bytes, tuple[Box, ...]])


def recorded(
    bundle: Bundle,
    choice: Choice,
    data: Dataset,
    faces: Faces,
    *,
    gap_s: float,
    frame_rate: float,
    progress: Count | None = None,
) -> tuple[FaceRecording, ...]:
    """The recordings among the data, each frame scored by a variant, or read where that was done before.

    Args:
        bundle: Whose variant it is.
        choice: The variant, and the engine that runs it.
        data: Pictures that are frames of recordings; others are left out.
        faces: Who finds the faces, as :class:`edge_sdk.runtime.detector.SpoofDetector` takes it.
        gap_s: How long a face may be missing and still be the same.
        frame_rate: Frames a second.
        progress: Called with the number of frames done and in all.

    Raises:
        DatasetError: There are no recordings among the data.
        EngineError: The engine fails.
        StorageError: The cache cannot be read or written.
    """
    found = recordings(data.samples)
    if not found:
        raise DatasetError(f"{data.name} holds no recordings: give folders of frames, or films rendered by film+")
    total, done = sum(map(len, found.values())), 0
    streams = []
    with ExitStack() as opened:
        scorer = _Scorer(bundle, choice, faces, opened)
        for key, samples in found.items():
            frames = observed(scorer(samples), gap_s, frame_rate)
            streams.append(FaceRecording(*key, tuple(frames)))
            done += len(samples)
            if progress is not None:
                progress(done, total)
    return tuple(streams)


class _Scorer:
    """Scores the frames of one recording at a time, with a detector that is opened when it is first needed."""

    def __init__(self, bundle: Bundle, choice: Choice, faces: Faces, opened: ExitStack) -> None:
        self._bundle, self._choice, self._faces, self._opened = bundle, choice, faces, opened
        self._detector: SpoofDetector | None = None
        self._known = _Remembering()
        manifest = bundle.manifest
        by, densities = (faces, __version__, cv2.__version__), manifest.score.density_outputs
        self._search = "\n".join(by)
        # All that a score follows from beside the frame; thresholds are not among it.
        parts = (
            manifest.variant_sha256(choice.variant.id),
            *(entry.sha256 for entry in manifest.auxiliary if entry.path in densities),
            digest(manifest.preprocessing),
            msgspec.json.encode((manifest.source, manifest.score)).decode(),
            choice.engine,
            *by,
        )
        self._purpose = "\n".join(parts)

    def __call__(self, samples: Sequence[Sample]) -> Sequence[ScoredSample]:
        path = _path("frames", samples, self._purpose)
        content = cache.stored_bytes(path, MAX_BYTES)
        try:
            kept = _FRAMES.decode(content) if content else ()
        except msgspec.MsgspecError:  # damaged, and made again
            kept = ()
        if len(kept) == len(samples):
            return [
                ScoredSample(sample, one.score, one.flags, one.error, one.boxes, one.digest)
                for sample, one in zip(samples, kept, strict=True)
            ]
        scored = self._scored(samples)
        frames = tuple(_Frame(one.score, one.flags, one.error, one.boxes, one.digest) for one in scored)
        cache.store_bytes(path, msgspec.msgpack.encode(frames))
        return scored

    def _scored(self, samples: Sequence[Sample]) -> Sequence[ScoredSample]:
        if self._detector is None:
            self._known.locator = locator_of(self._faces, 1, self._opened)
            detector = SpoofDetector(
                self._bundle,
                engine=self._choice.engine,
                precision=self._choice.variant.id,
                faces=self._known if self._known.locator else "cropped",
            )
            self._detector = self._opened.enter_context(detector)
        path = _path("boxes", samples, self._search)
        self._known.read(path)
        scored, _ = score_samples(self._detector, samples, None)
        self._known.write(path)
        return scored


class _Remembering:
    """A locator that knows the boxes of frames it has searched before, by their pixels."""

    def __init__(self) -> None:
        self.locator: FaceLocator | None = None
        self._boxes: dict[bytes, tuple[Box, ...]] = {}
        self._new = False

    def __call__(self, image: Image) -> tuple[Box, ...]:
        assert self.locator is not None
        key = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        if key not in self._boxes:
            self._boxes[key], self._new = tuple(self.locator(image)), True
        return self._boxes[key]

    def read(self, path: Path) -> None:
        content = cache.stored_bytes(path, MAX_BYTES)
        try:
            self._boxes, self._new = _BOXES.decode(content) if content else {}, False
        except msgspec.MsgspecError:  # damaged, and made again
            self._boxes, self._new = {}, False

    def write(self, path: Path) -> None:
        if self._new:
            cache.store_bytes(path, msgspec.msgpack.encode(self._boxes))


def _path(what: str, samples: Sequence[Sample], purpose: str) -> Path:
    return files.cache_folder() / f"{what}-v{VERSION}" / f"{cache.key(samples, purpose)[:32]}.msgpack"
