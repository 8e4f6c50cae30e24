"""What ``edge-sdk tune`` found on this device, kept for ``engine="auto"``.

One JSON file: ``$EDGE_SDK_TUNING``, else ``edge-sdk/tuning.json`` in ``$XDG_CONFIG_HOME`` or ``~/.config``. It can
only make things faster, so a file that cannot be read or makes no sense is ignored with a warning in the log.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_sdk.runtime import device

_LOG = logging.getLogger(__name__)
_VERSION = 1


class Tuned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One engine and artifact as measured: ``median_ms`` for one pass of the engine, on this bundle and processor."""

    bundle_id: str
    threads: int
    engine: str
    engine_version: str
    artifact: str
    processor: str
    median_ms: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int
    tuned: tuple[Tuned, ...]


def path() -> Path:
    """Where the file is, or would be."""
    if named := os.environ.get("EDGE_SDK_TUNING"):
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "edge-sdk" / "tuning.json"


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
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as stream:
        try:
            stream.write(data + b"\n")
            stream.close()
            Path(stream.name).replace(target)
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise
    return target


def _load() -> tuple[Tuned, ...]:
    try:
        found = msgspec.json.decode(path().read_bytes(), type=_File)
    except FileNotFoundError:
        return ()
    except (OSError, RuntimeError, msgspec.MsgspecError, UnicodeDecodeError) as exc:  # RuntimeError: nobody's home
        _LOG.warning("ignoring the tuning file: %s", exc)
        return ()
    if found.version != _VERSION:
        _LOG.warning("ignoring %s: it has version %d, not %d", path(), found.version, _VERSION)
        return ()
    return found.tuned
