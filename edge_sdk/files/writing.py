"""Files that edge-sdk writes: each whole or not at all; one cache folder, one folder for settings.

A file is written under another name in the same folder, flushed to the disk and then renamed. A reader, and a process
that is killed, finds the old file or the new one. Of two processes that write the same file the later one wins.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import platformdirs

from edge_sdk.files.reading import PathLike

CACHE_VARIABLE, CONFIG_VARIABLE = "EDGE_SDK_CACHE", "EDGE_SDK_CONFIG"

_APPLICATION = "edge-sdk"


def cache_folder() -> Path:
    """What can be made again: ``$EDGE_SDK_CACHE``, else ``edge-sdk`` in the user's cache folder; it need not exist.

    Raises:
        FileNotFoundError: The variable is not set and the user has no home folder.
    """
    return _folder(CACHE_VARIABLE, platformdirs.user_cache_dir(_APPLICATION, appauthor=False))


def config_folder() -> Path:
    """Settings of this device: ``$EDGE_SDK_CONFIG``, else ``edge-sdk`` in the user's folder for settings.

    Raises:
        FileNotFoundError: The variable is not set and the user has no home folder.
    """
    return _folder(CONFIG_VARIABLE, platformdirs.user_config_dir(_APPLICATION, appauthor=False))


@contextlib.contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` when the block ends without an exception.

    ::

        with atomic_write("report.html") as file:
            file.write(data)

    Missing folders are made. A new file has the permissions that any new file has (the umask), a replaced one keeps
    its own. A link stays, and the file that it names is replaced. A device or a pipe is written to as it is.

    Raises:
        IsADirectoryError: ``path`` is a folder.
        OSError: The disk refuses; the old file stays, and no other file is left.
    """
    target = _target(path)
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:
            yield stream
        return
    with _beside(target) as temporary:
        with temporary.open("xb") as file:
            _keep_permissions(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)


@contextlib.contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """As :func:`atomic_write`, for a library that opens its file itself: gives the name of a file to write to."""
    target = _target(path)
    with _beside(target) as temporary:
        temporary.touch(exist_ok=False)
        _keep_permissions(target, temporary)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)


def write_bytes(path: PathLike, data: bytes) -> None:
    """Write a file whole or not at all; see :func:`atomic_write`."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: PathLike, text: str) -> None:
    """Write a file in UTF-8, with the line ends that ``text`` has, whole or not at all; see :func:`atomic_write`."""
    write_bytes(path, text.encode())


def check_writable(path: PathLike) -> None:
    """Raise the ``OSError`` that writing this file would raise; nothing stays on the disk but its folder."""
    target = _target(path)
    if not target.exists() or target.is_file():
        with _beside(target) as temporary:
            temporary.touch(exist_ok=False)
            temporary.unlink()


def _target(path: PathLike) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "cannot be written: it is a folder; name a file", os.fspath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A name that nobody else has, in the folder of ``target``; if the block fails, the file of this name goes."""
    temporary = target.with_name(f".new-{secrets.token_hex(8)}")
    try:
        yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _keep_permissions(target: Path, temporary: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))


def _folder(variable: str, default: str) -> Path:
    folder = os.path.expanduser(os.environ.get(variable) or default)  # noqa: PTH111 - Path.expanduser raises
    if folder.startswith("~"):
        raise FileNotFoundError(errno.ENOENT, f"the user has no home folder; set {variable} to a folder", folder)
    return Path(folder)
