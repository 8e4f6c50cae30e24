"""Compiled models, kept between starts: each belongs to one model, engine, device and settings, and to its user.

``edge-sdk tune`` keeps that of each engine's fastest variant; TensorRT, whose builds take minutes, keeps each that it
builds. Any start uses what is there and fits; otherwise the model is compiled anew.

What an engine compiles is code to its vendor: a file that somebody else made would be run without a further check. So
a file is used only if it holds exactly the key that is asked for, if nobody but this user (or root) can write it or its
folder, and if its HMAC-SHA256 is right, by a random key that the user has in the folder for settings. Nothing of a file
is parsed before that. Whoever can act as this user can change the package's own code as well; against them nothing here
helps.

A file is :data:`_MAGIC`, the HMAC of all that follows (32 bytes), the length of the header (4 bytes, little-endian),
the header (the key, as JSON) and the payload. It is replaced atomically.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_sdk import files
from edge_sdk.errors import ForeignEngineError
from edge_sdk.logs import Log

MAX_BYTES = 2 * 2**30
"""The largest file that is read."""

MAX_TOTAL_BYTES = 512 * 2**20
"""What the folder may hold beside the newest file; the oldest go first."""

_MAGIC = b"edge-sdk compiled model 2\n"
_SECRET_BYTES = 32
_ENDING = ".compiled"
_LOG = Log(__name__)


class CompiledKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a compiled model depends on."""

    model: str  # its SHA-256
    engine: str  # name and version, "openvino 2026.4.1", and a driver's version if there is one
    device: str  # of engines that run on the processor: :func:`edge_sdk.runtime.device.conditions`
    options: str = ""


_DECODER = msgspec.json.Decoder(CompiledKey)


@dataclass(frozen=True)
class CompiledStore:
    """The compiled forms of one model, by default in ``compiled`` in the cache folder; need not exist, nor be writable.

    Attributes:
        model: SHA-256 of the model's file, as the manifest has it.
        keep: Whether an engine stores what it compiles where that takes but a fraction of a second.
        folder: None means the default.
    """

    model: str
    keep: bool = False
    folder: Path | None = None

    def path(self, key: CompiledKey) -> Path:
        """Where the compiled form lies; that of another version of the engine is replaced.

        Raises:
            StorageError: There is no cache folder, see :func:`edge_sdk.files.cache_folder`.
        """
        name = key.engine.split()[0]
        place = f"{name}\0{key.model}\0{key.device}\0{key.options}"
        folder = files.cache_folder() / "compiled" if self.folder is None else self.folder
        return folder / f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:32]}{_ENDING}"

    def read(self, key: CompiledKey) -> bytes | None:
        """Return what is stored for exactly this key, or None; what is refused is logged."""
        try:
            path = self.path(key)
            found, payload = read(path)
        except FileNotFoundError as exc:
            _LOG.info("no compiled model is kept for %s: there is no %s", key.engine.split()[0], exc.filename)
            return None
        except (OSError, ForeignEngineError) as exc:
            _LOG.warning("a compiled model is not used, and the model is compiled anew: %s", exc)
            return None
        if found != key:
            _LOG.info("compiled anew: %s", differences(found, key))
            return None
        _LOG.info("the compiled model is used that %s made: %s", " ".join(key.engine.split()[:2]), path)
        return payload

    def prepare(self, key: CompiledKey) -> str:
        """Make the folder and the user's key; return why nothing can be stored, empty if it can."""
        try:
            folder = files.own_folder(self.path(key).parent)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "may not be written to", str(folder))
            _secret(make=True)
        except (OSError, ForeignEngineError) as exc:
            return str(exc)
        return ""

    def write(self, key: CompiledKey, make: Callable[[], bytes]) -> str:
        """Store what ``make`` gives, unless it cannot be; return why nothing is stored, empty if it is."""
        if reason := self.prepare(key):
            return reason
        payload = make()
        try:
            path = self.path(key)
            write(path, key, payload)
            _make_room(path)
            _LOG.info("the compiled model is kept: %s", path)
        except (OSError, ForeignEngineError) as exc:
            return str(exc)
        return ""


def differences(found: CompiledKey, wanted: CompiledKey) -> str:
    """Say in which fields a key is not the one that is wanted."""
    pairs = ((name, getattr(found, name), getattr(wanted, name)) for name in CompiledKey.__struct_fields__)
    return "; ".join(f"{name} {one}, not {other}" for name, one, other in pairs if one != other)


def read(path: Path) -> tuple[CompiledKey, bytes]:
    """Return the key and the payload of a file that this user made.

    Raises:
        OSError: The file cannot be read; ``FileNotFoundError`` if there is none, ``ForeignFileError`` if somebody else
            can write it.
        ForeignEngineError: It is no such file, damaged, or not made with this user's key.
    """
    data = files.read_own(path, MAX_BYTES, links=False)
    start = len(_MAGIC) + hashlib.sha256().digest_size
    if not data.startswith(_MAGIC):
        raise ForeignEngineError(f"{path} is no compiled model of this version of edge-sdk")
    content = memoryview(data)[start:]
    if not hmac.compare_digest(data[len(_MAGIC) : start], hmac.digest(_secret(), content, "sha256")):
        raise ForeignEngineError(
            f"{path} was changed, is damaged, or was made with another key than {_secret_path()}: that key and "
            "the cache folder belong together"
        )
    length = int.from_bytes(content[:4], "little")
    return _DECODER.decode(content[4 : 4 + length]), bytes(content[4 + length :])


def write(path: Path, key: CompiledKey, payload: bytes) -> None:
    """Write or replace a file: readers see the old one or the new one.

    Raises:
        OSError: The disk refuses; ``ForeignFileError`` if the user's key is not theirs alone.
        ForeignEngineError: There is no key.
    """
    header = msgspec.json.encode(key)
    content = b"".join((len(header).to_bytes(4, "little"), header, payload))
    files.discard_foreign(path)
    files.write_bytes(path, _MAGIC + hmac.digest(_secret(), content, "sha256") + content, private=True)


def _secret_path() -> Path:
    return files.config_folder() / "compiled.key"


def _secret(*, make: bool = False) -> bytes:
    """The user's random key, made at the first use if ``make``, and anew if its length is wrong."""
    path = _secret_path()
    secret = _read_secret(path)
    if len(secret) != _SECRET_BYTES and make:
        files.own_folder(path.parent)
        with files.locked(path):
            secret = _read_secret(path)
            if len(secret) != _SECRET_BYTES:
                import secrets

                secret = secrets.token_bytes(_SECRET_BYTES)
                path.unlink(missing_ok=True)
                files.write_bytes(path, secret, private=True)
    if len(secret) != _SECRET_BYTES:
        raise ForeignEngineError(f"there is no key in {path} to check compiled models with")
    return secret


def _read_secret(path: Path) -> bytes:
    try:
        return files.read_own(path, 2 * _SECRET_BYTES, links=False, secret=True)
    except FileNotFoundError:
        return b""


def _make_room(newest: Path) -> None:
    """Delete the oldest files of the folder until the others take no more than :data:`MAX_TOTAL_BYTES`."""
    total = 0
    with os.scandir(newest.parent) as entries:
        ours = [entry for entry in entries if entry.name.endswith(_ENDING) and entry.name != newest.name]
    with contextlib.suppress(FileNotFoundError):  # another process deletes, too
        for entry in sorted(ours, key=lambda entry: entry.stat().st_mtime, reverse=True):
            total += entry.stat().st_size
            if total > MAX_TOTAL_BYTES:
                Path(entry).unlink(missing_ok=True)
