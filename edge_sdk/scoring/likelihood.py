"""Likelihood ratio of a person's density and everybody's: GMM-UBM (Reynolds, Quatieri and Dunn 2000, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError, UsageError
from edge_sdk.schema import Name, require
from edge_sdk.scoring.base import DIGITS, Comparison, ComparisonModel, ModelInterface, Rename, Role, Score, Task
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self


class LogLikelihoodRatio(Score, frozen=True, kw_only=True, tag="log_likelihood_ratio"):
    """Mean over windows of ``log p(x | person) - log p(x | background)``.

    The background density is the auxiliary file ``background``; the person's is adapted from it at enrolment by
    ``map`` (GMM-UBM relevance MAP) or ``flow`` (a normalising flow, which no device runs yet).
    """

    tasks: ClassVar[tuple[Task, ...]] = ("verify",)
    template_kind: ClassVar[str] = "gaussian_mixture"

    output: Name
    background: Name
    adaptation: Literal["map", "flow"]

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.output: "features" if self.adaptation == "map" else "log_likelihood"}

    @property
    def density_outputs(self) -> Mapping[str, str]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.background: self.output} if self.adaptation == "map" else {}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        require(interface.has_space, "enrolment needs a space id")
        interface.output(self.output, "features", "log_likelihood")
        interface.auxiliary(self.background)

    def renamed(self, tensors: Rename, files: Rename = str) -> Self:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return msgspec.structs.replace(self, output=tensors(self.output), background=files(self.background))

    def embedding(self, interface: ModelInterface) -> str:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del interface
        return self.output

    def enroll(self, values: npt.NDArray[Any], model: ComparisonModel) -> GaussianMixture:
        """Adapting a person's density on the device is not there yet: UsageError."""
        del values, model
        raise UsageError(f"a density is not adapted ({self.adaptation}) here: give a template that holds one")

    def compare(self, reference: GaussianMixture, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """Features ``(..., D)``, a window or a time step each."""
        background = model.densities.get(self.background)
        if background is None:
            raise ScoreError(f"the score needs the density {self.background}, which was not given")
        features = np.asarray(self.checked(values), np.float64).reshape(-1, values.shape[-1])
        ratio = reference.log_likelihood(features) - background.log_likelihood(features)
        score = float(ratio.mean().round(DIGITS))
        return Comparison(score, score)
