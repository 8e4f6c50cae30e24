"""Which extra of edge-sdk installs what is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edge_sdk.errors import EdgeSdkError, MissingToolError


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


def _foreign_package(error: ImportError) -> str | None:
    """The package that could not be imported; None if it is edge-sdk itself, or not known."""
    package = (error.name or "").partition(".")[0]
    return package if package not in ("", "edge_sdk") else None
