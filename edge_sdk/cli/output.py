r"""What a command prints: its result, alone, on standard output, and everything else on standard error.

While a command runs (:func:`results_alone`), whatever a library prints, Python's or one in C, goes to standard error.
Only :func:`show` reaches standard output. It writes at once, so that a full disk or a closed pipe is an error of the
command and never found when the interpreter ends, where the exit code would be another.

Names come from whoever named the files. Control characters in them are written as ``\x1b``, and so is what the stream's
encoding lacks; a line end is written as ``\n``, or in a message indents what follows. So no name makes a line that
begins as ours do, or moves a terminal's cursor.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, TextIO

CONTRACT_VERSION = 1
"""The first key of every object of ``--json``; docs/cli.md says what it promises. Exit codes are part of it.

It rises when a key of any command goes, or changes its type, unit or meaning; a key that is added changes nothing.
"""

WIDTH = 80
"""Columns of a terminal, of which :func:`wrapped` makes lines."""

_STDIN, _STDOUT, _STDERR = range(3)


class _Text:
    """Standard output as Python's stream, such as one that a test or an application put in its place."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def terminal(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> None:
        if self._stream is None:
            raise OSError(errno.EBADF, "closed")
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()


class _Descriptor:
    """Standard output as a file of its own, without a buffer: nothing is left to write after an error."""

    def __init__(self, number: int, encoding: str) -> None:
        self.number = number
        self._file = open(number, "wb", buffering=0)  # noqa: SIM115 - a descriptor, closed by close
        self._encoding = encoding
        self.terminal = self._file.isatty()

    def write(self, text: str) -> None:
        left = memoryview(text.replace("\n", os.linesep).encode(self._encoding, "backslashreplace"))
        while left:
            written = self._file.write(left)
            if written is None:  # somebody let it not block, and its reader is slow
                select.select([], [self._file], [])
            else:
                left = left[written:]

    def close(self) -> None:
        self._file.close()


_results: _Text | _Descriptor | None = None
"""Where results go; None outside :func:`results_alone`."""


@contextlib.contextmanager
def results_alone(*, to_the_end: bool) -> Iterator[None]:
    """Within the block, give standard output to :func:`show` alone; what libraries print goes to standard error.

    Args:
        to_the_end: This is the whole program: let libraries print to standard error until the process ends. Some hold
            their lines back until then.
    """
    global _results  # noqa: PLW0603 - one process has one standard output
    if to_the_end:
        _open_closed_descriptors()
    before, stream = _results, sys.stdout
    with contextlib.ExitStack() as stack:
        if _is_descriptor(stream):
            stream.flush()
            _flush_c()
            own = _Descriptor(os.dup(_STDOUT), stream.encoding)
            stack.callback(own.close)
            _results = own
            os.dup2(_STDERR, _STDOUT)
            if not to_the_end:
                stack.callback(_restore, own)
        else:
            _results = _Text(stream)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        try:
            yield
        finally:
            _results = before


def show(text: str) -> None:
    """Write lines of the result to standard output, now.

    Raises:
        OSError: They cannot be written; BrokenPipeError where nobody reads any more.
    """
    _write("\n".join(map(printable, text.split("\n"))) + "\n")


def show_json(values: dict[str, Any]) -> None:
    """Write one object as a line of ASCII to standard output, now, :data:`CONTRACT_VERSION` first.

    Errors are those of :func:`show`.
    What is no text in a name (bytes that are not UTF-8) is escaped twice, lest a strict reader refuse the line.
    """
    _write(json.dumps({"contract_version": CONTRACT_VERSION} | _valid(values), allow_nan=False) + "\n")


def rewrite(line: str, width: int) -> None:
    """Write a line over the last one of a terminal, cut or filled up to ``width`` characters."""
    _write(f"\r{printable(line)[:width]:<{width}}")


def end_line() -> None:
    """Keep what :func:`rewrite` wrote."""
    _write("\n")


def is_terminal() -> bool:
    """Whether results are shown on a terminal."""
    return (_results or _Text(sys.stdout)).terminal


def described(error: BaseException) -> dict[str, str]:
    """An error as ``--json`` shows it."""
    return {"type": type(error).__name__, "message": str(error)}


def say(text: str) -> None:
    """A message on standard error. Its first line stands at the margin, others are indented; it never fails."""
    if sys.stderr is None:
        return
    lines = "\n    ".join(map(printable, text.split("\n")))
    try:
        print(lines, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # nobody can be told; what is still buffered must not fail when the process ends
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def printable(text: object) -> str:
    r"""Text, or a path, in one line without control characters.

    >>> print(printable("a\nACCEPTED \x1b[2J"))
    a\nACCEPTED \x1b[2J
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text))


def wrapped(text: str, indent: int) -> str:
    """Text without control characters, broken at spaces into lines of :data:`WIDTH`, those after the first indented."""
    import textwrap

    broken = textwrap.wrap(
        printable(text), WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(broken)


def _write(text: str) -> None:
    try:
        (_results or _Text(sys.stdout)).write(text)
    except OSError as exc:
        raise OSError(exc.errno, f"the result cannot be written to standard output: {exc.strerror}") from exc


def _valid(value: Any) -> Any:
    """The same values, all text valid Unicode."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_valid(key): _valid(one) for key, one in value.items()}
    return [_valid(one) for one in value] if isinstance(value, (list, tuple)) else value


def _is_descriptor(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.fileno() == _STDOUT
    except (OSError, ValueError):  # replaced by an application, or closed
        return False


def _open_closed_descriptors() -> None:
    """Else the next file that is opened, a template perhaps, gets what libraries print."""
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def _restore(results: _Descriptor) -> None:
    _flush_c()
    os.dup2(results.number, _STDOUT)


def _flush_c() -> None:
    """Write what libraries in C still hold back."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: CDLL(None), on Windows
        ctypes.CDLL(None).fflush(None)
