"""Names of what is being written, and the removal of what a process that was killed has left under such a name.

A temporary file is locked while it is written, and a temporary folder holds a file ``lock`` that is. The system lets go
of a lock when its process ends, so that what is not locked is nobody's. On Windows age tells instead: a file of such a
name that nobody has changed for an hour.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
import time
from pathlib import Path

from edge_sdk.files.locks import try_lock

LOCK = "lock"

_INFIX = ".new-"
_RANDOM = 16  # hexadecimal digits
_LARGE_FOLDER = 1000  # one of more files is searched once a process
_ABANDONED_S = 3600

_searched: set[Path] = set()


def temporary_name(target: Path) -> str:
    """A name that nobody else has, ``.NAME.new-RANDOM``, cut where the folder takes no longer ones."""
    ending = _INFIX + secrets.token_hex(_RANDOM // 2)
    greatest = 255
    with contextlib.suppress(OSError, ValueError, AttributeError):  # AttributeError: Windows
        greatest = os.pathconf(target.parent, "PC_NAME_MAX")
    start = os.fsencode(target.name)[: greatest - 1 - len(ending)]
    return f".{start.decode('utf-8', 'ignore')}{ending}"


def clear_abandoned(folder: Path) -> None:
    """Delete what processes that were killed while they wrote have left in a folder."""
    if folder in _searched:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        count = 0
        for count, entry in enumerate(entries, start=1):  # noqa: B007 - used after the loop
            start, infix, ending = entry.name.rpartition(_INFIX)
            if infix and start.startswith(".") and len(ending) == _RANDOM and set(ending) <= set("0123456789abcdef"):
                with contextlib.suppress(OSError):
                    _delete_if_abandoned(Path(entry))
        if count > _LARGE_FOLDER:
            _searched.add(folder)


def _delete_if_abandoned(path: Path) -> None:
    mode = path.lstat().st_mode
    is_folder = stat.S_ISDIR(mode)
    if not is_folder and not stat.S_ISREG(mode):
        return
    if sys.platform == "win32":
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            _delete(path, is_folder)
        return
    descriptor = os.open(path / LOCK if is_folder else path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if try_lock(descriptor):
            _delete(path, is_folder)
    finally:
        os.close(descriptor)


def _delete(path: Path, is_folder: bool) -> None:
    if is_folder:
        (path / LOCK).unlink()  # on Windows not while another process has it open
        shutil.rmtree(path)
    else:
        path.unlink()
