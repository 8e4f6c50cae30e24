"""DeepSign: a shallow SqueezeNet for signatures (DeepSign paper, table 3), 256,992 trainable parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation, Warp
from edge_sdk.export.losses.metric import ContrastivePairs, MinedMetric
from edge_sdk.export.networks.network import Network
from edge_sdk.export.networks.projection import principal_layer
from edge_sdk.export.recipes import EMBEDDING_SCORES, Preset, Recipe


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, norm: bool
) -> nn.Sequential:
    """Convolution and ReLU; with ``norm`` a batch norm between them, which the exporter folds into the convolution."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=not norm)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


class Fire(nn.Module):
    """1 x 1 squeeze to ``squeeze`` channels, then 1 x 1 and 3 x 3 expansions of ``expand`` channels each, joined."""

    def __init__(self, inputs: int, squeeze: int, expand: int, *, norm: bool) -> None:
        super().__init__()
        self.squeeze = convolution(inputs, squeeze, 1, norm=norm)
        self.narrow = convolution(squeeze, expand, 1, norm=norm)
        self.wide = convolution(squeeze, expand, 3, padding=1, norm=norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        return torch.cat([self.narrow(x), self.wide(x)], dim=1)


class DeepSign(Network):
    """Table 3 of the paper: ``(N, 1, H, W)`` in [0, 1], ink 1, to unit embeddings ``(N, 128)``.

    The table's shapes are those of a 300 x 360 input.

    The last Fire block squeezes to 48 channels where the table prints 32: only that gives the paper's 256,992
    parameters (table 4). Any input of at least 31 x 31 pixels works, since the last pooling is global.

    Args:
        batch_norm: Put a batch norm behind each convolution while training. Folded at export, it leaves the device's
            graph as the table says.
        width: Share of the table's channels.
        dropout: The table's rate.
    """

    def __init__(self, *, batch_norm: bool = False, width: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()

        def channels(count: int) -> int:
            return max(4, round(count * width))

        def fire(inputs: int, squeeze: int, expand: int) -> Fire:
            return Fire(inputs, channels(squeeze), channels(expand), norm=batch_norm)

        def out(expand: int) -> int:
            return 2 * channels(expand)

        self.features = nn.Sequential(
            convolution(1, channels(64), 3, stride=2, norm=batch_norm),
            nn.MaxPool2d(3, 2),
            fire(channels(64), 16, 64),
            fire(out(64), 16, 64),
            nn.MaxPool2d(3, 2),
            nn.Dropout(dropout),
            fire(out(64), 32, 72),
            fire(out(72), 32, 96),
            fire(out(96), 48, 128),
            nn.MaxPool2d(3, 2),
            nn.Dropout(dropout),
            convolution(out(128), channels(256), 1, norm=batch_norm),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.embedding = nn.Linear(channels(256), 128)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.embedding(self.features(x)).float(), dim=1)

    def project(self, batches: Iterable[torch.Tensor]) -> None:
        """See :class:`~edge_sdk.export.networks.network.Network`."""
        features = torch.cat([self.features(images) for images in batches])
        self.embedding = principal_layer(self.embedding, features.cpu().numpy()).to(features.device)


def tiny(*, batch_norm: bool = True, width: float = 1.0, dropout: float = 0.2) -> DeepSign:
    """About 4,000 parameters, at a ``width`` of 1."""
    return DeepSign(batch_norm=batch_norm, width=0.08 * width, dropout=dropout)


# Section 5.1: Adam, 3e-5, batch 32. The paper trains on a V100 for days; the cap is about half an hour of two cores.
PAPER = Preset(
    preprocessing=preprocess.PAPER,
    objective=ContrastivePairs(pairs=32, margin=1.0),
    steps=400,
    learning_rate=3e-5,
    optimizer="adam",
    validate_every=100,
    patience=3,
)

# What a forger gets wrong, proportions and lines, must not be among the changes of single images. With none at all the
# net tells its training writers' forgeries without an error, and new writers' worse: whole writers have to vary.
FAITHFUL = SignatureAugmentation(
    image=Warp(rotation=3, slant=0.03, scale=0.03), shift=0.03, bend=0.005, stroke=0.4, erase=0.0
)

RECIPE = Recipe(
    name="deepsign",
    task="verify",
    modality="signature",
    network=DeepSign,
    tiny=tiny,
    embedding_size=128,
    score=EMBEDDING_SCORES["person_model"],
    scores=EMBEDDING_SCORES,
    presets={
        "paper": PAPER,
        "paper_bhsig260": replace(PAPER, preprocessing=preprocess.BINARIZED),
        # The same layers on a frame of half the side: the last feature then covers half of a signature's width instead
        # of a quarter, which separates writers better, for a quarter of the work. Half an hour of one core with AMX.
        "best": Preset(
            preprocessing=preprocess.INK,
            objective=MinedMetric(verification=0.0, enrolment=3.0),
            steps=3000,
            learning_rate=3e-3,
            network={"batch_norm": True, "dropout": 0.0},
            augmentation=FAITHFUL,
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            keep="last",
            project=True,
            validate_every=200,
        ),
        # A teacher for distillation: more than twice the weights. An hour of one core with AMX.
        "large": Preset(
            preprocessing=preprocess.INK,
            objective=MinedMetric(),
            steps=1200,
            learning_rate=2e-3,
            network={"batch_norm": True, "width": 1.5},
            augmentation=SignatureAugmentation(),
            extra=("synthetic:120@1",),
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            keep="last",
            validate_every=200,
        ),
        # For the demo and tests: the whole path in about a minute.
        "quick": Preset(
            preprocessing=preprocess.INK,
            objective=MinedMetric(writers=6, genuine=4, forged=2),
            steps=60,
            learning_rate=3e-3,
            network={"batch_norm": True},
            augmentation=SignatureAugmentation(),
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.9,
            validate_every=20,
        ),
    },
)
