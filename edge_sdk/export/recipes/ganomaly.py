"""GANomaly: an encoder-decoder-encoder with a discriminator, trained on live faces alone (thesis, table 3.4)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.func import functional_call

from edge_sdk.export.data.faces.augmentation import PLACES
from edge_sdk.export.losses.one_class import Adversarial, AdversarialPass, OneClass
from edge_sdk.export.networks.autoencoder import LATENT, LATENT_LIKELIHOOD, RECONSTRUCTION, Autoencoder
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import LatentDistance, LatentLikelihood, Reconstruction
from edge_sdk.preprocess import FACE, FACE_OVAL
from edge_sdk.scoring.base import Score

CHANNELS = (128, 256, 512, 1024, 2048)
LATENT_SIZE = 512
LATENT_AGAIN = "latent_reconstructed"
FEATURES, FEATURES_AGAIN = "features", "features_reconstructed"
SLOPE = 0.2
"""Of the leaky ReLUs: the table gives none, GANomaly's authors take this."""


class Encoder(nn.Module):
    """Table 3.4, left: ``(N, 1, 128, 128)`` to ``(N, outputs)``; the batch norms stand behind the activations.

    Also the discriminator, with one output: "the same configuration as the encoders".

    Args:
        channels: Of the five layers that halve the picture.
        features: Channels of the last 4 x 4 map.
    """

    def __init__(self, channels: Sequence[int], features: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((1, *channels)):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE), nn.BatchNorm2d(after)]
        # A stride of 1 keeps 4 x 4: 3 pixels of padding, of which Keras and torch put the odd one behind.
        layers += [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(channels[-1], features, 4), nn.LeakyReLU(SLOPE)]
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(features * 4 * 4, outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The flat last map ``(N, features * 16)``, and the outputs."""
        features = self.features(x).flatten(1)
        return features, self.dense(features)


class Decoder(nn.Sequential):
    """Table 3.4, right: ``(N, latent)`` to ``(N, 1, 128, 128)`` in [0, 1].

    The table ends in a tanh, but its inputs are in [0, 1] and so is all that is compared with them. A tanh moved there
    is a sigmoid, of twice the argument, which the last layer's weights can learn.
    """

    def __init__(self, channels: Sequence[int], latent: int) -> None:
        wide = channels[::-1]
        layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
        layers += [nn.ConvTranspose2d(latent, wide[0], 4, 1, 0), nn.ReLU(), nn.BatchNorm2d(wide[0])]
        for before, after in itertools.pairwise(wide):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(after)]
        super().__init__(*layers, nn.ConvTranspose2d(wide[-1], 1, 3, 2, 1, output_padding=1), nn.Sigmoid())


class EncoderDecoderEncoder(Autoencoder):
    """Section 3.5, whatever the four parts are made of: faces ``(N, 1, 128, 128)`` and how well they can be imitated.

    Outputs: ``reconstruction``; ``latent`` and ``latent_reconstructed`` of what is imitated and of its reconstruction,
    by two encoders; ``features`` and ``features_reconstructed`` of both, the discriminator's last layer before its
    logit. The reconstruction takes the first encoder and the decoder alone.

    Encoders and discriminator give their features and their outputs, each ``(N, ...)``; the decoder takes latents.
    """

    encoder: nn.Module
    decoder: nn.Module
    second_encoder: nn.Module
    discriminator: nn.Module

    def imitated(self, x: torch.Tensor) -> torch.Tensor:
        """What of faces ``(N, 1, 128, 128)`` is imitated: here the picture."""
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor | AdversarialPass:
        if not self.training:
            return self.outputs(x, [RECONSTRUCTION])[0]
        imitated = self.imitated(x)
        latent = self.encoder(imitated)[1]
        reconstruction = self.decoder(latent)
        latent_reconstructed = self.second_encoder(reconstruction)[1]
        features, logit = self.discriminator(imitated)
        _, logit_reconstructed = self.discriminator(reconstruction.detach())
        # The generator learns what the discriminator looks at; the discriminator must not learn to look away. This pass
        # repeats the one above for the generator's gradient: copies of the statistics keep it from counting twice.
        constants = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        statistics = {name: buffer.clone() for name, buffer in self.discriminator.named_buffers()}
        features_reconstructed, _ = functional_call(self.discriminator, constants | statistics, (reconstruction,))
        made = (
            imitated,
            reconstruction,
            latent,
            latent_reconstructed,
            features.detach(),
            features_reconstructed,
            logit,
            logit_reconstructed,
        )
        return AdversarialPass(x, *(part.float() for part in made))

    def discriminator_features(self, imitated: torch.Tensor) -> torch.Tensor:
        """The discriminator's features of what is imitated, or of a reconstruction: flat."""
        found: torch.Tensor = self.discriminator(imitated)[0]
        return found

    def observe(self, x: torch.Tensor, names: Sequence[str]) -> dict[str, torch.Tensor]:
        imitated = self.imitated(x)
        latent = self.encoder(imitated)[1]
        found = {LATENT: latent}
        if set(names) & {RECONSTRUCTION, LATENT_AGAIN, FEATURES_AGAIN}:
            found[RECONSTRUCTION] = self.decoder(latent)
        if LATENT_AGAIN in names:
            found[LATENT_AGAIN] = self.second_encoder(found[RECONSTRUCTION])[1]
        if FEATURES in names:
            found[FEATURES] = self.discriminator_features(imitated)
        if FEATURES_AGAIN in names:
            found[FEATURES_AGAIN] = self.discriminator_features(found[RECONSTRUCTION])
        return found


class GANomaly(EncoderDecoderEncoder):
    """Table 3.4: faces ``(N, 1, 128, 128)`` in [0, 1], which are imitated pixel by pixel.

    Args:
        channels, latent_size: The table's.
        width: The share of them that there is.
    """

    def __init__(
        self, *, width: float = 1.0, channels: Sequence[int] = CHANNELS, latent_size: int = LATENT_SIZE
    ) -> None:
        super().__init__()
        maps = [max(2, round(count * width)) for count in channels]
        latent = max(4, round(latent_size * width))
        self.encoder = Encoder(maps, latent, latent)
        self.decoder = Decoder(maps, latent)
        self.second_encoder = Encoder(maps, latent, latent)
        self.discriminator = Encoder(maps, latent, 1)
        self.initialise(gain=2)


SCORES: Mapping[str, Score] = {
    "reconstruction": Reconstruction(input="image", output=RECONSTRUCTION, norm="l2"),
    "latent_distance": LatentDistance(first=LATENT, second=LATENT_AGAIN),
    "feature_distance": LatentDistance(first=FEATURES, second=FEATURES_AGAIN),
    "latent_likelihood": LATENT_LIKELIHOOD,
    "feature_likelihood": LatentLikelihood(output=FEATURES, density="features.npy"),
}


def tiny(*, width: float = 1.0) -> GANomaly:
    """About 16,000 parameters, at a ``width`` of 1."""
    return GANomaly(width=width / 128)


# An eighth of the width, which two cores can train (18 minutes of one); the rate grows as the layers
# shrink. Not tuned yet.
_BEST = Preset(
    preprocessing=FACE,
    objective=OneClass(Adversarial(), images=32),
    steps=1200,
    learning_rate=2e-4,
    network={"width": 0.125},
    augmentation=PLACES,
    optimizer="adam",
    betas=(0.5, 0.99),
    schedule="decay",
    average=0.99,
    validate_every=200,
)

RECIPE = Recipe(
    name="ganomaly",
    task="spoof",
    modality="face",
    network=GANomaly,
    tiny=tiny,
    score=SCORES["reconstruction"],
    scores=SCORES,
    latents=LATENT,
    presets={
        # Table 4.9: 50 epochs of 1,500 batches. No filter and no augmentation is named for it.
        "paper": Preset(
            preprocessing=FACE,
            objective=OneClass(Adversarial(w_rec=50, w_enc=1, w_adv=1), images=16),
            steps=75_000,
            learning_rate=2e-5,
            optimizer="adam",
            betas=(0.5, 0.99),
            validate_every=1500,
        ),
        "best": _BEST,
        # Nothing of what lies round the face (section 5.3).
        "oval": replace(_BEST, preprocessing=FACE_OVAL),
    },
)
