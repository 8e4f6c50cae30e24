"""What ``edge-sdk tune`` found on this device, kept for ``engine="auto"``.

One JSON file: ``$EDGE_SDK_TUNING``, else ``tuning.json`` in :func:`edge_sdk.files.config_folder`. It chooses a variant,
and with it the thresholds, so only a file that nobody else can have written counts (:mod:`edge_sdk.files.own`). It can
only make things faster, so a reader ignores, with a warning in the log, a file that is refused, cannot be read or makes
no sense. A writer refuses it: it may be a newer edge-sdk's, or another program's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from edge_sdk import files
from edge_sdk.errors import ForeignFileError, StorageError
from edge_sdk.logs import Log
from edge_sdk.runtime import device

VARIABLE = "EDGE_SDK_TUNING"
MAX_BYTES = 4 * 2**20  # some ten thousand rows

_VERSION = 2
_WITHOUT_MODEL = 1  # a version whose rows do not say all that they depend on: as if nothing were tuned
_LOG = Log(__name__)


class Tuned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One engine and variant as measured, and all that this depends on.

    Attributes:
        bundle_id, variant: What was measured.
        model: SHA-256 of the variant's files (:meth:`edge_sdk.manifest.Manifest.variant_sha256`).
        engine, engine_version, threads: What ran it.
        conditions: Of :func:`edge_sdk.runtime.device.conditions`.
        median_ms: For one pass of the engine.
    """

    bundle_id: str
    threads: Annotated[int, msgspec.Meta(ge=1)]
    engine: str
    engine_version: str
    variant: str
    model: str
    conditions: str
    median_ms: Annotated[float, msgspec.Meta(gt=0)]


class _Version(msgspec.Struct, frozen=True):
    version: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int
    tuned: tuple[Tuned, ...]


# Made once, at import: see edge_sdk.schema.
_VERSION_DECODER, _DECODER = msgspec.json.Decoder(_Version), msgspec.json.Decoder(_File)


def path() -> Path:
    """Where the file is, or would be; ``StorageError`` where the user has no home folder."""
    return files.named(VARIABLE) or files.config_folder() / "tuning.json"


def recall(bundle_id: str, threads: int) -> tuple[Tuned, ...]:
    """Return what was measured for a bundle with so many threads under these conditions, the fastest first."""
    try:
        place = path()
        found = _load(place)
    except StorageError as exc:
        _LOG.warning("ignoring what was tuned: %s", exc)
        return ()
    mine = [row for row in found if (row.bundle_id, row.threads) == (bundle_id, threads)]
    _LOG.debug("%s, threads %d: %d rows of %d were tuned, in %s", bundle_id, threads, len(mine), len(found), place)
    if not mine:
        return ()
    here = device.conditions()
    return tuple(sorted((row for row in mine if row.conditions == here), key=lambda row: row.median_ms))


def store(rows: Sequence[Tuned]) -> str:
    """Replace what is stored for the bundles and threads of ``rows``; what others store at the same time is kept.

    Returns:
        Why nothing is stored, empty if it is: the disk refuses, there is a file that others can write or that this
        version cannot read, which stays as it is, or another process holds its lock for long. What was measured is
        worth as much without.
    """
    replaced = {(row.bundle_id, row.threads) for row in rows}
    try:
        target = path()
        _load(target)  # so that no lock is made beside a device
        files.own_folder(target.parent)
        with files.locked(target):
            kept = [row for row in _load(target) if (row.bundle_id, row.threads) not in replaced]
            data = msgspec.json.format(msgspec.json.encode(_File(version=_VERSION, tuned=(*kept, *rows))), indent=1)
            files.write_bytes(target, data + b"\n", private=True)
    except OSError as exc:
        return str(exc)
    return ""


def _load(target: Path) -> tuple[Tuned, ...]:
    """What is in the file; nothing if there is none."""
    try:
        return _decode(files.read_own(target, MAX_BYTES))
    except FileNotFoundError:
        return ()
    except ForeignFileError:
        raise
    except OSError as exc:
        raise StorageError(f"the tuning file cannot be read: {exc}; set {VARIABLE} to a file") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise StorageError(
            f"{target} is damaged, or no tuning file of this version of edge-sdk ({exc}): install a newer edge-sdk, "
            f"remove the file, or set {VARIABLE} to another"
        ) from exc


def _decode(data: bytes) -> tuple[Tuned, ...]:
    version = _VERSION_DECODER.decode(data).version
    if version == _WITHOUT_MODEL:
        return ()
    if version != _VERSION:
        raise msgspec.ValidationError(f"it has version {version}, not {_VERSION}")
    return _DECODER.decode(data).tuned
