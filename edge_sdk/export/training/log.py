"""``log.jsonl`` of a run, one line a validation, and ``curves.png``, drawn of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from edge_sdk import files
from edge_sdk.errors import TrainingError
from edge_sdk.export.losses.task import ValidationMetrics
from edge_sdk.export.training.writing import writing

NAME = "log.jsonl"
MAX_BYTES = 256 * 2**20


def append(
    folder: Path,
    step: int,
    loss: float,
    metrics: ValidationMetrics,
    seconds: float,
    *,
    learned: ValidationMetrics | None = None,
) -> None:
    """Add a line; the file is whole at any moment.

    Args:
        metrics: Of the validation people.
        learned: The same of training people, noted as ``train_auroc`` and so on.

    Raises:
        TrainingError: The file cannot be written.
    """
    trained = {f"train_{name}": value for name, value in learned.as_dict().items()} if learned else {}
    line = {"step": step, "loss": loss, **metrics.as_dict(), **trained, "seconds": round(seconds, 1)}
    _write(folder, [*_read(folder), line])


def rewind(folder: Path, step: int) -> None:
    """Leave out what was noted after ``step``, by a process that ended before its checkpoint was written.

    A line that is no whole one, or that repeats a step, goes too. Raises TrainingError.
    """
    lines: dict[int, dict[str, Any]] = {}
    for line in _read(folder):
        if line["step"] <= step:
            lines.setdefault(line["step"], line)
    _write(folder, list(lines.values()))


def draw_curves(folder: Path) -> None:
    """Draw ``curves.png`` of the log. Raises TrainingError."""
    from matplotlib.figure import Figure

    lines = _read(folder)
    figure = Figure(figsize=(8, 3), layout="constrained")
    measured = [name for name in lines[0] if name not in ("step", "loss", "seconds")]
    for axes, names in zip(figure.subplots(1, 2), (["loss"], measured), strict=True):
        for name in names:
            axes.plot(
                [line["step"] for line in lines], [line.get(name, math.nan) for line in lines], marker=".", label=name
            )
        axes.set_xlabel("step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
        axes.grid(alpha=0.3)
    path = folder / "curves.png"
    with writing(path), files.atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=100)


def _read(folder: Path) -> list[dict[str, Any]]:
    """The whole lines; none if there is no file."""
    try:
        data = files.read_bytes(folder / NAME, MAX_BYTES)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainingError(f"{folder / NAME} is no log of a run: {error}") from error
    return [line for text in data.splitlines() if (line := _line(text))]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(line, dict) and isinstance(line.get("step"), int) and "loss" in line
    return line if whole else None


def _write(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Write these lines; a file that holds just them is left alone."""
    path, data = folder / NAME, "".join(json.dumps(line) + "\n" for line in lines).encode()
    if path.is_file() and path.read_bytes() == data:
        return
    with writing(path):
        files.write_bytes(path, data)
