"""The model card: what a bundle is, what it was measured to do, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_sdk.calibration.metrics import Interval
from edge_sdk.export.splits import Split
from edge_sdk.manifest import Manifest, UnsupportedPoint, VerifyPoint

_LIMITS = """\
## Limits

- Offline signatures only: pictures of finished signatures in dark ink on lighter, unruled paper, one per picture.
- The numbers hold for people, pens and scanners like those of the data above. Expect more errors on other scripts,
  on photographs, and from forgers with more practice; measure on your own data (`edge-sdk evaluate`) before use.
- Thresholds were fitted on few people; their intervals say how few. A decision about a person's rights or money
  needs a human examiner.
"""


@dataclass(frozen=True)
class TestRow:
    """What one artifact reached on the test people against one kind of forgery."""

    artifact: str
    forgeries: str
    comparisons: int
    subjects: int
    auroc: Interval
    eer: Interval


def model_card(manifest: Manifest, split: Split, rows: Sequence[TestRow]) -> str:
    """Markdown; every number comes from the manifest or from ``rows``."""
    training = manifest.training
    groups = ", ".join(f"{len(getattr(split, role))} for {role}" for role in split.__struct_fields__)
    allowed = "allowed" if manifest.data_terms.commercial_use else "not allowed"
    parts = [
        f"# {manifest.name} {manifest.version}\n",
        f"Verifies people who were not trained on by their {manifest.modality}.",
        f"Recipe `{training.recipe}`, preset `{training.preset}`.\n",
        "## Data\n",
        f"Trained on {', '.join(training.data)} with seed {training.seed}, {training.steps} steps.",
        *([f"The last {training.quantisation_aware} with int8 simulated."] if training.quantisation_aware else []),
        *(f"Taught by {teacher}." for teacher in training.teachers),
        f"People, disjoint: {groups}.\n",
        f"Terms: {manifest.data_terms.statement}. Commercial use of the data is {allowed}.\n",
        "## Test people\n",
        "Never seen by training, thresholds or guardrail. One reference; 95 % intervals by bootstrap over people.\n",
        _table(
            ("artifact", "forgeries", "people", "comparisons", "AUROC", "EER"),
            (
                (r.artifact, r.forgeries, str(r.subjects), str(r.comparisons), _interval(r.auroc), _interval(r.eer))
                for r in rows
            ),
        ),
        "## Operating points\n",
        f"Accept when score >= threshold. Measured on: {_data(manifest)}.\n",
        _table(("artifact", "point", "threshold", "FMR", "FNMR", "people"), _points(manifest)),
        "## What int8 costs\n",
        _table(
            ("artifact", "metric", "delta", "upper 90 %", "budget", "people", "verdict", "equal decisions"),
            (
                (
                    a.id,
                    d.metric,
                    f"{100 * d.delta:+.2f} pp",
                    f"{100 * d.upper90:+.2f} pp",
                    f"{100 * d.budget:.2f} pp",
                    str(d.subjects),
                    d.verdict,
                    "" if d.agreement is None else f"{100 * d.agreement:.2f} %",
                )
                for a in manifest.artifacts
                for d in a.drift
            ),
        ),
        _LIMITS,
    ]
    return "\n".join(parts)


def _points(manifest: Manifest) -> Iterable[tuple[str, ...]]:
    for artifact in manifest.artifacts:
        for point in artifact.operating_points:
            if isinstance(point, VerifyPoint):
                rates = (f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]" for rate in (point.fmr, point.fnmr))
                yield (artifact.id, point.name, f"{point.threshold:.4f}", *rates, str(point.subjects))
            elif isinstance(point, UnsupportedPoint):
                yield (artifact.id, point.name, f"none: {point.reason}", "", "", "")


def _data(manifest: Manifest) -> str:
    points = (p for a in manifest.artifacts for p in a.operating_points if isinstance(p, VerifyPoint))
    return ", ".join(sorted({point.data for point in points}))


def _interval(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
