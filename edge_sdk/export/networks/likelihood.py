"""How people are compared by densities of their features: the settings that a recipe gives.

Relevance, clip and the like are the score's own (:class:`edge_sdk.scoring.likelihood.LogLikelihoodRatio`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from edge_sdk.calibration.metrics.groups import COUNTS, RowCounts
from edge_sdk.errors import UsageError
from edge_sdk.export.networks.flows import FLOWS
from edge_sdk.export.networks.projection import FLOOR, MOST_DIMS, PROJECTIONS


@dataclass(frozen=True)
class LikelihoodSettings:
    """What is fitted on the features of the training people, and what thresholds hold for.

    Attributes:
        projection: A kind of :data:`edge_sdk.export.networks.projection.PROJECTIONS`.
        dims: Of the density, at most.
        projection_floor: See :func:`edge_sdk.export.networks.projection.fit_projection`.
        flow: A kind of :data:`edge_sdk.export.networks.flows.FLOWS` between projection and densities, which makes a
            second graph; None for none.
        modes: Of the background's Gaussian mixture.
        variance_floor: Added to the variances of modes, as a share of the mean variance.
        row: What one row of a sample is called, in the plural.
        protocols: Rows of an enrolment and of a test: those that thresholds are measured with, then further ones for
            the tables of the test people.
    """

    projection: str = "within"
    dims: int = MOST_DIMS
    projection_floor: float = FLOOR
    flow: str | None = None
    modes: int = 1
    variance_floor: float = 0.01
    row: str = "cycles"
    protocols: tuple[RowCounts, ...] = COUNTS

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise UsageError(f'no projection "{self.projection}"; choose from {", ".join(PROJECTIONS)}')
        if self.flow is not None and self.flow not in FLOWS:
            raise UsageError(f'no flow "{self.flow}"; choose from {", ".join(FLOWS)}')
        floors = self.projection_floor, self.variance_floor
        if not 1 <= self.dims <= MOST_DIMS or not 0 < min(floors) <= max(floors) <= 1:
            raise UsageError(
                f"a density is over 1 to {MOST_DIMS} dims with floors in (0, 1], not {self.dims} and {floors}"
            )
        if not self.protocols or min(self.modes, *itertools.chain(*self.protocols)) < 1:
            raise UsageError(f"modes and rows are counted from 1, not {self.modes} and {self.protocols}")
