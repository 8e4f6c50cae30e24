"""Tables as Markdown and JSON, with the paper's numbers beside ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk import files
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.export.evaluation.verification.measurements import Measurement
from edge_sdk.export.reproduction.protocols import ALL, SIZE_TABLE, SIZES, PaperFigures, TableProtocol
from edge_sdk.export.reproduction.reproduce import ReproductionRequest, ResultRow
from edge_sdk.export.reproduction.scores import SINGLE
from edge_sdk.export.reproduction.sizes import NetworkSize
from edge_sdk.tables import Table

NONE = ""
PAPER = "the paper"


@dataclass(frozen=True)
class ResultTable:
    """Cells to read, and the numbers behind them.

    Attributes:
        name: Of its files.
        table: Of the Markdown file.
        notes: What has to be known to read it.
        facts: What goes into the JSON file: plain values, unrounded.
    """

    name: str
    title: str
    table: Table
    notes: tuple[str, ...]
    facts: dict[str, Any]

    def markdown(self) -> str:
        notes = "".join(f"- {note}\n" for note in self.notes)
        return f"# {self.title}\n\n{self.table.markdown()}\n{notes}"

    def as_dict(self) -> dict[str, Any]:
        return {"table": self.name, "title": self.title, **self.facts, "notes": list(self.notes)}

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``NAME.md`` and ``NAME.json`` into `folder`, which is made; return their paths."""
        paths = folder / f"{self.name}.md", folder / f"{self.name}.json"
        files.write_text(paths[0], self.markdown())
        files.write_text(paths[1], json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n")
        return paths


def size_table(sizes: Sequence[NetworkSize]) -> ResultTable:
    """Table 4: sizes of networks beside the paper's."""
    head = ("model", "preset", "trainable", "trainable (paper)", "all", "fp32 MB", "MB (paper)", "int8 MB")
    lines = []
    for size in sizes:
        printed = SIZES.get(size.model)
        lines.append(
            (
                size.model,
                size.preset,
                f"{size.trainable:,}",
                f"{printed.parameters:,}" if printed else NONE,
                f"{size.parameters:,}",
                f"{size.fp32 / 1e6:.2f}",
                f"{printed.megabytes:g}" if printed else NONE,
                f"{size.int8 / 1e6:.2f}",
            )
        )
    models = dict.fromkeys(size.model for size in sizes)
    return ResultTable(
        SIZE_TABLE,
        "Parameters and storage (DeepSign paper, table 4)",
        Table(head, lines, text=("model", "preset")),
        (
            "Files are ONNX, of 10^6 bytes; batch norms are folded into the convolutions before them.",
            *(SIZES[model].note for model in models if model in SIZES),
        ),
        {
            "rows": msgspec.to_builtins(sizes),
            "paper": {model: msgspec.to_builtins(SIZES[model]) for model in models if model in SIZES},
        },
    )


def accuracy_table(protocol: TableProtocol, request: ReproductionRequest, rows: Sequence[ResultRow]) -> ResultTable:
    """Rows of one protocol, those of the paper above ours of the same test and model."""
    head = (
        *("test", "model", "preset", "steps", "variant", "writers", "pairs"),
        *("accuracy", "precision", "recall", "AUROC", "EER %"),
        *("EER %, 3 references", "5 references", "random: AUROC", "int8 costs, pp of EER"),
    )
    tests = dict.fromkeys([*(row.test for row in rows), *(test for test, _ in protocol.paper)])
    ordered = sorted(tests, key=lambda test: test == ALL)
    lines: list[tuple[str, ...]] = []
    for test in ordered:
        for model in request.models:
            if printed := protocol.paper.get((test, model)):
                lines.append(_paper_line(test, model, printed, len(head)))
            lines += [_line(row) for row in rows if (row.test, row.model) == (test, model)]
    notes = [
        "AUROC and EER with 95 % intervals over writers; skilled forgeries, one reference, unless the head says more.",
        "int8 costs: the difference of EER and its upper 90 % bound, by a paired bootstrap over writers.",
        *protocol.notes,
    ]
    if request.cohort is not None:
        notes.append(f"Scores are normalised by the {request.cohort} nearest signatures of training people (s-norm).")
    facts = {
        "seed": request.seed,
        "cohort": request.cohort,
        "rows": msgspec.to_builtins(rows),
        "paper": [
            {"test": test, "model": model, **msgspec.to_builtins(printed)}
            for (test, model), printed in protocol.paper.items()
        ],
    }
    table = Table(head, lines, text=("test", "model", "preset", "variant"))
    return ResultTable(protocol.name, protocol.title, table, tuple(notes), facts)


def _paper_line(test: str, model: str, printed: PaperFigures, width: int) -> tuple[str, ...]:
    figures = (printed.accuracy, printed.precision, printed.recall, printed.auroc)
    cells = (test, model, NONE, NONE, PAPER, NONE, NONE, *(f"{figure:.2f}" for figure in figures))
    return cells + (NONE,) * (width - len(cells))


def _line(row: ResultRow) -> tuple[str, ...]:
    single = row.of(SINGLE)
    assert single is not None, "every row has it"
    point = next((point for point in single.points if point.name == "best_accuracy"), None)
    decided = [f"{x.value:.3f}" for x in (point.accuracy, point.precision, point.recall)] if point else [NONE] * 3
    difference = row.accuracy
    return (
        *(row.test, row.model, row.preset, str(row.steps), row.artifact),
        *(str(single.subjects), f"{single.mated} + {single.impostors}", *decided),
        shown_interval(single.auroc, 1, 3),
        shown_interval(single.eer, 100, 1),
        *(_value(row.of(("skilled", references)), "eer") for references in (3, 5)),
        _value(row.of(("random", 1)), "auroc"),
        f"{100 * difference.delta:+.2f}, at most {100 * difference.upper90:+.2f}" if difference else NONE,
    )


def _value(measurement: Measurement | None, statistic: str) -> str:
    if measurement is None:
        return NONE
    return f"{100 * measurement.eer.value:.1f}" if statistic == "eer" else f"{measurement.auroc.value:.3f}"


def shown_interval(x: Interval, factor: float, digits: int) -> str:
    """Value and bounds, such as ``5.0 [4.2, 5.7]``."""
    value, low, high = (f"{factor * bound:.{digits}f}" for bound in (x.value, x.low, x.high))
    return f"{value} [{low}, {high}]"
