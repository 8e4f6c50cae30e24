"""What the training loop leaves to a recipe's task: the images of a step, its loss, and what validation measures.

The loop itself, with its seeds, averages, log and checkpoints, is the same for people told apart and for live faces
told from attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.presentation_attack import AttackScores, bpcer_at_apcer
from edge_sdk.calibration.metrics.verification import ScoreSet, auroc, eer
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.data.sampling import Shares, kept, named
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.losses.metric import Objective
from edge_sdk.export.losses.one_class import OneClass
from edge_sdk.export.networks.autoencoder import Autoencoder
from edge_sdk.export.networks.classifier import ClassifierOutput
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.hooks import Lesson
from edge_sdk.manifest import DecisionHead, Reconstruction

BPCER = "bpcer_at_apcer_0.05"


class Task(Protocol):
    """One run's task."""

    def batch(self, rng: np.random.Generator) -> Indices:
        """Indices of a step's images, repeats allowed."""
        ...

    def loss(self, made: Any, indices: Indices, lesson: Lesson | None) -> torch.Tensor:
        """Scalar loss of what the network, in training mode, made of a step's images."""
        ...

    def answer(self, network: nn.Module, images: torch.Tensor) -> NDArray[np.floating]:
        """``(N, ...)``: what :meth:`measure` needs of images ``(N, 1, H, W)``; the network is in evaluation mode."""
        ...

    def measure(self, answers: NDArray[np.floating], samples: Sequence[Sample]) -> dict[str, float]:
        """What validation found, for the log; the first value is what the best weights have most of."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """What a resumed run must know beside its step."""
        ...

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """The inverse of :meth:`state`."""
        ...


def task(recipe: Recipe, preset: Preset, roster: Labels, samples: Sequence[Sample]) -> Task:
    """The task of a recipe on a training set.

    Args:
        roster: Of ``samples``.

    Raises:
        DatasetError: There is no live image to learn from, or no attack where attacks are needed.
        UsageError: Objective and score do not go together.
    """
    if isinstance(preset.objective, AttackClassification):
        if not isinstance(recipe.score, DecisionHead):
            raise UsageError(f"{recipe.name}: a network that is shown attacks is validated by its verdicts")
        return Detection(preset.objective, recipe.score, Shares.of(samples, preset.objective.attacks), roster.genuine)
    if not isinstance(preset.objective, OneClass):
        return Verification(
            preset.objective, roster, np.zeros((len(roster.subject), recipe.embedding_size), np.float32)
        )
    if not isinstance(recipe.score, Reconstruction):
        raise UsageError(f"{recipe.name}: a network that learns live images is validated by its reconstructions")
    live = np.flatnonzero(roster.genuine)
    if live.size == 0:
        raise DatasetError("there are no live images among the training people, and nothing else is learned from")
    return Liveness(preset.objective, recipe.score, live)


@dataclass(frozen=True, eq=False)
class Verification:
    """Tell people apart: validation AUROC and EER of skilled forgeries.

    Attributes:
        bank: ``(N, D)``, the last embedding seen of each image, zeros where there is none yet.
    """

    objective: Objective
    roster: Labels
    bank: NDArray[np.float32]

    def batch(self, rng: np.random.Generator) -> Indices:
        return self.objective.batch(self.roster, self.bank, rng)

    def loss(self, made: torch.Tensor, indices: Indices, lesson: Lesson | None) -> torch.Tensor:
        embeddings = made.float()
        labelled = embeddings[: len(indices)]
        subject = torch.from_numpy(self.roster.subject[indices]).to(embeddings.device)
        genuine = torch.from_numpy(self.roster.genuine[indices]).to(embeddings.device)
        loss = self.objective.loss(labelled, subject, genuine)
        self.bank[indices] = labelled.detach().cpu().numpy()
        return lesson.loss(embeddings, loss) if lesson else loss

    def answer(self, network: nn.Module, images: torch.Tensor) -> NDArray[np.floating]:
        return np.asarray(network(images).float().cpu().numpy())

    def measure(self, answers: NDArray[np.floating], samples: Sequence[Sample]) -> dict[str, float]:
        people, genuine = [sample.subject for sample in samples], [sample.genuine for sample in samples]
        scores = verification_scores(answers, people, genuine)
        return {"auroc": auroc(scores), "eer": float(eer(scores).eer)}

    def state(self) -> dict[str, torch.Tensor]:
        return {"bank": torch.from_numpy(self.bank)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.bank[:] = state["bank"].numpy()


@dataclass(frozen=True, eq=False)
class Liveness:
    """Learn live images alone: validation AUROC and EER of live images against attacks, and the live ones' mean score.

    Attributes:
        live: Indices of the training set's live images; its attacks are never drawn.
    """

    objective: OneClass
    score: Reconstruction
    live: Indices

    def batch(self, rng: np.random.Generator) -> Indices:
        return rng.choice(self.live, self.objective.images, replace=self.live.size < self.objective.images)

    def loss(self, made: Any, indices: Indices, lesson: Lesson | None) -> torch.Tensor:
        del indices  # nothing is known of an image but that it is live
        loss = self.objective.criterion(made)
        return lesson.loss(made, loss) if lesson else loss

    def answer(self, network: nn.Module, images: torch.Tensor) -> NDArray[np.floating]:
        assert isinstance(network, Autoencoder)
        (reconstruction,) = network.outputs(images, [self.score.output])
        tensors = {self.score.input: images, self.score.output: reconstruction.float()}
        return self.score.score({name: tensor.cpu().numpy() for name, tensor in tensors.items()})

    def measure(self, answers: NDArray[np.floating], samples: Sequence[Sample]) -> dict[str, float]:
        live = _live(samples)
        found = {"score": float(answers[live].mean())}
        if live.all():
            return found
        people = np.unique([sample.subject for sample in samples], return_inverse=True)[1]
        scores = ScoreSet(answers, live, people)
        return {"auroc": auroc(scores), "eer": float(eer(scores).eer), **found}

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        assert not state


@dataclass(frozen=True, eq=False)
class Detection:
    """Tell live images from attacks: validation AUROC, EER, and BPCER where APCER is 5 % (of the worst species).

    Attacks that the objective leaves out are not validated on either.

    Attributes:
        live: ``bool (N,)``, of the training set's images.
    """

    objective: AttackClassification
    score: DecisionHead
    shares: Shares
    live: NDArray[np.bool_]

    def batch(self, rng: np.random.Generator) -> Indices:
        return self.shares.draw(self.objective.images, rng)

    def loss(self, made: ClassifierOutput, indices: Indices, lesson: Lesson | None) -> torch.Tensor:
        loss = self.objective.loss(made.logit, torch.from_numpy(self.live[indices]).to(made.logit.device))
        return lesson.loss(made, loss) if lesson else loss

    def answer(self, network: nn.Module, images: torch.Tensor) -> NDArray[np.floating]:
        return self.score.score({self.score.output: network(images).float().cpu().numpy()})

    def measure(self, answers: NDArray[np.floating], samples: Sequence[Sample]) -> dict[str, float]:
        chosen = kept(samples, self.objective.attacks)
        answers, samples = answers[chosen], [sample for sample, keep in zip(samples, chosen, strict=True) if keep]
        if _live(samples).all():
            missing = named(self.objective.attacks)
            raise DatasetError(
                f"there are no {missing} among the validation people, and they are told from live images"
            )
        species = [None if sample.genuine else sample.attack or "attack" for sample in samples]
        scores = AttackScores(answers, species, [sample.subject for sample in samples])
        return {
            "auroc": auroc(scores.presented),
            "eer": float(eer(scores.presented).eer),
            BPCER: bpcer_at_apcer(scores, 0.05),
        }

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        assert not state


def _live(samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """``(N,)``, which of the validation images are live."""
    live = np.array([sample.genuine for sample in samples], np.bool_)
    if not live.any():
        raise DatasetError("there are no live images among the validation people")
    return live
