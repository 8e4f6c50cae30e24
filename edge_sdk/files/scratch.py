"""A folder to fill before it appears under its name."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from edge_sdk.files.abandoned import LOCK, clear_abandoned, temporary_name
from edge_sdk.files.locks import try_lock
from edge_sdk.files.writing import make_folder


@contextlib.contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Make a hidden folder beside ``target``, which need not be there, and delete it after the block.

    What is made in it can be renamed to ``target``. One that a killed process left goes when the next is made here.

    Raises:
        OSError: The disk refuses.
    """
    make_folder(target.parent)
    clear_abandoned(target.parent)
    folder, descriptor = _locked_folder(target)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(target: Path) -> tuple[Path, int]:
    while True:
        folder = target.with_name(temporary_name(target))
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # Between the two lines another process may have taken it for abandoned.
        if try_lock(descriptor) is not False and (folder / LOCK).exists():
            return folder, descriptor
        os.close(descriptor)
