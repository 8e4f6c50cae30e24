"""The network of ``face_locator``: a confidence, a box and five points for each cell of two maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edge_sdk.export.networks.network import Network

GEOMETRY = 14
"""Channels: distances to a box's four edges, x and y of five points."""
NAMES = ("confidence8", "geometry8", "confidence16", "geometry16")
RARE = -4.0
"""The first bias of the confidences: few cells show a face (Lin et al., 2017, section 3.3)."""


def normalised(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution and its batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


class CellBlock(nn.Module):
    """Layers with a bypass, and a ReLU behind both."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        activated: torch.Tensor = self.activation(x + self.layers(x))
        return activated


def dense(channels: int) -> CellBlock:
    """A block that sees 3 x 3 cells of all channels."""
    return CellBlock(normalised(channels, channels, 3))


def wide(channels: int) -> CellBlock:
    """A block that sees 5 x 5 cells, each channel by itself."""
    return CellBlock(normalised(channels, channels, 5, groups=channels), nn.ReLU(), normalised(channels, channels, 1))


class FaceLocatorNet(Network):
    """Frames ``(N, 1, 128, 160)`` in [0, 1] to the maps of :data:`NAMES`, as a tuple.

    Confidences are logits ``(N, 1, 128 / stride, 160 / stride)``; geometry ``(N, 14, ...)`` is as
    :class:`edge_sdk.scoring.face_boxes.FaceLevel` reads it.

    Args:
        width: Share of the channels.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        first, second, third = (max(4, round(count * width)) for count in (16, 32, 64))
        self.fine = nn.Sequential(
            *(normalised(1, first, 3, 2), nn.ReLU()),
            *(normalised(first, second, 3, 2), nn.ReLU()),
            *(normalised(second, third, 3, 2), nn.ReLU()),
            *(dense(third), wide(third), dense(third)),
        )
        self.coarse = nn.Sequential(
            *(normalised(third, third, 3, 2), nn.ReLU()),
            *(wide(third), dense(third), wide(third), dense(third), wide(third)),
        )
        self.confidence8, self.geometry8 = nn.Conv2d(third, 1, 1), nn.Conv2d(third, GEOMETRY, 1)
        self.confidence16, self.geometry16 = nn.Conv2d(third, 1, 1), nn.Conv2d(third, GEOMETRY, 1)
        for head in (self.confidence8, self.confidence16):
            assert head.bias is not None
            nn.init.constant_(head.bias, RARE)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        fine = self.fine(x)
        coarse = self.coarse(fine)
        return self.confidence8(fine), self.geometry8(fine), self.confidence16(coarse), self.geometry16(coarse)

    def outputs(self, x: torch.Tensor, names: Sequence[str]) -> tuple[torch.Tensor, ...]:
        """The maps of these names, in their order."""
        made = dict(zip(NAMES, self(x), strict=True))
        return tuple(made[name] for name in names)
