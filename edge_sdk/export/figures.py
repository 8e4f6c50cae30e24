"""An evaluation's curves and histograms, as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Iterable
from statistics import NormalDist

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_sdk.calibration import metrics
from edge_sdk.calibration.metrics import Floats, ScoreSet
from edge_sdk.export.evaluation import Evaluation

_POINTS = 400  # of a curve: more cannot be seen
_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_COLORS = ("#1b5e8c", "#c2571a", "#3d7a3a", "#7b4b94", "#8a6d1d", "#2a9d8f", "#b5316b", "#444444")


def curves(evaluation: Evaluation) -> str:
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
        axis.set_ticks(places, [f"{100 * tick:.3g} %" for tick in _TICKS])
    limits = _deviates(np.array([0.0005, 0.9]))
    det.set(xlabel="FMR", ylabel="FNMR", title="DET", xlim=limits, ylim=limits)
    det.plot(limits, limits, color="#bbb", linewidth=0.8)
    roc.set(xlabel="FMR", ylabel="1 - FNMR", title="ROC", xlim=(0, 1), ylim=(0, 1.005))
    roc.legend(fontsize=8, loc="lower right")
    return _svg(figure, (det, roc))


def histograms(evaluation: Evaluation) -> str:
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
