"""What a command is, its exit codes, and the parser that it adds its arguments to."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from edge_sdk._version import __version__
from edge_sdk.cli import output
from edge_sdk.errors import UsageError

ACCEPTED, REJECTED, USAGE, ERROR = 0, 1, 2, 3
"""Exit codes; :mod:`edge_sdk.cli` says what they mean."""

_NAME_WIDTH, _WIDTH = 20, 100

Rows = Callable[[], Iterable[tuple[str, str]]]


class Command(Protocol):
    """A module of :mod:`edge_sdk.cli`. Importing one is cheap: what it needs is imported when it runs."""

    SUMMARY: str
    """One line for ``edge-sdk --help``, and the first of the command's own help."""
    DETAILS: str
    """What follows it there; may be empty."""

    def add_arguments(self, parser: Parser) -> None:
        """Say what the command takes."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it and return the exit code."""


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises ``UsageError`` and whose help may end in tables.

    The rows of a table are made when help is printed, so that they may come from modules that are slow to import.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._sections: list[tuple[str, Rows]] = []

    def add_section(self, title: str, rows: Rows) -> None:
        """End the help with a table of names and their descriptions, below ``title``."""
        self._sections.append((title, rows))

    def format_help(self) -> str:
        """Return the help with its tables."""
        lines = [super().format_help().rstrip()]
        for title, rows in self._sections:
            lines += ["", f"{title}:", *(_row(name, text) for name, text in rows())]
        return "\n".join(lines) + "\n"

    def print_help(self, file: Any = None) -> None:
        """Show it as a result is shown."""
        del file
        output.show(self.format_help().rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        """Print the usage, and raise ``UsageError`` with what is wrong with the arguments."""
        output.say(self.format_usage().rstrip("\n"))
        raise UsageError(f"{self.prog}: {message}")


class ShowVersion(argparse.Action):
    """``--version``, shown as a result is shown."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Show it and end parsing."""
        output.show(__version__)
        parser.exit()


def _row(name: str, text: str) -> str:
    """``    name   text``, the text wrapped and indented."""
    indent = " " * (_NAME_WIDTH + 4)
    first = f"    {name:<{_NAME_WIDTH - 1}} "
    if len(first) > len(indent):
        first += "\n" + indent
    return first + textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent).lstrip()
