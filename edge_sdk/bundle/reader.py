"""Reading a bundle: a folder, or the same files in one uncompressed zip (``NAME.edge``).

Reading trusts nothing: every path is relative, inside the bundle and no link; sizes are bounded; each file's hash is
checked, and the caller gets the very bytes that were hashed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from edge_sdk.errors import BundleError, BundleNotFoundError, IntegrityError, UnsafePathError
from edge_sdk.manifest import MANIFEST_PATH, FileEntry, Manifest, check_path, decode

SHIPPED = Path(__file__).parents[1] / "bundles"
SUFFIX = ".edge"
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_DIRECTORY_BYTES = 2**20  # of a zip: thousands of members

_END_OF_DIRECTORY = struct.Struct("<4s4H2IH")


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

    def read_graphs(self, variant_id: str) -> dict[str, bytes]:
        """Return the files of a variant (``int8.onnx``) by the name of the graph, checked as :meth:`read` does."""
        return {name: self.read(entry) for name, entry in self.manifest.variant_files(variant_id).items()}

    def read_model(self, variant_id: str) -> bytes:
        """Return the file of a variant whose model is one graph; ``BundleError`` if there are several."""
        if len(self.manifest.graphs) != 1:
            names = ", ".join(graph.name for graph in self.manifest.graphs)
            raise BundleError(f"{self.id} has several graphs, {names}: read them with read_graphs()")
        return next(iter(self.read_graphs(variant_id).values()))


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
    found = next((p for p in (path, retired(Path(os.path.realpath(path)))) if p.exists()), None)
    if found is None:
        raise BundleNotFoundError(f"no bundle at {path}; shipped bundles: {', '.join(shipped()) or 'none'}")
    return found


def retired(path: Path) -> Path:
    """Where a writer puts the bundle that it replaces, until the new one is in its place."""
    return path.parent / f".{path.name}.old"
