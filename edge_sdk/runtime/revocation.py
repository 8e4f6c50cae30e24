"""Templates that are refused though their key opens them: a list of their ids (ISO/IEC 24745, revocability).

A list is a text file (UTF-8) of one id a line, in digits of either case; empty lines, and what follows a ``#``, are
passed over. Whoever can write it decides who is let in, so it is read only where nobody else can have written it
(:func:`edge_sdk.files.read_own`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from edge_sdk import files
from edge_sdk.errors import RevokedTemplateError, StorageError, UsageError

MAX_BYTES = 64 * 2**20

_ID = re.compile(r"[0-9a-f]{32}")


class RevocationList:
    """The ids in a file, which is read again when it changes; for all threads of a process.

    Args:
        path: The file; it has to be there, if empty.

    Raises:
        StorageError: There is none, others can write it (``ForeignFileError``), or it holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._read: tuple[tuple[int, ...], frozenset[str]] | None = None
        _ = self.ids

    @property
    def ids(self) -> frozenset[str]:
        """Those that are revoked now; errors are those of the constructor, lest a list that is gone revoke nobody."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - once for each use of a template
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
            if self._read is None or self._read[0] != stamp:
                self._read = stamp, _ids(self._path, files.read_own(self._path, MAX_BYTES))
        except StorageError:
            raise
        except (OSError, ValueError) as exc:  # ValueError: a name that no file can have
            raise StorageError(f"cannot read the list of revoked templates: {exc}") from exc
        return self._read[1]

    def check(self, ids: Iterable[str]) -> None:
        """Refuse templates of which one is revoked, or has no id.

        Raises:
            RevokedTemplateError: One is.
            StorageError: As the constructor.
        """
        revoked, asked = self.ids, frozenset(ids)
        if "" in asked:
            raise RevokedTemplateError(
                "template has no id, so that nobody can tell whether it is revoked: give it one with `edge-sdk renew`"
            )
        if found := sorted(revoked & asked):
            raise RevokedTemplateError(f"template {', '.join(found)} is revoked, by the list {os.fspath(self._path)}")

    def add(self, *ids: str) -> None:
        """Revoke templates, for all processes: see :func:`revoke`."""
        revoke(self._path, *ids)


Revoked: TypeAlias = RevocationList | str | os.PathLike[str]
"""A list, or its file."""


def revoke(path: str | os.PathLike[str], *ids: str) -> bool:
    """Add ids to a list, whole or not at all; a new one is its owner's alone. Others may do so at the same time.

    Returns:
        Whether the list is a new one.

    Raises:
        StorageError: Its folder is not there, it holds something else, others can write it, or the disk refuses.
        UsageError: What is to be revoked is no id, such as that of a template which has none.
    """
    if wrong := [one for one in ids if not _ID.fullmatch(one)]:
        raise UsageError(f"{wrong[0]!r} is no template, and no id of one: 32 hexadecimal digits")
    try:
        return _add(path, ids)
    except StorageError:
        raise
    except (OSError, ValueError) as exc:  # ValueError: a name that no file can have
        raise StorageError(f"cannot write the list of revoked templates: {exc}") from exc


def _add(path: str | os.PathLike[str], ids: Iterable[str]) -> bool:
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():  # else a name with a mistake in it would look like success
        raise StorageError(f"{os.fspath(path)}: there is no folder {folder} for a list of revoked templates")
    with files.locked(path):
        try:
            before, is_new = files.read_own(path, MAX_BYTES), False
        except FileNotFoundError:
            before, is_new = b"", True
        known = _ids(path, before)
        added = "".join(f"{one}\n" for one in dict.fromkeys(ids) if one not in known)
        if before and not before.endswith(b"\n"):
            before += b"\n"
        files.write_bytes(path, before + added.encode(), private=True)
    return is_new


def of(revoked: Revoked | None) -> RevocationList | None:
    """The list, whichever way it is given; UsageError where it is something else, such as the ids themselves."""
    given: object = revoked
    if given is not None and not isinstance(given, (RevocationList, str, os.PathLike)):
        raise UsageError(f"revoked is a {type(given).__name__}: pass a RevocationList, or the path of its file")
    return RevocationList(revoked) if isinstance(revoked, (str, os.PathLike)) else revoked


def _ids(path: str | os.PathLike[str], content: bytes) -> frozenset[str]:
    found = set()
    for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), start=1):
        one = line.partition("#")[0].strip().lower()
        if _ID.fullmatch(one):
            found.add(one)
        elif one:  # which is not repeated: it may be a key
            raise StorageError(f"{os.fspath(path)} is no list of revoked templates: line {number} holds no id")
    return frozenset(found)
