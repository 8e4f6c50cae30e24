"""MobileNetV2's body (Sandler et al., 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2)."""

from __future__ import annotations

import torch
from torch import nn

BLOCKS = 19
"""Of :func:`body`: the first convolution, 17 bottlenecks, the last convolution."""
STAGES = (
    # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class Bottleneck(nn.Module):
    """Inverted residual: 1 x 1 to ``expansion`` times the channels, 3 x 3 by channel, linear 1 x 1.

    The input is added where it has the output's shape.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([convolution(inputs, hidden, 1)] if expansion > 1 else []),
            convolution(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def body(width: float = 1.0) -> nn.Sequential:
    """MobileNetV2 without its classifier: ``(N, 3, H, W)`` to ``(N, 1280, H/32, W/32)``.

    19 blocks, named as torchvision names them; 2,223,872 parameters at a ``width`` of 1.
    """

    def channels(count: int) -> int:
        return max(4, round(count * width))

    inputs = channels(32)
    blocks: list[nn.Module] = [convolution(3, inputs, 3, stride=2)]
    for expansion, count, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            blocks.append(Bottleneck(inputs, channels(count), stride=stride, expansion=expansion))
            inputs = channels(count)
    return nn.Sequential(*blocks, convolution(inputs, channels(1280), 1))
