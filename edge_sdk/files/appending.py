"""A file of lines that many threads and processes append to, and that others may move away.

A line is one ``write`` to a file that was opened with ``O_APPEND``: on a local file system of Linux or macOS lines of
several processes stand whole behind each other. Before each the file of this name is looked at. Where it is another one
than before, or none, because ``logrotate`` or another process moved it away, it is opened anew.

A full disk, a power cut or a process that is killed may leave a part of a line. It is never taken back, for another
process may have written behind it; the next line begins on a line of its own. While another process writes, its line
may look like such a part, so an empty line may stand between two whole ones.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import weakref
from pathlib import Path

from edge_sdk.files.own import check_open
from edge_sdk.files.reading import PathLike, regular_size

_HEAD = 64
"""Bytes of a file by which its kind is known."""

_appended: weakref.WeakSet[AppendedFile] = weakref.WeakSet()


class AppendedFile:
    """Lines at the end of a file. Threads may share it, and so may processes forked from this one.

    A new file is its owner's alone (0600). One that somebody else owns or may write is refused: nobody would know who
    wrote a line. The folder is not looked at, for those of a system's logs often belong to a group.

    Args:
        path: In a folder that is there; links are followed.
        begins: What the first line begins with. A file that begins otherwise is refused, lest lines land in one of
            another kind; a first line that was cut, or whose bytes a power cut left 0, is none.
        sync: Whether each line is on the disk before :meth:`append` returns, and not only in the system's memory.
        max_bytes: Size from which on the file is moved to ``NAME.1``, that to ``NAME.2`` and so on; 0 for never.
        keep: How many moved files are kept; the oldest goes.

    Raises:
        OSError: As :meth:`append`.
    """

    def __init__(
        self, path: PathLike, *, begins: bytes = b"", sync: bool = False, max_bytes: int = 0, keep: int = 0
    ) -> None:
        self.path = Path(path).absolute()  # the working folder may change
        self._begins = begins
        self._sync, self._max_bytes, self._keep = sync, max_bytes, keep
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._found: os.stat_result | None = None
        self._closed = False
        with self._lock:
            self._open()
        _appended.add(self)

    def append(self, line: bytes) -> None:
        """Write a line, which holds no line end.

        Raises:
            OSError: The disk refuses, it is no ordinary file, or :meth:`close` was called; ``ForeignFileError`` where
                somebody else owns it or may write it. A part of the line may stand in the file.
        """
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "is closed", os.fspath(self.path))
            descriptor, size = self._ready(len(line) + 1)
            try:
                left = memoryview(b"\n" * _is_torn(descriptor, size) + line + b"\n")
                while left:  # once, unless the disk is about to be full
                    left = left[os.write(descriptor, left) :]
                if self._sync:
                    os.fsync(descriptor)
            except OSError as error:
                error.filename = os.fspath(self.path)
                raise

    def close(self) -> None:
        """Let go of the file; whatever is appended later is an ``OSError``."""
        with self._lock:
            self._closed = True
            self._let_go()

    def __del__(self) -> None:
        self._let_go()

    def _ready(self, more: int) -> tuple[int, int]:
        """The descriptor of the file that has the name now, with room for so many bytes more, and its size."""
        size = self._size()
        if size is None:
            size = self._open()
        elif self._max_bytes and size and size + more > self._max_bytes:
            self._rotate(more)
            size = self._open()
        assert self._descriptor is not None
        return self._descriptor, size

    def _size(self) -> int | None:
        """Of the open file; None where it is no longer the one of this name."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        known = self._found
        if self._descriptor is None or known is None or not os.path.samestat(found, known):
            return None
        self._refuse_others(found)
        return found.st_size

    def _open(self) -> int:
        """Open the file that has the name now, make it if there is none, and return its size."""
        self._let_go()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            with contextlib.suppress(FileNotFoundError):
                regular_size(self.path)  # opening a pipe or a device could wait, or act
            descriptor = os.open(self.path, flags | getattr(os, "O_NOCTTY", 0), 0o600)
        except ValueError as error:
            raise OSError(errno.EINVAL, f"no file can have this name: {error}", os.fspath(self.path)) from error
        try:
            found = os.fstat(descriptor)
            self._refuse_others(found)
            self._refuse_another_kind(os.read(descriptor, _HEAD))
            if self._sync and not found.st_size:
                from edge_sdk.files.writing import sync_folder

                sync_folder(self.path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._found = descriptor, found
        return found.st_size

    def _refuse_others(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no file", os.fspath(self.path))
        check_open(self.path, found)

    def _refuse_another_kind(self, head: bytes) -> None:
        first = head.lstrip(b"\0").split(b"\n")[0]
        if not first.startswith(self._begins) and not self._begins.startswith(first):
            raise OSError(errno.EEXIST, "it holds something else", os.fspath(self.path))

    def _rotate(self, more: int) -> None:
        """Move the file away, unless another process has done so meanwhile."""
        from edge_sdk.files.locks import locked

        with locked(self.path):
            size = self._size()
            if size is None or size + more <= self._max_bytes:
                return
            self._let_go()  # Windows moves no open file
            older = [self.path.with_name(f"{self.path.name}.{number}") for number in range(1, self._keep + 1)]
            free = next((number for number, path in enumerate(older) if not path.exists()), self._keep - 1)
            for number in range(free, 0, -1):
                older[number - 1].replace(older[number])
            self.path.replace(older[0])

    def _let_go(self) -> None:
        descriptor, self._descriptor = getattr(self, "_descriptor", None), None
        if descriptor is not None:
            os.close(descriptor)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


def _is_torn(descriptor: int, size: int) -> bool:
    """Whether the last line of a file has no end; Windows does not tell."""
    return size > 0 and hasattr(os, "pread") and os.pread(descriptor, 1, size - 1) != b"\n"


def _renew_locks() -> None:
    """In a forked process: the thread that held a lock is not there."""
    for file in list(_appended):
        file._renew_lock()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)
