"""What training on live images alone minimises: the losses of the anti-spoofing thesis (sections 3.3 and 3.5).

A one-class network in training mode returns a record of what its loss needs; a criterion makes one number of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.data.sampling import Origin
from edge_sdk.export.losses.distillation import ReconstructionDistillation
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.losses.tasks import OneClassTask, require_sample_score
from edge_sdk.scoring.base import Score


class VariationalPass(NamedTuple):
    """What a variational autoencoder makes of images ``(B, 1, H, W)`` in [0, 1].

    Attributes:
        logits: ``(B, 1, H, W)``; their sigmoid is the reconstruction from one sample of the latents.
        mean, log_variance: ``(B, D)``, of the latents' normal distribution.
    """

    image: torch.Tensor
    logits: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor


@dataclass(frozen=True)
class Elbo:
    """``w_rec L_rec + w_kl L_KL``, the mean over images (equation 3.1).

    ``L_rec`` is minus the log-likelihood of the image under the decoder, which is the cross entropy *summed* over
    pixels. Equation 3.3 prints its mean; beside a divergence summed over 512 latents that would make the images count
    for nothing, and losses of up to 10,000, which section 5.2 reports, are such sums. ``L_KL`` is the divergence from
    the standard normal, with the sign of mu^2 as in equation 2.25; equation 3.4 has it wrong.
    """

    distillation: ClassVar[None] = None

    w_rec: float = 1.0
    w_kl: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.w_rec, self.w_kl)

    def __call__(self, made: VariationalPass) -> torch.Tensor:
        entropy = functional.binary_cross_entropy_with_logits(made.logits, made.image, reduction="none")
        divergence = -0.5 * (1 + made.log_variance - made.mean**2 - made.log_variance.exp())
        return (self.w_rec * entropy.flatten(1).sum(1) + self.w_kl * divergence.sum(1)).mean()


class AdversarialPass(NamedTuple):
    """What GANomaly makes of images ``(B, 1, H, W)`` in [0, 1].

    Attributes:
        imitated: What is reconstructed: the image, or ``(B, S)`` numbers that describe it.
        reconstruction: Of the same shape.
        latent, latent_reconstructed: ``(B, D)``, of the image and of its reconstruction.
        features, features_reconstructed: The discriminator's last layer for both, as the generator sees them: the first
            are constants, and no gradient reaches the discriminator's weights through either.
        logit, logit_reconstructed: ``(B, 1)``, the discriminator's logits of "generated" for both, as it sees them
            itself: no gradient reaches the generator through them.
    """

    image: torch.Tensor
    imitated: torch.Tensor
    reconstruction: torch.Tensor
    latent: torch.Tensor
    latent_reconstructed: torch.Tensor
    features: torch.Tensor
    features_reconstructed: torch.Tensor
    logit: torch.Tensor
    logit_reconstructed: torch.Tensor


@dataclass(frozen=True)
class Adversarial:
    """GANomaly's game: the sum of what generator and discriminator minimise.

    The generator's ``w_rec L_rec + w_enc L_enc + w_adv L_adv`` (equation 3.8): mean absolute difference of what is
    imitated, mean squared difference of the latents and of the discriminator's features. Equations 3.5 to 3.7 print
    norms; means are what GANomaly's authors compute, and what the weights 50, 1, 1 balance. The discriminator's is the
    mean cross entropy of its logits.

    One optimiser of the sum is two of the parts: neither part has a gradient for the other's weights, see
    :class:`AdversarialPass`, and Adam treats each weight by itself. Both players move at once, from gradients at the
    same weights.
    """

    distillation: ClassVar[type[Distillation]] = ReconstructionDistillation

    w_rec: float = 50.0
    w_enc: float = 1.0
    w_adv: float = 1.0

    def __post_init__(self) -> None:
        _require_weights(self.w_rec, self.w_enc, self.w_adv)

    def __call__(self, made: AdversarialPass) -> torch.Tensor:
        return self.generator(made) + self.discriminator(made)

    def generator(self, made: AdversarialPass) -> torch.Tensor:
        """Scalar loss of encoder, decoder and second encoder."""
        return (
            self.w_rec * functional.l1_loss(made.reconstruction, made.imitated)
            + self.w_enc * functional.mse_loss(made.latent_reconstructed, made.latent)
            + self.w_adv * functional.mse_loss(made.features_reconstructed, made.features)
        )

    @staticmethod
    def discriminator(made: AdversarialPass) -> torch.Tensor:
        """Scalar loss of the discriminator: images are 0, reconstructions 1."""
        logits = torch.cat([made.logit, made.logit_reconstructed])
        generated = torch.cat([torch.zeros_like(made.logit), torch.ones_like(made.logit_reconstructed)])
        return functional.binary_cross_entropy_with_logits(logits, generated)


class Criterion(Protocol):
    """A loss of what a one-class network returns in training mode."""

    @property
    def distillation(self) -> type[Distillation] | None:
        """The settings of a student with this criterion; None where it cannot have a teacher."""
        ...

    def __call__(self, made: Any) -> torch.Tensor:
        """Scalar loss."""
        ...


@dataclass(frozen=True)
class OneClass:
    """The objective of a one-class recipe.

    Attributes:
        criterion: Scalar loss of what the network returns in training mode.
        images: Live images in a step.
    """

    attacks: ClassVar[Origin | None] = None
    without: ClassVar[tuple[str, ...]] = ()

    criterion: Criterion
    images: int

    def __post_init__(self) -> None:
        if self.images < 2:
            raise UsageError(f"a step takes at least 2 images, which batch norm needs, not {self.images}")

    @property
    def distillation(self) -> type[Distillation] | None:
        return self.criterion.distillation

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> OneClassTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        del samples
        require_sample_score(score, embedding_size)
        live = np.flatnonzero(labels.genuine)
        if live.size == 0:
            raise DatasetError("there are no live images among the training people, and nothing else is learned from")
        return OneClassTask(self.criterion, self.images, score, tuple(outputs), live)


def _require_weights(*weights: float) -> None:
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise UsageError(
            f"loss weights are finite and at least 0, and one is above, not {', '.join(map(str, weights))}"
        )
