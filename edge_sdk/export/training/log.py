"""``log.jsonl`` of a run, one line a validation, and ``curves.png``, drawn of it."""

from __future__ import annotations

import json
from pathlib import Path

from edge_sdk import files
from edge_sdk.export.losses.task import ValidationMetrics

NAME = "log.jsonl"


def append(folder: Path, step: int, loss: float, metrics: ValidationMetrics, seconds: float) -> None:
    """Add a line."""
    line = {"step": step, "loss": loss, **metrics.as_dict(), "seconds": round(seconds, 1)}
    with (folder / NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")


def draw_curves(folder: Path) -> None:
    """Draw ``curves.png`` of the log."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in (folder / NAME).read_text().splitlines()]
    figure = Figure(figsize=(8, 3), layout="constrained")
    measured = [name for name in lines[0] if name not in ("step", "loss", "seconds")]
    for axes, names in zip(figure.subplots(1, 2), (["loss"], measured), strict=True):
        for name in names:
            axes.plot([line["step"] for line in lines], [line[name] for line in lines], marker=".", label=name)
        axes.set_xlabel("step")
        axes.legend()
        axes.grid(alpha=0.3)
    with files.atomic_write(folder / "curves.png") as file:
        figure.savefig(file, format="png", dpi=100)
