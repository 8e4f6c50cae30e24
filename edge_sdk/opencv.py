"""Which OpenCV package is installed. Four packages own the module ``cv2``, and only one of them may be there.

pip lets two of them stand side by side: the one installed last wins, and uninstalling either leaves a broken ``cv2``.
"""

from __future__ import annotations

from importlib import metadata

PACKAGES = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
"""Headless ones open no windows, which is all that a device or a server needs."""


def installed() -> tuple[str, ...]:
    """Those of :data:`PACKAGES` that pip knows; none where OpenCV came another way, as on a Jetson."""
    return tuple(name for name in PACKAGES if _known(name))


def advice() -> str:
    """What to do about several of them in one environment; empty if there is nothing to do."""
    found = installed()
    if len(found) < 2:
        return ""
    return (
        f"{' and '.join(found)} are installed and own the same module, cv2: keep one. "
        f"Run: pip uninstall -y {' '.join(found)}; then for a device or server: "
        'pip install "opencv-python-headless>=4.10,<5", or for an application that opens windows: '
        'pip install "opencv-python>=4.10,<5"'
    )


def _known(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True
