"""A verifier's evaluation as text, as JSON, and as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from edge_sdk.calibration.metrics.verification import Interval
from edge_sdk.export.evaluation import html
from edge_sdk.export.evaluation.html import Head, Rows, interval, percent, plain, unit_interval
from edge_sdk.export.evaluation.verification import plots, samples
from edge_sdk.export.evaluation.verification.evaluate import Evaluation, Report
from edge_sdk.export.evaluation.verification.measurements import Measurement
from edge_sdk.manifest import Rate


def write(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    return html.write(evaluation.report.as_dict(), page_of(evaluation), folder)


def text(report: Report) -> str:
    """The tables for a terminal."""
    blocks = [_title(report), plain(*_data_table(report)), plain(*_metric_table(report))]
    if any(measurement.points for measurement in report.measurements):
        blocks.append(plain(*_point_table(report)))
    blocks += [f"skipped: {s.data}, {s.forgeries}, {s.references} reference(s): {s.reason}" for s in report.skipped]
    return "\n\n".join(blocks)


def page_of(evaluation: Evaluation) -> str:
    """The page: tables, curves, histograms, pre-processing, failures and wrong pairs, with every picture inside."""
    report = evaluation.report
    default = f"threshold {report.threshold:.4f} ({report.operating_point})" if report.threshold is not None else "none"
    settings = (
        f"artifact {report.artifact}, engine {report.engine}; default {default}; 95 % intervals from "
        f"{report.replicates} bootstrap resamples of people, seed {report.seed}"
    )
    parts = [
        f"<h1>{escape(report.bundle_id)}</h1>",
        f"<p class=muted>{escape(settings)}</p>",
        "<h2>Data</h2>",
        _table(*_data_table(report)),
        "<h2>Error rates</h2>",
        "<p class=muted>FNMR at an FMR is read off these data; the bundle's own thresholds follow below.</p>",
        _table(*_metric_table(report)),
        *_skipped(report),
        "<h2>At the bundle's thresholds</h2>",
        _table(*_point_table(report)),
        "<h2>Curves</h2>",
        f"<div class=plots>{plots.curves(evaluation)}</div>",
        "<h2>Scores</h2>",
        f"<div class=plots>{plots.histograms(evaluation)}</div>",
        *samples.stages(evaluation.operations, evaluation.examples),
        *samples.wrong_pairs(report),
        *_failures(report),
    ]
    return html.document(report.bundle_id, parts)


# --- tables -------------------------------------------------------------------------------------------------------


def _title(report: Report) -> str:
    return f"{report.bundle_id}, {report.artifact}, engine {report.engine}; 95 % intervals over people"


def _data_table(report: Report) -> tuple[Head, Rows]:
    rows: Rows = []
    for data in report.data:
        failed, total = data.failed_genuine + data.failed_forged, data.genuine + data.forged
        rate = f"{failed} ({percent(failed / total)})"
        rows.append((data.name, str(data.subjects), str(data.genuine), str(data.forged), rate))
    return ("data", "people", "genuine", "forged", "failed to acquire"), rows


def _metric_table(report: Report) -> tuple[Head, Rows]:
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
    return head, rows


def _point_table(report: Report) -> tuple[Head, Rows]:
    head = (*_KEY, "point", "threshold", "FMR", "FNMR", "accuracy", "balanced", "precision", "recall")
    rows = []
    for m in report.measurements:
        for p in m.points:
            rates: tuple[Interval | Rate, ...] = (p.fmr, p.fnmr, p.accuracy, p.balanced_accuracy, p.precision, p.recall)
            rows.append((*_key(m), p.name, f"{p.threshold:.4f}", *map(interval, rates)))
    return head, rows


_KEY = ("data", "forgeries", "refs")


def _key(measurement: Measurement) -> tuple[str, str, str]:
    return measurement.data, measurement.forgeries, str(measurement.references)


def _table(head: Head, rows: Iterable[tuple[str, ...]]) -> str:
    return html.table(head, rows, text={"data", "forgeries", "point", "file", "person", "kind", "reason"})


def _skipped(report: Report) -> Iterable[str]:
    for entry in report.skipped:
        protocol = f"{entry.data}, {entry.forgeries} forgeries, {entry.references} reference(s)"
        yield f"<p class=muted>Not measured: {escape(protocol)}: {escape(entry.reason)}</p>"


def _failures(report: Report) -> Iterable[str]:
    if report.failures:
        yield "<h2>Pictures that could not be used</h2>"
        rows = [
            (f.path, f.subject, "genuine" if f.genuine else "forged", ", ".join(f.reasons)) for f in report.failures
        ]
        yield _table(("file", "person", "kind", "reason"), rows)
