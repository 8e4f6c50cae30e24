"""What one-class networks have in common: named outputs of which a device computes some, and the variational kind."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.losses.one_class import VariationalPass
from edge_sdk.export.networks.network import Network
from edge_sdk.manifest import EvidenceLowerBound, KlDivergence, LatentLikelihood, Reconstruction
from edge_sdk.scoring.base import Score

RECONSTRUCTION, LATENT, LOG_VARIANCE = "reconstruction", "latent", "log_variance"
LATENT_LIKELIHOOD = LatentLikelihood(output=LATENT, density="latent.npy")
"""Under a mixture of Gaussians on the latents of the training people's live images (thesis, section 3.7)."""


class Autoencoder(Network):
    """Learns live images, ``(N, 1, H, W)`` in [0, 1].

    In training mode ``forward`` returns the record that the recipe's criterion takes, in evaluation mode the
    reconstruction.
    """

    def initialise(self, gain: float) -> None:
        """Draw weights with which a linear layer has ``gain`` times its input's variance, and no biases.

        2 is He's, for layers with a ReLU behind each. Torch's own is a third, and the signal dies away.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                added = module.weight[0].numel()  # products in one value of the output
                if isinstance(module, nn.ConvTranspose2d):
                    added = module.weight[:, 0].numel() // math.prod(module.stride)
                nn.init.normal_(module.weight, std=math.sqrt(gain / added))
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        return InferenceModel(self, outputs)

    @abstractmethod
    def observe(self, x: torch.Tensor, names: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """At least the outputs of these names, computed as on a device: no sampling."""

    def outputs(self, x: torch.Tensor, names: Sequence[str]) -> tuple[torch.Tensor, ...]:
        """The outputs of these names, in their order.

        Raises:
            UsageError: The network has no such output.
        """
        found = self.observe(x, names)
        if unknown := [name for name in names if name not in found]:
            raise UsageError(f"{type(self).__name__} has no output {', '.join(unknown)}")
        return tuple(found[name] for name in names)


class InferenceModel(nn.Module):
    """The outputs that a score needs, and with them only the layers that bear on it."""

    def __init__(self, network: Autoencoder, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        found = self.network.outputs(x, self.names)
        return found if len(found) > 1 else found[0]


VARIATIONAL_SCORES: Mapping[str, Score] = {
    "reconstruction": Reconstruction(input="image", output=RECONSTRUCTION, norm="l2"),
    "kl": KlDivergence(mean=LATENT, log_variance=LOG_VARIANCE),
    "elbo": EvidenceLowerBound(input="image", output=RECONSTRUCTION, mean=LATENT, log_variance=LOG_VARIANCE),
    "latent_likelihood": LATENT_LIKELIHOOD,
}
"""What a :class:`Variational` can be scored by."""


class Variational(Autoencoder):
    """``encoder``, a sampling layer and ``decoder`` (section 2.3).

    A device takes the latents' mean for a sample, so that an image has one score.

    Args:
        encoder: ``(N, 1, H, W)`` to ``(N, 2 D)``: means, then logarithms of variances. A dense layer is its last.
        decoder: ``(N, D)`` to logits ``(N, 1, H, W)``, whose sigmoid is the reconstruction.
    """

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def initialise(self, gain: float) -> None:
        super().initialise(gain)
        dense = self.encoder[-1]
        assert isinstance(dense, nn.Linear)
        with torch.no_grad():  # a logarithm far above 0 would drown the image in noise, or overflow
            dense.weight.chunk(2)[1].mul_(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor | VariationalPass:
        if not self.training:
            return self.outputs(x, [RECONSTRUCTION])[0]
        # Float: the exponential and the divergence's differences are beyond bfloat16.
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        sample = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return VariationalPass(x, self.decoder(sample).float(), mean, log_variance)

    def observe(self, x: torch.Tensor, names: Sequence[str]) -> dict[str, torch.Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        found = {LATENT: mean, LOG_VARIANCE: log_variance}
        if RECONSTRUCTION in names:
            found[RECONSTRUCTION] = torch.sigmoid(self.decoder(mean))
        return found
