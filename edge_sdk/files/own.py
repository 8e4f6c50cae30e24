"""Files that edge-sdk trusts: those that only this user, or root, can have written.

A file is trusted if it and its folder belong to this user or to root, and neither the group nor others may write them;
a group in which nobody else is, as Debian, Ubuntu and Red Hat give to each user, may. That is asked of what is kept
between starts and used without another check: compiled models, what was tuned, cached data, keys. The folders above are
not looked at: whoever can rename those can take a file away, but not put another in its place that this user owns. On
Windows, where access lists say who may write, nothing is checked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path

from edge_sdk.errors import ForeignFileError
from edge_sdk.files.ownership import attributes
from edge_sdk.files.reading import PathLike, open_regular, read_open

_MOST_LINKS = 40


def read_own(path: PathLike, limit: int, *, links: bool = True, secret: bool = False) -> bytes:
    """Read an ordinary file of at most ``limit`` bytes that nobody else can have written.

    Args:
        path: The file, or a link to it.
        limit: In bytes.
        links: Whether a link is followed; the folder of each on the way has to be this user's or root's, too.
        secret: Refuse the file also where the group or others may read it.

    Raises:
        FileNotFoundError: There is no such file.
        ForeignFileError: Somebody else owns the file or its folder, or may write one of them; it is a link, or may be
            read by others, where that is refused. The message says what to do.
        OSError: It is no ordinary file, is larger, or cannot be read.
    """
    target = _followed(Path(path), links)
    with open_regular(target) as file:
        _check(target, os.fstat(file.fileno()), secret=secret)
        return read_open(file, limit, target)


def check_own(path: PathLike) -> None:
    """Raise the error that :func:`read_own` would raise of owners, permissions and links, for other readers."""
    target = _followed(Path(path), links=True)
    _check(target, target.stat())


def check_open(path: PathLike, found: os.stat_result) -> None:
    """Raise ``ForeignFileError`` where others may write a file that is open, whoever may write its folder."""
    _check(Path(path), found)


def own_folder(folder: PathLike) -> Path:
    """Make a folder for this user alone, with those above it, unless it is there; return it.

    Raises:
        ForeignFileError: It belongs to somebody else, or the group or others may write it.
        OSError: It cannot be made.
    """
    from edge_sdk.files.writing import make_folder

    path = Path(folder)
    make_folder(path, 0o700)
    _check(path, path.stat())
    return path


def write_new(path: PathLike, data: bytes, mode: int) -> None:
    """Write a file that is not there yet, with these permissions at most, into a folder as :func:`own_folder` makes it.

    Raises:
        FileExistsError: Something has this name, if only a link that leads nowhere.
        ForeignFileError: The folder belongs to somebody else, or the group or others may write it.
        OSError: The file cannot be written; none is left.
    """
    from edge_sdk.files.writing import sync_folder

    folder = own_folder(Path(path).parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        Path(path).unlink()
        raise
    sync_folder(folder)


def discard_foreign(path: PathLike) -> None:
    """Delete a file of a cache that :func:`read_own` would refuse, or a link, lest a new one takes its permissions."""
    with contextlib.suppress(FileNotFoundError):
        found = Path(path).lstat()
        if not stat.S_ISREG(found.st_mode) or _objection(Path(path), found):
            Path(path).unlink()


def _followed(path: Path, links: bool) -> Path:
    """The file that a link leads to, after a look at the folder of each name on the way."""
    for _ in range(_MOST_LINKS):
        _check(path.parent, path.parent.stat())
        if not path.is_symlink():
            return path
        if not links:
            raise ForeignFileError(f"{path} is a link, which is not followed here")
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, "is a link that leads to itself", os.fspath(path))


def _check(path: Path, found: os.stat_result, *, secret: bool = False) -> None:
    if objection := _objection(path, found, secret=secret):
        raise ForeignFileError(f"{path} {objection}")


def _objection(path: Path, found: os.stat_result, *, secret: bool = False) -> str:
    """Why somebody else may have written a file or folder, or may read a secret; empty if not."""
    if sys.platform == "win32":
        return ""
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to another user ({found.st_uid}; name one of your own, or chown it)"
    by_group = found.st_mode & stat.S_IWGRP and not _is_alone(path, found.st_gid)
    if by_group or found.st_mode & stat.S_IWOTH:
        shared = found.st_mode & stat.S_ISVTX  # as /tmp, where others rely on it
        how = "name a place of your own" if shared else "chmod go-w makes it the owner's"
        return f"can be written by others ({how})"
    if secret and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return "can be read by others (chmod go= makes it the owner's)"
    return ""


def _is_alone(path: Path, group: int) -> bool:
    """Whether nobody but this user is in a group, which is the user's own by its name, too, and no access list counts.

    Not all systems list users who are known elsewhere, so that a group of another name might have more of them.
    """
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        me, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    if (found.gr_name, found.gr_gid) != (me.pw_name, me.pw_gid) or not set(found.gr_mem) <= {me.pw_name}:
        return False
    others = any(one.pw_gid == group and one.pw_uid != me.pw_uid for one in pwd.getpwall())
    return not others and "system.posix_acl_access" not in attributes(path)
