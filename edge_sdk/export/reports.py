"""An evaluation as text, as JSON, and as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from statistics import NormalDist

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_sdk import images
from edge_sdk.calibration import metrics
from edge_sdk.calibration.metrics import Floats, Interval, ScoreSet
from edge_sdk.errors import InputError
from edge_sdk.export.evaluation import Evaluation, Report, WrongPair
from edge_sdk.export.measurements import Measurement
from edge_sdk.manifest import Rate

JSON_NAME, HTML_NAME = "evaluation.json", "report.html"

_POINTS = 400  # of a curve: more cannot be seen
_THUMBNAIL = 300  # pixels on the longer side
_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_COLORS = ("#1b5e8c", "#c2571a", "#3d7a3a", "#7b4b94", "#8a6d1d", "#2a9d8f", "#b5316b", "#444444")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 90rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { border-bottom: 2px solid #888; font-weight: 600 } td.text, th.text { text-align: left }
.scroll { overflow-x: auto } .muted { color: #666; font-size: 13px }
.plots svg { max-width: 100%; height: auto }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
.pairs figure { margin: 0; border: 1px solid #ddd; border-radius: 4px; padding: .5rem; background: #fff }
.pairs img { width: 49%; height: 7.5rem; object-fit: contain } .pairs figcaption { font-size: 12.5px; color: #444 }
"""
_KINDS = (
    ("Skilled forgeries that were accepted", False, "skilled"),
    ("Other people's signatures that were accepted", False, "random"),
    ("Genuine signatures that were rejected", True, "skilled"),
)


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
    """The page: tables, curves, histograms, failures and wrong pairs, with every picture inside."""
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
        f"<div class=plots>{_curves(evaluation)}</div>",
        "<h2>Scores</h2>",
        f"<div class=plots>{_histograms(evaluation)}</div>",
        *_wrong_pairs(report),
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


# --- plots --------------------------------------------------------------------------------------------------------


def _curves(evaluation: Evaluation) -> str:
    """DET (normal deviates on both axes) and ROC; colour: data and forgeries, line: number of references."""
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    det, roc = figure.subplots(1, 2)
    colors: dict[tuple[str, str], str] = {}
    for m, scores in zip(evaluation.report.measurements, evaluation.scores, strict=True):
        color = colors.setdefault((m.data, m.forgeries), _COLORS[len(colors) % len(_COLORS)])
        fmr, fnmr = _thinned(scores)
        label = f"{m.data}, {m.forgeries}, {m.references} ref."
        style = {"color": color, "linestyle": "-" if m.references == 1 else "--", "linewidth": 1.4, "label": label}
        det.plot(_deviates(fmr), _deviates(fnmr), **style)
        roc.plot(fmr, 1 - fnmr, **style)
    places = _deviates(np.array(_TICKS))
    for axis in (det.xaxis, det.yaxis):
        axis.set_ticks(places, [_percent(tick) for tick in _TICKS])
    limits = _deviates(np.array([0.0005, 0.9]))
    det.set(xlabel="FMR", ylabel="FNMR", title="DET", xlim=limits, ylim=limits)
    det.plot(limits, limits, color="#bbb", linewidth=0.8)
    roc.set(xlabel="FMR", ylabel="1 - FNMR", title="ROC", xlim=(0, 1), ylim=(0, 1.005))
    roc.legend(fontsize=8, loc="lower right")
    return _svg(figure, (det, roc))


def _histograms(evaluation: Evaluation) -> str:
    """Mated, skilled and random scores of one reference, for each data set."""
    report = evaluation.report
    shown = [(m, s) for m, s in zip(report.measurements, evaluation.scores, strict=True) if m.references == 1]
    names = sorted({m.data for m, _ in shown})
    figure = Figure(figsize=(10.5, 2.6 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for axis, name in zip(axes, names, strict=True):
        own = {m.forgeries: scores for m, scores in shown if m.data == name}
        groups = {f"{forgeries} forgeries": scores.scores[~scores.mated] for forgeries, scores in own.items()}
        groups["genuine"] = next(iter(own.values())).scores[next(iter(own.values())).mated]
        everything = np.concatenate(list(groups.values()))
        bins = np.linspace(everything.min(), everything.max() + 1e-9, 61)
        for color, (label, values) in zip(_COLORS, groups.items(), strict=False):
            weights = np.full(values.size, 1 / values.size)
            axis.hist(values, bins=bins, weights=weights, histtype="stepfilled", alpha=0.35, color=color, label=label)
        if report.threshold is not None:
            axis.axvline(report.threshold, color="#222", linewidth=1, linestyle=":", label=report.operating_point)
        axis.set(title=name, xlabel="score (higher = more genuine)", ylabel="share")
        axis.legend(fontsize=8)
    return _svg(figure, axes)


def _thinned(scores: ScoreSet) -> tuple[Floats, Floats]:
    """(FMR, FNMR) at few enough points to draw, dense where FMR is small."""
    curve = metrics.det_curve(scores)
    wanted = np.concatenate([np.linspace(1, 0, _POINTS // 2), np.logspace(0, -4, _POINTS // 2)])
    by_fmr = np.searchsorted(-curve.fmr, -wanted)
    by_fnmr = np.searchsorted(curve.fnmr, wanted)
    kept = np.unique(np.concatenate([by_fmr, by_fnmr, [0, curve.fmr.size - 1]]).clip(0, curve.fmr.size - 1))
    return curve.fmr[kept], curve.fnmr[kept]


def _deviates(rates: Floats) -> Floats:
    inverse = NormalDist().inv_cdf
    return np.array([inverse(rate) for rate in np.clip(rates, 1e-5, 1 - 1e-5)])


def _svg(figure: Figure, axes: Iterable[Axes]) -> str:
    for axis in axes:
        axis.grid(visible=True, color="#eee", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "edge-sdk", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = buffer.getvalue()
    return drawn[drawn.index("<svg") :]


# --- pictures -----------------------------------------------------------------------------------------------------


def _wrong_pairs(report: Report) -> Iterable[str]:
    if report.threshold is None:
        return
    for title, mated, forgeries in _KINDS:
        pairs = [pair for pair in report.wrong_pairs if pair.mated is mated and pair.forgeries == forgeries]
        yield f"<h2>{title}</h2>"
        if not pairs:
            yield "<p class=muted>None.</p>"
            continue
        yield f"<p class=muted>Furthest from the threshold {report.threshold:.4f} first; each picture once.</p>"
        yield f"<div class=pairs>{''.join(map(_pair, pairs))}</div>"


def _pair(pair: WrongPair) -> str:
    names = " and ".join("/".join(Path(path).parts[-3:]) for path in (pair.reference, pair.query))
    pictures = "".join(_thumbnail(path) for path in (pair.reference, pair.query))
    return f"<figure>{pictures}<figcaption>score {pair.score:.4f}<br>{escape(names)}</figcaption></figure>"


def _thumbnail(path: str) -> str:
    try:
        picture = images.load(path)
    except (InputError, OSError) as error:  # gone since it was embedded
        return f"<p class=muted>{escape(str(error))}</p>"
    scale = min(1.0, _THUMBNAIL / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".png", small)[1].tobytes()).decode()
    return f'<img alt="{escape(Path(path).name)}" src="data:image/png;base64,{data}">'


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
