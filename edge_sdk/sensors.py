"""Decode recordings of a sensor, such as an accelerometer, from paths, bytes and arrays.

A file is CSV without a head line: a time stamp in milliseconds, then one number a channel, the same count in each line.
Whatever is not whole is an error. Time stamps may repeat or step back, as those of real phones do;
:class:`edge_sdk.preprocess.gait.Resample` says what becomes of such rows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.errors import RecordingDecodeError, RecordingNotFoundError, UnsupportedRecordingError

MAX_FILE_BYTES = 64 * 2**20
SUFFIXES = frozenset({".csv"})
"""What names of recordings end in, in lower case."""


@dataclass(frozen=True, eq=False)
class Recording:
    """What a sensor measured.

    Attributes:
        values: ``float32 (T, C)``, T at least 2, finite; the unit is the sensor's.
        times_ms: ``float64 (T,)``, finite.

    Raises:
        UnsupportedRecordingError: Another type or shape, fewer than two rows, or a value that is not finite.
    """

    values: NDArray[np.float32]
    times_ms: NDArray[np.float64]

    def __post_init__(self) -> None:
        values, times_ms = checked_rows(self.values, self.times_ms)
        if len(values) < 2:
            raise UnsupportedRecordingError(f"a recording has at least 2 rows, not {len(values)}")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "times_ms", times_ms)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.values.shape[1])


def checked_rows(values: Any, times_ms: Any) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Rows of a sensor, as ``float32 (T, C)``, and their times, as ``float64 (T,)``; T may be 0.

    Raises:
        UnsupportedRecordingError: Another type or shape, or a value that is not finite.
    """
    for name, array in (("values", values), ("times_ms", times_ms)):
        if getattr(getattr(array, "dtype", None), "kind", "O") not in "fiu":
            raise UnsupportedRecordingError(f"a recording's {name} are an array of numbers, not {_kind(array)}")
    if values.ndim != 2 or values.shape[1] < 1 or times_ms.shape != values.shape[:1]:
        raise UnsupportedRecordingError(
            f"values of shape {values.shape} at times of shape {times_ms.shape}; pass (T, C) and (T,)"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
        values, times_ms = np.asarray(values, np.float32), np.asarray(times_ms, np.float64)
    if not (np.isfinite(values).all() and np.isfinite(times_ms).all()):
        raise UnsupportedRecordingError("a recording holds NaN or infinity")
    return values, times_ms


RecordingSource = str | os.PathLike[str] | bytes | Recording


def load(source: RecordingSource) -> Recording:
    """Decode one recording.

    Args:
        source: A path or the bytes of a CSV file, or a recording, which comes back as it is.

    Raises:
        RecordingNotFoundError: There is no such file.
        RecordingDecodeError: A directory, an empty or too large file, or a line that is not a time stamp and numbers.
        UnsupportedRecordingError: Fewer than two rows, values that are not finite, or another type of source: an array
            has no time stamps, pass a :class:`Recording`.
    """
    if isinstance(source, Recording):
        return source
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), "recording")
    if isinstance(source, (str, os.PathLike)):
        return _decode(_read(Path(source)), str(source))
    raise UnsupportedRecordingError(f"a recording is a path, bytes or a Recording, not {_kind(source)}")


def row_of(line: str | bytes, name: str, number: int) -> list[float]:
    """The numbers of a line of CSV, of an empty one none.

    Args:
        line: The line.
        name, number: What it is a line of, and its number from 1 on, for the message.

    Raises:
        RecordingDecodeError: It is something else.
    """
    try:
        text = line if isinstance(line, str) else line.decode("ascii")
        return [float(field) for field in text.split(",")] if text.strip() else []
    except ValueError as exc:
        head = "; remove the head line" if number == 1 else ""
        raise RecordingDecodeError(
            f"{name}, line {number}: expected a time stamp in milliseconds and numbers, not {line[:80]!r}{head}"
        ) from exc


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def _read(path: Path) -> bytes:
    try:
        return files.read_bytes(path, MAX_FILE_BYTES)
    except FileNotFoundError as exc:
        raise RecordingNotFoundError(f"{path}: no such file") from exc
    except OSError as exc:
        raise RecordingDecodeError(f"{path}: {exc}") from exc


def _decode(data: bytes, name: str) -> Recording:
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError as exc:
        raise RecordingDecodeError(f"{name}: no CSV text: {exc}") from exc
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        row = row_of(line, name, number)
        if not row:
            continue
        if len(row) < 2 or (rows and len(row) != len(rows[0])):
            wanted = f"{len(rows[0])} fields" if rows else "a time stamp and one number a channel"
            raise RecordingDecodeError(f"{name}, line {number}: {len(row)} field(s); expected {wanted}")
        rows.append(row)
    if not rows:
        raise RecordingDecodeError(f"{name}: empty, no rows")
    table = np.array(rows, np.float64)
    try:
        with np.errstate(over="ignore"):  # as in Recording
            return Recording(table[:, 1:].astype(np.float32), table[:, 0])
    except UnsupportedRecordingError as exc:
        raise UnsupportedRecordingError(f"{name}: {exc}") from None
