"""Writing a file whole or not at all.

It is written under another name in the same folder, ``.NAME.new-RANDOM``, flushed to the disk and renamed, and the
folder is flushed too. A reader, a process that is killed and a power cut find the old file or the new one. Of two
processes that write the same file the later one wins.

While it is written the file is locked. One of such a name without a lock belongs to a process that has ended: the next
write into its folder deletes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edge_sdk.files.abandoned import clear_abandoned, temporary_name
from edge_sdk.files.locks import try_lock
from edge_sdk.files.ownership import resemble
from edge_sdk.files.reading import PathLike

_TRIES, _PAUSE_S = (40, 0.05) if sys.platform == "win32" else (1, 0.0)  # to rename onto what somebody else is reading
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS)


@contextlib.contextmanager
def atomic_write(path: PathLike, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` when the block ends without an exception.

    ::

        with atomic_write("report.html") as file:
            file.write(data)

    Missing folders are made. A new file has the permissions that any new file has (the umask), or with ``private``
    those for its owner alone. A replaced one keeps its permissions, and its owner, group and access list where this
    process may give them; if it may not, the new group may do nothing. A link stays, and the file that it names is
    replaced. Of several hard links only the one that is named gets the new file. A device is written to as it is, and
    so is a pipe that somebody reads.

    Raises:
        IsADirectoryError: ``path`` is a folder.
        OSError: The disk refuses, or ``path`` may not be written to; the old file stays, and no other file is left.
    """
    if _is_stream(path):
        with _naming(path), _open_stream(path) as stream:
            yield stream
        return
    target = _target(path)
    with _naming(target), _beside(target, private) as temporary, temporary.open("rb+") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_bytes(path: PathLike, data: bytes, *, private: bool = False) -> None:
    """Write a file whole or not at all; see :func:`atomic_write`."""
    with atomic_write(path, private=private) as file:
        file.write(data)


def write_text(path: PathLike, text: str) -> None:
    """Write a file in UTF-8, with the line ends that ``text`` has, whole or not at all; see :func:`atomic_write`."""
    write_bytes(path, text.encode())


def check_writable(path: PathLike) -> None:
    """Raise the ``OSError`` that writing this file would raise; nothing stays on the disk but its folder."""
    if not _is_stream(path):
        temporary, descriptor = _create(_target(path), private=True)
        os.close(descriptor)
        temporary.unlink()


def _is_stream(path: PathLike) -> bool:
    """Whether it is a device, a pipe or a socket, perhaps by a link, as ``/dev/stdout`` is one."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - realpath of a pipe in /dev/fd names nothing
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _open_stream(path: PathLike) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from this pipe", os.fspath(path)) from error
        raise
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


def _target(path: PathLike) -> Path:
    """The file that ``path`` names, through links; its folder is there, and it may be written to."""
    if os.fspath(path).endswith(tuple(filter(None, (os.sep, os.altsep)))):
        raise IsADirectoryError(
            errno.EISDIR, "cannot be written: it ends as the name of a folder; name a file", os.fspath(path)
        )
    try:
        target = Path(os.path.realpath(path))
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have this name: {error}", os.fspath(path)) from error
    if target.is_symlink():
        raise OSError(errno.ELOOP, "is a link that leads to itself", os.fspath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "cannot be written: it is a folder; name a file", os.fspath(path))
    make_folder(target.parent)
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "may not be written to", os.fspath(path))
    return target


@contextlib.contextmanager
def _beside(target: Path, private: bool) -> Iterator[Path]:
    """A new file in the folder of ``target``, which takes its place; if the block fails, it goes."""
    temporary, descriptor = _create(target, private)
    try:
        try:
            yield temporary
            if sys.platform != "win32":  # which renames no open file
                _replace(temporary, target)
        finally:
            os.close(descriptor)
        if sys.platform == "win32":
            _replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


@contextlib.contextmanager
def _naming(path: PathLike) -> Iterator[None]:
    """Add the file to errors of the disk, which come without where an open file is written to."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK and error.filename is None:
            error.filename = os.fspath(path)
        raise


def _create(target: Path, private: bool) -> tuple[Path, int]:
    """A locked, empty file that only this process knows, with the permissions and the owner of ``target``."""
    clear_abandoned(target.parent)
    while True:
        temporary = target.with_name(temporary_name(target))
        try:
            mode = 0o600 if private or target.exists() else 0o666
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except OSError as error:
            message = f"{error.strerror} (a file is written beside its name first)"
            raise OSError(error.errno, message, os.fspath(target)) from error
        try:
            # Between the opening and the locking another process may have taken it for abandoned.
            if sys.platform == "win32" or (try_lock(descriptor) is not False and temporary.exists()):
                resemble(temporary, descriptor, target)
                return temporary, descriptor
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        os.close(descriptor)


def _replace(temporary: Path, target: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            temporary.replace(target)
        except PermissionError:
            if not left:
                raise
            time.sleep(_PAUSE_S)
        except OSError as error:
            if error.errno == errno.EBUSY:
                message = "is a mount of its own and cannot be replaced; mount its folder instead"
                raise OSError(errno.EBUSY, message, os.fspath(target)) from error
            raise
        else:
            return


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make it with those above it, each with these permissions and flushed to the disk in the one above."""
    missing = []
    while not folder.exists() and folder.parent != folder:
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode, exist_ok=True)
        sync_folder(one.parent)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file where a folder is needed", os.fspath(folder))


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to the disk, where the system can: not on Windows, nor without the right to list it."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                error.filename = os.fspath(folder)
                raise
        finally:
            os.close(descriptor)
