"""How enrolments of several references are scored: by each rule that there is, on the same comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.pairs import Comparisons, Forgeries, build_pairs, score_pairs
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.person_model import fit_background
from edge_sdk.errors import ScoreError
from edge_sdk.export.data.people import dataset_of, datasets_of
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.verification.comparers import DensityModel
from edge_sdk.export.formats.float_onnx import OUTPUT
from edge_sdk.export.formats.inference import Embeddings
from edge_sdk.export.reproduction.fold_runs import FoldRun
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.person_model import PersonModel

DRAWS = 5
"""Enrolments of a person, drawn at random."""

OLD = "mean score"
NEW = "person model"
ELSEWHERE = "person model of other data sets"

_FILE = "background.bin"

PairRule: TypeAlias = Callable[[Comparisons, Embeddings, NDArray[np.str_]], ScoreSet]
"""Scores comparisons of embeddings ``(N, D)`` of subjects ``(N,)``."""


@dataclass(frozen=True, eq=False)
class EmbeddedPeople:
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
    def of(cls, people: Dataset, embeddings: Embeddings) -> EmbeddedPeople:
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


def mean_score(fold: FoldRun, tested: Dataset) -> PairRule:
    """The mean of the scores of all references: :class:`~edge_sdk.scoring.embedding.EmbeddingDistance`."""
    del tested
    metric = fold.metric

    def scored(pairs: Comparisons, embeddings: Embeddings, subjects: NDArray[np.str_]) -> ScoreSet:
        return score_pairs(pairs, embeddings, subjects, metric=metric, rule="mean_score")

    return scored


def person_model(fold: FoldRun, tested: Dataset) -> PairRule:
    """A model of each person: :class:`~edge_sdk.scoring.person_model.PersonModel`; everybody is the fold's training.

    Raises:
        ScoreError: The training people are too few for a background.
    """
    del tested
    return with_background(fold, fold.train)


def person_model_elsewhere(fold: FoldRun, tested: Dataset) -> PairRule | None:
    """The same; everybody is those training people who are of no data set that is tested.

    None where that leaves out nobody, or everybody. The network knows the data set: what is tried is the rule.

    Raises:
        ScoreError: As :func:`person_model`.
    """
    known = datasets_of(tested.subjects)
    others = [person for person in fold.train.subjects if dataset_of(person) not in known]
    if len(others) in (0, len(fold.train.subjects)):
        return None
    return with_background(fold, fold.train.select(others))


def with_background(fold: FoldRun, people: Dataset) -> PairRule:
    """The model of each person, with a background of people as the float network embeds them, as a bundle has it.

    Raises:
        ScoreError: They are too few.
    """
    subjects, genuine = ([getattr(sample, name) for sample in people.samples] for name in ("subject", "genuine"))
    fitted = fit_background(fold.embeddings("fp32", people), subjects, genuine, seed=fold.record.seed)
    score = PersonModel(output=OUTPUT, background=_FILE)
    model = DensityModel(backgrounds={_FILE: Background.decode(fitted.encode())})

    def scored(pairs: Comparisons, embeddings: Embeddings, subjects: NDArray[np.str_]) -> ScoreSet:
        return score_pairs(
            pairs,
            embeddings,
            subjects,
            matrix=partial(score.matrix, model=model),
            enrolled=partial(score.enrolled_scores, model=model),
        )

    return scored


RULES: Mapping[str, Callable[[FoldRun, Dataset], PairRule | None]] = {
    OLD: mean_score,
    NEW: person_model,
    ELSEWHERE: person_model_elsewhere,
}
"""By name, what makes each of a fold and the people who are tested."""


def rules_of(fold: FoldRun, tested: Dataset) -> dict[str, PairRule]:
    """Those of :data:`RULES` that there are for these people."""
    made = {name: make(fold, tested) for name, make in RULES.items()}
    return {name: rule for name, rule in made.items() if rule is not None}
