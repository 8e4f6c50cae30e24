"""GANomaly for a car's computer: it imitates how often each local binary pattern occurs in a face, not its pixels.

A picture's brightness and shapes are most of what table 3.4's network learns, and say nothing of a print. Which of its
neighbours a pixel is darker than does (:mod:`edge_sdk.export.networks.patterns`). So fixed layers count 58 patterns at
two distances over the whole face, and encoder, decoder, second encoder and discriminator are of dense layers: the game,
its losses and its weights are the thesis'. A device computes encoder and decoder: 9.1 million multiply-adds a frame,
nearly all of the fixed layers, and 8,772 learned parameters.

What tells a face from an attack is a Gaussian mixture on the latents and on what the decoder could not restore
(``joint_likelihood``): how live faces *of one camera* lie there. So a bundle is for the camera of its live pictures,
and ``edge-sdk calibrate --live`` fits the density anew for another one.

`best` is small; `large` teaches it. Either takes a minute of a core. What they reach on faces, what a teacher adds and
what else was tried is in ``docs/results/liveness.md``.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import torch
from torch import nn

from edge_sdk.export.losses.one_class import Adversarial, OneClass
from edge_sdk.export.networks.autoencoder import LATENT, LATENT_LIKELIHOOD, InferenceModel
from edge_sdk.export.networks.patterns import LEVELS, Patterns, uniform_patterns
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.recipes.ganomaly import LATENT_AGAIN, SLOPE, EncoderDecoderEncoder
from edge_sdk.manifest import LatentDistance, LatentLikelihood
from edge_sdk.preprocess import FACE

RADII = (1, 2)
"""How far the neighbours are, in pixels of 128: attacks lose the finest detail first."""
SHARES = len(RADII) * len(uniform_patterns())
FARTHEST = 3.0
"""Standard deviations beyond which a share counts as this on a device: int8 is made with live faces, and cuts there."""
EPSILON = 1e-9
"""Least variance of a share."""
MIDDLE = 128
"""Of the 256 levels. Patterns are of differences, so that it counts for nothing."""
SIZES = {"small": ((32,), 16), "large": ((256, 128), 64)}
"""Widths of the hidden layers, and latents."""
LATENT_AND_RESIDUAL = "latent_and_residual"


class Perceptron(nn.Module):
    """``(N, inputs)`` to its last hidden layer ``(N, hidden[-1])`` and ``(N, outputs)``; norms are behind the ReLUs."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((inputs, *hidden)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE), nn.BatchNorm1d(after)]
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(hidden[-1], outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.features(x)
        return features, self.dense(features)

    @torch.no_grad()
    def fold(self) -> None:
        """Let each dense layer do the batch norm before it, in evaluation mode: there is one rounding less in int8."""
        layers: list[nn.Module] = [*self.features, self.dense]
        for norm, dense in zip(layers[2::3], layers[3::3], strict=True):
            assert isinstance(norm, nn.BatchNorm1d)
            assert isinstance(dense, nn.Linear)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            dense.bias.add_(dense.weight @ (norm.bias - norm.running_mean * scale))
            dense.weight.mul_(scale)
        self.features = nn.Sequential(*(one for one in self.features if not isinstance(one, nn.BatchNorm1d)))


class Restorer(Perceptron):
    """The same without a look at the hidden layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x)[1]


class Less(nn.Module):
    """The input less a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.number


class ShareStatistics(nn.Module):
    """Mean and variance ``(SHARES,)``, the means of all batches' so far.

    Not a batch norm: what is imitated must not depend on who else is in the batch, so that all are standardised alike.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def __init__(self, mean: float, var: float) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.full((SHARES,), mean))
        self.register_buffer("running_var", torch.full((SHARES,), var))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def update(self, shares: torch.Tensor) -> None:
        """Count a batch ``(N, SHARES)``, N from 2."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(shares.mean(0), 1 / int(self.num_batches_tracked))
        self.running_var.lerp_(shares.var(0), 1 / int(self.num_batches_tracked))


class PatternShares(nn.Module):
    """Faces ``(N, 1, 128, 128)`` to the standardised share of each pattern, ``(N, SHARES)``."""

    def __init__(self) -> None:
        super().__init__()
        self.patterns = Patterns(RADII, halved=False)
        # Until the first batch, about what faces have.
        self.standard = ShareStatistics(1 / len(uniform_patterns()), 0.01**2)

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares = self.patterns.shares(x)
        if self.training:
            self.standard.update(shares)
        found = (shares - self.standard.running_mean) / (self.standard.running_var + EPSILON).sqrt()
        return found if self.training else found.clamp(-FARTHEST, FARTHEST)

    @torch.no_grad()
    def for_device(self, side: int = 128) -> nn.Sequential:
        """The same, with sums over each quarter of the face, then over the quarters, that int8 rounds by little.

        Weights of one channel are all alike, so that int8 holds them, and each channel has a scale of its own. A
        quarter's share is in units of its mean, so that rare patterns are rounded no more than frequent ones; what
        comes out is standardised. A sum over the whole face at once would need four times the weights.
        """
        mean, var = self.standard.running_mean, self.standard.running_var
        half = ((side + 1) // 2 - max(RADII)) // 2
        unit, spread = mean.clamp(min=1 / side**2), (var + EPSILON).sqrt()
        quarters = nn.Conv2d(SHARES, SHARES, half, half, groups=SHARES, bias=False)
        whole = nn.Conv2d(SHARES, SHARES, 2, groups=SHARES)
        assert whole.bias is not None
        quarters.weight.copy_((1 / (half**2 * unit))[:, None, None, None].expand_as(quarters.weight))
        whole.weight.copy_((unit / (4 * spread))[:, None, None, None].expand_as(whole.weight))
        whole.bias.copy_(FARTHEST - mean / spread)
        # Pixels about their middle level, of which int8 that is symmetric about 0 would hold every other one else. And
        # what is cut to [-3, 3] is three less than what ReLU6, the one cut that all formats have in int8, makes of it.
        cut = (nn.ReLU6(), nn.Flatten(), Less(FARTHEST))
        return nn.Sequential(Less(MIDDLE / LEVELS), self.patterns, quarters, whole, *cut)


class GanomalyLite(EncoderDecoderEncoder):
    """Faces ``(N, 1, 128, 128)`` in [0, 1]; ``latent_and_residual``, ``(N, latents + SHARES)``, is an output too.

    Args:
        size: Of :data:`SIZES`.
        hidden, latent_size: Instead of the size's.
    """

    def __init__(self, *, size: str = "small", hidden: Sequence[int] = (), latent_size: int = 0) -> None:
        super().__init__()
        of_size, latents_of_size = SIZES[size]
        widths, latents = hidden or of_size, latent_size or latents_of_size
        self.shares: nn.Module = PatternShares()
        self.encoder = Perceptron(SHARES, widths, latents)
        self.decoder = Restorer(latents, widths[::-1], SHARES)
        self.second_encoder = Perceptron(SHARES, widths, latents)
        self.discriminator = Perceptron(SHARES, widths, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.zeros_(module.bias)

    def imitated(self, x: torch.Tensor) -> torch.Tensor:
        """Their shares of patterns, ``(N, SHARES)``."""
        shares: torch.Tensor = self.shares(x)
        return shares

    def observe(self, x: torch.Tensor, names: Sequence[str]) -> dict[str, torch.Tensor]:
        if LATENT_AND_RESIDUAL not in names:
            return super().observe(x, names)
        imitated = self.imitated(x)
        latent = self.encoder(imitated)[1]
        found = {LATENT: latent, LATENT_AND_RESIDUAL: torch.cat([latent, imitated - self.decoder(latent)], dim=1)}
        others = [name for name in names if name not in found]
        return found | super().observe(x, others) if others else found

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        """A copy that counts as :meth:`PatternShares.for_device` says; only the discriminator keeps its norms."""
        twin = copy.deepcopy(self)
        assert isinstance(twin.shares, PatternShares)
        twin.shares = twin.shares.for_device().train(self.training)
        for part in (twin.encoder, twin.decoder, twin.second_encoder):
            assert isinstance(part, Perceptron)
            part.fold()
        return InferenceModel(twin, outputs)


SCORES = {
    # Training validates by it, for it needs no density.
    "latent_distance": LatentDistance(first=LATENT, second=LATENT_AGAIN),
    "latent_likelihood": LATENT_LIKELIHOOD,
    "joint_likelihood": LatentLikelihood(output=LATENT_AND_RESIDUAL, density="joint.npy"),
}


def _preset(size: str) -> Preset:
    return Preset(
        preprocessing=FACE,
        # Pictures as they are: noise and blur would change which patterns they have, and light changes none.
        objective=OneClass(Adversarial(), images=64),
        steps=1000,
        learning_rate=1e-3,
        network={"size": size},
        optimizer="adam",
        betas=(0.5, 0.99),
        schedule="decay",
        keep="last",  # no attack has a say in what is kept
        validate_every=250,
        precision="32-true",
    )


RECIPE = Recipe(
    name="ganomaly_lite",
    task="spoof",
    modality="face",
    network=GanomalyLite,
    tiny=GanomalyLite,  # 16,949 learned parameters
    score=SCORES["latent_distance"],
    scores=SCORES,
    latents=LATENT,
    # Four in ten live faces lie below the threshold at which 5 % of the rendered attacks pass, and many near it. Some
    # are rounded across, to either side, so that the 485 people of the guardrail can tell three points, not one.
    attack_budget=0.03,
    # Differences from a mean: nothing that all pictures share makes these outputs alike, as it does other networks'.
    parity=dict.fromkeys(("int8.onnx", "int8-sym.onnx", "int8.tflite", "int8-io.tflite"), 0.1),
    modes=(1, 2, 4, 8),  # more of them tell no more attacks, and each is 132 means and variances on the device
    presets={"best": _preset("small"), "large": _preset("large")},
)
