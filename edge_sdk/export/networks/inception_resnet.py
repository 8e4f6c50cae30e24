"""Inception-ResNet-V2 as an embedder of faces (FaceNet essay, section 11.1)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edge_sdk.export.networks.inception import MOMENTUM, Concatenated, Embedding, MeanPool, convolution, initialise
from edge_sdk.export.networks.network import Network

Branch = tuple[tuple[int, int | tuple[int, int]], ...]
"""Convolutions one after the other: channels and kernel of each."""


@dataclass(frozen=True)
class ResidualStage:
    """Maps of one size: branches that lead there, beside a pooling, then residual blocks.

    Attributes:
        name: Of the blocks in the essay.
        scale: Of what a block adds.
    """

    name: str
    entry: tuple[Branch, ...]
    blocks: int
    scale: float
    block: tuple[Branch, ...]


STEM = (32, 32, 64, 80, 192)
STAGES = (
    ResidualStage(
        "block35",
        entry=(((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3))),
        blocks=10,
        scale=0.17,
        block=(((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
    ),
    ResidualStage(
        "block17",
        entry=(((384, 3),), ((256, 1), (256, 3), (384, 3))),
        blocks=20,
        scale=0.1,
        block=(((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
    ),
    ResidualStage(
        "block8",
        entry=(((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3))),
        blocks=10,
        scale=0.2,
        block=(((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
    ),
)
POOLED = 64
"""Channels of the first entry's average pooling; the other entries take maxima, at a stride of 2."""
FEATURES = 1536


class ScaledResidual(nn.Module):
    """``relu(x + scale up(branches(x)))``; ``up`` is a convolution with a bias and without batch norm.

    Args:
        branches: From ``maps`` channels to ``joined`` in all.
    """

    def __init__(self, branches: Concatenated, joined: int, maps: int, scale: float) -> None:
        super().__init__()
        self.branches, self.up, self.scale = branches, nn.Conv2d(joined, maps, 1), scale
        self.activation: nn.Module = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added = self.up(self.branches(x))
        return self.activation(x + (added if self.scale == 1 else self.scale * added))

    @torch.no_grad()
    def absorb_scale(self) -> None:
        """Scale the weights instead of their result: the same function, with one operation less on the device."""
        assert self.up.bias is not None
        self.up.weight.mul_(self.scale)
        self.up.bias.mul_(self.scale)
        self.scale = 1.0


class InceptionResNetV2(Network):
    """The essay's Keras code, with a dense layer and unit length for its classes: ``(N, 3, H, W)`` to ``(N, 128)``.

    RGB in [0, 1] enters in [-1, 1], at least 75 x 75 pixels. 54,533,472 parameters in 244 convolutions and the dense
    layer, with the means and variances of batch norms, as Keras counts.

    Args:
        width: Share of the channels.
        depth: Share of the blocks, at least one of each kind.
        momentum: Of the batch norms' statistics, as PyTorch counts.
    """

    def __init__(self, *, width: float = 1.0, depth: float = 1.0, momentum: float = MOMENTUM) -> None:
        super().__init__()

        def channels(count: int) -> int:
            return max(2, round(count * width))

        def chain(inputs: int, branch: Branch, stride: int) -> nn.Sequential:
            """The last convolution has the stride, and no padding where that is 2."""
            made = nn.Sequential()
            for number, (count, kernel) in enumerate(branch, start=1):
                last = stride == 2 and number == len(branch)
                made.append(convolution(inputs, channels(count), kernel, *((2, 0) if last else ())))
                inputs = channels(count)
            return made

        def ends(branches: Sequence[Branch]) -> int:
            return sum(channels(branch[-1][0]) for branch in branches)

        first, second, third, fourth, maps = (channels(count) for count in STEM)
        self.stem = nn.Sequential(
            convolution(3, first, 3, 2, 0),
            convolution(first, second, 3, 1, 0),
            convolution(second, third, 3),
            nn.MaxPool2d(3, 2),
            convolution(third, fourth, 1),
            convolution(fourth, maps, 3, 1, 0),
            nn.MaxPool2d(3, 2),
        )
        self.stages = nn.Sequential()
        for stage in STAGES:
            pool: nn.Module = nn.MaxPool2d(3, 2)
            pooled, stride = maps, 2
            if stage is STAGES[0]:
                pooled, stride = channels(POOLED), 1
                pool = nn.Sequential(MeanPool(), convolution(maps, pooled, 1))
            entry = Concatenated(*(chain(maps, branch, stride) for branch in stage.entry), pool)
            maps = ends(stage.entry) + pooled
            made = (
                ScaledResidual(
                    Concatenated(*(chain(maps, branch, 1) for branch in stage.block)),
                    ends(stage.block),
                    maps,
                    stage.scale,
                )
                for _ in range(max(1, round(depth * stage.blocks)))
            )
            self.stages.add_module(stage.name, nn.Sequential(entry, *made))
        *_, last = (module for module in self.modules() if isinstance(module, ScaledResidual))
        last.scale, last.activation = 1.0, nn.Identity()
        self.gain, self.offset = 2.0, -1.0
        self.conv_7b = convolution(maps, channels(FEATURES), 1)
        self.embedding = Embedding(channels(FEATURES))
        initialise(self, momentum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if (self.gain, self.offset) != (1, 0):
            x = self.gain * x + self.offset
        return self.embedding(self.conv_7b(self.stages(self.stem(x))))

    @torch.no_grad()
    def absorb_range(self) -> None:
        """Give the first convolution, which is not padded, the range of its input; its batch norm takes the offset."""
        first = self.stem.get_submodule("0")
        assert (
            isinstance(first, nn.Sequential)
            and isinstance(first[0], nn.Conv2d)
            and isinstance(first[1], nn.BatchNorm2d)
        )
        assert first[1].running_mean is not None
        first[1].running_mean -= self.offset * first[0].weight.sum(dim=(1, 2, 3))
        first[0].weight.mul_(self.gain)
        self.gain, self.offset = 1.0, 0.0

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        del outputs
        made = copy.deepcopy(self)
        made.absorb_range()
        for module in made.modules():
            if isinstance(module, ScaledResidual):
                module.absorb_scale()
        return made
