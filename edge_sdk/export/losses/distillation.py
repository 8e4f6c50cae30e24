"""What a student learns from teachers: the terms of the loss, and how much each of them counts.

Which kind a student has follows from its objective (:attr:`edge_sdk.export.losses.task.Objective.distillation`). Terms
of several teachers are averaged.

Embeddings (:class:`EmbeddingDistillation`): the student minimises
``labels * objective + relation * L_rel + embedding * L_emb``. ``L_rel``, :func:`relational`, asks for the teacher's
similarities between the images of a batch; it ties the student to no coordinates, so teacher and student may differ in
everything. "Similarity-Preserving Knowledge Distillation" (Tung and Mori, 2019) compares the rows of these matrices,
"Relational Knowledge Distillation" (Park et al., 2019) distances; here they are the cosines that the verifier will
compare with its threshold, as they are. ``L_emb``, :func:`aligned`, asks for the teacher's embeddings themselves.

Latents and features of two networks have other sizes and unrelated coordinates. What can be compared are relations:
which images of a batch lie in which direction from its mean, and how alike (:func:`centred_relations`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from edge_sdk.errors import UsageError

Autocast = Callable[[], AbstractContextManager[Any]]
"""The context in which a run's networks compute."""


def relational(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the cosine similarities of all pairs of two images, in [0, 4].

    Args:
        student, teacher: Unit embeddings ``(B, D)`` and ``(B, T)`` of the same images, B at least 2.
    """
    pairs = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    return functional.mse_loss((student @ student.T)[pairs], (teacher @ teacher.T)[pairs])


def aligned(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean of ``1 - cos(student, teacher)`` over unit embeddings ``(B, D)`` of the same images, in [0, 2]."""
    return 1 - (student * teacher).sum(dim=1).mean()


def centred_relations(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the cosine similarities of all pairs of two images, about the batch's mean.

    Not about zero, as those of embeddings: nothing keeps latents from a large part that all faces share, which would
    drown what tells them apart.

    Args:
        student, teacher: ``(B, D)`` and ``(B, T)`` of the same images, B at least 2.
    """
    centred = (functional.normalize(one - one.mean(dim=0), dim=1) for one in (student, teacher))
    return relational(*centred)


def geometry(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the inner products of all pairs of rows, about the batch's mean, in its mean square.

    0 exactly where the student's rows lie to one another as the teacher's do, but for rotation and scale.

    Args:
        student, teacher: ``(B, D)`` and ``(B, T)`` of the same rows, B at least 2.
    """

    def products(rows: torch.Tensor) -> torch.Tensor:
        centred = rows - rows.mean(dim=0)
        return centred @ centred.T / centred.square().sum(dim=1).mean()

    return functional.mse_loss(products(student), products(teacher))


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T^2`` times the mean cross entropy of ``sigmoid(teacher / T)`` and ``sigmoid(student / T)``, of logits."""
    probability = torch.sigmoid(teacher / temperature)
    entropy = functional.binary_cross_entropy_with_logits(student / temperature, probability)
    return temperature**2 * entropy


@dataclass(frozen=True)
class EmbeddingDistillation:
    """The settings of a student that makes embeddings.

    Attributes:
        relation, embedding: Weights of the teacher's similarities and of its embeddings, at least one above 0.
        labels: Weight of the recipe's own objective.
        views: Fixed augmented versions of each image that the teacher is asked about.
        unlabeled: Images without labels in a step, where such are given.
    """

    online: ClassVar[bool] = False
    teacher: ClassVar[str] = "a network that makes embeddings, such as deepsign"

    relation: float = 10.0
    embedding: float = 1.0
    labels: float = 1.0
    views: int = 8
    unlabeled: int = 16

    def __post_init__(self) -> None:
        weights = (self.relation, self.embedding, self.labels)
        if not (np.isfinite(weights).all() and min(weights) >= 0 and self.relation + self.embedding > 0):
            raise UsageError(
                f"weights are at least 0, and that of relation or embedding is above 0; not relation {self.relation}, "
                f"embedding {self.embedding}, labels {self.labels}"
            )
        if self.views < 1 or self.unlabeled < 1:
            raise UsageError(f"distillation needs at least one view and one unlabeled image, not {self}")

    def term(self, made: torch.Tensor, teacher: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """What a student minimises beside its own objective.

        Args:
            made: Its unit embeddings ``(B, D)``.
            teacher: The teacher's ``(B, T)``.
            target: The same in D coordinates.
        """
        embeddings = made.float()
        return self.relation * relational(embeddings, teacher) + self.embedding * aligned(embeddings, target)


@dataclass(frozen=True)
class ViewDistillation:
    """The settings of a student that makes embeddings and is shown pictures changed in batches.

    The terms are those of :class:`EmbeddingDistillation`; what differs is that two pictures are mixed. A mixture
    belongs to nobody, yet a teacher has an answer for it, so that few people teach as much as many: "Knowledge
    distillation: A good teacher is patient and consistent" (Beyer et al., 2022).

    Attributes:
        relation, embedding: Weights of the teachers' similarities and of their embeddings, at least one above 0.
        labels: Weight of the recipe's own objective.
        views: Views of each picture that the teachers are asked about.
        mixed: Mixtures, as a share of the views: of those that the teachers are asked about, and of those in a step.
    """

    online: ClassVar[bool] = True
    teacher: ClassVar[str] = "a published face network, or another network that is shown pictures changed in batches"

    relation: float = 10.0
    embedding: float = 1.0
    labels: float = 0.03
    views: int = 8
    mixed: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.labels, self.relation, self.embedding)
        if self.views < 1 or not 0 <= self.mixed <= 1:
            raise UsageError(f"there is at least one view, and a share of mixtures from 0 to 1; not {self}")

    def term(self, made: torch.Tensor, teacher: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """As :meth:`EmbeddingDistillation.term`."""
        embeddings = made.float()
        return self.relation * relational(embeddings, teacher) + self.embedding * aligned(embeddings, target)


@dataclass(frozen=True)
class ReconstructionDistillation:
    """An autoencoder with a discriminator learns from such: the smaller GANomaly from a larger one.

    The student minimises ``labels * objective + reconstruction * L_rec + relation * L_rel + features * L_feat``.
    ``L_rec`` is the mean absolute difference of its reconstruction and the teacher's; ``L_rel``,
    :func:`centred_relations` of the latents; ``L_feat``, the mean squared difference of the features that the
    *teacher's* discriminator has of both reconstructions. The weights are those of the same terms in the objective
    (thesis, table 4.9); that of the relations was chosen for ``ganomaly_lite`` among 1, 10 and 100.

    Attributes:
        labels: Weight of the recipe's own objective.
    """

    online: ClassVar[bool] = True
    teacher: ClassVar[str] = "another autoencoder with a discriminator, such as ganomaly"

    reconstruction: float = 50.0
    relation: float = 10.0
    features: float = 1.0
    labels: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.labels, self.reconstruction, self.relation, self.features)

    def term(self, teacher: Any, made: Any, autocast: Autocast) -> torch.Tensor:
        """What a student minimises beside its own objective, of one teacher.

        Args:
            teacher: An :class:`~edge_sdk.export.networks.autoencoder.Autoencoder` with ``discriminator_features``.
            made: The student's :class:`~edge_sdk.export.losses.one_class.AdversarialPass`.
            autocast: Of the run.

        Raises:
            UsageError: The teacher imitates pictures and the student something else of them, or the other way round.
        """
        with autocast():
            with torch.no_grad():
                reconstruction, latent = teacher.outputs(made.image, ["reconstruction", "latent"])
                if reconstruction.shape != made.reconstruction.shape:
                    shapes = [tuple(one.shape[1:]) for one in (reconstruction, made.reconstruction)]
                    raise UsageError(
                        f"the teacher imitates {shapes[0]} of a face, and the student {shapes[1]}: give a teacher that "
                        "imitates the same, such as the student's recipe with more channels"
                    )
                wanted = teacher.discriminator_features(reconstruction)
            found = teacher.discriminator_features(made.reconstruction)
        return (
            self.reconstruction * functional.l1_loss(made.reconstruction, reconstruction.float())
            + self.relation * centred_relations(made.latent, latent.float())
            + self.features * functional.mse_loss(found.float(), wanted.float())
        )


@dataclass(frozen=True)
class LogitDistillation:
    """A network that is shown attacks learns from another how sure that is.

    After "Distilling the Knowledge in a Neural Network" (Hinton et al., 2015). The student minimises
    ``labels * objective + soft * T^2 * L_soft + relation * L_rel``. ``L_soft`` is the mean cross entropy of the
    probabilities of "live", both logits divided by the temperature T, whose square makes up for the smaller gradients;
    ``L_rel``, :func:`centred_relations` of the features. The weights have not been tuned.

    Attributes:
        labels: Weight of the recipe's own objective.
        temperature: T. A single logit has no other classes to compare with: what a higher temperature adds is how far
            an image is from the border.
    """

    online: ClassVar[bool] = True
    teacher: ClassVar[str] = "another network that is shown attacks, such as spoof_lite's rendered_large"

    soft: float = 1.0
    temperature: float = 4.0
    relation: float = 0.0
    labels: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.labels, self.soft, self.relation)
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UsageError(f"a temperature is above 0, not {self.temperature}")

    def term(self, teacher: Any, made: Any, autocast: Autocast) -> torch.Tensor:
        """What a student minimises beside its own objective, of one teacher.

        Args:
            teacher: A :class:`~edge_sdk.export.networks.classifier.BinaryClassifier`.
            made: The student's :class:`~edge_sdk.export.networks.classifier.ClassifierOutput`.
            autocast: Of the run.
        """
        with torch.no_grad(), autocast():
            wanted = teacher.classify(made.image)
        soft = soft_loss(made.logit, wanted.logit, self.temperature)
        return self.soft * soft + self.relation * centred_relations(made.features, wanted.features)


@dataclass(frozen=True)
class FeatureDistillation:
    """A network whose features a density models learns where another one puts the rows of a step.

    The student minimises ``labels * objective + geometry * L_geo``, where ``L_geo`` is :func:`geometry`: densities need
    distances, not directions alone, and the student's coordinates are its own.

    Attributes:
        labels: Weight of the recipe's own objective.
    """

    online: ClassVar[bool] = True
    teacher: ClassVar[str] = "another network of features that names people, such as gait"

    geometry: float = 10.0
    labels: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.labels, self.geometry)

    def term(self, teacher: Any, made: Any, autocast: Autocast) -> torch.Tensor:
        """What a student minimises beside its own objective, of one teacher.

        Args:
            teacher: A :class:`~edge_sdk.export.networks.people_classifier.PeopleClassifier` in evaluation mode.
            made: The student's :class:`~edge_sdk.export.networks.people_classifier.NamedPeople`.
            autocast: Of the run.
        """
        with torch.no_grad(), autocast():
            wanted = teacher(made.rows)
        return self.geometry * geometry(made.features, wanted.float())


def _require_weights(labels: float, *teacher: float) -> None:
    if not all(math.isfinite(weight) and weight >= 0 for weight in (labels, *teacher)) or not any(teacher):
        raise UsageError(
            "weights are finite and at least 0, and one of the teacher's is above 0; not "
            f"{', '.join(map(str, teacher))}, and {labels} of the labels"
        )
