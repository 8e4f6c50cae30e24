"""Gait for small devices: three convolutions of height 1, batch norms over channels, 64 features."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch
from torch import nn

from edge_sdk.export.data.gait.augmentation import CycleAugmentation
from edge_sdk.export.networks.people_classifier import PeopleClassifier
from edge_sdk.export.networks.temporal import AXES, SAMPLES
from edge_sdk.export.recipes import gait

CHANNELS, LENGTH, STRIDE = (48, 64, 96), 5, 2
"""Of the convolutions."""
SIZE = 64


class GaitLite(nn.Module):
    """Cycles ``(N, 4, 100)``, whose four rows are channels, to ``(N, 64)``.

    Args:
        width: Share of the channels.
        dropout: Share of the inputs of the dense layer that are dropped in training.
    """

    last = "dense"

    def __init__(self, *, width: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        counts = [AXES, *(max(4, round(count * width)) for count in CHANNELS)]
        self.size = max(4, round(SIZE * width))
        self.maps = nn.Sequential(*itertools.starmap(convolution, itertools.pairwise(counts)))
        steps = SAMPLES
        for _ in CHANNELS:
            steps = -(-steps // STRIDE)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(counts[-1] * steps, self.size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(x[:, :, None]).permute(0, 2, 3, 1)  # as TFLite has them, so that it need not turn them round
        features: torch.Tensor = self.dense(self.dropout(maps.flatten(1)))
        return features


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution along time, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (1, LENGTH), (1, STRIDE), (0, LENGTH // 2), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def network(*, width: float = 1.0, people: int = gait.PEOPLE) -> PeopleClassifier:
    """With its classifier; ``people`` is the most that it can learn to tell apart."""
    features = GaitLite(width=width)
    return PeopleClassifier(features, features.size, people=people)


def tiny(*, width: float = 1.0) -> PeopleClassifier:
    """About 6,900 parameters, at a ``width`` of 1."""
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
            steps=1000,
            weight_decay=1e-3,
            validate_every=500,
        )
    },
)
