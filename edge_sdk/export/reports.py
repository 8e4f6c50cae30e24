"""An evaluation as text, as JSON, and as one HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from edge_sdk.calibration.metrics import Interval
from edge_sdk.export import figures, pictures
from edge_sdk.export.evaluation import Evaluation, Report
from edge_sdk.export.measurements import Measurement
from edge_sdk.manifest import Rate

JSON_NAME, HTML_NAME = "evaluation.json", "report.html"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 90rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { border-bottom: 2px solid #888; font-weight: 600 } td.text, th.text { text-align: left }
.scroll { overflow-x: auto } .muted { color: #666; font-size: 13px }
.plots svg { max-width: 100%; height: auto }
.stages td, .stages th { text-align: center; vertical-align: middle; white-space: normal }
.stages img { display: block; margin: auto; border: 1px solid #ddd }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
.pairs figure { margin: 0; border: 1px solid #ddd; border-radius: 4px; padding: .5rem; background: #fff }
.pairs img { width: 49%; height: 7.5rem; object-fit: contain } .pairs figcaption { font-size: 12.5px; color: #444 }
"""


def write(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Write ``evaluation.json`` and ``report.html`` into `folder`, which is made; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / JSON_NAME, folder / HTML_NAME
    paths[0].write_text(json.dumps(evaluation.report.as_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    paths[1].write_text(html(evaluation), encoding="utf-8")
    return paths


def text(report: Report) -> str:
    """The tables for a terminal."""
    blocks = [_title(report), _plain(*_data_table(report)), _plain(*_metric_table(report))]
    if any(measurement.points for measurement in report.measurements):
        blocks.append(_plain(*_point_table(report)))
    blocks += [f"skipped: {s.data}, {s.forgeries}, {s.references} reference(s): {s.reason}" for s in report.skipped]
    return "\n\n".join(blocks)


def html(evaluation: Evaluation) -> str:
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
        f"<div class=plots>{figures.curves(evaluation)}</div>",
        "<h2>Scores</h2>",
        f"<div class=plots>{figures.histograms(evaluation)}</div>",
        *pictures.stages(evaluation.operations, evaluation.examples),
        *pictures.wrong_pairs(report),
        *_failures(report),
    ]
    head = f'<meta charset="utf-8"><title>{escape(report.bundle_id)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>' + "\n".join(parts) + "</body></html>\n"


# --- tables -------------------------------------------------------------------------------------------------------


Head = tuple[str, ...]
Rows = list[tuple[str, ...]]


def _title(report: Report) -> str:
    return f"{report.bundle_id}, {report.artifact}, engine {report.engine}; 95 % intervals over people"


def _data_table(report: Report) -> tuple[Head, Rows]:
    rows: Rows = []
    for data in report.data:
        failed, total = data.failed_genuine + data.failed_forged, data.genuine + data.forged
        rate = f"{failed} ({_percent(failed / total)})"
        rows.append((data.name, str(data.subjects), str(data.genuine), str(data.forged), rate))
    return ("data", "people", "genuine", "forged", "failed to acquire"), rows


def _metric_table(report: Report) -> tuple[Head, Rows]:
    targets = [entry.target for entry in report.measurements[0].fnmr_at_fmr]
    head = (*_KEY, "people", "mated", "impostors", "AUROC", "EER", *(f"FNMR@FMR {_percent(t)}" for t in targets))
    rows = [
        (
            *_key(m),
            str(m.subjects),
            str(m.mated),
            str(m.impostors),
            f"{m.auroc.value:.3f} [{m.auroc.low:.3f}, {m.auroc.high:.3f}]",
            _interval(m.eer),
            *(_interval(entry.fnmr) if entry.fnmr else "too few" for entry in m.fnmr_at_fmr),
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
            rows.append((*_key(m), p.name, f"{p.threshold:.4f}", *map(_interval, rates)))
    return head, rows


_KEY = ("data", "forgeries", "refs")


def _key(measurement: Measurement) -> tuple[str, str, str]:
    return measurement.data, measurement.forgeries, str(measurement.references)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _interval(value: Interval | Rate) -> str:
    return f"{100 * value.value:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}] %"


def _plain(head: Head, rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in (head, *rows))


def _table(head: Head, rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        text_columns = {name for name in (*_KEY, "point") if name != "refs"}
        classes = [" class=text" if name in text_columns else "" for name in head]
        return "<tr>" + "".join(f"<{tag}{c}>{escape(x)}</{tag}>" for c, x in zip(classes, cells, strict=True)) + "</tr>"

    body = "".join(line("td", cells) for cells in rows)
    return f"<div class=scroll><table>{line('th', head)}{body}</table></div>"


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
