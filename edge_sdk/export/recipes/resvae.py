"""ResVAE: a variational autoencoder of residual blocks, trained on live faces alone (thesis, table 3.3)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from edge_sdk.export.data.faces.augmentation import PLACES, FaceAugmentation
from edge_sdk.export.data.faces.filters import Filter
from edge_sdk.export.losses.one_class import Elbo, OneClass
from edge_sdk.export.networks.autoencoder import LATENT, VARIATIONAL_SCORES, Variational
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.preprocess import FACE, FACE_OVAL


class Residual(nn.Module):
    """Figure 3.7: two 3 x 3 convolutions with a ReLU between them, beside one that matches the channels.

    The figure does not give the kernel beside: 1 x 1, the least that matches. Nothing follows the sum.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x))) + self.skip(x)


class ResVae(Variational):
    """Table 3.3: ``(N, 1, 128, 128)`` in [0, 1]; 512 latents.

    Outputs: ``reconstruction``, and ``latent`` and ``log_variance``, the means of the latents and the logarithms of
    their variances. Up-sampling repeats pixels.

    The table lets the decoder's third up-sampling change 256 channels to 128. Up-sampling cannot: the block before it
    does, so that the row has the printed shape.

    Args:
        width: Share of the table's channels and latents; the latents are a map of 4 x 4 to the decoder, and so at
            least 16.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        a, b, c, d, e = (max(2, round(count * width)) for count in (32, 64, 128, 256, 512))
        seed = max(1, round(32 * width))
        encoder: list[nn.Module] = [nn.Conv2d(1, a, 3, padding=1)]
        for before, after in ((a, b), (b, c), (c, d), (d, e), (e, e)):
            encoder += [Residual(before, after), nn.AvgPool2d(2)]
        encoder += [nn.Flatten(), nn.Linear(e * 4 * 4, 2 * seed * 4 * 4)]
        decoder: list[nn.Module] = [nn.Unflatten(1, (seed, 4, 4))]
        for before, after in ((seed, e), (e, d), (d, c), (c, b), (b, a)):
            decoder += [nn.Upsample(scale_factor=2), Residual(before, after)]
        # The table names the activation; its slope is GANomaly's.
        decoder += [nn.LeakyReLU(0.2), nn.Conv2d(a, 1, 1)]
        super().__init__(nn.Sequential(*encoder), nn.Sequential(*decoder))
        self.initialise(gain=1)  # the sum of two branches grows by half as it is, and no ReLU follows it


def tiny(*, width: float = 1.0) -> ResVae:
    """About 2,000 parameters, at a ``width`` of 1."""
    return ResVae(width=width / 256)


# An eighth of the width, which two cores can train. Not tuned yet.
_BEST = Preset(
    preprocessing=FACE,
    objective=OneClass(Elbo(), images=32),
    steps=6000,
    learning_rate=5e-4,
    network={"width": 0.125},
    augmentation=PLACES,
    optimizer="adam",
    betas=(0.5, 0.999),
    schedule="decay",
    average=0.99,
    validate_every=300,
)

RECIPE = Recipe(
    name="resvae",
    task="spoof",
    modality="face",
    network=ResVae,
    tiny=tiny,
    score=VARIATIONAL_SCORES["reconstruction"],
    scores=VARIATIONAL_SCORES,
    latents=LATENT,
    presets={
        # Table 4.8: 40 epochs of 3,000 batches, the rate constant for the first half (section 3.6.2). Filtered, with
        # all nine rows of table 3.5: so table 4.7 lists them, whose caption repeats that of table 4.1.
        "paper": Preset(
            preprocessing=FACE,
            objective=OneClass(Elbo(w_rec=1, w_kl=1), images=12),
            steps=120_000,
            learning_rate=5e-5,
            augmentation=FaceAugmentation(),
            filter=Filter(),
            optimizer="adam",
            betas=(0.5, 0.999),
            schedule="decay",
            validate_every=3000,
        ),
        "best": _BEST,
        # Nothing of what lies round the face (section 5.3).
        "oval": replace(_BEST, preprocessing=FACE_OVAL),
    },
)
