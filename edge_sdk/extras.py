"""What installs a package that is missing: an extra of edge-sdk, or edge-sdk itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edge_sdk.errors import EdgeSdkError, InstallationError, MissingToolError


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Report packages that are missing in the block's imports, by the extra of edge-sdk that installs them.

    ::

        with needs_extra("export"):
            import torch

    Raises:
        MissingToolError: A package is not installed, or lacks what is imported from it, as one that is too old does.
        ImportError: As it came, where a module of edge-sdk lacks something: that is an error of edge-sdk.
    """
    try:
        yield
    except EdgeSdkError:
        raise
    except ImportError as exc:
        package = _foreign_package(exc)
        if package is None:
            raise
        reason = f"cannot be used: {exc}" if sys.modules.get(package) else "is not installed"
        raise MissingToolError(package, extra, reason) from exc


@contextmanager
def needs_requirements() -> Iterator[None]:
    """Report packages that every edge-sdk needs, such as numpy, where they are missing or cannot be loaded.

    Raises:
        InstallationError: An import in the block failed in a package that is not edge-sdk's own.
        ImportError: As it came, where a module of edge-sdk lacks something: that is an error of edge-sdk.
    """
    try:
        yield
    except EdgeSdkError:
        raise
    except ImportError as exc:
        # numpy raises a page of advice without a name; the name is that of its cause.
        package = _foreign_package(exc) or (isinstance(exc.__cause__, ImportError) and _foreign_package(exc.__cause__))
        if not package:
            raise
        reason = exc.__cause__ if isinstance(exc.__cause__, ImportError) else exc
        if sys.modules.get(package) is None and isinstance(reason, ModuleNotFoundError) and reason.name == package:
            message = f'{package} is not installed; run: pip install "{package}"'
        else:
            message = f'{package} cannot be loaded ({reason}); run: pip install --force-reinstall "{package}"'
        raise InstallationError(message, name=package) from exc


def _foreign_package(error: ImportError) -> str | None:
    """The package that could not be imported; None if it is edge-sdk itself, or not known."""
    package = (error.name or "").partition(".")[0]
    return package if package not in ("", "edge_sdk") else None
