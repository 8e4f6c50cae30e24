"""A small net that has seen attacks: a bag of textures, trained on live faces and their imitations.

One-class nets see no attack before they meet one, and are weak for that; this one knows the species it was shown, and
may know no other. So their scores go together, which is why it takes ``ganomaly``'s very input.

What is new at another place, on another day, is where the light comes from; what a print or a screen does to the finest
detail is not. So no layer is told how bright a place is, and the verdict is the mean of what patches of 43 pixels look
like, wherever they lie. The layers between are MobileNet's (Howard et al., 2017, "MobileNets: Efficient Convolutional
Neural Networks for Mobile Vision Applications", section 3.1); their number and widths are ours.

PARAMS
"""

from __future__ import annotations

import torch
from torch import nn

from edge_sdk.export.augment.faces import CameraAugmentation
from edge_sdk.export.recipe import Preset, Recipe
from edge_sdk.export.recipes.mobilenetv2 import convolution
from edge_sdk.export.supervised import LOGIT, Judge, LiveAgainstAttacks
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import FACE

STEM = 32
STAGES = ((48, 2), (64, 1), (64, 1), (96, 2), (128, 1))
"""Channels and stride of each block."""


class Details(nn.Conv2d):
    """Convolution that sees no even brightness: the mean is taken off each filter."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean((2, 3), keepdim=True), self.bias)


class SpoofLite(Judge):
    """Faces ``(N, 1, 128, 128)`` in [0, 1] to the logit of "live" ``(N, 1)``.

    Args:
        width: Share of the channels.
        dropout: Of the features, in training.
    """

    def __init__(self, *, width: float = 1.0, dropout: float = 0.3) -> None:
        def channels(count: int) -> int:
            return max(2, round(count * width))

        inputs = channels(STEM)
        layers: list[nn.Module] = [Details(1, inputs, 5, 2, 2, bias=False), nn.BatchNorm2d(inputs), nn.ReLU6()]
        for count, stride in STAGES:
            layers += [
                convolution(inputs, inputs, 3, stride=stride, groups=inputs),
                convolution(inputs, channels(count), 1),
            ]
            inputs = channels(count)
        super().__init__(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), inputs, dropout=dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def tiny(*, width: float = 1.0, dropout: float = 0.3) -> SpoofLite:
    """About 3,000 parameters, at a ``width`` of 1."""
    return SpoofLite(width=width / 4, dropout=dropout)


RECIPE = Recipe(
    name="spoof_lite",
    modality="face",
    network=SpoofLite,
    tiny=tiny,
    score=DecisionHead(output=LOGIT, activation="sigmoid"),
    presets={
        # In float32, for convolutions by channel were a quarter slower in bfloat16, even on a core with AMX.
        "best": Preset(
            preprocessing=FACE,
            objective=LiveAgainstAttacks(images=64),
            augmentation=CameraAugmentation(),
            steps=1500,
            learning_rate=3e-3,
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            validate_every=250,
            precision="32-true",
        ),
        # A teacher for distillation: LARGE
        "large": Preset(
            preprocessing=FACE,
            objective=LiveAgainstAttacks(images=64),
            augmentation=CameraAugmentation(),
            steps=1000,
            learning_rate=3e-3,
            network={"width": 2.0},
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            validate_every=250,
            precision="32-true",
        ),
    },
)
