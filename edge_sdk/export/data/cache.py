"""Pre-process, or render anew, every sample once and keep the result on disk.

Networks are trained, and thresholds fitted, with what is read here. So folders and files are made for this user alone,
a folder that others can write is an error, and a file in it that others can write is made anew
(:mod:`edge_sdk.files.own`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import files, images, preprocess
from edge_sdk.errors import DatasetError, ForeignFileError, InputError, StorageError
from edge_sdk.export.data.layouts import Entry
from edge_sdk.export.data.samples import Sample
from edge_sdk.logs import Log

Render = Callable[[preprocess.Image, np.random.Generator], bytes]
"""Makes the bytes of an image file of an image, ``uint8`` as :func:`edge_sdk.images.load` gives it; empty bytes leave
the image out."""
Count = Callable[[int, int], None]
"""Called with how much of slow work is done, and with all of it."""

_LOG = Log(__name__)


def uncounted(_done: int, _total: int) -> None:
    """For callers who do not want to know."""


def key(samples: Sequence[Sample], purpose: str) -> str:
    """SHA-256 of what is made of the samples, and of their files by name, size and time of change."""
    digest = hashlib.sha256(purpose.encode())
    for sample in samples:
        stat = sample.path.stat()
        digest.update(f"{sample.path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def store(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file so that it appears whole or not at all; other processes may do the same.

    Raises:
        StorageError: The disk refuses, or others can write the folder.
    """
    with _caching():
        _make_room(path)
        with files.atomic_write(path, private=True) as file:
            np.save(file, array)


def stored(path: Path) -> NDArray[Any] | None:
    """The array of a ``.npy`` file, mapped; None if there is none, or it is to be made again: damaged, or not trusted.

    Raises:
        StorageError: Something else than a file is there, it cannot be read, or others can write its folder.
    """
    if not trusted(path):
        return None
    try:
        files.open_regular(path).close()
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"the cache cannot be read: {error}; delete that, or set {files.CACHE_VARIABLE}") from error
    except Exception:  # noqa: BLE001 - a damaged header is evaluated as Python, and fails as that may
        return None


def store_bytes(path: Path, content: bytes) -> None:
    """Write a file as :func:`store` does one of an array."""
    with _caching():
        _make_room(path)
        files.write_bytes(path, content, private=True)


def stored_bytes(path: Path, limit: int) -> bytes | None:
    """What a file of the cache holds; None if there is none, or it is not trusted.

    Raises:
        StorageError: Something else than a file is there, it cannot be read, holds more than `limit` bytes, or others
            can write its folder.
    """
    if not trusted(path):
        return None
    try:
        return files.read_bytes(path, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"the cache cannot be read: {error}; delete that, or set {files.CACHE_VARIABLE}") from error


def trusted(path: Path) -> bool:
    """Whether there is a file of the cache that nobody else can have written; its folder is made where it is missing.

    Raises:
        StorageError: Others can write the folder, or it cannot be made.
    """
    with _caching():
        files.own_folder(path.parent)
        try:
            files.check_own(path)
        except FileNotFoundError:
            return False
        except ForeignFileError as error:
            _LOG.warning("made anew: %s", error)
            return False
    return True


def _make_room(path: Path) -> None:
    files.own_folder(path.parent)
    files.discard_foreign(path)


@contextlib.contextmanager
def _caching() -> Iterator[None]:
    try:
        yield
    except ForeignFileError:
        raise
    except OSError as error:
        raise StorageError(
            f"the cache cannot be written: {error}; make room, or set {files.CACHE_VARIABLE} to another folder"
        ) from error


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """Samples through a pipeline, as rows for a network: one of an image, one of each cycle of a walk.

    Attributes:
        tensors: ``(R, ...)``: images ``uint8 (R, C, H, W)``, 255 standing for 1.0; recordings ``float32``.
        samples: The sample of each row; rows of one sample follow one another.
        left_out: The samples that gave no row, such as walks without a cycle.
    """

    tensors: NDArray[Any]
    samples: tuple[Sample, ...]
    left_out: tuple[Sample, ...] = ()


def prepared_rows(
    samples: Sequence[Sample],
    operations: Sequence[preprocess.Operation],
    *,
    progress: Count = uncounted,
) -> PreparedRows:
    """The samples through a pipeline, in their order, each as many rows as it gives.

    Read from the cache when the same files (by name, size and time of change) went through the same operations.

    Args:
        progress: Called with the number of samples done and in all.

    Raises:
        DatasetError: No samples, or one that cannot be read, where the message names the file; or none gives a row.
        StorageError: The cache cannot be read or written.
    """
    if not samples:
        raise DatasetError("there are no samples to prepare")
    path = files.cache_folder() / "prepared-v2" / f"{key(samples, preprocess.digest(operations))[:32]}.npy"
    counted = path.with_suffix(".counts.npy") if preprocess.is_recording(operations) else None
    tensors, counts = stored(path), stored(counted) if counted else np.ones(len(samples), np.int64)
    if _is_whole(tensors, counts, len(samples)):
        _LOG.info("%d samples were prepared before: %s", len(samples), path)
    else:
        parts = list(_parts(samples, operations, progress))
        tensors, counts = np.concatenate(parts), np.array([len(part) for part in parts], np.int64)
        store(path, tensors)
        if counted:
            store(counted, counts)
    assert tensors is not None and counts is not None
    if not len(tensors):
        raise DatasetError(f"none of {len(samples)} samples, {samples[0].path} the first, gives anything to learn from")
    return PreparedRows(
        np.asarray(tensors),
        tuple(sample for sample, count in zip(samples, counts, strict=True) for _ in range(count)),
        tuple(sample for sample, count in zip(samples, counts, strict=True) if not count),
    )


def prepared(
    samples: Sequence[Sample],
    operations: Sequence[preprocess.Operation],
    *,
    progress: Count = uncounted,
) -> NDArray[Any]:
    """:func:`prepared_rows` of samples that give one row each, in their order; raises DatasetError for others."""
    rows = prepared_rows(samples, operations, progress=progress)
    if len(rows.tensors) != len(samples) or rows.left_out:
        raise DatasetError(f"{len(samples)} samples give {len(rows.tensors)} rows, where each should give one")
    return rows.tensors


def _is_whole(tensors: NDArray[Any] | None, counts: NDArray[Any] | None, samples: int) -> bool:
    if tensors is None or counts is None or tensors.dtype not in (np.uint8, np.float32):
        return False
    return counts.shape == (samples,) and counts.dtype == np.int64 and int(counts.sum()) == len(tensors)


def _parts(
    samples: Sequence[Sample], operations: Sequence[preprocess.Operation], progress: Count
) -> Iterator[NDArray[Any]]:
    """The rows of each sample, ``(R, ...)``."""
    dimensions = len(preprocess.input_shape(operations))
    for done, sample in enumerate(samples):
        try:
            tensor = compact(operations, sample.prepared(operations))
        except InputError as error:
            raise DatasetError(f"{sample.path}: {error}") from error
        yield tensor if tensor.ndim > dimensions else tensor[np.newaxis]
        progress(done + 1, len(samples))


def compact(operations: Sequence[preprocess.Operation], tensor: NDArray[np.float32]) -> NDArray[Any]:
    """What a pipeline gave as the cache keeps it: an image as ``uint8``, a recording as it is."""
    return tensor if preprocess.is_recording(operations) else np.rint(tensor * 255).astype(np.uint8)


def expanded(samples: NDArray[Any]) -> NDArray[np.float32]:
    """The inverse of :func:`compact`, of one sample or of many."""
    return samples.astype(np.float32) / np.float32(255) if samples.dtype == np.uint8 else np.asarray(samples)


def rendered(
    entries: Sequence[Entry], group: str, suffix: str, render: Render, verb: str, *, progress: Count = uncounted
) -> list[Entry]:
    """The same entries with what ``render`` makes of each image in its place, made once; without those it leaves out.

    Files lie in ``FOLDER/GROUP/HASH/`` under the last three parts of the source's path. HASH is of the source's bytes,
    from which the randomness follows too, so that an image is rendered alike on any machine.

    Args:
        entries: Whose images are the sources.
        group: Names what is rendered, and the version of the code that does it.
        suffix: Of the files that are made.
        verb: What cannot be done to an unreadable source: ``photographed``.
        progress: Called with the number of images done and in all, those among them that were there before.

    Raises:
        DatasetError: A source cannot be read; the message names it.
        StorageError: The disk refuses what was made, or others can write the folder.
    """
    folder = files.cache_folder() / group
    with _caching():
        files.own_folder(folder)

    def made(source: Path) -> Path:
        data = _source(source, verb)
        digest = hashlib.sha256(data).digest()
        name = Path(*source.resolve().with_suffix(suffix).parts[-3:])
        path = folder / digest.hex()[:16] / name
        if not trusted(path):
            rng = _random(digest)
            try:
                content = render(images.load(data), rng)
            except InputError as error:
                raise DatasetError(f"{source} cannot be {verb}: {error}; remove it or fetch it again") from error
            store_bytes(path, content)
        return path

    with ThreadPoolExecutor() as pool:
        paths = pool.map(made, (entry.path for entry in entries))
        found = []
        for entry, path in zip(entries, paths, strict=True):
            found.append(entry._replace(path=path))
            progress(len(found), len(entries))
        return [entry for entry in found if entry.path.stat().st_size]


def randomness(source: Path, verb: str) -> np.random.Generator:
    """What :func:`rendered` hands to ``render`` with this image.

    Raises:
        DatasetError: It cannot be read.
    """
    return _random(hashlib.sha256(_source(source, verb)).digest())


def _source(source: Path, verb: str) -> bytes:
    try:
        return files.read_bytes(source, images.MAX_FILE_BYTES)
    except OSError as error:
        raise DatasetError(f"{source} cannot be {verb}: {error}; remove it or fetch it again") from error


def _random(digest: bytes) -> np.random.Generator:
    return np.random.default_rng(np.frombuffer(digest, np.uint32))
