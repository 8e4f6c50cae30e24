"""The folders that edge-sdk keeps files in unasked: one cache folder, one folder for settings."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Literal

from edge_sdk.errors import StorageError
from edge_sdk.extras import needs_requirements

CACHE_VARIABLE, CONFIG_VARIABLE = "EDGE_SDK_CACHE", "EDGE_SDK_CONFIG"

_APPLICATION = "edge-sdk"


def cache_folder() -> Path:
    """What can be made again: ``$EDGE_SDK_CACHE``, else ``edge-sdk`` in the user's cache folder; it need not exist.

    Raises:
        StorageError: It is no folder, or the variable is not set and the user has no home folder.
    """
    return _folder(CACHE_VARIABLE, _default("cache"))


def config_folder() -> Path:
    """Settings of this device: ``$EDGE_SDK_CONFIG``, else ``edge-sdk`` in the user's folder for settings.

    Raises:
        StorageError: It is no folder, or the variable is not set and the user has no home folder.
    """
    return _folder(CONFIG_VARIABLE, _default("config"))


def named(variable: str) -> Path | None:
    """The path that an environment variable holds, absolute, ``~`` resolved; None if it is not set or empty.

    Raises:
        StorageError: It begins with ``~``, and there is no such user or home folder.
    """
    value = os.environ.get(variable)
    return _absolute(value, variable) if value else None


def _default(kind: Literal["cache", "config"]) -> str:
    """Where the system keeps such files; on Linux by the XDG Base Directory Specification, 0.8."""
    if sys.platform == "linux" and "ANDROID_DATA" not in os.environ:
        base = os.environ.get(f"XDG_{kind.upper()}_HOME", "")
        return f"{base if base.startswith('/') else f'~/.{kind}'}/{_APPLICATION}"
    with needs_requirements():
        import platformdirs  # which takes as long as all of edge-sdk's manifest

    of_kind = platformdirs.user_cache_dir if kind == "cache" else platformdirs.user_config_dir
    return of_kind(_APPLICATION, appauthor=False)


def _folder(variable: str, default: str) -> Path:
    own = named(variable)
    folder = own or _absolute(default, variable)
    what = f"{variable} is {folder}, which" if own else f"{folder}"
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return folder
    except OSError as error:  # what should be a folder on the way is a file, a name is too long, a link names itself
        raise StorageError(f"{what} cannot be a folder ({error.strerror}); set {variable} to one") from error
    if not stat.S_ISDIR(mode):
        raise StorageError(f"{what} is no folder; set {variable} to one")
    return folder


def _absolute(path: str, variable: str) -> Path:
    found = Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises
    if path.startswith("~") and (not found.is_absolute() or os.environ.get("HOME") == ""):
        raise StorageError(f"{path}: there is no home folder; set {variable} to an absolute path")
    return found.absolute()
