"""Several scores of one sample made into one."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
import numpy as np

from edge_sdk.schema import Strict, require
from edge_sdk.scoring.base import Array, Mask, ModelInterface, Range, Rename, Role, Score, Task, Tensors, rows
from edge_sdk.scoring.decision_head import DecisionHead
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.latent import LatentDistance, LatentLikelihood
from edge_sdk.scoring.reconstruction import Reconstruction
from edge_sdk.scoring.variational import EvidenceLowerBound, KlDivergence

if TYPE_CHECKING:
    from typing_extensions import Self

Single = DecisionHead | Reconstruction | LatentDistance | LatentLikelihood | KlDivergence | EvidenceLowerBound
"""The scores of one sample, which can be fused."""

UNFAMILIAR_CAMERA = 0.1
"""Share of a camera's live captures that no expert knows, above which the camera is new to all."""

Weight = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class Domain(Strict, frozen=True, kw_only=True):
    """The samples that an expert knows: those like what it was trained on.

    Attributes:
        likelihood: Of the expert's features, under a density of those of its training.
        least: Of samples that it knows.
    """

    likelihood: LatentLikelihood
    least: Weight

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """The same domain of tensors and a density of other names."""
        return msgspec.structs.replace(self, likelihood=self.likelihood.renamed(tensors, files))

    def widened(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> "Self":
        """The domain that also holds 19 in 20 of the samples."""
        likely = self.likelihood.score(tensors, densities)
        return msgspec.structs.replace(self, least=min(self.least, float(np.quantile(likely, 0.05))))

    def knows(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Mask:
        """``(N,)``."""
        known: Mask = self.likelihood.score(tensors, densities) >= self.least
        return known


Members = Annotated[tuple[Single, ...], msgspec.Meta(max_length=64)]
Weights = Annotated[tuple[Weight, ...], msgspec.Meta(max_length=64)]
Domains = Annotated[tuple[Domain | None, ...], msgspec.Meta(max_length=64)]


class _Fused(Score, frozen=True, kw_only=True):
    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    @property
    def _parts(self) -> tuple[Score, ...]:
        """Every score that this one asks."""
        return self.members

    @property
    def one_class(self) -> bool:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return any(member.one_class for member in self.members)

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {name: role for part in self._parts for name, role in part.roles.items()}

    @property
    def density_outputs(self) -> Mapping[str, str]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {path: output for part in self._parts for path, output in part.density_outputs.items()}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        for part in self._parts:
            part.check(interface, task)

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return msgspec.structs.replace(self, members=tuple(one.renamed(tensors, files) for one in self.members))

    def refitted(
        self, tensors: Tensors, densities: Mapping[str, GaussianMixture]
    ) -> "tuple[Self, dict[str, GaussianMixture]]":
        """See :class:`~edge_sdk.scoring.base.Score`; the members' densities alone."""
        found: dict[str, GaussianMixture] = {}
        for member in self.members:
            found |= member.refitted(tensors, densities)[1]
        return self, found

    def _moved(self, before: Mapping[str, GaussianMixture], after: Mapping[str, GaussianMixture]) -> list[float]:
        """What each member loses when its density is another one: a log-likelihood has no scale of its own."""
        return [member.level(before) - member.level({**before, **after}) for member in self.members]

    def _columns(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        """``(K, N)``, a member a row."""
        return np.stack([member.score(tensors, densities) for member in self.members])


class Fusion(_Fused, frozen=True, kw_only=True, tag="fusion"):
    """``bias + sum(weights[i] * members[i])``."""

    members: Members
    weights: Weights
    bias: Weight = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.members) == len(self.weights) > 0, "a fusion needs one weight per member")
        require(all(map(math.isfinite, self.weights)) and any(self.weights), "weights must be finite and not all zero")

    @property
    def range(self) -> Range:
        """The sum of the members' ranges, each as its weight stretches and turns it."""
        ranges = [_weighted(one, weight) for one, weight in zip(self.members, self.weights, strict=True)]
        return self.bias + sum(low for low, _ in ranges), self.bias + sum(high for _, high in ranges)

    def refitted(
        self, tensors: Tensors, densities: Mapping[str, GaussianMixture]
    ) -> "tuple[Self, dict[str, GaussianMixture]]":
        """See :class:`~edge_sdk.scoring.base.Score`; the bias makes up for the levels of other densities."""
        _, found = super().refitted(tensors, densities)
        bias = self.bias + float(np.dot(self.weights, self._moved(densities, found)))
        return msgspec.structs.replace(self, bias=bias), found

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        found: Array = self.bias + np.asarray(self.weights) @ self._columns(tensors, densities)
        return found


class Lowest(_Fused, frozen=True, kw_only=True, tag="lowest"):
    """``min(weights[i] * members[i] + biases[i])``: of experts of different attacks, each must call a picture live.

    An expert with a domain abstains from what lies outside it: the lowest is then of the others. Where all abstain the
    sample is :meth:`~edge_sdk.scoring.base.Score.unfamiliar`, and the lowest is of all.

    Attributes:
        domains: One a member, None of an expert that never abstains; empty if none does.
    """

    members: Members
    weights: Weights
    biases: Weights
    domains: Domains = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = len(self.members), len(self.weights), len(self.biases)
        require(min(counts) == max(counts) > 1, "the lowest takes two members or more, and a weight and bias of each")
        require(all(map(math.isfinite, self.biases)), "biases must be finite")
        require(all(0 < weight < math.inf for weight in self.weights), "weights must be finite and positive")
        require(len(self.domains) in (0, len(self.members)), "the lowest takes a domain of each member, or none at all")

    @property
    def range(self) -> Range:
        """The lowest of the members' lower ends, and of the upper ones of those that always speak."""
        ranges = [_weighted(one, weight) for one, weight in zip(self.members, self.weights, strict=True)]
        moved = [(low + bias, high + bias) for (low, high), bias in zip(ranges, self.biases, strict=True)]
        domains = self.domains or (None,) * len(moved)
        always = [high for (_, high), domain in zip(moved, domains, strict=True) if domain is None]
        return min(low for low, _ in moved), min(always) if always else max(high for _, high in moved)

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        domains = tuple(one and one.renamed(tensors, files) for one in self.domains)
        return msgspec.structs.replace(super().renamed(tensors, files), domains=domains)

    def unfamiliar(self, tensors: Tensors, densities: Mapping[str, GaussianMixture] | None = None) -> Mask:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        if not self.domains or None in self.domains:
            return super().unfamiliar(tensors, densities)
        return np.asarray(~self._known(tensors, densities or {}).any(axis=1), np.bool_)

    @property
    def _parts(self) -> tuple[Score, ...]:
        return *self.members, *(domain.likelihood for domain in self.domains if domain)

    def refitted(
        self, tensors: Tensors, densities: Mapping[str, GaussianMixture]
    ) -> "tuple[Self, dict[str, GaussianMixture]]":
        """See :class:`~edge_sdk.scoring.base.Score`; biases make up for the levels of other densities.

        Domains stay: what an expert has learned of attacks holds for cameras like those of its training. Where no
        expert knows the camera, all of them have to speak, and each domain is widened to 19 in 20 of the captures.
        """
        _, found = super().refitted(tensors, densities)
        moved = np.multiply(self.weights, self._moved(densities, found))
        domains = self.domains
        if np.mean(self.unfamiliar(tensors, densities)) > UNFAMILIAR_CAMERA:
            domains = tuple(one and one.widened(tensors, densities) for one in domains)
        biases = tuple((self.biases + moved).tolist())
        return msgspec.structs.replace(self, biases=biases, domains=domains), found

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        odds = self._columns(tensors, densities).T * self.weights + self.biases
        if self.domains:
            known = self._known(tensors, densities)
            odds = np.where(known | ~known.any(axis=1, keepdims=True), odds, np.inf)
        found: Array = odds.min(axis=1)
        return found

    def _known(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Mask:
        """``(N, K)``: which samples each member does not abstain from."""
        count = len(rows(tensors, self.outputs[0]))
        columns = [one.knows(tensors, densities) if one else np.ones(count, np.bool_) for one in self.domains]
        return np.stack(columns, axis=1)


def _weighted(score: Single, weight: float) -> Range:
    """The range of a score times a weight; 0 times infinity is 0."""
    low, high = sorted(weight * end if weight else 0.0 for end in score.range)
    return low, high
