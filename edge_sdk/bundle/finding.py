"""Where a bundle is: the shipped ones by name, others by path, and one that is just being replaced."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.bundle.pins import PINS
from edge_sdk.bundle.stores import Folder, Resources, Store
from edge_sdk.errors import BundleNotFoundError
from edge_sdk.manifest import MANIFEST_PATH

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

SHIPPED = Path(__file__).parents[1] / "bundles"
SUFFIX = ".edge"

READY, RETIRED = "bundle", "old"
"""In a writer's folder: the new bundle until it is in its place, and the one that it replaces."""


def shipped() -> tuple[str, ...]:
    """Return the names of the bundles that come with the package."""
    root = _zipped() or SHIPPED
    if not root.is_dir():
        return ()
    bundles = (one for one in root.iterdir() if one.name.endswith(SUFFIX) or one.joinpath(MANIFEST_PATH).is_file())
    return tuple(sorted({one.name.removesuffix(SUFFIX) for one in bundles}))


def shipped_name(source: str | os.PathLike[str]) -> str | None:
    """The name of the shipped bundle that is meant, if one is."""
    if isinstance(source, str) and (source in PINS or source in shipped()):
        return source
    path = Path(source)
    return path.name if _zipped() is not None and path.parent == SHIPPED else None  # Bundle.path, given back


def find_shipped(name: str) -> tuple[Path, Store]:
    """The place of a shipped bundle and what reads it."""
    if name not in shipped():
        raise BundleNotFoundError(
            f"the bundle {name} comes with edge-sdk, but this installation lacks it in {SHIPPED}: a frozen "
            "application takes the package's data files along (PyInstaller: --collect-data edge_sdk)"
        )
    if (zipped := _zipped()) is not None:
        return SHIPPED / name, Resources(zipped / name)
    folder = SHIPPED / name
    return _at(folder if folder.is_dir() else folder.with_name(name + SUFFIX))


def is_shipped(path: Path) -> bool:
    """Whether a bundle's folder or file is one of those that come with the package."""
    return Path(os.path.realpath(path)).parent == Path(os.path.realpath(SHIPPED))


def find(source: str | os.PathLike[str]) -> tuple[Path, Store]:
    """The place of any other bundle and what reads it."""
    try:
        path = Path(source) if os.fspath(source) else None
        found = path and _existing(path)
    except ValueError:  # a null byte, or a character that no name here can hold
        path = found = None
    if found is None:
        raise BundleNotFoundError(
            f"no bundle at {path or repr(os.fspath(source))}; shipped bundles: {', '.join(shipped()) or 'none'}"
        )
    return _at(found)


def staging_prefix(destination: Path) -> str:
    """How the names of folders begin in which writers of a bundle gather its files, beside it."""
    return f".{destination.name}.new-"


def is_between_renames(staging: Path) -> bool:
    """Whether a writer has moved the old bundle away and not yet put the new one, which is ready, in its place."""
    return (staging / RETIRED).exists() and (staging / READY).exists()


def _existing(path: Path) -> Path | None:
    if path.exists():
        return path
    retired = _retired(Path(os.path.realpath(path)))
    return retired or (path if path.exists() else None)  # by now a writer may have put it there


def _retired(destination: Path) -> Path | None:
    """A bundle that was being replaced when its writer was killed, between the two renames."""
    if not destination.parent.is_dir():
        return None
    stagings = (one for one in destination.parent.iterdir() if one.name.startswith(staging_prefix(destination)))
    return next((staging / RETIRED for staging in stagings if is_between_renames(staging)), None)


def _at(path: Path) -> tuple[Path, Store]:
    if path.is_dir():
        return path, Folder(path)
    from edge_sdk.bundle.archive import Archive  # with what it takes to read a zip

    return path, Archive(path)


def _zipped() -> Traversable | None:
    """The folder of shipped bundles where the package was imported from a zip."""
    if SHIPPED.parent.is_dir():  # nearly always
        return None
    from importlib import resources

    package = resources.files("edge_sdk")
    return None if isinstance(package, Path) else package.joinpath(SHIPPED.name)
