"""One-class scores fitted to the very camera that is measured: each person by the live faces of all others.

A density of live faces is worth something before the camera, and in the place, of those faces alone. So each data set
counts as one camera in one place. Its densities are fitted anew (:meth:`edge_sdk.scoring.base.Score.refitted`, as
``edge-sdk calibrate --live`` does) to the live faces of all people but one, and that one's live faces and attacks are
scored: no score has seen its person. Rendered attacks belong to the data set whose faces they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.export.data.load import before_rendering
from edge_sdk.export.evaluation.spoof.samples import ScoredSample
from edge_sdk.runtime.engines import Tensors
from edge_sdk.scoring.base import Score
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

LEAST = 50
"""Live pictures of others that a density is fitted to, as ``calibrate --live`` asks for."""


def rescored(
    pictures: Sequence[ScoredSample], score: Score, densities: Mapping[str, GaussianMixture]
) -> tuple[ScoredSample, ...]:
    """The same pictures, in their order, with scores of densities that lack their person.

    Args:
        pictures: With the tensors of ``score.outputs``, where they have a score.
        densities: The bundle's own, by path.

    Raises:
        UsageError: The score has no density, or there are fewer than :data:`LEAST` live pictures of others.
    """
    if not score.density_outputs:
        raise UsageError(f"the score {score.kind} has no density that could be fitted without a person")
    cameras = [before_rendering(one.sample.dataset) or one.sample.dataset for one in pictures]
    found = list(pictures)
    scored = np.array([one.scored for one in pictures])
    live = scored & np.array([one.sample.genuine for one in pictures])
    for camera in sorted(set(cameras)):
        here = np.array([name == camera for name in cameras])
        people = np.array([one.sample.subject for one in pictures])
        for person in np.unique(people[here & scored]).tolist():
            others = np.flatnonzero(here & live & (people != person))
            if others.size < LEAST:
                raise UsageError(
                    f"{camera}: {others.size} live pictures of others than {person} are too few to fit a density to; "
                    f"give at least {LEAST}, and the live faces that attacks were rendered of"
                )
            fitted, anew = score.refitted(_tensors(pictures, others), densities)
            own = np.flatnonzero(here & scored & (people == person))
            for number, value in zip(own.tolist(), fitted.score(_tensors(pictures, own), anew), strict=True):
                found[number] = replace(pictures[number], score=float(value))
    return tuple(found)


def _tensors(pictures: Sequence[ScoredSample], chosen: NDArray[np.intp]) -> Tensors:
    rows = [pictures[number].tensors for number in chosen.tolist()]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
