"""DCVAE: a deep convolutional variational autoencoder, trained on live faces alone (thesis, table 3.2)."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from edge_sdk.export.data.faces.augmentation import PLACES, FaceAugmentation
from edge_sdk.export.data.faces.filters import Filter
from edge_sdk.export.losses.one_class import Elbo, OneClass
from edge_sdk.export.networks.autoencoder import LATENT, VARIATIONAL_SCORES, Variational
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.preprocess import FACE, FACE_OVAL


def convolution(inputs: int, outputs: int) -> list[nn.Module]:
    """3 x 3, and a ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]


class Dcvae(Variational):
    """Table 3.2: ``(N, 1, 128, 128)`` in [0, 1]; 512 latents.

    Outputs: ``reconstruction``, and ``latent`` and ``log_variance``, the means of the latents and the logarithms of
    their variances. Up-sampling repeats pixels.

    Args:
        width: Share of the table's channels and latents; the latents are a map of 8 x 8 to the decoder, and so at
            least 64.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        a, b, c, d, e = (max(2, round(count * width)) for count in (32, 64, 128, 256, 512))
        seed = max(1, round(8 * width))
        encoder = [*convolution(1, a), *convolution(a, b), nn.MaxPool2d(2)]
        for before, after in ((b, c), (c, d), (d, e)):
            encoder += [*convolution(before, after), nn.MaxPool2d(2)]
        encoder += [nn.Flatten(), nn.Linear(e * 8 * 8, 2 * seed * 8 * 8)]
        decoder: list[nn.Module] = [nn.Unflatten(1, (seed, 8, 8))]
        for before, after in ((seed, e), (e, d), (d, c), (c, b)):
            decoder += [nn.Upsample(scale_factor=2), *convolution(before, after)]
        decoder += [*convolution(b, a), nn.Conv2d(a, 1, 1)]
        super().__init__(nn.Sequential(*encoder), nn.Sequential(*decoder))
        self.initialise(gain=2)


def tiny(*, width: float = 1.0) -> Dcvae:
    """About 17,000 parameters at a ``width`` of 1, nearly all in the dense layer, which 64 latents make that large."""
    return Dcvae(width=width / 256)


# A quarter of the width, which two cores can train. Not tuned yet.
_BEST = Preset(
    preprocessing=FACE,
    objective=OneClass(Elbo(), images=32),
    steps=6000,
    learning_rate=5e-4,
    network={"width": 0.25},
    augmentation=PLACES,
    optimizer="adam",
    betas=(0.9, 0.99),
    schedule="decay",
    average=0.99,
    validate_every=300,
)

RECIPE = Recipe(
    name="dcvae",
    task="spoof",
    modality="face",
    network=Dcvae,
    tiny=tiny,
    score=VARIATIONAL_SCORES["reconstruction"],
    scores=VARIATIONAL_SCORES,
    latents=LATENT,
    presets={
        # Table 4.2: all of the data, 15 epochs of 10,000 batches.
        "paper_baseline": Preset(
            preprocessing=FACE,
            objective=OneClass(Elbo(w_rec=1, w_kl=1), images=64),
            steps=150_000,
            learning_rate=1e-4,
            optimizer="adam",
            betas=(0.9, 0.99),
            validate_every=10_000,
        ),
        # Table 4.4: the filtered data set, 20 epochs of 3,000 batches.
        "paper": Preset(
            preprocessing=FACE,
            objective=OneClass(Elbo(w_rec=1, w_kl=1), images=64),
            steps=60_000,
            learning_rate=1e-4,
            filter=Filter(),
            optimizer="adam",
            betas=(0.9, 0.99),
            validate_every=3000,
        ),
        # Tables 4.5 and 4.6: the same with augmentations, smaller batches and a rate that decays as in section 3.6.2.
        "paper_augmented": Preset(
            preprocessing=FACE,
            objective=OneClass(Elbo(w_rec=1, w_kl=1), images=32),
            steps=60_000,
            learning_rate=1e-4,
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
