"""Losses of one-class training, re-derived with loops, and one Adam in place of two."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from edge_sdk.errors import UsageError
from edge_sdk.export.losses.one_class import Adversarial, AdversarialPass, Elbo, OneClass, VariationalPass
from edge_sdk.export.recipes.ganomaly import GANomaly


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def cross_entropy(target: float, logit: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -target * math.log(probability) - (1 - target) * math.log(1 - probability)


def test_elbo() -> None:
    made = VariationalPass(
        image=random(2, 1, 3, 4, seed=1),
        logits=4 * random(2, 1, 3, 4, seed=2) - 2,
        mean=random(2, 5, seed=3) - 0.5,
        log_variance=random(2, 5, seed=4) - 0.5,
    )
    reconstruction, divergence = [], []
    for n in range(2):
        pairs = zip(made.image[n].flatten().tolist(), made.logits[n].flatten().tolist(), strict=True)
        reconstruction.append(sum(cross_entropy(x, logit) for x, logit in pairs))
        latents = zip(made.mean[n].tolist(), made.log_variance[n].tolist(), strict=True)
        divergence.append(-0.5 * sum(1 + v - m**2 - math.exp(v) for m, v in latents))  # equation 2.25
    for w_rec, w_kl in ((1.0, 1.0), (3.0, 0.0), (0.5, 7.0)):
        expected = w_rec * np.mean(reconstruction) + w_kl * np.mean(divergence)
        assert Elbo(w_rec, w_kl)(made).item() == pytest.approx(expected, rel=1e-5)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    """Torch's own, and so at least 0, which equation 3.4's printed sign would not give."""
    mean, log_variance = random(4, 6, seed=1) - 0.5, random(4, 6, seed=2) - 0.5
    image = torch.zeros(4, 1, 2, 2)
    found = Elbo(w_rec=0)(VariationalPass(image, image, mean, log_variance))
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    assert found.item() == pytest.approx(
        torch.distributions.kl_divergence(posterior, prior).sum(1).mean().item(), rel=1e-5
    )


def test_ganomalys_losses() -> None:
    made = AdversarialPass(
        *(random(2, 1, 3, 4, seed=seed) for seed in (9, 1, 2)),
        *(random(2, 5, seed=seed) for seed in (3, 4)),
        *(random(2, 7, seed=seed) for seed in (5, 6)),
        *(random(2, 1, seed=seed) - 0.5 for seed in (7, 8)),
    )

    def mean(power: int, first: torch.Tensor, second: torch.Tensor) -> float:
        pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
        return float(np.mean([abs(a - b) ** power for a, b in pairs]))

    terms = (
        mean(1, made.imitated, made.reconstruction),
        mean(2, made.latent, made.latent_reconstructed),
        mean(2, made.features, made.features_reconstructed),
    )
    verdicts = [cross_entropy(0, v) for v in made.logit.flatten().tolist()]
    verdicts += [cross_entropy(1, v) for v in made.logit_reconstructed.flatten().tolist()]
    criterion = Adversarial(w_rec=50, w_enc=2, w_adv=3)
    assert criterion.generator(made).item() == pytest.approx(np.dot((50, 2, 3), terms), rel=1e-5)
    assert criterion.discriminator(made).item() == pytest.approx(np.mean(verdicts), rel=1e-5)
    assert criterion(made).item() == pytest.approx(np.dot((50, 2, 3), terms) + np.mean(verdicts), rel=1e-5)
    assert Adversarial() == Adversarial(w_rec=50, w_enc=1, w_adv=1)  # table 4.9


def test_one_adam_of_the_sum_takes_the_steps_of_two() -> None:
    """Generator and discriminator with an optimiser each, in the textbook's way: step by step, with plain autograd."""
    torch.manual_seed(0)
    together = GANomaly(width=1 / 128).train()
    apart = copy.deepcopy(together)
    images, criterion = random(3, 4, 1, 128, 128, seed=1), Adversarial()

    settings = {"lr": 1e-3, "betas": (0.5, 0.99)}
    adam = torch.optim.Adam(together.parameters(), **settings)
    for x in images:
        adam.zero_grad()
        criterion(together(x)).backward()
        adam.step()

    players = [p for name, p in apart.named_parameters() if not name.startswith("discriminator.")]
    generator = torch.optim.Adam(players, **settings)
    discriminator = torch.optim.Adam(apart.discriminator.parameters(), **settings)
    for x in images:
        latent = apart.encoder(x)[1]
        reconstruction = apart.decoder(latent)
        latent_reconstructed = apart.second_encoder(reconstruction)[1]
        features, verdict = apart.discriminator(x)
        _, logit_reconstructed = apart.discriminator(reconstruction.detach())
        features_reconstructed, _ = copy.deepcopy(apart.discriminator)(reconstruction)  # its statistics count once
        loss = 50 * functional.l1_loss(reconstruction, x)
        loss = loss + functional.mse_loss(latent_reconstructed, latent)
        loss = loss + functional.mse_loss(features_reconstructed, features.detach())
        truth = functional.binary_cross_entropy_with_logits(
            torch.cat([verdict, logit_reconstructed]), torch.tensor([[0.0]] * 4 + [[1.0]] * 4)
        )
        apart.zero_grad()
        of_generator = torch.autograd.grad(loss, players, retain_graph=True)
        of_discriminator = torch.autograd.grad(truth, list(apart.discriminator.parameters()), allow_unused=True)
        for parameter, gradient in zip(players, of_generator, strict=True):
            parameter.grad = gradient
        for parameter, gradient in zip(apart.discriminator.parameters(), of_discriminator, strict=True):
            parameter.grad = gradient
        generator.step()
        discriminator.step()

    for (name, value), expected in zip(together.state_dict().items(), apart.state_dict().values(), strict=True):
        assert torch.allclose(value.float(), expected.float(), atol=1e-5), name


def test_settings_that_make_no_sense() -> None:
    for weights in ((-1, 1), (0, 0), (1, math.nan), (math.inf, 1)):
        with pytest.raises(UsageError, match="weights"):
            Elbo(*weights)
    with pytest.raises(UsageError, match="weights"):
        Adversarial(w_enc=-1)
    with pytest.raises(UsageError, match="at least 2 images"):
        OneClass(Elbo(), images=1)
