"""Document 000's table 2: how likely densities find cycles of the population, of their user, and of nobody.

Each user is enrolled once. The document's population is everybody else, a fit for every user and model; here users are
dealt to folds, and the population of a user is everybody in the other folds, a fit for every fold and model. With as
many folds as users the two are the same. Features are projected to their first principal components of all walks that
were learned from, each of unit variance: they are nearly constant in many dimensions.

What was measured of a user lies in ``OUT/densities``, under a digest of all that it depends on, a file for each user
and model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.calibration.metrics.resampling import Interval, draw_subjects, interval
from edge_sdk.errors import UsageError
from edge_sdk.export.networks.projection import FeatureProjection, fit_projection
from edge_sdk.export.reproduction.densities import KINDS, Density, FitRows
from edge_sdk.export.reproduction.gait import HELD_OUT, GaitRequest, Say, TrainedNetwork, Walks, features
from edge_sdk.export.reproduction.tables import ResultTable, shown_interval
from edge_sdk.tables import Table

NAME = "gait-table2"
DIMS = 32
SOURCES = ("population", "user", "sinusoid")
PRINTED: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "gmm": ((1568.9, 1701.2, -713.1), (1568.7, 1717.3, -711.4)),
    "maf": ((1650.1, 1758.9, -701.3), (1658.4, 1788.9, -695.2)),
    "glow": ((1788.4, 1832.1, -675.8), (1786.3, 1856.3, -675.1)),
    "realnvp": ((1723.5, 1801.6, -651.5), (1721.6, 1862.1, -653.3)),
}
"""By model: of :data:`SOURCES` under the population's density, then under the user's."""
TYPES = ("population", "user adapted")
SINUSOIDS = 1000
REPLICATES = 1000
MAX_BYTES = 2**20

Array = NDArray[np.float64]


class UserLikelihoods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean log-likelihoods of :data:`SOURCES` with one user enrolled, all of walks that were held out.

    Attributes:
        model: A name of :data:`~edge_sdk.export.reproduction.densities.KINDS`.
        population, adapted: Under everybody's density, and under the user's.
    """

    user: str
    model: str
    population: tuple[float, ...]
    adapted: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Enrolments:
    """Everything that densities are fitted and measured on.

    Attributes:
        folder: Of this network's densities.
    """

    request: GaitRequest
    trained: TrainedNetwork
    folder: Path

    @classmethod
    def of(cls, request: GaitRequest, trained: TrainedNetwork) -> Enrolments:
        """The folder is named after the weights and settings."""
        if not 2 <= request.folds <= len(trained.users):
            raise UsageError(f"{len(trained.users)} users are dealt to 2 folds or more, not to {request.folds}")
        if unknown := sorted(set(request.users).difference(trained.users)):
            raise UsageError(f"no such user: {', '.join(unknown)}; they are {', '.join(trained.users)}")
        facts = [request.folds, request.seed, request.tiny, DIMS, list(trained.users), len(trained.train.users)]
        digest = hashlib.sha256(json.dumps(facts).encode() + trained.weights.read_bytes()).hexdigest()
        return cls(request, trained, request.out / "densities" / digest[:16])

    @cached_property
    def projection(self) -> FeatureProjection:
        """Of the features of all walks that were learned from."""
        walks = self.trained.train
        return fit_projection(walks.features, walks.users.tolist(), "pca", DIMS)

    @cached_property
    def sinusoids(self) -> Array:
        """Of as many cycles that nobody walks."""
        made = sinusoids(SINUSOIDS, self.request.seed)
        with torch.no_grad():
            features = self.trained.network.features(torch.from_numpy(made)).numpy()
        return self.projection.apply(features)

    def fold(self, user: str) -> int:
        """Which fold a user is in, from 0; every one has users from all over the list."""
        return self.trained.users.index(user) % self.request.folds

    def rows(self, walks: Walks, users: Sequence[str]) -> Array:
        """Of some users."""
        return self.projection.apply(walks.features[np.isin(walks.users, users)])

    def fitted(self, users: Sequence[str]) -> FitRows:
        """The walks that were learned from; one of five shows when to stop."""
        walks = self.trained.train
        kept = [np.unique(walks.walks[walks.users == user])[HELD_OUT // 2 :: HELD_OUT] for user in users]
        stop = np.isin(walks.walks, np.concatenate(kept))
        return FitRows(self.rows(walks.of(~stop), users), self.rows(walks.of(stop), users))

    def population(self, user: str) -> list[str]:
        """The users in other folds."""
        return [other for other in self.trained.users if self.fold(other) != self.fold(user)]

    def everybody(self, model: str, user: str) -> Density:
        """The density of a user's population, read if it was fitted before."""
        request, kind = self.request, KINDS[model]
        path = self.folder / f"{model}-fold{self.fold(user) + 1}{kind.suffix}"
        if path.exists():
            return kind.read(path, self.projection.dims, seed=request.seed, tiny=request.tiny)
        found = kind.fit(self.fitted(self.population(user)), seed=request.seed, tiny=request.tiny)
        found.write(path)
        return found

    def densities(self, model: str, user: str) -> tuple[Density, Density]:
        """Everybody's and the user's."""
        everybody = self.everybody(model, user)
        return everybody, everybody.adapted(self.fitted([user]), self.fitted(self.population(user)))

    def measured(self, model: str, user: str) -> UserLikelihoods:
        """Of a user, read if it was measured before."""
        path = self.folder / f"{model}-{user.replace('/', '-')}.json"
        if path.exists():
            return msgspec.json.decode(files.read_bytes(path, MAX_BYTES), type=UserLikelihoods)
        test = self.trained.test
        sources = self.rows(test, self.population(user)), self.rows(test, [user]), self.sinusoids
        population, adapted = (
            tuple(float(density.log_likelihood(rows).mean()) for rows in sources)
            for density in self.densities(model, user)
        )
        found = UserLikelihoods(user, model, population, adapted)
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
        return found


def reproduce(request: GaitRequest, say: Say = print) -> ResultTable:
    """Enrol users, unless that is done, and give the table of those who are asked for.

    Without ``data`` it has the document's numbers alone.

    Raises:
        UsageError: An unknown user, or a number of folds that there are not enough users for.
        DatasetError, TrainingError: As :func:`~edge_sdk.export.reproduction.gait.train` does.
    """
    if not request.data:
        return table(())
    enrolments = Enrolments.of(request, features(request, say))
    users = request.users or enrolments.trained.users
    found = []
    for number, user in enumerate(users, start=1):
        for model, kind in KINDS.items():
            say(f"{user}: {kind.title}, user {number} of {len(users)}")
            found.append(enrolments.measured(model, user))
    return table(found, enrolments.trained.name)


def sinusoids(count: int, seed: int) -> NDArray[np.float32]:
    """Cycles ``(count, 4, 100)`` of random sinusoids in three axes, and their magnitude.

    The document says no more than that. Here an axis has an amplitude of up to 1, the mean magnitude of a walk, and one
    to ten periods.
    """
    rng = np.random.default_rng(seed)
    shape = count, 3, 1
    amplitude, periods, phase = rng.uniform(0, 1, shape), rng.uniform(1, 10, shape), rng.uniform(0, 2 * np.pi, shape)
    axes = amplitude * np.sin(2 * np.pi * periods * np.arange(100) / 100 + phase)
    return np.concatenate([axes, np.linalg.norm(axes, axis=1, keepdims=True)], axis=1).astype(np.float32)


def table(measured: Sequence[UserLikelihoods], network: str = "") -> ResultTable:
    """Table 2, ours and the document's side by side, and which of its orderings hold."""
    head = ("model", "type", *(title for source in SOURCES for title in (f"{source}: ours", "the paper")))
    lines = []
    for model, kind in KINDS.items():
        own = [one for one in measured if one.model == model]
        for place, name in enumerate(TYPES):
            values = [(one.population, one.adapted)[place] for one in own]
            cells = [
                cell
                for source in range(len(SOURCES))
                for cell in (
                    shown_interval(_mean([value[source] for value in values]), 1, 1) if len(values) > 1 else "",
                    f"{PRINTED[model][place][source]:.1f}",
                )
            ]
            lines.append((kind.title, name, *cells))
    users = sorted({one.user for one in measured})
    return ResultTable(
        NAME,
        "Mean log-likelihood of held-out cycles (document 000, table 2)",
        Table(head, lines, text=("model", "type")),
        (
            *([f"Features: {network}."] if measured else []),
            f"Ours: {len(users)} users, each enrolled once, in brackets 95 % intervals by bootstrap over them.",
            f"Ours is of {DIMS} whitened components, the document's of 512 features: compare orderings, not values.",
            *orderings(measured),
        ),
        {"rows": msgspec.to_builtins(measured), "document": msgspec.to_builtins(PRINTED)},
    )


def orderings(measured: Sequence[UserLikelihoods]) -> tuple[str, ...]:
    """What the document concludes from its table, and whether it holds here: an interval on one side of 0."""
    by_model = {model: [one for one in measured if one.model == model] for model in KINDS}
    found = []
    for model, own in by_model.items():
        if len(own) < 2:
            continue
        population, adapted = PRINTED[model]
        for source in (1, 0):
            ours = _mean([one.adapted[source] - one.population[source] for one in own])
            what = f"{KINDS[model].title}: user adapted minus population, on the {SOURCES[source]}'s cycles"
            found.append(_ordering(what, ours, adapted[source] - population[source]))
    for model, own in by_model.items():
        base = {one.user: one for one in by_model["gmm"]}
        if model == "gmm" or len(own) < 2 or not {one.user for one in own} <= base.keys():
            continue
        for source in (0, 1):
            ours = _mean([one.population[source] - base[one.user].population[source] for one in own])
            what = f"{KINDS[model].title} minus GMM, population's density on the {SOURCES[source]}'s cycles"
            found.append(_ordering(what, ours, PRINTED[model][0][source] - PRINTED["gmm"][0][source]))
    return tuple(found)


def _ordering(what: str, ours: Interval, printed: float) -> str:
    if ours.low <= 0 <= ours.high:
        verdict = "undecided here"
    else:
        verdict = "as in the document" if (ours.value > 0) == (printed > 0) else "the other way round"
    return f"{what}: {shown_interval(ours, 1, 2)}, in the document {printed:+.1f}: {verdict}."


def _mean(values: Sequence[float]) -> Interval:
    """With its interval by bootstrap over users."""
    own = np.array(values)
    return interval(float(own.mean()), draw_subjects(len(own), REPLICATES, 0) @ own / len(own))
