"""A small net that has seen attacks: a bag of textures, trained on live faces and their imitations.

One-class nets see no attack before they meet one, and are weak for that; this one knows the species it was shown, and
may know no other. So their scores can be fused, which is why it takes ``ganomaly``'s very input.

What is new at another place, on another day, is where the light comes from; what a print or a screen does to the finest
detail is not. So no layer is told how bright a place is, and the verdict is the mean of what patches of 41 pixels look
like, wherever they lie. The layers between are MobileNet's (Howard et al., 2017, "MobileNets: Efficient Convolutional
Neural Networks for Mobile Vision Applications", section 3.1); their number and widths are ours.

`best` has 32,273 parameters, takes 18.6 million multiply-adds a frame and 22 minutes of a core; `large`, which is the
shipped bundle and can teach it, 118,817, 64.5 million and 29. What they reach on faces is in ``spoof_lite.md`` beside
this file.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edge_sdk.export.augment.faces import CameraAugmentation
from edge_sdk.export.recipe import Preset, Recipe
from edge_sdk.export.recipes.mobilenetv2 import convolution
from edge_sdk.export.supervised import LOGIT, Judge, LiveAgainstAttacks
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import FACE

STEM = 32
STAGES = ((48, 2), (64, 1), (64, 1), (96, 2), (128, 1))
"""Channels and stride of each block."""
AROUND, FLOOR = 11, 0.01
"""Of :class:`LocalContrast`: pixels of 128, and two to three of 255 levels."""


class LocalContrast(nn.Module):
    """Pictures ``(N, 1, H, W)`` less the mean of the pixels around, in units of their standard deviation.

    With ``E`` the mean over a square of ``side`` pixels, as far as it lies in the picture, and ``d = x - E x``, gives
    ``d / sqrt(E d^2 + floor^2)``. So light that changes slowly from place to place, and how much of it there is, are
    gone; a detail counts by what is around it. ``floor``, of ``x``'s unit, keeps the rounding of pixels in flat places
    from becoming details. The square goes in two passes, along rows and along columns.
    """

    def __init__(self, side: int, floor: float) -> None:
        super().__init__()
        self.side, self.floor = side, floor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        detail = x - self._around(x)
        return detail / torch.sqrt(self._around(detail * detail) + self.floor**2)

    def _around(self, x: torch.Tensor) -> torch.Tensor:
        reach = self.side // 2
        rows = functional.avg_pool2d(x, (1, self.side), 1, (0, reach), count_include_pad=False)
        return functional.avg_pool2d(rows, (self.side, 1), 1, (reach, 0), count_include_pad=False)


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
        layers: list[nn.Module] = [LocalContrast(AROUND, FLOOR), convolution(1, inputs, 5, stride=2)]
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
        # Of twice the channels; shipped.
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
