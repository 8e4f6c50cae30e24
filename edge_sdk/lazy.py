"""Names of a package that are imported from its modules when they are first used.

A device that verifies signatures starts in a third of the time when it loads no detector, locator or writer of bundles;
``benchmarks/cold_start.py`` shows what a start costs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable


def names(package: str, homes: dict[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Make a package's ``__getattr__``.

    ::

        if TYPE_CHECKING:
            from edge_sdk.files.reading import open_regular
        else:
            __getattr__ = lazy.names(__name__, {"reading": ("open_regular",)})

    Args:
        package: Its ``__name__``.
        homes: By module of the package, the names that are imported from it.

    Returns:
        The function, which raises ``AttributeError`` for any other name.
    """
    modules = {name: f"{package}.{module}" for module, found in homes.items() for name in found}

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)  # the next time Python finds it without asking here
        return value

    return find
