"""What a training run says when its folder cannot be written to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edge_sdk.errors import TrainingError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises TrainingError where the disk refuses; what ``path`` held before is whole, and the run goes on from it."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error}; what it held before is whole: mend that, and give the same command "
            "again to go on"
        ) from error
