"""Distillation of networks that tell live faces from attacks: the teachers look on in every step.

They see the very tensor that the student sees. Nothing of theirs is kept on disk: a reconstruction is as large as its
image, fresh changes of an image teach more than a few fixed ones, and a discriminator has to be at hand anyway, for it
judges what the student makes anew in each step. So student and teachers share one pre-processing.

Latents and features of two networks have other sizes and unrelated coordinates. What can be compared are relations:
which images of a batch lie in which direction from its mean, and how alike (:func:`relations`).

Terms of several teachers are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional

from edge_sdk.errors import UsageError
from edge_sdk.export.distillation.embeddings import relational
from edge_sdk.export.distillation.teachers import Teacher
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.losses.one_class import Adversarial, AdversarialPass, OneClass
from edge_sdk.export.networks.autoencoder import LATENT, RECONSTRUCTION, Autoencoder, HasDiscriminator
from edge_sdk.export.networks.classifier import BinaryClassifier, ClassifierOutput
from edge_sdk.export.networks.memory_format import channels_last
from edge_sdk.export.recipes import Preset, Recipe


def relations(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the cosine similarities of all pairs of two images, about the batch's mean.

    Not about zero, as those of embeddings: nothing keeps latents from a large part that all faces share, which would
    drown what tells them apart.

    Args:
        student, teacher: ``(B, D)`` and ``(B, T)`` of the same images, B at least 2.
    """
    centred = (functional.normalize(one - one.mean(dim=0), dim=1) for one in (student, teacher))
    return relational(*centred)


@dataclass(frozen=True)
class ReconstructionDistillation:
    """An autoencoder with a discriminator learns from such: the smaller GANomaly from a larger one.

    The student minimises ``labels * objective + reconstruction * L_rec + relation * L_rel + features * L_feat``.
    ``L_rec`` is the mean absolute difference of its reconstruction and the teacher's; ``L_rel``, :func:`relations` of
    the latents; ``L_feat``, the mean squared difference of what the *teacher's* discriminator sees in both
    reconstructions. The weights are those of the same terms in the objective (thesis, table 4.9), but for the
    relations; they have not been tuned.

    Attributes:
        labels: Weight of the recipe's own objective.
    """

    reconstruction: float = 50.0
    relation: float = 1.0
    features: float = 1.0
    labels: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.labels, self.reconstruction, self.relation, self.features)

    def require(self, recipe: Recipe, preset: Preset, teachers: Sequence[Teacher]) -> None:
        """Raises UsageError for a student or a teacher without discriminator, or with another pre-processing."""
        adversarial = isinstance(preset.objective, OneClass) and isinstance(preset.objective.criterion, Adversarial)
        _require_student(recipe, suits=adversarial, what="an autoencoder with a discriminator, such as ganomaly_lite")
        for teacher in teachers:
            suits = isinstance(teacher.network, Autoencoder) and isinstance(teacher.network, HasDiscriminator)
            _require_teacher(teacher, preset, suits=suits, what="another, with a discriminator, such as ganomaly")

    def term(self, teacher: nn.Module, made: AdversarialPass, fabric: Fabric) -> torch.Tensor:
        """What a student minimises beside its own objective, of one teacher."""
        assert isinstance(teacher, Autoencoder) and isinstance(teacher, HasDiscriminator)
        with fabric.autocast():
            with torch.no_grad():
                reconstruction, latent = teacher.outputs(made.image, [RECONSTRUCTION, LATENT])
                wanted = teacher.discriminator_features(reconstruction)
            seen = teacher.discriminator_features(made.reconstruction)
        return (
            self.reconstruction * functional.l1_loss(made.reconstruction, reconstruction.float())
            + self.relation * relations(made.latent, latent.float())
            + self.features * functional.mse_loss(seen.float(), wanted.float())
        )


@dataclass(frozen=True)
class LogitDistillation:
    """A net that is shown attacks learns from another how sure that is.

    After "Distilling the Knowledge in a Neural Network" (Hinton et al., 2015). The student minimises
    ``labels * objective + soft * T^2 * L_soft + relation * L_rel``. ``L_soft`` is the mean cross entropy of the
    verdicts' probabilities, both logits divided by the temperature T, whose square makes up for the smaller gradients;
    ``L_rel``, :func:`relations` of the features. The weights have not been tuned.

    Attributes:
        labels: Weight of the recipe's own objective.
        temperature: T. A single logit has no other classes to tell of: what warmth adds is how far an image is from
            the border.
    """

    soft: float = 1.0
    temperature: float = 4.0
    relation: float = 0.0
    labels: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.labels, self.soft, self.relation)
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UsageError(f"a temperature is above 0, not {self.temperature}")

    def require(self, recipe: Recipe, preset: Preset, teachers: Sequence[Teacher]) -> None:
        """Raises UsageError for a student or a teacher that gives no verdicts, or with another pre-processing."""
        suits = isinstance(preset.objective, AttackClassification)
        _require_student(recipe, suits=suits, what="a net that is shown attacks, such as spoof_lite")
        for teacher in teachers:
            suits = isinstance(teacher.network, BinaryClassifier)
            _require_teacher(teacher, preset, suits=suits, what="another such net, as spoof_lite's rendered_large")

    def term(self, teacher: nn.Module, made: ClassifierOutput, fabric: Fabric) -> torch.Tensor:
        """What a student minimises beside its own objective, of one teacher."""
        assert isinstance(teacher, BinaryClassifier)
        with torch.no_grad(), fabric.autocast():
            told = teacher.judge(made.image)
        soft = soft_loss(made.logit, told.logit, self.temperature)
        return self.soft * soft + self.relation * relations(made.features, told.features)


@dataclass(frozen=True)
class OnlineTeachers:
    """The lesson of every step: teachers see the step's images as they are.

    Attributes:
        teachers: Networks that no step changes.
    """

    settings: ReconstructionDistillation | LogitDistillation
    teachers: Sequence[nn.Module]
    fabric: Fabric
    images: None = None

    def loss(self, made: Any, objective: torch.Tensor) -> torch.Tensor:
        terms = [self.settings.term(teacher, made, self.fabric) for teacher in self.teachers]
        return self.settings.labels * objective + torch.stack(terms).mean()


def online_teachers(
    settings: ReconstructionDistillation | LogitDistillation, teachers: Sequence[Teacher], fabric: Fabric
) -> OnlineTeachers:
    """Freeze the teachers' weights and batch norms, and have them at hand on the run's device."""
    networks = [teacher.network.eval().requires_grad_(requires_grad=False) for teacher in teachers]
    return OnlineTeachers(settings, [channels_last(network.to(fabric.device)) for network in networks], fabric)


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """``T^2`` times the mean cross entropy of ``sigmoid(teacher / T)`` and ``sigmoid(student / T)``, of logits."""
    probability = torch.sigmoid(teacher / temperature)
    entropy = functional.binary_cross_entropy_with_logits(student / temperature, probability)
    return temperature**2 * entropy


def _require_weights(labels: float, *taught: float) -> None:
    if not all(math.isfinite(weight) and weight >= 0 for weight in (labels, *taught)) or not any(taught):
        raise UsageError(
            "weights are finite and at least 0, and one of the teacher's is above 0; not "
            f"{', '.join(map(str, taught))}, and {labels} of the labels"
        )


def _require_student(recipe: Recipe, *, suits: bool, what: str) -> None:
    if not suits:
        raise UsageError(f"{recipe.name} cannot be taught so: this teaching is for {what}")


def _require_teacher(teacher: Teacher, preset: Preset, *, suits: bool, what: str) -> None:
    if not suits:
        raise UsageError(f"{teacher.recipe.name} cannot teach this student; its teacher is {what}")
    if teacher.preset.preprocessing != preset.preprocessing:
        raise UsageError(
            f"the teacher {teacher.recipe.name} ({teacher.preset_name}) has another pre-processing than the student, "
            "and both look at one picture; give a teacher that was trained on such pictures"
        )
