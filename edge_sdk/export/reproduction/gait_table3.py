"""Document 000's table 3, the principal components of the features, and its two figures in their plane.

Figure 1 shows what densities are fitted to: everybody, a user, and everybody else. Figure 2 shows what was fitted:
samples of each model's density of everybody else and of the user. The document draws both for a user at random; here it
is the first one that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.resampling import Interval, draw_subjects, interval
from edge_sdk.export.evaluation.plots import COLORS, save_png
from edge_sdk.export.reproduction.densities import KINDS
from edge_sdk.export.reproduction.gait import GaitRequest, Say, features
from edge_sdk.export.reproduction.gait_table2 import TYPES, Enrolments
from edge_sdk.export.reproduction.tables import ResultTable, shown_interval
from edge_sdk.tables import Table

NAME = "gait-table3"
PRINTED = {
    "singular value": (7076.8780, 5632.2750),
    "explained variance": (500.8270, 317.2283),
    "explained variance ratio": (0.0883, 0.0559),
}
COMPONENTS = 2
DOCUMENT_TOTAL = 5672
"""Total variance of the document's features: a component's variance by its ratio."""
REPLICATES = 100
POINTS = 1500
"""Of a cloud in a figure, at most."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of features.

    Attributes:
        mean: ``(D,)``.
        axes: ``(D, D)``, a direction a row, the one of most variance first.
        variances: ``(D,)``.
        rows: N, how many features there were.
        bounds: 95 % intervals by bootstrap over users: the first variances, then their ratios.
    """

    mean: Array
    axes: Array
    variances: Array
    rows: int
    bounds: tuple[Interval, ...]

    @classmethod
    def fit(cls, features: NDArray[np.float32], users: NDArray[np.str_], *, replicates: int = REPLICATES) -> Components:
        """Of features ``(N, D)`` and whose each is."""
        people, person = np.unique(users, return_inverse=True)
        centre = features.mean(axis=0, dtype=np.float64)  # sums of squares round it keep their digits
        parts = [features[person == k].astype(np.float64) - centre for k in range(len(people))]
        counts = np.array([len(part) for part in parts], np.float64)
        sums = np.stack([part.sum(axis=0) for part in parts])
        squares = np.stack([part.T @ part for part in parts])

        def covariance(weights: Array) -> Array:
            total = weights @ counts
            mean = weights @ sums / total
            found: Array = (np.tensordot(weights, squares, 1) - total * np.outer(mean, mean)) / (total - 1)
            return found

        variances, directions = np.linalg.eigh(covariance(np.ones(len(people))))
        variances, axes = variances[::-1].clip(0), directions.T[::-1]
        resampled = []
        for weights in draw_subjects(len(people), replicates, 0):
            found = np.linalg.eigvalsh(covariance(weights))[::-1]
            resampled.append([*found[:COMPONENTS], *found[:COMPONENTS] / found.sum()])
        exact = [*variances[:COMPONENTS], *variances[:COMPONENTS] / variances.sum()]
        bounds = (interval(float(x), column) for x, column in zip(exact, np.array(resampled).T, strict=True))
        return cls(centre, axes, variances, len(features), tuple(bounds))

    def plane(self, features: NDArray[np.floating]) -> Array:
        """The first two coordinates ``(N, 2)`` of features ``(N, D)``."""
        found: Array = (features - self.mean) @ self.axes[:COMPONENTS].T
        return found


def reproduce(request: GaitRequest, say: Say = print) -> ResultTable:
    """Fit the components, draw both figures into ``out``, and give the table.

    Without ``data`` it has the document's numbers alone. Raises as :func:`~edge_sdk.export.reproduction.gait_table2
    .reproduce`.
    """
    if not request.data:
        return table(None)
    trained = features(request, say)
    found = Components.fit(trained.train.features, trained.train.users)
    enrolments = Enrolments.of(request, trained)
    user = (request.users or trained.users)[0]
    for number, figure in enumerate((data_figure(enrolments, found, user), model_figure(enrolments, found, user, say))):
        path = request.out / f"gait-figure{number + 1}.png"
        save_png(figure, path)
        say(f"drawn: {path}")
    return table(found, trained.name)


def table(found: Components | None, network: str = "") -> ResultTable:
    """Table 3, ours beside the document's."""
    head = ("metric", *(title for k in (1, 2) for title in (f"component {k}: ours", "the paper")))
    ours: dict[str, list[str]] = {name: [""] * COMPONENTS for name in PRINTED}
    notes = ["Ours: features of the walks that were learned from, in brackets 95 % intervals by bootstrap over users."]
    facts: dict[str, object] = {"document": {name: list(values) for name, values in PRINTED.items()}}
    if found is not None:
        singular = np.sqrt(found.variances * (found.rows - 1))
        total = found.variances.sum()
        ours = {
            "singular value": [f"{value:.4f}" for value in singular[:COMPONENTS]],
            "explained variance": [shown_interval(x, 1, 4) for x in found.bounds[:COMPONENTS]],
            "explained variance ratio": [shown_interval(x, 1, 4) for x in found.bounds[COMPONENTS:]],
        }
        shares = np.cumsum(found.variances) / total
        most = ", ".join(f"{share:.0%} in {np.searchsorted(shares, share) + 1}" for share in (0.9, 0.99))
        notes += [
            f"Features: {network}; {found.rows} of {len(found.variances)} values; of their variance {most} components.",
            f"Total variance: ours {total:.4g}, the document's {DOCUMENT_TOTAL}.",
            "A singular value grows with the root of the number of features, of which the document has 100,000.",
        ]
        facts |= {"variances": found.variances.tolist(), "features": found.rows}
    lines = [
        (name, *(cell for pair in zip(ours[name], (f"{x:.4f}" for x in printed), strict=True) for cell in pair))
        for name, printed in PRINTED.items()
    ]
    title = "Principal components of the features (document 000, table 3)"
    return ResultTable(NAME, title, Table(head, lines, text=("metric",)), tuple(notes), facts)


def data_figure(enrolments: Enrolments, components: Components, user: str) -> Figure:
    """Figure 1: everybody, the user, and everybody else, learned from and held out."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    parts = {"learned from": enrolments.trained.train, "held out": enrolments.trained.test}
    for row, (name, walks) in zip(axes, parts.items(), strict=True):
        own = walks.users == user
        everybody = components.plane(walks.features)
        for axis, title, chosen in zip(
            row, ("everybody", user, f"without {user}"), (own | ~own, own, ~own), strict=True
        ):
            _cloud(axis, everybody[chosen], f"{title}, {name}", COLORS[1] if title == user else COLORS[0])
    _label(figure)
    return figure


def model_figure(enrolments: Enrolments, components: Components, user: str, say: Say) -> Figure:
    """Figure 2: samples of each model's density of everybody else and of the user, beside the held-out cycles."""
    projection, test = enrolments.projection, enrolments.trained.test
    back = np.linalg.pinv(projection.matrix)
    figure = Figure(figsize=(3 * (len(KINDS) + 1), 6), layout="constrained")
    axes = figure.subplots(2, len(KINDS) + 1, sharex=True, sharey=True)
    population = np.isin(test.users, enrolments.population(user))
    for axis, chosen, title in zip(axes[:, 0], (population, test.users == user), ("population", user), strict=True):
        _cloud(axis, components.plane(test.features[chosen]), f"{title}, held out", COLORS[0])
    for column, (model, kind) in zip(axes[:, 1:].T, KINDS.items(), strict=True):
        say(f"{user}: drawing {kind.title}")
        for axis, density, name in zip(column, enrolments.densities(model, user), TYPES, strict=True):
            made = density.sample(POINTS, enrolments.request.seed) @ back + projection.mean
            _cloud(axis, components.plane(made), f"{kind.title}, {name}", COLORS[2])
    low, high = np.quantile(components.plane(test.features), [0.001, 0.999], axis=0)
    margin = 0.3 * (high - low)
    axes[0, 0].set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    _label(figure)
    return figure


def _label(figure: Figure) -> None:
    figure.supxlabel("component 1", fontsize=9)
    figure.supylabel("component 2", fontsize=9)


def _cloud(axes: Axes, points: Array, title: str, color: str) -> None:
    """At most :data:`POINTS` of them, evenly through the list."""
    shown = points[:: -(-len(points) // POINTS)] if len(points) else points
    axes.plot(*shown.T, ".", markersize=2, alpha=0.5, color=color)
    axes.set_title(title, fontsize=9)
    axes.grid(visible=True, color="#eee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
