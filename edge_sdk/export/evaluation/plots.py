"""What figures share: colours, the axes of error curves, inline SVG and PNG files."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from statistics import NormalDist

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from edge_sdk import files
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet
from edge_sdk.markup import Html

COLORS = ("#1b5e8c", "#c2571a", "#3d7a3a", "#7b4b94", "#8a6d1d", "#2a9d8f", "#b5316b", "#444444")
_POINTS = 400  # of a curve: more make no difference on a screen
_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def error_axes(det: Axes, roc: Axes, accepted: str, rejected: str) -> None:
    """Scale and name both axes of each; `accepted` and `rejected` are the error rates, such as FMR and FNMR."""
    places = deviates(np.array(_TICKS))
    for axis in (det.xaxis, det.yaxis):
        axis.set_ticks(places, [f"{100 * tick:.3g} %" for tick in _TICKS])
    limits = deviates(np.array([0.0005, 0.9]))
    det.set(xlabel=accepted, ylabel=rejected, title="DET", xlim=limits, ylim=limits)
    det.plot(limits, limits, color="#bbb", linewidth=0.8)
    roc.set(xlabel=accepted, ylabel=f"1 - {rejected}", title="ROC", xlim=(0, 1), ylim=(0, 1.005))


def error_curve(scores: ScoreSet) -> tuple[Floats, Floats]:
    """(FMR, FNMR) at few enough points to draw, dense where FMR is small."""
    curve = verification.det_curve(scores)
    wanted = np.concatenate([np.linspace(1, 0, _POINTS // 2), np.logspace(0, -4, _POINTS // 2)])
    by_fmr = np.searchsorted(-curve.fmr, -wanted)
    by_fnmr = np.searchsorted(curve.fnmr, wanted)
    kept = np.unique(np.concatenate([by_fmr, by_fnmr, [0, curve.fmr.size - 1]]).clip(0, curve.fmr.size - 1))
    return curve.fmr[kept], curve.fnmr[kept]


def deviates(rates: Floats) -> Floats:
    """Where rates lie on the axes of a DET curve."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse(rate) for rate in np.clip(rates, 1e-5, 1 - 1e-5)])


def svg(figure: Figure, axes: Iterable[Axes]) -> Html:
    """The figure as an element; the same figure gives the same bytes."""
    for axis in axes:
        axis.grid(visible=True, color="#eee", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name with two dollar signs is no formula
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "edge-sdk", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    document = buffer.getvalue()
    return Html(document[document.index("<svg") :])


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG file, whole or not at all; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
