"""What the library says while it works, by Python's ``logging``: one logger a module, below the logger ``edge_sdk``.

The library is quiet: ``edge_sdk`` has a ``NullHandler``, and what an application wants to hear it asks ``logging`` for.
An application that has not imported ``logging`` cannot have asked, so that nothing is imported for it either. The
command line listens by :func:`heard`.

A message names bundles, engines, files and reasons, never what a sample holds, its score, or whose it is.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

DEBUG, INFO, WARNING = 10, 20, 30
"""Levels, as ``logging`` has them."""

Listener = Callable[[int, str], None]
"""Called with the level and the text of a message."""

_PACKAGE = __name__.partition(".")[0]

_listener: tuple[int, Listener] | None = None


class Log:
    """The logger of one module, ``_LOG = Log(__name__)``; a message is a text with ``%s`` and its values."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, message: str, *values: object) -> None:
        """Say what helps to find a fault: each file that was read, each choice that was looked at."""
        self._say(DEBUG, message, values)

    def info(self, message: str, *values: object) -> None:
        """Say what was chosen: once for a session, not for each sample."""
        self._say(INFO, message, values)

    def warning(self, message: str, *values: object) -> None:
        """Say what an integrator should mend, and what comes of it until then."""
        self._say(WARNING, message, values)

    def _say(self, level: int, message: str, values: tuple[object, ...]) -> None:
        if _listener is not None and level >= _listener[0]:
            _listener[1](level, message % values if values else message)
        if "logging" in sys.modules:
            import logging  # waits where another thread is importing it

            package = logging.getLogger(_PACKAGE)
            if not package.handlers:
                package.addHandler(logging.NullHandler())
            logging.getLogger(self._name).log(level, message, *values, stacklevel=3)


@contextlib.contextmanager
def heard(level: int, listener: Listener) -> Iterator[None]:
    """Within the block hand each message from ``level`` on to ``listener`` too, without ``logging``."""
    global _listener  # noqa: PLW0603 - one process has one command line
    before, _listener = _listener, (level, listener)
    try:
        yield
    finally:
        _listener = before
