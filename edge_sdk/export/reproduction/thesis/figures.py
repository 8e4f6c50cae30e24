"""The anti-spoofing thesis' figures: distributions, precision-recall curves, latents, and reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.verification import Floats
from edge_sdk.export.evaluation.plots import COLORS, error_curve
from edge_sdk.export.evaluation.spoof.projection import POINTS, project
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.export.networks.autoencoder import RECONSTRUCTION
from edge_sdk.export.reproduction.thesis.experiments import ThesisPictures, evenly
from edge_sdk.export.reproduction.thesis.networks import ThesisNetwork

SHOWN = 4
"""Pictures of a subset in a figure of reconstructions."""
_BINS = 60
_TAIL = 0.005
"""Share of all values at either end that a histogram leaves out: one far picture would squeeze all others."""


def distributions(title: str, values: Mapping[str, Floats], pictures: ThesisPictures) -> Figure:
    """A panel for each of ``values``, ``(N,)`` of the tested pictures; in it a line for each subset."""
    figure = Figure(figsize=(5 * len(values), 4), layout="constrained")
    axes = figure.subplots(1, len(values), squeeze=False)[0]
    for axis, (name, losses) in zip(axes, values.items(), strict=True):
        low, high = np.quantile(losses, [_TAIL, 1 - _TAIL]).tolist()
        bins = np.linspace(low, high, _BINS + 1)
        for subset, color in _colors(pictures):
            own = losses[pictures.subsets == subset]
            style = {"histtype": "step", "linewidth": 1.4, "linestyle": _line(subset), "color": color}
            axis.hist(own, bins=bins, weights=np.full(own.size, 1 / own.size), label=f"{subset} ({own.size})", **style)
        axis.set(xlabel=name, ylabel="share")
    _legend(figure, axes[0], 3 * len(values))
    return _finished(figure, title, axes)


def precision_recall(title: str, panels: Mapping[str, Mapping[str, AttackScores]]) -> Figure:
    """Finding attacks: a panel for each of ``panels``, in it a curve for each of its scores, and chance, dotted."""
    figure = Figure(figsize=(5.5 * len(panels), 4.4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, curves) in zip(axes, panels.items(), strict=True):
        for (label, scores), color in zip(curves.items(), COLORS, strict=False):
            curve = presentation_attack.precision_recall(scores)
            axis.plot(curve.recall[1:], curve.precision[1:], color=color, linewidth=1.4, label=label)
            axis.axhline(curve.ratio, color=color, linewidth=0.8, linestyle=":")
        axis.set(xlabel="recall of attacks", ylabel="precision", title=name, xlim=(0, 1), ylim=(0, 1.02))
        axis.legend(fontsize=8, loc="lower left")
    return _finished(figure, title, axes)


def roc(title: str, curves: Mapping[str, AttackScores]) -> Figure:
    """Attacks found against live pictures taken for attacks, a curve for each of ``curves``."""
    figure = Figure(figsize=(5.5, 4.8), layout="constrained")
    axis = figure.subplots()
    for (label, scores), color in zip(curves.items(), COLORS, strict=False):
        apcer, bpcer = error_curve(scores.presented)
        area = float(scores.presented.curves().auroc())
        axis.plot(bpcer, 1 - apcer, color=color, linewidth=1.4, label=f"{label}: AUC {area:.3f}")
    axis.plot([0, 1], [0, 1], color="#bbb", linewidth=0.8)
    axis.set(xlabel="live pictures taken for attacks", ylabel="attacks found", xlim=(0, 1), ylim=(0, 1.005))
    axis.legend(fontsize=8, loc="lower right")
    return _finished(figure, title, [axis])


def latents(title: str, points: Floats, pictures: ThesisPictures, seed: int) -> Figure | None:
    """Principal components and t-SNE, in place of the thesis' UMAP, of as many pictures of each subset.

    None where the latents of all pictures are equal.
    """
    each = POINTS // len(pictures.names)
    rows = [row for name in pictures.names for row in evenly(np.flatnonzero(pictures.subsets == name).tolist(), each)]
    found = project(points[rows].astype(np.float32), seed)
    if found is None:
        return None
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, places in zip(axes, (found.pca, found.tsne), strict=True):
        for subset, color in _colors(pictures):
            own = places[pictures.subsets[rows] == subset]
            axis.plot(*own.T, _marker(subset), markersize=3, alpha=0.6, color=color, label=subset)
    first, second = (f"component {k + 1} ({share:.0%} of the variance)" for k, share in enumerate(found.explained))
    axes[0].set(xlabel=first, ylabel=second, title="First two principal components")
    axes[1].set(title="t-SNE", xticklabels=[], yticklabels=[])
    _legend(figure, axes[0], 6)
    return _finished(figure, title, axes)


def reconstructions(
    title: str, trained: ThesisNetwork, pictures: ThesisPictures, losses: Floats | None = None
) -> Figure:
    """Some pictures of each subset, what the network made of each beside it, and its loss below."""
    chosen = {name: _various(pictures, name) for name in pictures.names}
    figure = Figure(figsize=(2.3 * SHOWN, 1.45 * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), 2 * SHOWN, squeeze=False)
    for row, (name, numbers) in zip(axes, chosen.items(), strict=True):
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        shown = next(trained.outputs([pictures.tested[number] for number in numbers], [RECONSTRUCTION]))
        for place, number in enumerate(numbers):
            for axis, picture in zip(row[2 * place :], (shown[INPUT], shown[RECONSTRUCTION]), strict=False):
                axis.imshow(picture[place, 0], cmap="gray", vmin=0, vmax=1)
            if losses is not None:
                row[2 * place + 1].set_xlabel(f"{losses[number]:.5g}", fontsize=7)
        row[0].set_ylabel(name.replace(" ", "\n"), fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure


def _various(pictures: ThesisPictures, name: str) -> list[int]:
    """Numbers of some pictures of a subset, of different people as far as there are."""
    rows = np.flatnonzero(pictures.subsets == name).tolist()
    by_person: dict[str, list[int]] = {}
    for row in rows:
        by_person.setdefault(pictures.tested[row].subject, []).append(row)
    middles = [own[len(own) // 2] for own in by_person.values()]
    return evenly(middles if len(middles) >= SHOWN else rows, SHOWN)


def _colors(pictures: ThesisPictures) -> list[tuple[str, str]]:
    return [(name, COLORS[number % len(COLORS)]) for number, name in enumerate(pictures.names)]


def _line(subset: str) -> str:
    return "--" if subset.startswith("unseen") else "-"


def _marker(subset: str) -> str:
    return "^" if subset.startswith("unseen") else "o"


def _legend(figure: Figure, axis: Axes, columns: int) -> None:
    """Of one panel for all, below them, where it hides nothing."""
    figure.legend(*axis.get_legend_handles_labels(), fontsize=7, loc="outside lower center", ncols=columns)


def _finished(figure: Figure, title: str, axes: Sequence[Axes] | NDArray[np.object_]) -> Figure:
    for axis in axes:
        axis.grid(visible=True, color="#eee", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure
