"""Likelihood ratio of a person's density and everybody's: GMM-UBM (Reynolds, Quatieri and Dunn 2000, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.schema import Name, require
from edge_sdk.scoring.base import (
    DIGITS,
    Array,
    Comparison,
    ComparisonModel,
    ModelInterface,
    Range,
    Rename,
    Role,
    Score,
    Task,
)
from edge_sdk.scoring.densities.gaussian_mixture import FLOOR, GaussianMixture
from edge_sdk.scoring.densities.stacked_mixtures import StackedMixtures

if TYPE_CHECKING:
    from typing_extensions import Self

FAR = 10.0
"""Standard deviations from everybody, as :meth:`GaussianMixture.distances` has them, from which a row is nobody's.

Out there the ratio says only which of two densities is the wider one, and an adapted mode may be wider than the one it
was adapted from: what resembles no person at all would be accepted.
"""

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class LogLikelihoodRatio(Score, frozen=True, kw_only=True, tag="llr"):
    """Mean over rows, such as the cycles of a walk, of ``log p(x | person) - log p(x | background)``.

    Attributes:
        output: Features, a row each.
        background: The auxiliary file of everybody's density; a person's is adapted from it at enrolment.
        relevance: How many rows of a person weigh as much as what is known of everybody.
        clip: One row's ratio counts from ``-clip`` to ``clip``, so that one bad row does not decide.
        enrolment: Fewest rows that a person is enrolled from; thresholds are measured with as many.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("verify",)
    template_kind: ClassVar[str] = "gaussian_mixture"

    output: Name
    background: Name
    relevance: Positive
    clip: Positive
    enrolment: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1

    @property
    def range(self) -> Range:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return -self.clip, self.clip

    @property
    def least_enrolled(self) -> int:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return self.enrolment

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.output: "features"}

    @property
    def density_outputs(self) -> Mapping[str, str]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.background: self.output}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        require(interface.has_space, "enrolment needs a space id")
        interface.output(self.output, "features")
        interface.auxiliary(self.background)

    def renamed(self, tensors: Rename, files: Rename = str) -> Self:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return msgspec.structs.replace(self, output=tensors(self.output), background=files(self.background))

    def embedding(self, interface: ModelInterface) -> str:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del interface
        return self.output

    def enroll(self, values: npt.NDArray[Any], model: ComparisonModel) -> GaussianMixture:
        """The background adapted to rows ``(T, ..., D)``, in float32 as a template keeps it.

        Raises:
            ScoreError: Rows that are none, not finite, :data:`FAR` from everybody, or of another length.
        """
        background, rows = self._background(model), self._rows(values)
        if (background.distances(rows) >= FAR).any():
            raise ScoreError("features to enrol lie far from those of everybody")
        return background.adapted(rows, self.relevance).rounded()

    def check_content(self, content: GaussianMixture, model: ComparisonModel) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        background = self._background(model)
        if content.means.shape != background.means.shape:
            raise ScoreError(f"{content.means.shape} modes and values, the bundle has {background.means.shape}")
        if (content.variances < 0.99 * FLOOR * background.variances).any():  # 0.99: both are rounded to float32
            raise ScoreError("variances below those that adaptation gives")

    def ratios(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """The ratio of each row of ``(T, ..., D)``, within the clip: ``float64 (T,)``; :data:`FAR` rows count least.

        Raises:
            ScoreError: Rows that are none, not finite, or of another length.
        """
        background, rows = self._background(model), self._rows(values)
        with np.errstate(invalid="ignore"):  # far away both may be minus infinity
            ratios = reference.log_likelihood(rows) - background.log_likelihood(rows)
        ratios[background.distances(rows) >= FAR] = -self.clip
        if np.isnan(ratios).any():
            raise ScoreError("a likelihood ratio is no number")
        return ratios.clip(-self.clip, self.clip)

    def compare(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """The mean ratio of rows ``(T, ..., D)``; the raw score is the same."""
        score = float(self.ratios(reference, values, model).mean().round(DIGITS))
        return Comparison(score, score)

    def compare_rows(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """See :class:`~edge_sdk.scoring.base.Score`: all rows at once."""
        return self.compare(reference, values, model)

    def stacked(self, contents: Sequence[GaussianMixture], model: ComparisonModel) -> StackedMixtures:
        """All people's densities in one matrix."""
        return StackedMixtures(contents, self._background(model), clip=self.clip, far=FAR)

    @property
    def worst(self) -> Comparison:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return Comparison(-self.clip, -self.clip)

    def _background(self, model: ComparisonModel) -> GaussianMixture:
        background = model.densities.get(self.background)
        if background is None:
            raise ScoreError(f"the score needs the density {self.background}, which was not given")
        return background

    def _rows(self, values: npt.NDArray[Any]) -> Array:
        return np.asarray(self.checked(values), np.float64).reshape(-1, values.shape[-1])
