"""Who may read and write a file that takes another's place."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path


def resemble(path: Path, descriptor: int, model: Path) -> None:
    """Give an open file the permissions, owner, group and access list of ``model``, if that is there.

    Where this process may not give the owner or the group, it stays the process's own. A group that is not the
    model's may do nothing, so that nobody gets what they had not.
    """
    try:
        found = model.stat()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if sys.platform == "win32":
        path.chmod(mode)
        return
    mine = os.fstat(descriptor)
    if mine.st_uid != found.st_uid:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, found.st_uid, -1)
    if mine.st_gid != found.st_gid:
        try:
            os.fchown(descriptor, -1, found.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)
    if sys.platform == "linux":
        for name in attributes(model):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(model, name))


def attributes(path: Path) -> list[str]:
    """The access list and what users noted; the rest belongs to the content, or is the system's to give."""
    if sys.platform != "linux":
        return []
    try:
        names = os.listxattr(path)
    except OSError:
        return []
    return [name for name in names if name == "system.posix_acl_access" or name.startswith("user.")]
