"""Bundles on disk: a folder, or the same files in one uncompressed zip (``NAME.edge``).

Reading trusts nothing: every path is relative, inside the bundle and no link; sizes are bounded; each file's hash is
checked, and the caller gets the very bytes that were hashed. Writing is atomic: whatever kills the writer, the old
bundle or the new one can be opened, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, final

from edge_sdk.errors import BundleError, BundleNotFoundError, IntegrityError, UnsafePathError
from edge_sdk.manifest import MANIFEST_PATH, FileEntry, Manifest, check_path, decode, encode

if sys.platform != "win32":
    import fcntl

SHIPPED = Path(__file__).parents[1] / "bundles"
SUFFIX = ".edge"
ALIGNMENT = 4096  # a memory page, so that a member can be mapped
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_DIRECTORY_BYTES = 2**20  # of a zip: thousands of members

_ALIGNMENT_FIELD = 0xD935  # the extra field that Android's zipalign pads with
_END_OF_DIRECTORY = struct.Struct("<4s4H2IH")


# --- reading ---------------------------------------------------------------------------------------------------------


class _Store(Protocol):
    def size(self, path: str) -> int:
        """Return the size of a file; raise ``IntegrityError`` if it is missing."""

    def read(self, path: str, limit: int) -> bytes:
        """Return a file, but at most ``limit`` bytes of it."""


@dataclass(frozen=True)
class _Folder:
    root: Path

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        full = self.root / check_path(path)
        # realpath also sees junctions of Windows; O_NOFOLLOW closes the gap between the check and the opening.
        if os.path.realpath(full) != str(self.root.resolve() / path):
            raise UnsafePathError(f"{self.root}: {path} is, or lies behind, a link")
        flags = os.O_RDONLY
        for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
            flags |= getattr(os, name, 0)
        try:
            descriptor = os.open(full, flags)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise IntegrityError(f"{self.root}: {path} is missing") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise IntegrityError(f"{self.root}: {path} is no ordinary file")
            yield descriptor
        finally:
            os.close(descriptor)

    def size(self, path: str) -> int:
        with self._opened(path) as descriptor:
            return os.fstat(descriptor).st_size

    def read(self, path: str, limit: int) -> bytes:
        with self._opened(path) as descriptor, open(descriptor, "rb", closefd=False) as stream:
            return stream.read(limit)


class _Archive:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as (_, members):
            self._sizes = {name: member.file_size for name, member in members.items()}

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
        try:
            with self._path.open("rb") as stream:
                self._check_directory_size(stream)
                with zipfile.ZipFile(stream) as archive:
                    yield archive, self._members(archive)
        except (zipfile.BadZipFile, struct.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
            raise IntegrityError(f"{self._path} is no sound zip file: {error}") from error

    def _check_directory_size(self, stream: BinaryIO) -> None:
        # zipfile reads the whole directory into memory, so look at its size first; a zip64 locator would overrule it.
        tail = _END_OF_DIRECTORY.size + 20
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - tail))
        end = stream.read(tail)
        if end[-_END_OF_DIRECTORY.size :][:4] != b"PK\5\6" or end[:4] == b"PK\6\7":
            raise IntegrityError(f"{self._path} is truncated, or no plain zip file")
        size = _END_OF_DIRECTORY.unpack(end[-_END_OF_DIRECTORY.size :])[5]
        if size > MAX_DIRECTORY_BYTES:
            raise IntegrityError(f"{self._path} has a directory of {size} bytes")

    def _members(self, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            name = check_path(member.orig_filename)  # .filename is already cut at a NUL
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UnsafePathError(f"{self._path}: {name} is a link")
            if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
                raise IntegrityError(f"{self._path}: {name} is compressed; members are stored")
            if member.flag_bits & 1:
                raise IntegrityError(f"{self._path}: {name} is encrypted")
            if name.casefold() in (other.casefold() for other in members):
                raise IntegrityError(f"{self._path}: {name} is there twice")
            members[name] = member
        return members

    def size(self, path: str) -> int:
        if check_path(path) not in self._sizes:
            raise IntegrityError(f"{self._path}: {path} is missing")
        return self._sizes[path]

    def read(self, path: str, limit: int) -> bytes:
        with self._opened() as (archive, members):
            if check_path(path) not in members:
                raise IntegrityError(f"{self._path}: {path} is missing")
            with archive.open(members[path]) as stream:
                return stream.read(limit)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Make one with :meth:`open`."""

    path: Path
    manifest: Manifest
    id: str  #: ``name-version-`` and 12 hex digits of the manifest's SHA-256
    _store: _Store

    @classmethod
    def open(cls, source: str | os.PathLike[str] | Bundle) -> Bundle:
        """Open a bundle by the name of a shipped one, or by the path of a folder or ``.edge`` file.

        A plain name means the shipped bundle even where a folder of that name exists; write ``./name`` for the folder.
        Every file must be there in its stated size; hashes are checked when a file is read.

        Raises ``BundleNotFoundError``, ``ManifestError`` (``SchemaVersionError``), ``IntegrityError``,
        ``UnsafePathError``, or ``BundleError`` where the operating system refuses.
        """
        if isinstance(source, Bundle):
            return source
        try:
            path = _find(source)
            store: _Store = _Folder(path) if path.is_dir() else _Archive(path)
            if store.size(MANIFEST_PATH) > MAX_MANIFEST_BYTES:
                raise IntegrityError(f"{path}: {MANIFEST_PATH} exceeds {MAX_MANIFEST_BYTES} bytes")
            data = store.read(MANIFEST_PATH, MAX_MANIFEST_BYTES)
            manifest = decode(data)
            for entry in manifest.files:
                _check_size(path, entry, store.size(entry.path))
        except BundleError:  # one of them is an OSError too
            raise
        except OSError as error:
            raise BundleError(f"cannot read {source}: {error}") from error
        identity = f"{manifest.name}-{manifest.version}-{hashlib.sha256(data).hexdigest()[:12]}"
        return cls(path, manifest, identity, store)

    def read(self, entry: FileEntry) -> bytes:
        """Return a file of the bundle, checked against size and SHA-256 of ``entry``; else ``IntegrityError``."""
        try:
            data = self._store.read(entry.path, entry.size + 1)
        except OSError as error:
            raise BundleError(f"cannot read {entry.path} of {self.path}: {error}") from error
        _check_size(self.path, entry, len(data))
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise IntegrityError(f"{self.path}: {entry.path} does not have the SHA-256 that the manifest gives")
        return data

    def read_artifact(self, artifact_id: str) -> bytes:
        """Return the model file of an artifact (``int8.onnx``), checked as :meth:`read` does."""
        return self.read(self.manifest.artifact(artifact_id).file)


def shipped() -> tuple[str, ...]:
    """Return the names of the bundles that come with the package."""
    if not SHIPPED.is_dir():
        return ()
    return tuple(sorted({p.stem for p in SHIPPED.iterdir() if p.suffix == SUFFIX or (p / MANIFEST_PATH).is_file()}))


def _check_size(bundle: Path, entry: FileEntry, size: int) -> None:
    if size != entry.size:
        raise IntegrityError(f"{bundle}: {entry.path} has not the {entry.size} bytes that the manifest gives")


def _find(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    if isinstance(source, str) and source in shipped():
        path = SHIPPED / source
        return path if path.is_dir() else path.with_name(source + SUFFIX)
    if not os.fspath(source) or "\0" in os.fspath(source):
        raise BundleNotFoundError(f"no bundle at {os.fspath(source)!r}")
    # A writer killed between its two renames leaves the old bundle under this name.
    found = next((p for p in (path, _retired(Path(os.path.realpath(path)))) if p.exists()), None)
    if found is None:
        raise BundleNotFoundError(f"no bundle at {path}; shipped bundles: {', '.join(shipped()) or 'none'}")
    return found


def _retired(path: Path) -> Path:
    return path.parent / f".{path.name}.old"


# --- writing ---------------------------------------------------------------------------------------------------------


@final
class BundleWriter:
    """Write a bundle atomically; a ``.edge`` destination becomes one file, any other a folder.

    ::

        with BundleWriter("deepsign.edge") as writer:
            entry = writer.add("model.fp32.onnx", data)
            bundle = writer.finish(Manifest(...))

    Files gather in a hidden folder beside the destination. :meth:`finish` reads all of them back and renames; without
    it, nothing changes. What a killed writer left behind is cleared by the next one. An existing bundle is replaced as
    a whole, with files that its manifest does not list. Failures of the disk stay ``OSError``.
    """

    def __init__(self, destination: str | os.PathLike[str], overwrite: bool = True) -> None:
        self.destination = Path(os.path.realpath(destination))
        self._overwrite = overwrite
        self._entries: list[FileEntry] = []
        self._clean_up = contextlib.ExitStack()
        self._staging: Path | None = None

    def __enter__(self) -> BundleWriter:
        parent, name = self.destination.parent, self.destination.name
        parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{name}.new-"
        _clear_abandoned([path for path in parent.iterdir() if path.name.startswith(prefix)])
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._clean_up.callback(shutil.rmtree, staging, ignore_errors=True)
        self._clean_up.enter_context(_lock(staging))
        self._staging = staging
        try:
            self._settle(staging)
            self._check_destination()
            (staging / "bundle").mkdir()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._staging = None
        self._clean_up.close()

    def add(self, path: str, data: bytes) -> FileEntry:
        """Write one file and return its entry for the manifest; an unsafe or repeated path raises ``BundleError``."""
        entry = FileEntry(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        target = self._open_staging() / "bundle" / path
        if target.exists():
            raise BundleError(f"{path} was added before")
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, data)
        self._entries.append(entry)
        return entry

    def finish(self, manifest: Manifest) -> Bundle:
        """Put the bundle in its place and open it; ``manifest`` must list exactly the files that were added."""
        staging = self._open_staging()
        difference = set(manifest.files) ^ set(self._entries)
        if difference:
            names = ", ".join(sorted({entry.path for entry in difference}))
            raise BundleError(f"the manifest and the added files differ in {names}")
        ready = staging / "bundle"
        _write(ready / MANIFEST_PATH, encode(manifest))
        if self.destination.suffix == SUFFIX:
            ready = _write_archive(ready, [MANIFEST_PATH, *(e.path for e in self._entries)], staging / "bundle.edge")
        staged = Bundle.open(ready)
        for entry in manifest.files:
            staged.read(entry)
        _sync_folders(staging)
        self._publish(ready, staging)
        self.__exit__(None, None, None)
        return Bundle.open(self.destination)

    def _open_staging(self) -> Path:
        if self._staging is None:
            raise BundleError("the writer is not open: use it once, in a with statement")
        return self._staging

    def _check_destination(self) -> None:
        path = self.destination
        if not path.exists():
            return
        if not self._overwrite:
            raise BundleError(f"{path} exists")
        if path.suffix == SUFFIX:
            replaceable = path.is_file()
        else:
            replaceable = path.is_dir() and ((path / MANIFEST_PATH).exists() or not any(path.iterdir()))
        if not replaceable:
            raise BundleError(f"{path} exists and is no bundle: not replaced")

    def _publish(self, ready: Path, staging: Path) -> None:
        self._check_destination()
        old = _retired(self.destination)
        if ready.is_file():
            ready.replace(self.destination)
        else:
            # A folder cannot replace a folder in one step everywhere. Between the two renames the old bundle is found
            # under its retired name, both by readers and by the next writer.
            if self.destination.exists():
                self.destination.rename(old)
            try:
                ready.rename(self.destination)
            finally:
                self._settle(staging)
        _sync(self.destination.parent)

    def _settle(self, staging: Path) -> None:
        """Bring a retired bundle back if no new one took its place, else throw it away."""
        old = _retired(self.destination)
        if old.exists():
            gone = Path(tempfile.mkdtemp(dir=staging)) / "old"
            old.rename(gone if self.destination.exists() else self.destination)


def pack(bundle: Bundle, destination: str | os.PathLike[str], overwrite: bool = True) -> Bundle:
    """Copy a bundle, checking every file, to a folder or a ``.edge`` file."""
    with BundleWriter(destination, overwrite) as writer:
        for entry in bundle.manifest.files:
            writer.add(entry.path, bundle.read(entry))
        return writer.finish(bundle.manifest)


def _write_archive(folder: Path, paths: list[str], target: Path) -> Path:
    """Store files in one zip, each member's data at a multiple of ``ALIGNMENT``; the same files give the same bytes."""
    with target.open("xb") as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for path in paths:
                member = zipfile.ZipInfo(path)  # dated 1980
                member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                padding = -(stream.tell() + 30 + len(path) + 4) % ALIGNMENT
                member.extra = struct.pack("<HH", _ALIGNMENT_FIELD, padding) + bytes(padding)
                archive.writestr(member, (folder / path).read_bytes())
                member.extra = b""  # padding belongs to the local header; the directory needs none
        stream.flush()
        os.fsync(stream.fileno())
    return target


@contextlib.contextmanager
def _lock(staging: Path) -> Iterator[None]:
    """Hold a staging folder; the lock dies with its process, however that ends. ``BlockingIOError`` if it is held."""
    with (staging / "lock").open("ab") as stream:
        if sys.platform != "win32":
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _clear_abandoned(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            with _lock(folder):
                pass
            (folder / "lock").unlink()  # Windows has no flock, but refuses to unlink what a writer has open
            shutil.rmtree(folder)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync(Path(folder))


def _sync(folder: Path) -> None:
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
