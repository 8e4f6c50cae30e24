"""The command line: ``edge-sdk COMMAND ...``.

Exit codes, for every command:

====  ================================================================================================
0     accepted (``verify``), all live (``spoof``), or done
1     rejected (``verify``), not all live (``spoof``), or the device gives other scores (``selftest``)
2     wrong usage: nothing was done
3     an error: an image, a bundle, an engine; nothing was decided
====  ================================================================================================

With ``--json`` a command prints exactly one JSON object on standard output, also for an error:
``{"error": {"type": "ImageDecodeError", "message": "..."}}``. ``spoof`` prints one object a line.

Each command is the module of its name here (:class:`edge_sdk.cli.command.Command`); :data:`GROUPS` lists them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from edge_sdk._version import __version__
from edge_sdk.cli.command import ACCEPTED, ERROR, REJECTED, USAGE, Command, Parser
from edge_sdk.errors import EdgeSdkError, UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["ACCEPTED", "ERROR", "GROUPS", "INTERRUPTED", "PIPE_CLOSED", "REJECTED", "USAGE", "main"]

INTERRUPTED, PIPE_CLOSED = 130, 141  # what shells report for Ctrl-C, and for writing to nobody

GROUPS = {
    "on the device": ("verify", "enroll", "spoof", "bundles", "inspect", "selftest", "tune", "profile", "slice"),
    "on a workstation (pip install \"edge-sdk[export]\")": (
        "recipes", "train", "distill", "export", "calibrate", "evaluate", "reproduce", "demo",
    ),
}  # fmt: skip
"""Commands by where they run, in the order in which ``edge-sdk --help`` lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parse(sys.argv[1:] if argv is None else list(argv))
    if isinstance(arguments, int):
        return arguments
    try:
        code: int = arguments.handler(arguments)
        sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError) as exc:
        return _stopped(exc)
    except UsageError as exc:
        return _report(exc, arguments, USAGE)
    except (EdgeSdkError, OSError) as exc:
        return _report(exc, arguments, ERROR)
    except Exception as exc:  # noqa: BLE001 - Python's own exit code for a crash is 1, which means "rejected" here
        traceback.print_exc()
        return _report(exc, arguments, ERROR)
    return code


def _parse(words: list[str]) -> argparse.Namespace | int:
    """The arguments, or an exit code where there is nothing to run."""
    try:
        return _parser().parse_args(words)
    except SystemExit as exc:  # argparse has printed help or the version
        return exc.code if isinstance(exc.code, int) else USAGE
    except UsageError as exc:  # the parser has printed what is wrong
        if any(len(word) > 2 and "--json".startswith(word) for word in words):
            _print_error(exc)
        return USAGE


def _stopped(reason: KeyboardInterrupt | BrokenPipeError) -> int:
    if isinstance(reason, KeyboardInterrupt):
        return INTERRUPTED
    # The reader, `head` perhaps, has closed the pipe; what is still buffered must not fail when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _report(error: Exception, arguments: argparse.Namespace, code: int) -> int:
    if getattr(arguments, "json", False):
        _print_error(error)
    print(f"edge-sdk: {type(error).__name__}: {error}", file=sys.stderr)
    return code


def _print_error(error: Exception) -> None:
    print(json.dumps({"error": {"type": type(error).__name__, "message": str(error)}}))


def _parser() -> Parser:
    commands = {name: _command(name) for names in GROUPS.values() for name in names}
    parser = Parser(
        prog="edge-sdk",
        usage="edge-sdk COMMAND ...",
        description="Train, measure and run biometric models on edge devices. `edge-sdk COMMAND --help` says more.",
        epilog="exit codes: 0 accepted or done, 1 rejected, 2 wrong usage, 3 error",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, prog="edge-sdk", help="see below")
    for name, command in commands.items():
        child = subparsers.add_parser(name, description=f"{command.SUMMARY} {command.DETAILS}".strip())
        command.add_arguments(child)
        child.set_defaults(handler=command.run)
    for group, names in GROUPS.items():
        parser.add_section(group, lambda names=names: [(name, commands[name].SUMMARY) for name in names])  # type: ignore[misc]
    return parser


def _command(name: str) -> Command:
    return cast("Command", importlib.import_module(f"edge_sdk.cli.{name}"))
