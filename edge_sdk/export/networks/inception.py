"""Parts of Inception networks, and FaceNet's NN2 made of them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edge_sdk.export.networks.network import Network

EMBEDDING = 128
MOMENTUM = 0.005
"""Share of the running statistics that a step renews; Keras' 0.995 is what it keeps."""


class ShiftedBatchNorm(nn.BatchNorm2d):
    """Batch norm without a scale: the essay's ``BatchNormalization(momentum=0.995, epsilon=0.001, scale=False)``.

    The scale of 1 is a buffer: it is none of the parameters, and is named in files as that of any batch norm.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=MOMENTUM)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


def convolution(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
) -> nn.Sequential:
    """Convolution, batch norm in place of its bias, ReLU.

    Args:
        padding: ``None`` keeps the size at a stride of 1.
    """
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        ShiftedBatchNorm(outputs),
        nn.ReLU(inplace=True),
    )


class L2Pool(nn.Module):
    """Root of the sum of squares in each 3 x 3 window, zeros beyond the border: ``(N, C, H, W)`` as it is.

    Whether FaceNet takes the sum or the mean is not said; the sum is what "L2 pooling" and PyTorch's ``LPPool2d`` mean.
    It is written ``sqrt(9 mean(x^2))``: ``LPPool2d`` takes signs and magnitudes of what is never negative, and the
    quantisers find a root of squares and leave all between in float.

    A window of zeros, of which there are many behind ReLUs, gives the root of :data:`EPSILON`: that of 0 has no
    gradient. The zeros beyond the border are put there first: with padding of its own PyTorch's average pool gives CUDA
    wrong gradients of maps in channels-last order (pytorch/pytorch#188344), which the root makes infinite.
    """

    EPSILON = 1e-12

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        squares = functional.pad(wide * wide, (1, 1, 1, 1))
        return (9 * functional.avg_pool2d(squares, 3, 1) + self.EPSILON).sqrt().to(x.dtype)


class MeanPool(nn.Module):
    """Mean of each 3 x 3 window; what lies beyond the border does not count: ``(N, C, H, W)`` as it is.

    In training zeros are put there first, for the reason of :class:`L2Pool`.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        share = functional.pad(torch.ones_like(x[:1, :1]), (1, 1, 1, 1))
        return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, 1) / functional.avg_pool2d(share, 3, 1)


class Concatenated(nn.Module):
    """Branches of one input, joined along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Embedding(nn.Module):
    """Mean of each map, one dense layer, unit length: ``(N, C, H, W)`` to ``(N, 128)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels, EMBEDDING)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.dense(x.mean(dim=(2, 3))).float(), dim=1)


def initialise(network: nn.Module, momentum: float) -> None:
    """Draw He's weights for the convolutions, which keep the signal's size behind ReLUs; set the norms' momentum."""
    for module in network.modules():
        if isinstance(module, ShiftedBatchNorm):
            module.momentum = momentum
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


INCEPTIONS = (
    # name, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pooling, its projection, stride (table 2; 0 where it has none)
    ("3a", 64, 96, 128, 16, 32, "max", 32, 1),
    ("3b", 64, 96, 128, 32, 64, "l2", 64, 1),
    ("3c", 0, 128, 256, 32, 64, "max", 0, 2),
    ("4a", 256, 96, 192, 32, 64, "l2", 128, 1),
    ("4b", 224, 112, 224, 32, 64, "l2", 128, 1),
    ("4c", 192, 128, 256, 32, 64, "l2", 128, 1),
    ("4d", 160, 144, 288, 32, 64, "l2", 128, 1),
    ("4e", 0, 160, 256, 64, 128, "max", 0, 2),
    ("5a", 384, 192, 384, 48, 128, "l2", 128, 1),
    ("5b", 384, 192, 384, 48, 128, "max", 128, 1),
)


class NN2(Network):
    """Table 2 of the FaceNet essay: ``(N, 3, H, W)`` RGB in [0, 1] to unit embeddings ``(N, 128)``.

    The table's shapes are those of a 224 x 224 input; any multiple of 32 works, since the last pooling is global. It
    has the paper's 7.5 million parameters: 7,448,256 without biases. In their place stand the shifts of a batch norm
    behind every convolution, which are the "norm" of the table's two lines too, as the essay's settings have it
    (FaceNet: local response normalisation there, and no other).

    Args:
        width: Share of the table's channels.
        momentum: Of the batch norms' statistics, as PyTorch counts. A run of a few hundred steps needs more than the
            essay's.
    """

    def __init__(self, *, width: float = 1.0, momentum: float = MOMENTUM) -> None:
        super().__init__()

        def channels(count: int) -> int:
            return max(2, round(count * width)) if count else 0

        maps = channels(64)
        self.features = nn.Sequential()
        self.features.add_module("conv1", convolution(3, maps, 7, 2))
        self.features.add_module("pool1", nn.MaxPool2d(3, 2, 1))
        wide = channels(192)
        self.features.add_module("2", nn.Sequential(convolution(maps, maps, 1), convolution(maps, wide, 3)))
        self.features.add_module("pool2", nn.MaxPool2d(3, 2, 1))
        maps = wide
        for name, *counts, pooling, projection, stride in INCEPTIONS:
            one, narrow3, three, narrow5, five = (channels(count) for count in counts)
            pool = nn.MaxPool2d(3, stride, 1) if pooling == "max" else L2Pool()
            projected = channels(projection)
            branches = [
                nn.Sequential(convolution(maps, narrow3, 1), convolution(narrow3, three, 3, stride)),
                nn.Sequential(convolution(maps, narrow5, 1), convolution(narrow5, five, 5, stride)),
                nn.Sequential(pool, convolution(maps, projected, 1)) if projected else pool,
            ]
            self.features.add_module(name, Concatenated(*([convolution(maps, one, 1)] if one else []), *branches))
            maps = one + three + five + (projected or maps)
        self.embedding = Embedding(maps)
        initialise(self, momentum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.embedding(self.features(x))
