"""The model card: what a bundle is, what it was measured to do, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_sdk.calibration.front_matter import with_front_matter
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.artifact_protocol import interval
from edge_sdk.manifest import BonaFidePoint, LocatePoint, Manifest, SpoofPoint, UnsupportedPoint, VerifyPoint
from edge_sdk.tables import Table

_UNSEEN = "Never seen by training, thresholds or guardrail."
_FOLDS = (
    "By cross-validation: each person is scored by a network of the same recipe that has not seen this person. "
    "Thresholds and guardrail are of the same scores."
)
_ONE_CLASS = (
    "**One-class and bound to a camera.** It has learned live samples alone, and says how like those a sample is. "
    "Before another camera, or in another light, that says nothing of attacks; fit it first, by `edge-sdk calibrate "
    "--live`."
)
_ELSEWHERE = (
    "AUROC before cameras that it has not learned: as it is, and with its density fitted to the live samples of all "
    "people of that camera but the one who is scored."
)
_WORDED = ("variant", "point", "metric", "guardrail", "worst attack")
"""Columns of words."""


@dataclass(frozen=True)
class _Words:
    """What differs between tasks."""

    purpose: str
    rates: tuple[str, ...]
    decision: str = "Accept when score >= threshold."
    counted: tuple[str, ...] = ()


_WORDS = {
    "verify": _Words(
        purpose="Verifies people who were not trained on by their {modality}.",
        rates=("FMR", "FNMR", "people"),
        counted=("references",),
    ),
    "spoof": _Words(
        purpose="Tells a live {modality} from a presentation attack in one picture, also of people not trained on.",
        rates=("APCER", "BPCER", "worst attack"),
    ),
    "locate": _Words(
        purpose="Finds faces and their five points in pictures, also of people not trained on.",
        rates=("pictures with a false box", "missed faces", "people"),
        decision="A face is found when its confidence is at least the threshold.",
    ),
}


def model_card(manifest: Manifest, split: Split, tested: Sequence[Table], *, by_folds: bool = False) -> str:
    """Markdown with front matter; every number comes from the manifest or from ``tested``.

    Args:
        by_folds: The test people are those of folds, who gave the thresholds too.
    """
    training, words = manifest.training, _WORDS[manifest.task]
    groups = ", ".join(f"{len(getattr(split, role))} for {role}" for role in split.__struct_fields__)
    allowed = "allowed" if manifest.data_license.commercial_use else "not allowed"
    parts = [
        f"# {manifest.name} {manifest.version}\n",
        words.purpose.format(modality=manifest.modality),
        *([_ONE_CLASS] if manifest.score.one_class else []),
        f"Recipe `{training.recipe}`, preset `{training.preset}`; score: {manifest.score.described}.\n",
        "## Data\n",
        f"Trained on {', '.join(training.data)} with seed {training.seed}, {training.steps} steps.",
        *([f"The last {training.quantisation_aware} with int8 simulated."] if training.quantisation_aware else []),
        *(f"Taught by {teacher}." for teacher in training.teachers),
        f"People, disjoint: {groups}.\n",
        f"Licences: {manifest.data_license.statement}. Commercial use of the data is {allowed}.\n",
        "## Test people\n",
        f"{_FOLDS if by_folds else _UNSEEN} 95 % intervals by bootstrap over people.\n",
        *(table.markdown() for table in tested),
        *(["## Other cameras\n", _ELSEWHERE, "", _elsewhere(manifest).markdown()] if manifest.cameras else []),
        "## Operating points\n",
        f"{words.decision} Measured on: {_data(manifest)}.\n",
        Table(
            ("variant", "point", *words.counted, "threshold", *words.rates), _points(manifest), text=_WORDED
        ).markdown(),
        "## What int8 costs\n",
        _cost(manifest).markdown(),
        f"## Limits\n\n{catalogue.of(manifest.modality).limits[manifest.task]}",
    ]
    return with_front_matter("\n".join(parts), manifest)


def _elsewhere(manifest: Manifest) -> Table:
    rows = [
        (one.data, one.density, str(one.subjects), interval(Interval(one.auroc, one.low, one.high)))
        for one in manifest.cameras
    ]
    return Table(("data", "density", "people", "AUROC"), rows, text=("data", "density"))


def _points(manifest: Manifest) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for variant in manifest.variants:
        for point in variant.operating_points:
            counted = (str(point.references),) if manifest.task == "verify" else ()
            match point:
                case VerifyPoint():
                    last = (interval(point.fmr), interval(point.fnmr), str(point.subjects))
                case SpoofPoint():
                    worst = max(point.species, key=lambda kind: point.species[kind].value)
                    last = (interval(point.apcer), interval(point.bpcer), worst)
                case BonaFidePoint():
                    last = ("not measured", interval(point.bpcer), str(point.subjects))
                case LocatePoint():
                    last = (interval(point.false_boxes), interval(point.missed), str(point.subjects))
                case UnsupportedPoint():
                    rows.append((variant.id, point.name, *counted, f"none: {point.reason}", "", "", ""))
                    continue
            rows.append((variant.id, point.name, *counted, f"{point.threshold:#.4g}", *last))
    return rows


def _cost(manifest: Manifest) -> Table:
    rows = [
        (
            *(a.id, d.metric, *(f"{100 * x:+.2f} pp" for x in (d.delta, d.upper90)), f"{100 * d.budget:.2f} pp"),
            *(str(d.subjects), d.verdict, "" if d.agreement is None else f"{100 * d.agreement:.2f} %"),
        )
        for a in manifest.variants
        for d in a.accuracy
    ]
    head = ("variant", "metric", "difference", "upper 90 %", "budget", "people", "guardrail", "equal decisions")
    return Table(head, rows, text=_WORDED)


def _data(manifest: Manifest) -> str:
    points = (p for a in manifest.variants for p in a.operating_points if not isinstance(p, UnsupportedPoint))
    return ", ".join(sorted({point.data for point in points}))
