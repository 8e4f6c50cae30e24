"""What ``edge-sdk tune`` found on this device, kept for ``engine="auto"``.

One JSON file: ``$EDGE_SDK_TUNING``, else ``tuning.json`` in :func:`edge_sdk.files.config_folder`. It can only make
things faster, so a file that cannot be read or makes no sense is ignored with a warning in the log.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_sdk import files
from edge_sdk.runtime import device

_LOG = logging.getLogger(__name__)
_VERSION = 1


class Tuned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One engine and variant as measured: ``median_ms`` for one pass of the engine, on this bundle and processor."""

    bundle_id: str
    threads: int
    engine: str
    engine_version: str
    variant: str
    processor: str
    median_ms: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int
    tuned: tuple[Tuned, ...]


def path() -> Path:
    """Where the file is, or would be; ``FileNotFoundError`` where the user has no home folder."""
    if named := os.environ.get("EDGE_SDK_TUNING"):
        return Path(named)
    return files.config_folder() / "tuning.json"


def recall(bundle_id: str, threads: int) -> tuple[Tuned, ...]:
    """Return what was measured for a bundle with so many threads on this processor, the fastest first."""
    mine = [row for row in _load() if (row.bundle_id, row.threads) == (bundle_id, threads)]
    if not mine:
        return ()
    here = device.processor()
    return tuple(sorted((row for row in mine if row.processor == here), key=lambda row: row.median_ms))


def store(rows: Sequence[Tuned]) -> Path:
    """Replace what is stored for the bundles and threads of ``rows``, atomically; ``OSError`` if it cannot be written.

    Of two processes that store at once, the later wins.
    """
    replaced = {(row.bundle_id, row.threads) for row in rows}
    kept = [row for row in _load() if (row.bundle_id, row.threads) not in replaced]
    data = msgspec.json.format(msgspec.json.encode(_File(version=_VERSION, tuned=(*kept, *rows))), indent=1)
    target = path()
    files.write_bytes(target, data + b"\n")
    return target


def _load() -> tuple[Tuned, ...]:
    try:
        found = msgspec.json.decode(path().read_bytes(), type=_File)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        _LOG.warning("ignoring the tuning file: %s", exc)
        return ()
    if found.version != _VERSION:
        _LOG.warning("ignoring %s: it has version %d, not %d", path(), found.version, _VERSION)
        return ()
    return found.tuned
