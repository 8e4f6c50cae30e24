"""Likelihood ratio of a person's density and everybody's: GMM-UBM (Reynolds, Quatieri and Dunn 2000, section 2)."""

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
from edge_sdk.scoring.densities.gaussian_mixture import FLOOR, Adapts, GaussianMixture
from edge_sdk.scoring.densities.stacked_mixtures import StackedMixtures
from edge_sdk.scoring.embedding import normalise

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
        background: The auxiliary file of everybody's density.
        prior: The auxiliary file of the density that is adapted to a person at enrolment; None for the background. It
            may have the background's means, and the variances that one person's rows have.
        relevance: How many rows of a person weigh as much as what is known of everybody.
        adapts: What of the density follows a person's rows.
        normalised: Whether every row of D values is scaled to the length sqrt(D) first.
        clip: One row's ratio counts from ``-clip`` to ``clip``, so that one bad row does not decide.
        enrolment: Fewest rows that a person is enrolled from; thresholds are measured with as many.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("verify",)
    template_kind: ClassVar[str] = "gaussian_mixture"

    output: Name
    background: Name
    prior: Name | None = None
    relevance: Positive
    adapts: Adapts = "all"
    normalised: bool = False
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
        return dict.fromkeys(self._files, self.output)

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        require(interface.has_space, "enrolment needs a space id")
        interface.output(self.output, "features")
        for file in self._files:
            interface.auxiliary(file)

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        prior = None if self.prior is None else files(self.prior)
        output, background = tensors(self.output), files(self.background)
        return msgspec.structs.replace(self, output=output, background=background, prior=prior)

    def embedding(self, interface: ModelInterface) -> str:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del interface
        return self.output

    def enroll(self, values: npt.NDArray[Any], model: ComparisonModel) -> GaussianMixture:
        """The prior adapted to rows ``(T, ..., D)``, in float32 as a template keeps it.

        Raises:
            ScoreError: Rows that are none, not finite, :data:`FAR` from everybody, or of another length.
        """
        rows = self.rows(values)
        if (self._density(model).distances(rows) >= FAR).any():
            raise ScoreError("features to enrol lie far from those of everybody")
        return self._prior(model).adapted(rows, self.relevance, adapts=self.adapts).rounded()

    def check_content(self, content: GaussianMixture, model: ComparisonModel) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        prior = self._prior(model)
        if content.means.shape != prior.means.shape:
            raise ScoreError(f"{content.means.shape} modes and values, the bundle has {prior.means.shape}")
        if (content.variances < 0.99 * FLOOR * prior.variances).any():  # 0.99: both are rounded to float32
            raise ScoreError("variances below those that adaptation gives")
        low, high = self._reach(model)
        if (content.means < low).any() or (content.means > high).any():
            raise ScoreError("means that lie farther from everybody than rows that are enrolled")
        kept = self.adapts == "all" or all(
            np.allclose(getattr(content, part), getattr(prior, part), rtol=1e-6, atol=0.0)
            for part in ("weights", "variances")
        )
        if not kept:
            raise ScoreError("weights or variances that adaptation leaves as they are")

    def _reach(self, model: ComparisonModel) -> tuple[Array, Array]:
        """Between which values adapted means lie, ``(D,)`` both: between the prior's and rows that are not FAR."""
        background, prior = self._density(model), self._prior(model)
        farthest = 1.001 * FAR * np.sqrt(background.variances * background.means.shape[1])  # rounded to float32
        low = np.minimum(prior.means, background.means - farthest).min(axis=0)
        high = np.maximum(prior.means, background.means + farthest).max(axis=0)
        return low, high

    def ratios(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """The ratio of each row of ``(T, ..., D)``, within the clip: ``float64 (T,)``; :data:`FAR` rows count least.

        Raises:
            ScoreError: Rows that are none, not finite, or of another length.
        """
        background, rows = self._density(model), self.rows(values)
        return self.bounded(reference.log_likelihood(rows), background.log_likelihood(rows), background.distances(rows))

    def rows(self, values: npt.NDArray[Any]) -> Array:
        """What the densities are of, ``float64 (T, D)``, of features ``(T, ..., D)``.

        Raises:
            ScoreError: Features that are none or not finite; of 0 alone where they are normalised.
        """
        rows = np.asarray(self.checked(values), np.float64).reshape(-1, values.shape[-1])
        return normalise(rows) * np.sqrt(rows.shape[1]) if self.normalised else rows

    def bounded(self, person: Array, everybody: Array, distances: Array) -> Array:
        """The ratio of each row, within the clip, of its log-likelihoods.

        Args:
            person: ``(..., T)``, under one person's density or several people's.
            everybody: ``(T,)``, under the background.
            distances: ``(T,)``, from the background; from :data:`FAR` on the least ratio counts.

        Raises:
            ScoreError: A ratio that is no number.
        """
        with np.errstate(invalid="ignore"):  # far away both may be minus infinity
            ratios = person - everybody
        ratios[..., distances >= FAR] = -self.clip
        if np.isnan(ratios).any():
            raise ScoreError("a likelihood ratio is no number")
        return np.asarray(ratios.clip(-self.clip, self.clip))

    def compare(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """The mean ratio of rows ``(T, ..., D)``; the raw score is the same."""
        score = float(self.ratios(reference, values, model).mean().round(DIGITS))
        return Comparison(score, score)

    def compare_rows(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """See :class:`~edge_sdk.scoring.base.Score`: all rows at once."""
        return self.compare(reference, values, model)

    def stacked(self, contents: Sequence[GaussianMixture], model: ComparisonModel) -> StackedMixtures:
        """All people's densities in one matrix."""
        return StackedMixtures(contents, self._density(model), rows=self.rows, bounded=self.bounded)

    @property
    def worst(self) -> Comparison:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return Comparison(-self.clip, -self.clip)

    @property
    def _files(self) -> tuple[str, ...]:
        return (self.background,) if self.prior is None else (self.background, self.prior)

    def _density(self, model: ComparisonModel) -> GaussianMixture:
        return _named(model, self.background)

    def _prior(self, model: ComparisonModel) -> GaussianMixture:
        return _named(model, self.background if self.prior is None else self.prior)


def _named(model: ComparisonModel, path: str) -> GaussianMixture:
    if path not in model.densities:
        raise ScoreError(f"the score needs the density {path}, which was not given")
    return model.densities[path]
