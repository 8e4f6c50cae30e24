"""A report on published pairs: tables for a terminal, JSON, and one HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_sdk.calibration.thresholds import FMR_TARGETS
from edge_sdk.export.evaluation.html import interval, percent, render, unit_interval
from edge_sdk.export.evaluation.html import write as write_report
from edge_sdk.export.evaluation.verification import plots
from edge_sdk.export.evaluation.verification.folds import MeanAccuracy
from edge_sdk.export.evaluation.verification.measurements import Measurement
from edge_sdk.export.evaluation.verification.pairs import PairEvaluation, PairReport
from edge_sdk.export.evaluation.verification.report import points_table
from edge_sdk.tables import Table

_ACCURACY = (
    "Accuracy: mean of the folds +- its standard error; the threshold of a fold is the best one of other folds. In "
    "brackets 95 % intervals over people, of all pairs together. FNMR at an FMR is read off these pairs."
)


def write(evaluation: PairEvaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    return write_report(evaluation.report.as_dict(), html(evaluation), folder)


def text(report: PairReport) -> str:
    """The tables for a terminal."""
    tables = (_bundles(report), _lists(report), _folds(report), points_table(_measurements(report)))
    return "\n\n".join([*(table.plain() for table in tables if table), *_remarks(report)])


def html(evaluation: PairEvaluation) -> str:
    """Tables and curves."""
    report = evaluation.report
    return render(
        "pairs",
        report=report,
        settings=f"95 % intervals from {report.replicates} bootstrap resamples of people, seed {report.seed}",
        bundles=_bundles(report),
        lists=_lists(report),
        folds=_folds(report),
        points=points_table(_measurements(report)),
        curves=plots.curves(_measurements(report), evaluation.scores),
        remarks=tuple(_remarks(report)),
    )


def _measurements(report: PairReport) -> tuple[Measurement, ...]:
    return tuple(one.measurement for one in report.lists)


def _bundles(report: PairReport) -> Table:
    rows = [
        (
            one.bundle_id,
            one.variant,
            one.engine,
            "; ".join(f"{name} {_numbers(folds)}" for name, folds in one.folds.items()),
        )
        for one in report.bundles
    ]
    return Table(("bundle", "variant", "engine", "folds"), rows, text=("bundle", "variant", "engine", "folds"))


def _lists(report: PairReport) -> Table:
    targets = [f"FNMR@FMR {percent(target)}" for target in FMR_TARGETS]
    head = ("pairs", "folds", "people", "mated", "impostors", "accuracy", "over people", "AUROC", "EER", *targets)
    rows = [
        (
            one.measurement.data,
            str(sum(len(fold.folds) for fold in one.folds)),
            str(one.people),
            str(one.measurement.mated),
            str(one.measurement.impostors),
            _mean(one.accuracy),
            interval(one.over_people),
            unit_interval(one.measurement.auroc),
            interval(one.measurement.eer),
            *(interval(entry.fnmr) if entry.fnmr else "too few" for entry in one.measurement.fnmr_at_fmr),
        )
        for one in report.lists
    ]
    return Table(head, rows, text=("pairs",), note=_ACCURACY)


def _folds(report: PairReport) -> Table:
    rows = [
        (
            one.measurement.data,
            _numbers(fold.folds),
            str(fold.pairs),
            f"{100 * fold.accuracy:.2f} %",
            f"{fold.threshold:.4f}",
            _numbers(fold.chosen_on),
            f"{100 * fold.fitted:.2f} %",
        )
        for one in report.lists
        for fold in one.folds
    ]
    head = ("pairs", "fold", "tested", "accuracy", "threshold", "chosen on", "accuracy there")
    return Table(head, rows, text=("pairs", "fold", "chosen on"))


def _remarks(report: PairReport) -> Iterable[str]:
    for one in report.lists:
        name = one.measurement.data
        for count, what in (
            (one.identical, "left out: their two pictures are one file"),
            (one.absent, "left out: the face was not found when the pictures were cut out"),
            (one.rejected, "counted as rejected: a device would refuse one of their pictures"),
        ):
            if count:
                yield f"{name}: {count} pair(s) {what}"
        if one.untested:
            yield f"{name}: folds {_numbers(one.untested)} are not tested: no bundle is new to all of their people"
    for note in report.notes:
        yield f"note: {note}"


def _mean(accuracy: MeanAccuracy) -> str:
    error = "" if accuracy.standard_error is None else f" +- {100 * accuracy.standard_error:.2f}"
    return f"{100 * accuracy.mean:.2f}{error} %"


def _numbers(folds: Iterable[int]) -> str:
    """``1-4, 6``."""
    runs: list[list[int]] = []
    for number in folds:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) or "none"
