"""What may be wrong with an installation although every import works."""

from __future__ import annotations

from importlib import metadata

OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
"""Distributions that all install the module ``cv2``, each over the other's files."""

_WANTED = ">=4.10,<5"


def warnings() -> tuple[str, ...]:
    """What should be mended here, each with the commands that do it; empty where nothing is wrong."""
    found = {name: version for name in OPENCV if (version := _version(name))}
    if len(found) < 2:
        return ()
    names = " and ".join(f"{name} {version}" for name, version in found.items())
    remove = f"pip uninstall -y {' '.join(found)}"
    windows = next((name for name in found if not name.endswith("-headless")), "opencv-python")
    warning = (
        f"{names} are installed, and all of them own the module cv2: its files are a mixture, and uninstalling one "
        f'breaks the others. Keep one. On a device or server: {remove} && pip install "{OPENCV[0]}{_WANTED}". For an '
        f'application that opens windows: {remove} && pip install "{windows}{_WANTED}" (pip check then misses '
        f"{OPENCV[0]}; edge-sdk does not)."
    )
    return (warning,)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
