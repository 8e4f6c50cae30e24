"""How enrolments of several references are scored: by each rule that there is, on the same comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.pairs import Comparisons, Forgeries, build_pairs, score_pairs
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.formats.inference import Embeddings
from edge_sdk.export.reproduction.fold_runs import FoldRun
from edge_sdk.manifest import EmbeddingDistance

DRAWS = 5
"""Enrolments of a person, drawn at random."""

OLD = "mean score"

PairRule: TypeAlias = Callable[[Comparisons, Embeddings, NDArray[np.str_]], ScoreSet]
"""Scores comparisons of embeddings ``(N, D)`` of subjects ``(N,)``."""


@dataclass(frozen=True, eq=False)
class TestedPeople:
    """People as one artifact embeds them.

    Attributes:
        embeddings: ``(N, D)``.
        subjects: ``(N,)`` whose signature a sample shows or imitates.
        genuine: ``(N,)``.
    """

    embeddings: Embeddings
    subjects: NDArray[np.str_]
    genuine: NDArray[np.bool_]

    @classmethod
    def of(cls, people: Dataset, embeddings: Embeddings) -> TestedPeople:
        """Of the embeddings of all samples, in their order."""
        subjects = np.array([sample.subject for sample in people.samples])
        return cls(embeddings, subjects, np.array([sample.genuine for sample in people.samples]))

    def scores(
        self, rules: Mapping[str, PairRule], forgeries: Forgeries, count: int, *, draws: int = DRAWS, seed: int = 0
    ) -> dict[str, ScoreSet]:
        """By rule, of enrolments of ``count`` references; nothing where nobody has signatures enough for one."""
        try:
            pairs = build_pairs(
                self.subjects, self.genuine, forgeries=forgeries, references=count, repeats=draws, seed=seed
            )
        except ScoreError:
            return {}
        return {name: rule(pairs, self.embeddings, self.subjects) for name, rule in rules.items()}


def mean_score(fold: FoldRun, _artifact: str) -> PairRule:
    """The mean of the scores of all references: :class:`~edge_sdk.scoring.embedding.EmbeddingDistance`."""
    score = fold.kept.recipe.score
    assert isinstance(score, EmbeddingDistance), "a recipe of embeddings has no other"

    def scored(pairs: Comparisons, embeddings: Embeddings, subjects: NDArray[np.str_]) -> ScoreSet:
        return score_pairs(pairs, embeddings, subjects, metric=score.metric, rule="mean_score")

    return scored


RULES: Mapping[str, Callable[[FoldRun, str], PairRule]] = {OLD: mean_score}
"""By name, what makes each of a fold and the name of its artifact."""
