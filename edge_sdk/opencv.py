"""``cv2`` as the rest of edge-sdk imports it, or an error that says how to mend it; which OpenCV package is installed.

Four packages own the module ``cv2``, and only one of them may be there. pip lets two of them stand side by side: the
one installed last wins, and uninstalling either leaves a broken ``cv2``.

Raises:
    InstallationError: When it is imported: ``cv2`` is missing, empty, or cannot be loaded, or an environment variable
        would end the process there.
"""

from __future__ import annotations

from edge_sdk import opencv_environment
from edge_sdk.errors import InstallationError

__all__ = ["PACKAGES", "advice", "cv2", "installed"]

PACKAGES = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
"""Headless ones open no windows, which is all that a device or a server needs."""


_HEADLESS = '"opencv-python-headless>=4.10,<5"'
_NEEDED = ("imdecode", "resize", "cvtColor")


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
        f"pip install {_HEADLESS}, or for an application that opens windows: "
        'pip install "opencv-python>=4.10,<5"'
    )


def _known(package: str) -> bool:
    from importlib import metadata  # slow to import, and asked for where something is wrong

    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _remedy(problem: str) -> str:
    """The message about a ``cv2`` that is there and cannot be used, by what was found."""
    again = f"pip uninstall -y {' '.join(installed() or PACKAGES)}; pip install --force-reinstall {_HEADLESS}"
    if "numpy" in problem.lower() or "_ARRAY_API" in problem:
        return f'OpenCV and numpy do not fit ({problem}); run: pip install --upgrade "numpy>=1.26"; {again}'
    if "cannot open shared object" in problem:
        return (
            f"OpenCV lacks a library of the system ({problem}); install that, or run, for an OpenCV that opens no "
            f"windows and needs less: {again}"
        )
    return f"OpenCV cannot be loaded ({problem}); run: {again}"


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'without a reason'}"


if problem := opencv_environment.problem():
    raise InstallationError(f"OpenCV would end the process: {problem}", name="cv2")

try:
    import cv2
except ModuleNotFoundError as exc:
    if exc.name == "cv2":
        raise InstallationError(f"OpenCV is not installed; run: pip install {_HEADLESS}", name="cv2") from exc
    raise InstallationError(_remedy(_one_line(exc)), name="cv2") from exc
except Exception as exc:  # a broken package fails with whatever it meets first
    raise InstallationError(_remedy(_one_line(exc)), name="cv2") from exc

if not all(hasattr(cv2, name) for name in _NEEDED):
    raise InstallationError(
        _remedy("the module cv2 is empty, as another OpenCV package leaves it when it is uninstalled"), name="cv2"
    )
