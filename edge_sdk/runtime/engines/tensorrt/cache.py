"""Compiled TensorRT engines on disk: each belongs to one model, TensorRT, GPU and driver, and says so in its header.

A file is :data:`_MAGIC`, the length of the header (4 bytes, little-endian), the header as JSON (the key, and size and
SHA-256 of what follows), and the payload. Files are replaced atomically; one that does not fit is never used.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_sdk import files
from edge_sdk.errors import ForeignEngineError

_MAGIC = b"edge-sdk compiled engine 1\n"
_MAX_HEADER = 64 * 1024
MAX_BYTES = 8 * 2**30
_LOG = logging.getLogger(__name__)


class EngineKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a compiled engine depends on."""

    model: str  # its SHA-256
    builder: str  # "tensorrt 10.7.0", "tensorrt_rtx 1.7.1"
    gpu: str
    compute_capability: str
    driver: str
    options: str = ""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: EngineKey
    size: int
    sha256: str


# Made once, at import: see edge_sdk.schema.
_DECODER = msgspec.json.Decoder(_Header)


@dataclass(frozen=True)
class Cache:
    """A folder of compiled engines, by default ``tensorrt`` in the cache folder; need not exist, nor be writable."""

    folder: Path | None = None

    def path(self, key: EngineKey) -> Path:
        """Where the engine of this model and these options lies; whatever was built for another device is replaced.

        ``FileNotFoundError`` where there is no cache folder, see :func:`edge_sdk.files.cache_folder`.
        """
        options = hashlib.sha256(key.options.encode()).hexdigest()[:8]
        folder = files.cache_folder() / "tensorrt" if self.folder is None else self.folder
        return folder / f"{key.model[:32]}-{options}.engine"

    def get(
        self, key: EngineKey, build: Callable[[], bytes], usable: Callable[[bytes], bool] = lambda _: True
    ) -> bytes:
        """Return the engine from disk, or build and store it.

        An engine of another TensorRT, GPU or driver, a damaged one, and one that is not ``usable`` is built anew. Where
        nothing can be stored the engine is returned all the same, with a warning: every start will build it again.
        """
        payload = self.peek(key)
        if payload is None or not usable(payload):
            payload = build()
            self.put(key, payload)
        return payload

    def peek(self, key: EngineKey) -> bytes | None:
        """Return what is stored for exactly this key, or None."""
        try:
            return read(self.path(key), key)
        except FileNotFoundError as exc:
            _LOG.info("not built yet: %s", exc)
        except (OSError, ForeignEngineError) as exc:
            _LOG.info("not used: %s", exc)
        return None

    def put(self, key: EngineKey, payload: bytes) -> None:
        """Store, or warn that this cannot be."""
        try:
            write(self.path(key), key, payload)
        except OSError as exc:
            _LOG.warning(
                "the compiled engine cannot be stored (%s), so that every start builds it again; "
                "set EDGE_SDK_CACHE to a writable folder",
                exc,
            )


def read(path: Path, key: EngineKey) -> bytes:
    """Return the payload of a file.

    Raises:
        OSError: The file cannot be read; ``FileNotFoundError`` if there is none.
        ForeignEngineError: It was built for something else, which the message names, or is damaged.
    """
    data = files.read_bytes(path, MAX_BYTES)
    start = len(_MAGIC) + 4
    length = int.from_bytes(data[len(_MAGIC) : start], "little")
    if not data.startswith(_MAGIC) or not 0 < length <= _MAX_HEADER:
        raise ForeignEngineError(f"{path} is no compiled engine of edge-sdk: delete it, or build it here")
    try:
        header = _DECODER.decode(data[start : start + length])
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ForeignEngineError(f"{path} is damaged ({exc}): build it here") from exc
    if header.key != key:
        found, wanted = msgspec.structs.asdict(header.key), msgspec.structs.asdict(key)
        differences = (f"{name} {found[name]}, not {wanted[name]}" for name in wanted if found[name] != wanted[name])
        raise ForeignEngineError(f"{path} was built for {'; '.join(differences)}: build it here")
    payload = data[start + length :]
    if len(payload) != header.size or hashlib.sha256(payload).hexdigest() != header.sha256:
        raise ForeignEngineError(f"{path} is damaged: build it here")
    return payload


def write(path: Path, key: EngineKey, payload: bytes) -> None:
    """Write or replace a file atomically: readers see the old one or the new one. Raises ``OSError``."""
    header = msgspec.json.encode(_Header(key, len(payload), hashlib.sha256(payload).hexdigest()))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # an engine is code: nobody else may put one there
    files.write_bytes(path, _MAGIC + len(header).to_bytes(4, "little") + header + payload)
