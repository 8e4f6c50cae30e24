"""Tasks of another library's worker, and of this build's beside it. What a library does is in its ``peer_*`` module.

Such a module has ``PARTS``: by what is asked for (``locate``, ``recognise``, ``live``), a function that opens what is
needed, and returns what answers for one frame. A folder holds the frame (BGR, 640 x 480 pixels), where its face is, and
models.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from comparison.tasks import OPENED, task

Answer = Callable[[Any], object]


class Given(NamedTuple):
    """What a part is opened with.

    Attributes:
        models: A folder of model files.
        box: Left, top, right and bottom of the face.
        points: Eyes, nose and corners of the mouth, ``(5, 2)``, those on the left of the picture first.
    """

    models: Path
    box: Any
    points: Any


Parts = Mapping[str, Callable[[Given], Answer]]


def given(folder: str) -> tuple[Given, Any]:
    """What parts are opened with, and the frame."""
    where = json.loads(Path(folder, "face.json").read_text(encoding="utf-8"))
    box, points = (np.asarray(where[name], np.float32) for name in ("box", "points"))
    return Given(Path(folder), box, points), np.load(Path(folder, "frame.npy"))


def parts_of(module: str) -> Parts:
    """The parts of a library."""
    found: Parts = importlib.import_module(f"comparison.{module}").PARTS
    return found


@task
def open_peer(module: str, folder: str) -> list[str]:
    """Open all that a library does; returns the names of what can be timed then."""
    known, frame = given(folder)
    names = []
    for name, make in parts_of(module).items():
        answer = make(known)
        OPENED[name] = lambda answer=answer: answer(frame)  # type: ignore[misc]
        names.append(name)
    return names


def first(module: str, folder: str, part: str) -> None:
    """Answer once, in a fresh process."""
    known, frame = given(folder)
    parts_of(module)[part](known)(frame)
