"""A verifier's curves and histograms, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.export.evaluation.plots import COLORS, deviates, error_axes, error_curve, svg
from edge_sdk.export.evaluation.verification.evaluate import VerificationEvaluation
from edge_sdk.export.evaluation.verification.measurements import Measurement
from edge_sdk.markup import Html


def curves(measurements: Sequence[Measurement], scores: Sequence[ScoreSet]) -> Html:
    """DET (normal deviates on both axes) and ROC; colour: data and forgeries, line: number of references.

    Where samples have many rows, colour: data and number of rows.
    """
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    det, roc = figure.subplots(1, 2)
    colors: dict[tuple[object, ...], str] = {}
    for m, found in zip(measurements, scores, strict=True):
        drawn = (m.data, m.forgeries) if m.queries is None else (m.data, m.references, m.queries)
        color = colors.setdefault(drawn, COLORS[len(colors) % len(COLORS)])
        fmr, fnmr = error_curve(found)
        label = f"{m.data}, {m.forgeries}, {m.counts} {'ref.' if m.queries is None else 'rows'}"
        dashed = m.queries is None and m.references > 1
        style = {"color": color, "linestyle": "--" if dashed else "-", "linewidth": 1.4, "label": label}
        det.plot(deviates(fmr), deviates(fnmr), **style)
        roc.plot(fmr, 1 - fnmr, **style)
    error_axes(det, roc, "FMR", "FNMR")
    roc.legend(fontsize=8, loc="lower right")
    return svg(figure, (det, roc))


def histograms(evaluation: VerificationEvaluation) -> Html:
    """Mated, skilled and random scores of the first number of references, for each data set."""
    report = evaluation.report
    first = report.measurements[0].counts
    shown = [(m, s) for m, s in zip(report.measurements, evaluation.scores, strict=True) if m.counts == first]
    names = sorted({m.data for m, _ in shown})
    figure = Figure(figsize=(10.5, 2.6 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for axis, name in zip(axes, names, strict=True):
        own = {m.forgeries: scores for m, scores in shown if m.data == name}
        groups = {f"{forgeries} forgeries": scores.scores[~scores.mated] for forgeries, scores in own.items()}
        groups["genuine"] = next(iter(own.values())).scores[next(iter(own.values())).mated]
        everything = np.concatenate(list(groups.values()))
        bins = np.linspace(everything.min(), everything.max() + 1e-9, 61)
        for color, (label, values) in zip(COLORS, groups.items(), strict=False):
            weights = np.full(values.size, 1 / values.size)
            axis.hist(values, bins=bins, weights=weights, histtype="stepfilled", alpha=0.35, color=color, label=label)
        if report.threshold is not None:
            axis.axvline(report.threshold, color="#222", linewidth=1, linestyle=":", label=report.operating_point)
        axis.set(title=name, xlabel="score (higher = more genuine)", ylabel="share")
        axis.legend(fontsize=8)
    return svg(figure, axes)
