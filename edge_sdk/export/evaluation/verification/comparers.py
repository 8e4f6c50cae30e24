"""How a bundle's score compares the samples of an evaluation: pair by pair, or many rows with many rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics.groups import COUNTS, RowCounts, RowScores, build_groups, enrolments
from edge_sdk.calibration.metrics.pairs import (
    EnrolledScores,
    Forgeries,
    PairScores,
    ScoreMatrix,
    build_pairs,
    score_pairs,
)
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.thresholds import REFERENCES
from edge_sdk.errors import ScoreError
from edge_sdk.export.data.samples import IMPOSTORS
from edge_sdk.export.evaluation.verification.samples import EmbeddedSamples
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.base import ComparisonModel, Score
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.likelihood import LogLikelihoodRatio


class VerificationProtocol(NamedTuple):
    """What is compared with what.

    Attributes:
        references: Samples, or rows, of an enrolment.
        queries: Rows of a test; None where one sample is compared.
    """

    forgeries: Forgeries
    references: int
    queries: int | None = None

    @property
    def described(self) -> str:
        """For people, with the impostors first."""
        counts = "" if self.queries is None else f", {self.references} enrolment and {self.queries} test rows"
        return f"{IMPOSTORS[self.forgeries]}{counts}"


class ScoredComparisons(NamedTuple):
    """Scores of P comparisons, and the first row of the reference and of the query of each, ``(P,)``."""

    scores: ScoreSet
    references: NDArray[np.intp]
    queries: NDArray[np.intp]


class Comparer(Protocol):
    """Compares the samples of one data set."""

    @property
    def matrix(self) -> ScoreMatrix | None:
        """Compares every sample with every other, for identification; None where a sample alone is not compared."""
        ...

    def protocols(self, kinds: Sequence[Forgeries], references: Sequence[int]) -> list[VerificationProtocol]:
        """What can be measured, the one that thresholds are for first.

        Args:
            kinds: The kinds of impostors that the data have, the hardest first.
            references: Counts of samples that are asked for.
        """
        ...

    def by_references(self, kind: Forgeries) -> dict[int, VerificationProtocol]:
        """What operating points are measured by, the fewest references first."""
        ...

    def scored(self, embedded: EmbeddedSamples, compared: VerificationProtocol, seed: int = 0) -> ScoredComparisons:
        """Raises ScoreError where no mated or no impostor comparison comes out."""
        ...


@dataclass(frozen=True)
class SampleComparer:
    """Each sample has one embedding: :func:`edge_sdk.calibration.metrics.pairs.build_pairs`.

    Attributes:
        model: What the score asks for when it compares.
        compare: Compares where no matrix of scores is to be had.
    """

    score: Score
    model: ComparisonModel
    compare: PairScores | None = None

    @property
    def matrix(self) -> ScoreMatrix:
        return partial(self.score.matrix, model=self.model)

    def protocols(self, kinds: Sequence[Forgeries], references: Sequence[int]) -> list[VerificationProtocol]:
        return [VerificationProtocol(kind, count) for count, kind in itertools.product(references, kinds)]

    def by_references(self, kind: Forgeries) -> dict[int, VerificationProtocol]:
        return {count: VerificationProtocol(kind, count) for count in REFERENCES}

    def scored(self, embedded: EmbeddedSamples, compared: VerificationProtocol, seed: int = 0) -> ScoredComparisons:
        people, genuine = embedded.people, [sample.genuine for sample in embedded.samples]
        pairs = build_pairs(people, genuine, forgeries=compared.forgeries, references=compared.references, seed=seed)
        scores = score_pairs(
            pairs,
            embedded.embeddings,
            people,
            rule=self.score.rule,
            matrix=self.matrix,
            compare=self.compare,
            enrolled=enrolled_by(self.score, self.model),
        )
        return ScoredComparisons(scores, pairs.references[:, 0], pairs.queries)


@dataclass(frozen=True)
class RowComparer:
    """Each sample has rows, whose features densities are of: :func:`edge_sdk.calibration.metrics.groups.build_groups`.

    Nobody imitates another's gait: impostors are other people.
    """

    score: LogLikelihoodRatio
    densities: Mapping[str, GaussianMixture]

    @property
    def matrix(self) -> None:
        return None

    def protocols(self, kinds: Sequence[Forgeries], references: Sequence[int]) -> list[VerificationProtocol]:
        del kinds, references
        least = RowCounts(self.score.enrolment, COUNTS[0].test)  # with fewer nobody is enrolled
        return [VerificationProtocol("random", *counts) for counts in dict.fromkeys((least, *COUNTS))]

    def by_references(self, kind: Forgeries) -> dict[int, VerificationProtocol]:
        del kind
        counts = enrolments(RowCounts(self.score.enrolment, COUNTS[0].test), COUNTS)
        return {one.enrolment: VerificationProtocol("random", *one) for one in counts}

    def scored(self, embedded: EmbeddedSamples, compared: VerificationProtocol, seed: int = 0) -> ScoredComparisons:
        assert compared.queries is not None, "it is one of `protocols`"
        plan = build_groups(
            embedded.people,
            [str(sample.path) for sample in embedded.samples],
            enrolment=compared.references,
            test=compared.queries,
            seed=seed,
        )
        scores = plan.scores(enrolling(self.score, embedded.embeddings, self.densities))
        return ScoredComparisons(scores, plan.enrolments[plan.reference, 0], plan.tests[plan.query, 0])


def comparer_of(bundle: Bundle, compare: PairScores | None = None) -> Comparer:
    """What compares as a bundle does.

    Args:
        compare: Compares pairs on the opened bundle, for a score that a graph computes.
    """
    score, model = bundle.manifest.score, DensityModel.of(bundle)
    if isinstance(score, LogLikelihoodRatio):
        return RowComparer(score, model.densities)
    return SampleComparer(score, model, compare if score.by_graph else None)


def enrolled_by(score: Score, model: ComparisonModel) -> EnrolledScores | None:
    """How several references are compared together; None of a score that combines those of each."""
    return partial(score.enrolled_scores, model=model) if score.fits_references else None


@dataclass(frozen=True)
class DensityModel:
    """The densities and backgrounds of a model, without its graphs, as a score asks for them when it compares."""

    densities: Mapping[str, GaussianMixture] = field(default_factory=dict)
    backgrounds: Mapping[str, Background] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Bundle) -> DensityModel:
        """Those of a bundle."""
        files = {entry.path: entry for entry in bundle.manifest.auxiliary}
        score = bundle.manifest.score
        return cls(
            {path: GaussianMixture.decode(bundle.read(files[path])) for path in score.density_outputs},
            {path: Background.decode(bundle.read(files[path])) for path in score.background_files},
        )

    def pair(self, references: NDArray[Any], queries: NDArray[Any]) -> NoReturn:
        """No graph compares: ScoreError."""
        raise ScoreError(f"no graph compares {len(references)} references with {len(queries)} queries")


def enrolling(
    score: LogLikelihoodRatio, features: NDArray[np.float32], densities: Mapping[str, GaussianMixture]
) -> Callable[[NDArray[np.intp]], RowScores]:
    """What :meth:`~edge_sdk.calibration.metrics.groups.GroupedComparisons.scores` asks, by the device's own score.

    An enrolment that the device would refuse accepts nobody.

    Args:
        features: ``(R, D)``.
        densities: Those that the score names, by path.
    """
    rows = score.rows(features)
    background = densities[score.background]
    everybody, distances = background.log_likelihood(rows), background.distances(rows)

    def enroll(enrolled: NDArray[np.intp]) -> RowScores:
        try:
            person = score.enroll(features[enrolled], DensityModel(densities))
        except ScoreError:
            return lambda tested: np.full(tested.size, score.worst.score)
        return lambda tested: score.bounded(person.log_likelihood(rows[tested]), everybody[tested], distances[tested])

    return enroll
