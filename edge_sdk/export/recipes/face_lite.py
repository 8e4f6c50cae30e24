"""A small network of aligned faces: 1.12 million weights, 212 million multiply-adds, for the phone and the car.

What a face network is made of on small devices (depthwise convolutions, PReLU, squeeze-and-excitation, a depthwise
7 x 7 at the end) is slow or inexact in int8 on the engines served here. Dense 3 x 3 convolutions with ReLU are neither:
they are what int8 units are built for. Blocks add to what they are given, without an activation behind the sum, as in
MobileNetV2 (Sandler et al., 2018), so that what is added up is not cut off at 0. Their number and widths are ours.

The last layer looks at the whole map, 7 x 7, place by place, for a face is aligned and an eye never lies where a mouth
does. ArcFace (Deng et al., 2019) ends in a fully connected layer, which is the same.

`best` learns people, as the network of its size that nobody helps; `edge-sdk distill` learns to see as published
networks do as well, and is what is shipped: ``docs/results/faces.md`` has both. On a GPU either takes minutes. `quick`
is for trying things out on a processor.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.export.data.faces.views import FaceViews
from edge_sdk.export.losses.prototypes import PrototypeMargin
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import EmbeddingDistance
from edge_sdk.preprocess.align import FaceAlignment

STEM = 32
STAGES = ((64, 3), (96, 4), (112, 2))
"""Channels, and blocks behind the convolution of stride 2 that begins a stage."""
REDUCED, SIZE = 32, 128


def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, activated: bool = True) -> nn.Sequential:
    """Convolution, batch norm and, unless told otherwise, ReLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        *([nn.ReLU(inplace=True)] if activated else []),
    ]
    return nn.Sequential(*layers)


class ResidualPair(nn.Module):
    """A dense 3 x 3 and a 1 x 1 convolution, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = convolution(channels, channels, 3)
        self.narrow = convolution(channels, channels, 1, activated=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = x + self.narrow(self.wide(x))
        return added


class FaceLite(Network):
    """Aligned gray faces ``(N, 1, 112, 112)`` in [0, 1] to unit embeddings ``(N, 128)``.

    Args:
        width: Share of the channels.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()

        def channels(count: int) -> int:
            return max(4, round(count * width))

        inputs = channels(STEM)
        layers: list[nn.Module] = [convolution(1, inputs, 3, stride=2)]
        for count, blocks in STAGES:
            layers.append(convolution(inputs, channels(count), 3, stride=2))
            inputs = channels(count)
            layers += [ResidualPair(inputs) for _ in range(blocks)]
        self.features = nn.Sequential(*layers, convolution(inputs, channels(REDUCED), 1))
        self.embedding = nn.Sequential(nn.Conv2d(channels(REDUCED), SIZE, 7, bias=False), nn.BatchNorm2d(SIZE))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.embedding(self.features(x)).flatten(1).float(), dim=1)


def tiny(*, width: float = 1.0) -> FaceLite:
    """About 58,000 parameters, at a ``width`` of 1; 128 x 7 x 7 weights for each channel of the last map."""
    return FaceLite(width=width / 6)


BEST = Preset(
    preprocessing=preprocess.ALIGNED,
    objective=PrototypeMargin(images=160),
    views=FaceViews(),
    steps=2900,
    learning_rate=3e-3,
    weight_decay=0.05,
    schedule="one_cycle",
    average=0.998,
    keep="last",
    validate_every=500,
)

RECIPE = Recipe(
    name="face_lite",
    task="verify",
    modality="face",
    network=FaceLite,
    tiny=tiny,
    embedding_size=SIZE,
    face=FaceAlignment(),
    score=EmbeddingDistance(output="embedding", metric="euclidean", references="mean_score"),
    presets={
        "best": BEST,
        "quick": replace(
            BEST,
            objective=PrototypeMargin(images=32),
            steps=60,
            network={"width": 0.25},
            average=0.9,
            validate_every=30,
        ),
    },
)
