"""Pre-process every image once and keep the result on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.errors import DatasetError, InputError
from edge_sdk.export.datasets import Sample


def folder() -> Path:
    """Where cached images lie: ``$XDG_CACHE_HOME/edge-sdk``, by default ``~/.cache/edge-sdk``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-sdk"


def key(samples: Sequence[Sample], purpose: str) -> str:
    """SHA-256 of what is made of the samples, and of their files by name, size and time of change."""
    digest = hashlib.sha256(purpose.encode())
    for sample in samples:
        stat = sample.path.stat()
        digest.update(f"{sample.path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def store(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file so that it appears whole or not at all; other processes may do the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npy")
    np.save(partial, array)
    partial.replace(path)


def prepared(
    samples: Sequence[Sample],
    operations: Sequence[preprocess.Operation],
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> NDArray[np.uint8]:
    """The samples through a pipeline, as ``uint8 (N, H, W)`` (255 stands for 1.0), in the samples' order.

    Read from the cache when the same files (by name, size and time of change) went through the same operations.

    Args:
        progress: Called with the number of images done and in all.

    Raises:
        DatasetError: No samples, or one that cannot be read; the message names the file.
    """
    if not samples:
        raise DatasetError("there are no images to prepare")
    path = folder() / "prepared" / f"{key(samples, preprocess.digest(operations))[:32]}.npy"
    if path.exists():
        return np.asarray(np.load(path, mmap_mode="r"))
    images = []
    for done, sample in enumerate(samples):
        try:
            images.append(np.rint(preprocess.apply(operations, sample.read())[0] * 255).astype(np.uint8))
        except InputError as error:
            raise DatasetError(f"{sample.path}: {error}") from error
        progress(done + 1, len(samples))
    stacked = np.stack(images)
    store(path, stacked)
    return stacked
