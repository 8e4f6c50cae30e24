"""Where a bundle's files lie: in a folder, or among the resources of a package that was imported from a zip.

A third place, one uncompressed zip, is in :mod:`edge_sdk.bundle.archive`. None of them trusts what it reads: a path is
relative and stays inside the bundle, only ordinary files are opened, and nobody gets more bytes than were asked for.
What a file holds is compared with its hash by :class:`edge_sdk.bundle.reader.Bundle`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import msgspec

from edge_sdk import files
from edge_sdk.errors import IntegrityError
from edge_sdk.manifest import check_path

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable


class Store(Protocol):
    """All raise ``OSError`` where the system refuses; ``size`` and ``read``, ``IntegrityError`` for a missing file."""

    def has(self, path: str) -> bool:
        """Whether anything has this name, be it a file that can be read or not."""

    def size(self, path: str) -> int:
        """Return the size of a file."""

    def read(self, path: str, limit: int) -> bytes:
        """Return a file, but at most ``limit`` bytes of it."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file as :func:`edge_sdk.files.open_regular`; ``IntegrityError`` where it is something else."""
    with _ordinary(path), files.open_regular(path) as stream:
        yield stream


class Folder(msgspec.Struct, frozen=True):
    """A folder.

    Links are followed: installers (uv, Bazel, Nix) and container volumes make every file a link. Nothing is lost by it,
    because what a file holds is compared with its hash before anyone gets it.
    """

    root: Path

    def has(self, path: str) -> bool:
        """As :meth:`Store.has`; a link is there whether or not it leads anywhere."""
        try:
            (self.root / check_path(path)).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def size(self, path: str) -> int:
        """As :meth:`Store.size`; the file is not opened."""
        place = self.root / check_path(path)
        with self._present(path), _ordinary(place):
            return files.regular_size(place)

    def read(self, path: str, limit: int) -> bytes:
        """As :meth:`Store.read`."""
        with self._present(path), opened(self.root / check_path(path)) as stream:
            return stream.read(limit)

    @contextlib.contextmanager
    def _present(self, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise IntegrityError(f"{self.root}: {path} is missing") from error


class Resources(msgspec.Struct, frozen=True):
    """A folder of a package inside a zip, read through the package's importer."""

    root: Traversable

    def has(self, path: str) -> bool:
        """As :meth:`Store.has`."""
        return self._resource(path).is_file()

    def size(self, path: str) -> int:
        """As :meth:`Store.size`; a compressed file is read for it."""
        with self._opened(path) as stream:
            return stream.seek(0, os.SEEK_END)

    def read(self, path: str, limit: int) -> bytes:
        """As :meth:`Store.read`."""
        with self._opened(path) as stream:
            return stream.read(limit)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[BinaryIO]:
        resource = self._resource(path)
        if not resource.is_file():
            raise IntegrityError(f"{self.root}: {path} is missing")
        with resource.open("rb") as stream:
            yield cast("BinaryIO", stream)  # bytes, whatever Traversable says

    def _resource(self, path: str) -> Traversable:
        return self.root.joinpath(*check_path(path).split("/"))


@contextlib.contextmanager
def _ordinary(path: Path) -> Iterator[None]:
    """Make an ``IntegrityError`` of what the block says of a folder, a pipe or a device."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EISDIR):
            raise IntegrityError(f"{path} {error.strerror}") from error
        raise
