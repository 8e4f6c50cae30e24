"""The command line: ``edge-sdk COMMAND ...``.

Exit codes, for every command:

====  ================================================================================================
0     accepted (``verify``), all live (``spoof``), or done
1     rejected (``verify``), not all live (``spoof``), or the device gives other scores (``selftest``)
2     wrong usage: nothing was done
3     an error: an image, a bundle, an engine; nothing was decided
====  ================================================================================================

With ``--json`` a command prints one JSON object on standard output, also for an error:
``{"error": {"type": "ImageDecodeError", "message": "..."}}``. ``spoof`` prints one a line.

Commands live in the modules named in :data:`MODULES`; each has ``add_parsers(subparsers)`` and gives every parser a
``handler`` default: a function of the parsed arguments that returns the exit code. Importing such a module is cheap.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Sequence

from edge_sdk._version import __version__
from edge_sdk.errors import EdgeSdkError, UsageError

ACCEPTED, REJECTED, USAGE, ERROR = 0, 1, 2, 3
INTERRUPTED, PIPE_CLOSED = 130, 141  # what shells report for Ctrl-C, and for writing to nobody

MODULES = (
    "edge_sdk.cli.device",
    "edge_sdk.cli.spoof",
    "edge_sdk.cli.measure",
    "edge_sdk.cli.slice",
    "edge_sdk.cli.workstation",
    "edge_sdk.cli.evaluate",
    "edge_sdk.cli.reproduce",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as exc:  # argparse has printed help or what is wrong
        return exc.code if isinstance(exc.code, int) else USAGE
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


def _stopped(reason: KeyboardInterrupt | BrokenPipeError) -> int:
    if isinstance(reason, KeyboardInterrupt):
        return INTERRUPTED
    # The reader, `head` perhaps, has seen enough; what is still buffered must not fail when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _report(error: Exception, arguments: argparse.Namespace, code: int) -> int:
    kind, message = type(error).__name__, str(error)
    if getattr(arguments, "json", False):
        print(json.dumps({"error": {"type": kind, "message": message}}))
    print(f"edge-sdk: {kind}: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-sdk",
        description="Biometric verification on edge devices.",
        epilog="exit codes: 0 accepted or done, 1 rejected, 2 wrong usage, 3 error",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in MODULES:
        if importlib.util.find_spec(name):
            importlib.import_module(name).add_parsers(subparsers)
    return parser
