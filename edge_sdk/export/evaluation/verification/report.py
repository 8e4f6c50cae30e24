"""A verifier's evaluation as text, as JSON, and as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.thresholds import FMR_TARGETS
from edge_sdk.export.evaluation.html import interval, percent, render, unit_interval
from edge_sdk.export.evaluation.html import write as write_report
from edge_sdk.export.evaluation.pictures import stages
from edge_sdk.export.evaluation.verification import plots
from edge_sdk.export.evaluation.verification.evaluate import VerificationEvaluation, VerificationReport
from edge_sdk.export.evaluation.verification.measurements import Measurement
from edge_sdk.export.evaluation.verification.pictures import by_distance, wrong_pairs
from edge_sdk.manifest import Rate
from edge_sdk.tables import Table

_KEY = ("data", "forgeries", "refs")
_TEXT = ("data", "forgeries", "point", "file", "person", "kind", "reason")
"""Columns of words."""


def write(evaluation: VerificationEvaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    return write_report(evaluation.report.as_dict(), html(evaluation), folder)


def text(report: VerificationReport) -> str:
    """The tables for a terminal."""
    tables = (
        _data(report),
        _flagged(report),
        _measurements(report),
        _without_unfamiliar(report),
        points_table(report.measurements),
        _identification(report),
        _identification_points(report),
    )
    blocks = [f"{report.bundle_id}, {report.artifact}, engine {report.engine}; 95 % intervals over people"]
    blocks += [table.plain() for table in tables if table]
    if report.identical:
        blocks.append(f"left out: {len(report.identical)} pictures that are byte for byte others of the same data set")
    blocks += [f"note: {note}" for note in report.notes]
    blocks += [f"skipped: {s.data}, {s.forgeries}, {s.counted}: {s.reason}" for s in report.skipped]
    return "\n\n".join(blocks)


def html(evaluation: VerificationEvaluation) -> str:
    """Tables, curves, histograms, pre-processing, failures and wrong pairs, with every picture inside."""
    report = evaluation.report
    default = f"threshold {report.threshold:.4f} ({report.operating_point})" if report.threshold is not None else "none"
    settings = (
        f"variant {report.artifact}, engine {report.engine}; default {default}; 95 % intervals from "
        f"{report.replicates} bootstrap resamples of people, seed {report.seed}"
    )
    return render(
        "verification",
        report=report,
        settings=settings,
        data=_data(report),
        flagged=_flagged(report),
        without_unfamiliar=_without_unfamiliar(report),
        measurements=_measurements(report),
        points=points_table(report.measurements),
        identification=_identification(report),
        identification_points=_identification_points(report),
        identical=_identical(report),
        curves=plots.curves(report.measurements, evaluation.scores),
        histograms=plots.histograms(evaluation),
        stages=stages(evaluation.operations, evaluation.examples, region=evaluation.region),
        distances=by_distance(report, evaluation.examples[0].modality),
        wrong=wrong_pairs(report, evaluation.examples[0].modality),
        failures=_failures(report),
    )


def _data(report: VerificationReport) -> Table:
    rows = []
    for data in report.data:
        failed, total = data.failed_genuine + data.failed_forged, data.genuine + data.forged
        rate = f"{failed} ({percent(failed / total)})"
        rows.append((data.name, str(data.subjects), str(data.genuine), str(data.forged), rate))
    return Table(("data", "people", "genuine", "forged", "failed to acquire"), rows, text=_TEXT)


def _flagged(report: VerificationReport) -> Table:
    rows = [
        (
            one.data,
            "genuine" if one.genuine else "forged",
            flag,
            f"{count} of {one.samples}",
            percent(count / one.samples),
        )
        for one in report.flagged
        for flag, count in one.flags.items()
    ]
    return Table(("data", "kind", "flag", "samples", "share"), rows, text=("data", "kind", "flag"))


def _without_unfamiliar(report: VerificationReport) -> Table:
    rows = [
        (*_key(m), str(m.subjects), str(m.mated), str(m.impostors), unit_interval(m.auroc), interval(m.eer))
        for m in report.without_unfamiliar
    ]
    head = (*_KEY, "people", "mated", "impostors", "AUROC", "EER")
    return Table(head, rows, text=_TEXT, note="The same without the samples that are unlike those of the bundle.")


def _measurements(report: VerificationReport) -> Table:
    targets = [entry.target for entry in report.measurements[0].fnmr_at_fmr]
    head = (*_KEY, "people", "mated", "impostors", "AUROC", "EER", *(f"FNMR@FMR {percent(t)}" for t in targets))
    rows = [
        (
            *_key(m),
            str(m.subjects),
            str(m.mated),
            str(m.impostors),
            unit_interval(m.auroc),
            interval(m.eer),
            *(interval(entry.fnmr) if entry.fnmr else "too few" for entry in m.fnmr_at_fmr),
        )
        for m in report.measurements
    ]
    note = "FNMR at an FMR is read off these data; the bundle's own thresholds follow below."
    if any(m.queries is not None for m in report.measurements):
        note += " refs: rows, such as cycles of a walk, that enrol + that are tested, never of one sample."
    return Table(head, rows, text=_TEXT, note=note)


def points_table(measurements: Sequence[Measurement]) -> Table:
    """The rates at the bundle's own thresholds; empty where it has none."""
    head = (*_KEY, "point", "threshold", "FMR", "FNMR", "accuracy", "balanced", "precision", "recall")
    rows = []
    for m in measurements:
        for p in m.points:
            rates: tuple[Interval | Rate, ...] = (p.fmr, p.fnmr, p.accuracy, p.balanced_accuracy, p.precision, p.recall)
            rows.append((*_key(m), p.name, f"{p.threshold:.4f}", *map(interval, rates)))
    note = "At the thresholds that decide with so many references: those measured with as many, or the nearest below."
    return Table(head, rows, text=_TEXT, note=note)


def _identification(report: VerificationReport) -> Table:
    targets = [f"FNIR@FPIR {percent(target)}" for target in FMR_TARGETS]
    head = ("data", "N", "galleries", "mated", "non-mated", "rank 1", *targets)
    rows = [
        (
            one.data,
            *map(str, (one.size, one.galleries, one.mated, one.non_mated)),
            interval(one.rank_1),
            *(interval(entry.fnir) if entry.fnir else "too few" for entry in one.fnir_at_fpir),
        )
        for one in report.identification
    ]
    note = "Identification among N enrolled people, one reference each; FNIR at an FPIR is read off these data."
    return Table(head, rows, text=_TEXT, note=note)


def _identification_points(report: VerificationReport) -> Table:
    rows = [
        (one.data, str(one.size), point.name, f"{point.threshold:.4f}", interval(point.fpir), interval(point.fnir))
        for one in report.identification
        for point in one.points
    ]
    return Table(("data", "N", "point", "threshold", "FPIR", "FNIR"), rows, text=_TEXT)


def _identical(report: VerificationReport) -> Table:
    rows = [(one.path, one.subject, one.like, one.other) for one in report.identical]
    return Table(("file", "person", "like", "of"), rows, text=("file", "person", "like", "of"))


def _failures(report: VerificationReport) -> Table:
    rows = [(f.path, f.subject, "genuine" if f.genuine else "forged", ", ".join(f.reasons)) for f in report.failures]
    return Table(("file", "person", "kind", "reason"), rows, text=_TEXT)


def _key(measurement: Measurement) -> tuple[str, str, str]:
    return measurement.data, measurement.forgeries, measurement.counts
