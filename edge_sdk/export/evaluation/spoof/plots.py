"""A liveness evaluation's curves, distributions and scatter plots, as inline SVG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.verification import Floats
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.plots import COLORS, deviates, error_axes, error_curve, svg
from edge_sdk.export.evaluation.spoof.evaluate import SpoofEvaluation
from edge_sdk.export.evaluation.spoof.projection import Projection
from edge_sdk.export.evaluation.spoof.samples import ScoredSample
from edge_sdk.export.evaluation.spoof.sessions import SessionDecision
from edge_sdk.markup import Html

LIVE = "live"
ROWS = 40
"""Subsets of a data set that are drawn."""
_SCORE = "score (higher = more live)"
_POINTS = 400  # of a curve
_POSES = (10, 20, 30)  # degrees; the thesis' filter keeps the first range
_MARKERS = "os^Dvp*X"


def curves(evaluation: SpoofEvaluation) -> Html:
    """DET, ROC, and precision-recall of finding attacks; a colour for each data set and species."""
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    det, roc, recall = figure.subplots(1, 3)
    for number, (m, scores) in enumerate(zip(evaluation.report.separations, evaluation.scores, strict=True)):
        color = COLORS[number % len(COLORS)]
        apcer, bpcer = error_curve(scores.presented)
        det.plot(deviates(apcer), deviates(bpcer), color=color, linewidth=1.4)
        roc.plot(apcer, 1 - bpcer, color=color, linewidth=1.4, label=f"{m.data}, {m.species}")
        curve = presentation_attack.precision_recall(scores)
        kept = np.unique(np.searchsorted(curve.recall, np.linspace(0, 1, _POINTS)))
        label = f"{100 * m.ratio:.0f} % attacks"
        recall.plot(curve.recall[kept], curve.precision[kept], color=color, linewidth=1.4, label=label)
        recall.axhline(m.ratio, color=color, linewidth=0.8, linestyle=":")
    error_axes(det, roc, "APCER", "BPCER")
    det.tick_params(labelsize=8)  # three panels leave less room than two
    recall.set(xlabel="recall of attacks", ylabel="precision", title="Precision-recall", xlim=(0, 1), ylim=(0, 1.005))
    roc.legend(fontsize=8, loc="lower right")
    recall.legend(fontsize=8, loc="lower left")
    return svg(figure, (det, roc, recall))


def histograms(evaluation: SpoofEvaluation) -> Html:
    """Scores of live faces and of each species, for each data set with scores, on one axis."""
    colors, parts = _colors(evaluation.samples), _parts(evaluation)
    everything = np.array([picture.score for part in parts.values() for picture in part])
    bins = np.linspace(everything.min(), everything.max() + 1e-9, 81)
    figure = Figure(figsize=(10.5, 2.6 * len(parts)), layout="constrained")
    axes = figure.subplots(len(parts), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (data, part) in zip(axes, parts.items(), strict=True):
        for (kind,), values in _scores(part, lambda sample: (_kind(sample),)).items():
            weights, color = np.full(values.size, 1 / values.size), colors[kind]
            axis.hist(values, bins=bins, weights=weights, histtype="stepfilled", alpha=0.4, color=color, label=kind)
        _threshold(axis, evaluation)
        axis.set(title=data, ylabel="share")
        axis.legend(fontsize=8)
    axes[-1].set(xlabel=_SCORE)
    return svg(figure, axes)


def subsets(evaluation: SpoofEvaluation) -> Html:
    """A row for each session and range of head poses: median, middle half and middle 90 % of its scores.

    Empty where the data know neither. Of a data set with too many, the largest :data:`ROWS` are drawn.
    """
    colors, rows = _colors(evaluation.samples), {}
    for data, part in _parts(evaluation).items():
        groups = {
            **_scores(part, lambda sample: sample.session and (sample.session, _kind(sample))),
            **_scores(part, lambda sample: sample.pose and (_turned(max(map(abs, sample.pose))), _kind(sample))),
        }
        largest = sorted(groups, key=lambda key: -groups[key].size)[:ROWS]
        if largest:
            rows[data] = {key: groups[key] for key in sorted(largest)}, len(groups)
    if not rows:
        return Html()
    heights = [0.22 * len(groups) + 0.9 for groups, _ in rows.values()]
    figure = Figure(figsize=(10.5, sum(heights)), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (data, (groups, count)) in zip(axes, rows.items(), strict=True):
        for row, ((_, kind), values) in enumerate(groups.items()):
            low, first, median, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
            axis.plot([low, high], [row, row], color=colors[kind], linewidth=1)
            axis.plot([first, third], [row, row], color=colors[kind], linewidth=5, alpha=0.5, solid_capstyle="butt")
            axis.plot(median, row, color=colors[kind], marker="|", markersize=8, markeredgewidth=2)
        names = [f"{subset}, {kind} ({values.size})" for (subset, kind), values in groups.items()]
        axis.set_yticks(range(len(names)), names, fontsize=8)
        cut = f", the largest {ROWS} of {count}" if count > ROWS else ""
        axis.set(title=data + cut, xlabel=_SCORE, ylim=(len(names) - 0.4, -0.6))
        _threshold(axis, evaluation)
    return svg(figure, axes)


def latents(found: Projection, pictures: Sequence[ScoredSample]) -> Html:
    """Both projections of the pictures; colour: live or species, marker: data set."""
    colors = _colors(pictures)
    names = sorted({picture.sample.dataset for picture in pictures})
    markers = {name: _MARKERS[number % len(_MARKERS)] for number, name in enumerate(names)}
    figure = Figure(figsize=(13, 6), layout="constrained")
    pca, tsne = figure.subplots(1, 2)
    groups = _indices(pictures, lambda sample: (sample.dataset, _kind(sample)))
    for axis, places in ((pca, found.pca), (tsne, found.tsne)):
        for (data, kind), rows in groups.items():
            style = {"s": 14, "alpha": 0.6, "linewidths": 0, "color": colors[kind], "marker": markers[data]}
            axis.scatter(*places[rows].T, label=f"{data}, {kind} ({len(rows)})", **style)
    first, second = (f"component {k + 1} ({100 * share:.0f} %)" for k, share in enumerate(found.explained))
    pca.set(title="First two principal components", xlabel=first, ylabel=second)
    tsne.set(title="t-SNE", xticklabels=[], yticklabels=[])
    pca.legend(fontsize=8)
    return svg(figure, (pca, tsne))


def latency(sessions: Sequence[SessionDecision]) -> Html:
    """After how many frames what share of the recordings was decided, and how; a panel for live people and species."""
    kinds = sorted({session.attack or "" for session in sessions})
    figure = Figure(figsize=(5.2 * len(kinds), 3.4), layout="constrained")
    axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    last = 2 + max((session.after for session in sessions if session.after), default=0)
    for axis, kind in zip(axes, kinds, strict=True):
        own = [session for session in sessions if (session.attack or "") == kind]
        for decision, color in (("live", COLORS[0]), ("spoof", COLORS[1])):
            after = np.array([s.after for s in own if s.decision == decision and s.after], np.int64)
            shares = np.cumsum(np.bincount(after, minlength=last + 1)) / len(own)
            axis.step(range(last + 1), shares, where="post", color=color, label=f"{decision.upper()} ({after.size})")
        title = f"{kind or LIVE}: {len(own)} sessions"
        axis.set(title=title, xlabel="frames", ylabel="share decided", ylim=(-0.02, 1.02), xlim=(0, last))
        axis.legend(fontsize=8, loc="center right")
    return svg(figure, axes)


def _kind(sample: Sample) -> str:
    return sample.attack or LIVE


def _colors(pictures: Iterable[ScoredSample]) -> dict[str, str]:
    species = sorted({picture.sample.attack for picture in pictures if picture.sample.attack})
    return {kind: COLORS[number % len(COLORS)] for number, kind in enumerate((LIVE, *species))}


def _parts(evaluation: SpoofEvaluation) -> dict[str, list[ScoredSample]]:
    """The scored pictures by data set; without those that have none."""
    parts = defaultdict(list)
    for picture in evaluation.samples:
        if picture.scored:
            parts[picture.sample.dataset].append(picture)
    return dict(sorted(parts.items()))


Key = tuple[str, ...]


def _indices(pictures: Sequence[ScoredSample], key: Callable[[Sample], Key | str | None]) -> dict[Key, list[int]]:
    """Indices of the pictures by a key of their samples; without a key they are left out."""
    groups: dict[Key, list[int]] = defaultdict(list)
    for number, picture in enumerate(pictures):
        name = key(picture.sample)
        if isinstance(name, tuple):
            groups[name].append(number)
    return dict(sorted(groups.items()))


def _scores(pictures: Sequence[ScoredSample], key: Callable[[Sample], Key | str | None]) -> dict[Key, Floats]:
    found = _indices(pictures, key)
    return {name: np.array([pictures[row].score for row in rows]) for name, rows in found.items()}


def _turned(degrees: float) -> str:
    """The range of head poses that an angle falls into; the names sort as the angles do."""
    lower = max((edge for edge in (0, *_POSES) if edge <= degrees), default=0)
    upper = next((edge for edge in _POSES if edge > degrees), None)
    return f"pose {lower:02}-{upper} deg" if upper else f"pose {lower} deg and more"


def _threshold(axis: Axes, evaluation: SpoofEvaluation) -> None:
    report = evaluation.report
    if report.threshold is not None:
        axis.axvline(report.threshold, color="#222", linewidth=1, linestyle=":", label=report.operating_point)
