"""The tasks of training: people told apart by embeddings, live samples alone, live samples and attacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.presentation_attack import AttackScores, bpcer_at_apcer
from edge_sdk.calibration.metrics.verification import (
    ScoreSet,
    accuracy_precision_recall,
    auroc,
    best_accuracy_threshold,
    eer,
)
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Indices, Labels, Sample, impostor_kinds
from edge_sdk.export.data.sampling import Origin, Shares, named
from edge_sdk.export.losses.task import StepTarget, ValidationMetrics
from edge_sdk.scoring.base import Score

INPUT = "image"


class MetricObjective(Protocol):
    """Draws batches and computes the loss of their embeddings."""

    def batch(self, labels: Labels, bank: NDArray[np.float32], rng: np.random.Generator) -> Indices:
        """Indices of the next batch, repeats allowed.

        Args:
            labels: Of the training set.
            bank: ``(N, D)``, the last embedding seen of each image, zeros where there is none yet.
            rng: Source of all randomness.
        """
        ...

    def loss(self, embeddings: torch.Tensor, subject: torch.Tensor, genuine: torch.Tensor) -> torch.Tensor:
        """Scalar loss of unit embeddings ``(B, D)`` in the batch's order, with ``(B,)`` subjects and flags."""
        ...


class OutputsNetwork(Protocol):
    """A network whose outputs have names."""

    def outputs(self, x: torch.Tensor, names: Sequence[str]) -> tuple[torch.Tensor, ...]:
        """The outputs of these names, in their order."""
        ...


@dataclass(frozen=True, eq=False)
class EmbeddingTask:
    """Tell people apart: validation AUROC and EER, of skilled forgeries where the data have such, else of strangers.

    Attributes:
        bank: ``(N, D)``, the last embedding seen of each image, zeros where there is none yet.
        by_accuracy: Whether validation measures accuracy too, of all pairs at the threshold where it is highest.
    """

    objective: MetricObjective
    labels: Labels
    bank: NDArray[np.float32]
    by_accuracy: bool = False

    @classmethod
    def of(cls, objective: MetricObjective, labels: Labels, samples: Sequence[Sample], size: int) -> EmbeddingTask:
        """With an empty bank of embeddings of ``size`` values.

        Raises:
            DatasetError: There are presentation attacks among the samples, which are nobody's biometric sample.
        """
        if attack := next((sample for sample in samples if sample.attack is not None), None):
            raise DatasetError(
                f"{attack.path} is a presentation attack ({attack.attack}), of which no person is learned: give data "
                "sets without attacks"
            )
        return cls(objective, labels, np.zeros((len(labels.subject), size), np.float32))

    def batch(self, rng: np.random.Generator) -> Indices:
        return self.objective.batch(self.labels, self.bank, rng)

    def loss(self, made: torch.Tensor, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        embeddings = made.float()
        labelled = embeddings[: len(indices)]
        subject = torch.from_numpy(self.labels.subject[indices]).to(embeddings.device)
        genuine = torch.from_numpy(self.labels.genuine[indices]).to(embeddings.device)
        loss = self.objective.loss(labelled, subject, genuine)
        self.bank[indices] = labelled.detach().cpu().numpy()
        return target.loss(embeddings, loss) if target else loss

    def outputs(self, network: Any, images: torch.Tensor) -> NDArray[np.floating]:
        return np.asarray(network(images).float().cpu().numpy())

    def measure(
        self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any = None
    ) -> ValidationMetrics:
        del network
        people, genuine = [sample.subject for sample in samples], [sample.genuine for sample in samples]
        scores = verification_scores(
            outputs,
            people,
            genuine,
            groups=[sample.dataset for sample in samples],
            forgeries=impostor_kinds(samples)[0],
        )
        accuracy = None
        if self.by_accuracy:
            accuracy = accuracy_precision_recall(scores, best_accuracy_threshold(scores)).accuracy
        return ValidationMetrics(accuracy=accuracy, auroc=auroc(scores), eer=float(eer(scores).eer))

    def state(self) -> dict[str, torch.Tensor]:
        return {"bank": torch.from_numpy(self.bank)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.bank[:] = state["bank"].numpy()


class _SpoofTask:
    """What the two tasks without memory share: validation scores every sample by itself."""

    score: Score
    names: tuple[str, ...]

    def outputs(self, network: OutputsNetwork, images: torch.Tensor) -> NDArray[np.floating]:
        made = network.outputs(images, self.names)
        tensors = {INPUT: images, **dict(zip(self.names, (one.float() for one in made), strict=True))}
        return self.score.score({name: tensor.cpu().numpy() for name, tensor in tensors.items()})

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        assert not state


@dataclass(frozen=True, eq=False)
class OneClassTask(_SpoofTask):
    """Learn live samples alone: validation AUROC and EER against attacks, and the live samples' mean score.

    Attributes:
        criterion: Scalar loss of what the network returns in training mode.
        count: Live samples in a step.
        live: Indices of the training set's live samples; its attacks are never drawn.
        names: The network's outputs that ``score`` needs.
    """

    criterion: Any
    count: int
    score: Score
    names: tuple[str, ...]
    live: Indices

    def batch(self, rng: np.random.Generator) -> Indices:
        return rng.choice(self.live, self.count, replace=self.live.size < self.count)

    def loss(self, made: Any, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        del indices  # nothing is known of a sample but that it is live
        loss: torch.Tensor = self.criterion(made)
        return target.loss(made, loss) if target else loss

    def measure(
        self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any = None
    ) -> ValidationMetrics:
        del network
        live = _live(samples)
        score = float(outputs[live].mean())
        if live.all():
            return ValidationMetrics(live_score=score)
        people = np.unique([sample.subject for sample in samples], return_inverse=True)[1]
        scores = ScoreSet(outputs, live, people)
        return ValidationMetrics(auroc=auroc(scores), eer=float(eer(scores).eer), live_score=score)


def require_sample_score(score: Score, embedding_size: int) -> None:
    """Raises UsageError for a score by which single samples cannot be validated: of people, or of fitted densities."""
    if embedding_size or "spoof" not in score.tasks or score.density_outputs:
        raise UsageError(
            "a network of live images, or of live images and attacks, is validated by a score of one sample that needs "
            f"no density: a reconstruction, a latent distance or a decision head, not {score}"
        )


class AttackLoss(Protocol):
    """The loss of logits, and of which samples.

    Attributes:
        attacks: The origin of the attacks that it keeps; None for both.
    """

    @property
    def attacks(self) -> Origin | None: ...

    def kept(self, samples: Sequence[Sample]) -> NDArray[np.bool_]:
        """``(N,)``, which samples are learned from or validated on."""
        ...

    def loss(self, logit: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        """Scalar loss of logits ``(B, 1)`` and flags ``(B,)``."""
        ...


@dataclass(frozen=True, eq=False)
class AttackTask(_SpoofTask):
    """Tell live samples from attacks: validation AUROC, EER, and BPCER where the worst species' APCER is 5 %.

    Attributes:
        objective: Computes the loss; what it does not keep is not validated on.
        count: Samples in a step.
        live: ``bool (N,)``, of the training set's samples.
    """

    objective: AttackLoss
    count: int
    score: Score
    names: tuple[str, ...]
    shares: Shares
    live: NDArray[np.bool_]

    def batch(self, rng: np.random.Generator) -> Indices:
        return self.shares.draw(self.count, rng)

    def loss(self, made: Any, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        loss = self.objective.loss(made.logit, torch.from_numpy(self.live[indices]).to(made.logit.device))
        return target.loss(made, loss) if target else loss

    def measure(
        self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any = None
    ) -> ValidationMetrics:
        del network
        chosen = self.objective.kept(samples)
        outputs, samples = outputs[chosen], [sample for sample, keep in zip(samples, chosen, strict=True) if keep]
        if _live(samples).all():
            missing = named(self.objective.attacks)
            raise DatasetError(
                f"there are no {missing} among the validation people, and they are told from live images"
            )
        species = [None if sample.genuine else sample.attack or "attack" for sample in samples]
        scores = AttackScores(outputs, species, [sample.subject for sample in samples])
        return ValidationMetrics(
            auroc=auroc(scores.presented),
            eer=float(eer(scores.presented).eer),
            bpcer_at_apcer_5=bpcer_at_apcer(scores, 0.05),
        )


def _live(samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """``(N,)``, which of the validation samples are live."""
    live = np.array([sample.genuine for sample in samples], np.bool_)
    if not live.any():
        raise DatasetError("there are no live images among the validation people")
    return live
