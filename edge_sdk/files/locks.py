"""Locks between processes. The system lets go of one when its process ends, however that is."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edge_sdk.errors import StorageError
from edge_sdk.files.reading import PathLike
from edge_sdk.logs import Log

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WAIT_S = 30.0
"""How long :func:`locked` waits. What is done under the lock takes milliseconds."""

_PAUSE_S = 0.02
_LOG = Log(__name__)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file, of this descriptor, for this process alone; closing it unlocks.

    Returns:
        True if it is locked now, False if somebody else has it locked, None if the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK) else None
    return True


@contextlib.contextmanager
def locked(path: PathLike, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of a file that is read, changed and written; threads and processes take turns.

    The lock is on an empty file ``.NAME.lock`` beside it, which stays: whoever deleted it could take it from another
    process that has just opened it. Where the file system has no locks (some network shares) it is not held.

    Raises:
        StorageError: Another process holds it for longer than ``wait_s`` seconds.
        OSError: The file of the lock cannot be made.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(_lock_name(target.name))
    descriptor = _open(lock)
    try:
        end = time.monotonic() + wait_s
        while (held := try_lock(descriptor)) is False:
            if time.monotonic() >= end:
                raise StorageError(
                    f"{target}: another process has held {lock.name} for {wait_s:g} s; end it, or name another file"
                )
            time.sleep(_PAUSE_S)
        if held is None:
            _LOG.warning("%s: this file system has no locks; do not let two processes write it at once", target)
        yield
    finally:
        os.close(descriptor)


def _open(lock: Path) -> int:
    flags = os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(lock, os.O_RDWR | flags, 0o666)
    except PermissionError:  # another user made it; to read is enough, but on a network share
        return os.open(lock, os.O_RDONLY | flags, 0o666)


def _lock_name(name: str) -> str:
    whole = f".{name}.lock"
    # A name of nearly the greatest length, 255 bytes, leaves no room for more.
    return whole if len(os.fsencode(whole)) <= 255 else f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.lock"
