"""Reading files that somebody named: ordinary ones alone, and never more of one than was asked for."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO, TypeAlias

PathLike: TypeAlias = "str | os.PathLike[str]"

_PIECE = 2**20
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: PathLike) -> BinaryIO:
    """Open an ordinary file to read its bytes; links are followed.

    Opening a pipe, a socket or a terminal could wait for ever, and some devices act when they are opened, so none is.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It is something else than a file, cannot be opened, or nothing can have this name.
    """
    try:
        _refuse_others(os.stat(path), path)  # noqa: PTH116 - as os.open below
        # Should it change in between, O_NONBLOCK keeps the opening from waiting.
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
        descriptor = os.open(path, flags)
    except ValueError as error:  # a null byte, or a character that no name here can hold
        raise OSError(errno.EINVAL, f"no file can have this name: {error}", os.fspath(path)) from error
    try:
        _refuse_others(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def regular_size(path: PathLike) -> int:
    """Return the size of an ordinary file, without opening it; links are followed.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It is something else than a file, or the system does not tell.
    """
    found = os.stat(path)  # noqa: PTH116 - as os.open above
    _refuse_others(found, path)
    return found.st_size


def read_bytes(path: PathLike, limit: int) -> bytes:
    """Read an ordinary file of at most ``limit`` bytes.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: See :func:`open_regular`; or the file is larger, of which at most ``limit + 1`` bytes were read.
    """
    with open_regular(path) as file:
        return read_open(file, limit, path)


def read_open(file: BinaryIO, limit: int, path: PathLike) -> bytes:
    """Read an open file, of this name, as :func:`read_bytes` does."""
    size = os.fstat(file.fileno()).st_size
    if size <= limit:
        data = file.read(size + 1)
        while size < len(data) <= limit and (more := file.read(min(_PIECE, limit + 1 - len(data)))):
            data += more  # it grows, or is one of /proc, of size 0 and full
        if len(data) <= limit:
            return data
    raise OSError(errno.EFBIG, f"holds more than {limit} bytes", os.fspath(path))


def _refuse_others(found: os.stat_result, path: PathLike) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
    error = IsADirectoryError if stat.S_ISDIR(found.st_mode) else OSError
    number = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
    raise error(number, f"is {kind}, not a file", os.fspath(path))
