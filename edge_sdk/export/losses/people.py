"""Cross entropy over the people of the training set, of rows: networks whose features a density models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.calibration.metrics.groups import RowScores, build_groups
from edge_sdk.calibration.metrics.verification import auroc, eer
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.data.sampling import Origin, evenly
from edge_sdk.export.losses.distillation import FeatureDistillation
from edge_sdk.export.losses.task import Distillation, StepTarget, ValidationMetrics
from edge_sdk.scoring.base import Score


@dataclass(frozen=True)
class PeopleClassification:
    """The objective of a :class:`~edge_sdk.export.networks.people_classifier.PeopleClassifier`.

    A step's rows come evenly from all people, there from all of their samples.

    Validation is on people who are not among them. An enrolment is the mean of the features of some rows of a person,
    about the mean of all validation rows; the score of a test, some rows of another sample, is the mean of their
    cosines with it. So validation needs no density, which is fitted when the training is done.

    Attributes:
        rows: In a step.
        smoothing: Share of each label that is spread over all people.
        enrolment, test: Rows of an enrolment and of a test in validation.
    """

    distillation: ClassVar[type[Distillation]] = FeatureDistillation
    attacks: ClassVar[Origin | None] = None
    without: ClassVar[tuple[str, ...]] = ()

    rows: int = 1024
    smoothing: float = 0.0
    enrolment: int = 10
    test: int = 5

    def __post_init__(self) -> None:
        if self.rows < 2 or not 0 <= self.smoothing < 1 or min(self.enrolment, self.test) < 1:
            raise UsageError(
                "a step takes 2 rows or more, the share that is spread is in [0, 1), and validation compares at least "
                f"one row with one; not {self}"
            )

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> PeopleTask:
        """See :class:`edge_sdk.export.losses.task.Objective`; ``samples`` and ``labels`` are those of the rows."""
        del score, embedding_size
        if len(outputs) != 1:
            raise UsageError(f"{type(self).__name__} takes a network with one output of features, not {outputs}")
        if attack := next((sample for sample in samples if sample.attack is not None), None):
            raise DatasetError(f"{attack.path} is a presentation attack, of which no person is learned: leave them out")
        if labels.subjects < 2:
            raise DatasetError("there is one person alone, so there is nobody to be told from")
        chances = evenly(labels.genuine, [s.subject for s in samples], [str(s.path) for s in samples])
        return PeopleTask(self, labels, chances)


@dataclass(frozen=True, eq=False)
class PeopleTask:
    """Name the people of the training set: validation AUROC and EER of groups of rows, against strangers.

    Attributes:
        labels: Of the rows.
        chances: ``(R,)``, to be drawn.
    """

    objective: PeopleClassification
    labels: Labels
    chances: NDArray[np.float64]

    def batch(self, rng: np.random.Generator) -> Indices:
        return rng.choice(len(self.chances), self.objective.rows, p=self.chances)

    def loss(self, made: Any, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        people = self.labels.subjects
        if made.logits.shape[1] < people:
            raise UsageError(
                f"the network names {made.logits.shape[1]} people and learns from {people}: raise its option people"
            )
        person = torch.from_numpy(self.labels.subject[indices]).to(made.logits.device)
        logits = made.logits[: len(indices), :people]
        loss = functional.cross_entropy(logits, person, label_smoothing=self.objective.smoothing)
        return target.loss(made, loss) if target else loss

    def outputs(self, network: Any, images: torch.Tensor) -> NDArray[np.floating]:
        return np.asarray(network(images).float().cpu().numpy())

    def measure(
        self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any = None
    ) -> ValidationMetrics:
        del network
        plan = build_groups(
            [sample.subject for sample in samples],
            [str(sample.path) for sample in samples],
            enrolment=self.objective.enrolment,
            test=self.objective.test,
        )
        centred = outputs - outputs.mean(axis=0)

        def enroll(rows: Indices) -> RowScores:
            reference = _unit(centred[rows].mean(axis=0))
            return lambda tested: _unit(centred[tested]) @ reference

        scores = plan.scores(enroll)
        return ValidationMetrics(auroc=auroc(scores), eer=float(eer(scores).eer))

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        assert not state


def _unit(features: NDArray[np.floating]) -> NDArray[np.floating]:
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)
