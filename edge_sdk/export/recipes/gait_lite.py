"""Gait for small devices: dense convolutions of height 1, batch norms over channels, 64 features."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from edge_sdk.export.data.gait.augmentation import CycleAugmentation
from edge_sdk.export.networks.people_classifier import PeopleClassifier
from edge_sdk.export.networks.temporal import AXES, SAMPLES
from edge_sdk.export.recipes import gait

STAGES = ((32, 7, 1, 0), (64, 5, 2, 1), (96, 5, 2, 1), (128, 3, 2, 0))
"""Channels, length and stride of a stage's first convolution, and residual pairs behind it."""
REDUCED, SIZE = 32, 64


def convolution(inputs: int, outputs: int, length: int, *, stride: int = 1, activated: bool = True) -> nn.Sequential:
    """Convolution along time, batch norm and, unless told otherwise, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (1, length), (1, stride), (0, length // 2), bias=False),
        nn.BatchNorm2d(outputs),
        *([nn.ReLU(inplace=True)] if activated else []),
    )


class TemporalPair(nn.Module):
    """Two convolutions of length 3, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3)
        self.second = convolution(channels, channels, 3, activated=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined: torch.Tensor = self.relu(x + self.second(self.first(x)))
        return joined


class GaitLite(nn.Module):
    """Cycles ``(N, 4, 100)``, whose four rows are channels, to ``(N, 64)``.

    Args:
        width: Share of the channels.
    """

    last = "dense"

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()

        def channels(count: int) -> int:
            return max(4, round(count * width))

        self.size = channels(SIZE)
        layers: list[nn.Module] = []
        inputs, steps = AXES, SAMPLES
        for count, length, stride, pairs in STAGES:
            layers.append(convolution(inputs, channels(count), length, stride=stride))
            layers += [TemporalPair(channels(count)) for _ in range(pairs)]
            inputs, steps = channels(count), -(-steps // stride)
        self.maps = nn.Sequential(*layers, convolution(inputs, channels(REDUCED), 1))
        self.dense = nn.Linear(channels(REDUCED) * steps, self.size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x[:, :, None]).permute(0, 2, 3, 1)  # as TFLite has them, so that it need not turn them round
        features: torch.Tensor = self.dense(maps.flatten(1))
        return features


def network(*, width: float = 1.0, people: int = gait.PEOPLE) -> PeopleClassifier:
    """With its classifier; ``people`` is the most that it can learn to tell apart."""
    features = GaitLite(width=width)
    return PeopleClassifier(features, features.size, people=people)


def tiny(*, width: float = 1.0) -> PeopleClassifier:
    """About 8,700 parameters, at a ``width`` of 1."""
    return network(width=width / 6, people=256)


RECIPE = replace(
    gait.RECIPE,
    name="gait_lite",
    network=network,
    tiny=tiny,
    presets={
        "best": replace(
            gait.BEST,
            network={},
            augmentation=CycleAugmentation(),
            steps=1600,
            weight_decay=1e-3,
            validate_every=400,
        )
    },
)
