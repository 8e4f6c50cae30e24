"""Recordings as a stream's rule sees them, scored once for each variant of a bundle and kept in the user's cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edge_sdk import files
from edge_sdk._version import __version__
from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.spoof.samples import Count, ScoredSample, score_samples
from edge_sdk.export.evaluation.spoof.sessions import observed, recordings
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import digest
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import SpoofDetector
from edge_sdk.runtime.temporal import Observation

MAX_BYTES = 1 << 30
Faces = Literal["cropped", "cascade", "locator"]


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


_DECODER = msgspec.msgpack.Decoder(tuple[_Frame, ...])


def recorded(
    detector: SpoofDetector,
    data: Dataset,
    faces: Faces,
    *,
    gap_s: float,
    frame_rate: float,
    progress: Count | None = None,
) -> tuple[FaceRecording, ...]:
    """The recordings among the data, each frame scored by the detector, or read where that was done before.

    Args:
        faces: Who finds them, as `detector` was told.
        gap_s: How long a face may be missing and still be the same.
        frame_rate: Frames a second.
        progress: Called with the number of frames scored and in all.

    Raises:
        DatasetError: There are no recordings among the data.
        EngineError: The engine fails.
        StorageError: The cache cannot be read or written.
    """
    frames = [sample for sample in data.samples if sample.session is not None]
    if not frames:
        raise DatasetError(f"{data.name} holds no recordings: give folders of frames, or films rendered by film+")
    scored = _scored(detector, frames, faces, progress)
    return tuple(
        FaceRecording(*key, tuple(observed(own, gap_s, frame_rate))) for key, own in recordings(scored).items()
    )


def _scored(
    detector: SpoofDetector, samples: Sequence[Sample], faces: Faces, progress: Count | None
) -> tuple[ScoredSample, ...]:
    path = files.cache_folder() / "frames-v1" / f"{cache.key(samples, _purpose(detector, faces))[:32]}.msgpack"
    found = _read(path)
    if len(found) == len(samples):
        return tuple(
            ScoredSample(sample, one.score, one.flags, one.error, one.boxes, one.digest)
            for sample, one in zip(samples, found, strict=True)
        )
    scored, _ = score_samples(detector, samples, None, progress=progress)
    kept = tuple(_Frame(one.score, one.flags, one.error, one.boxes, one.digest) for one in scored)
    cache.store_bytes(path, msgspec.msgpack.encode(kept))
    return scored


def _read(path: Path) -> tuple[_Frame, ...]:
    content = cache.stored_bytes(path, MAX_BYTES)
    try:
        return _DECODER.decode(content) if content else ()
    except msgspec.MsgspecError:  # damaged, and made again
        return ()


def _purpose(detector: SpoofDetector, faces: Faces) -> str:
    """All that a frame's score, flags and boxes follow from beside the frame; thresholds are not among it."""
    manifest = detector.bundle.manifest
    parts = (
        manifest.variant_sha256(detector.variant.id),
        digest(manifest.preprocessing),
        msgspec.json.encode((manifest.source, manifest.score)).decode(),
        *(entry.sha256 for entry in manifest.auxiliary),
        detector.engine,
        faces,
        __version__,
        cv2.__version__,
    )
    return "\n".join(parts)
