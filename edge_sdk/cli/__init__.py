"""The command line: ``edge-sdk COMMAND ...``.

Exit codes, for every command:

====  ================================================================================================
0     accepted (``verify``), somebody identified (``identify``), all live (``spoof``), a face found
      (``locate``), or done
1     rejected (``verify``), nobody identified (``identify``), not all live (``spoof``), no face (``locate``), or the
      device gives other scores (``selftest``)
2     wrong usage: nothing was done
3     an error: an image, a bundle, an engine, or a result that cannot be written: nothing was decided
130   interrupted (Ctrl-C)
141   nobody reads the result any more
====  ================================================================================================

With ``--json`` a command prints exactly one JSON object on standard output, also for an error:
``{"contract_version": 1, "error": {"type": "ImageDecodeError", "message": "..."}}``. ``spoof`` prints one object a
line. Standard output holds nothing else, whatever a library prints (:mod:`edge_sdk.cli.output`).

Each command is the module of its name here (:class:`edge_sdk.cli.command.Command`); :data:`GROUPS` lists them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from edge_sdk import logs
from edge_sdk.cli import output
from edge_sdk.cli.command import ACCEPTED, ERROR, REJECTED, USAGE, Command, Parser, ShowVersion
from edge_sdk.errors import EdgeSdkError, UsageError
from edge_sdk.extras import needs_requirements

if TYPE_CHECKING:
    import argparse

__all__ = ["ACCEPTED", "ERROR", "GROUPS", "INTERRUPTED", "PIPE_CLOSED", "REJECTED", "USAGE", "main"]

INTERRUPTED, PIPE_CLOSED = 130, 141  # what shells report for Ctrl-C, and for writing to nobody

_LEVELS = (logs.WARNING, logs.INFO, logs.DEBUG)  # by how often --verbose is given
_NAMES = {logs.WARNING: "warning", logs.INFO: "info", logs.DEBUG: "debug"}

_COLLECTED_EVERY = 50_000
"""New objects after which Python looks for unused ones. With its own 700 that takes a tenth of a command's start."""

GROUPS = {
    "on the device": (
        "verify", "identify", "enroll", "renew", "revoke", "spoof", "locate", "bundles", "inspect", "selftest", "tune",
        "profile", "slice", "bom",
    ),
    "keys and signatures": ("keygen", "sign", "verify-signature"),
    "on a workstation (with the extra \"export\")": (
        "recipes", "train", "search", "distill", "export", "calibrate", "rule", "evaluate", "reproduce", "demo",
    ),
}  # fmt: skip
"""Commands by where they run, in the order in which ``edge-sdk --help`` lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; of the process's own arguments where none are given."""
    if argv is None:  # a program of its own, nearly all of whose objects its imports make, and stay
        gc.set_threshold(_COLLECTED_EVERY)
    try:
        with output.results_alone(to_the_end=argv is None):
            return _run(sys.argv[1:] if argv is None else list(argv))
    except OSError as exc:  # standard output fails as late as when it is closed
        return _report(exc, ERROR)
    finally:
        if argv is None:
            gc.freeze()  # the process ends, and its memory with it: Python need not look through it once more


def _run(words: list[str]) -> int:
    json = any(len(word) > 2 and "--json".startswith(word) for word in words)
    try:
        arguments = _parse(words)
        if arguments is None:
            return ACCEPTED
        json = getattr(arguments, "json", False)
        with logs.heard(_LEVELS[min(arguments.verbose, len(_LEVELS) - 1)], _say), needs_requirements():
            code: int = arguments.handler(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        return PIPE_CLOSED
    except BaseException as exc:  # noqa: BLE001 - Python's own exit code for a crash is 1, which means "rejected" here
        if not isinstance(exc, (EdgeSdkError, OSError)):
            import traceback

            output.say(traceback.format_exc().rstrip())
        return _report(exc, USAGE if isinstance(exc, UsageError) else ERROR, json=json)
    return code


def _parse(words: list[str]) -> argparse.Namespace | None:
    """The arguments; None where help or the version was asked for and is shown."""
    try:
        return _parser(words[0] if words else "").parse_args(words)
    except SystemExit:
        return None


def _say(level: int, message: str) -> None:
    output.say(f"edge-sdk: {_NAMES[level]}: {message}")


def _report(error: BaseException, code: int, *, json: bool = False) -> int:
    if json:
        with contextlib.suppress(OSError):  # the message on standard error is left
            output.show_json({"error": output.described(error)})
    output.say(f"edge-sdk: {type(error).__name__}: {error}")
    return code


def _parser(named: str = "") -> Parser:
    """The parser of the command that is named; of all where none is, for their help."""
    every = [name for names in GROUPS.values() for name in names]
    commands = {name: _command(name) for name in ([named] if named in every else every)}
    parser = Parser(
        prog="edge-sdk",
        usage="edge-sdk COMMAND ...",
        description="Train, measure and run biometric models on edge devices. `edge-sdk COMMAND --help` says more.",
        epilog="exit codes: 0 accepted or done, 1 rejected, 2 wrong usage, 3 error",
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, prog="edge-sdk", help="see below")
    for name, command in commands.items():
        child = subparsers.add_parser(name, description=f"{command.SUMMARY} {command.DETAILS}".strip())
        command.add_arguments(child)
        child.add_argument(
            "-v",
            "--verbose",
            action="count",
            default=0,
            help="say on standard error what is chosen (bundle, engine, variant, cache); -vv: each step",
        )
        child.set_defaults(handler=command.run)
    for group, names in GROUPS.items():
        parser.add_section(group, lambda names=names: [(name, commands[name].SUMMARY) for name in names])  # type: ignore[misc]
    return parser


def _command(name: str) -> Command:
    return cast("Command", importlib.import_module(f"edge_sdk.cli.{name.replace('-', '_')}"))
