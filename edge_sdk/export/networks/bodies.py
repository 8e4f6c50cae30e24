"""Convolutional bodies that others have trained on ImageNet, by torchvision's names: siamese networks start from them.

Simonyan and Zisserman, 2014 (VGG16, table 1, D; here with batch norm); He et al., 2015 (ResNet, table 1); Xie et al.,
2016 (ResNeXt); Sandler et al., 2018 (MobileNetV2). Weights are torchvision's or timm's: these name the tensors
differently and hold them in one order, by which they are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.networks import mobilenet

CLASSES = 1000
"""ImageNet's."""
VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of convolutions before each max pooling."""
STAGES = (64, 128, 256, 512)
"""ResNet's channels, of which a block puts out four times as many."""
_COUNTER = "num_batches_tracked"
"""A batch norm's, which old files lack."""


class Body(nn.Module):
    """Images ``(N, 3, H, W)`` to features ``(N, size)``, and ImageNet's first dense layer behind them.

    Args:
        layers: Images to maps ``(N, channels, H/32, W/32)``.
        side: Of the maps that ``size`` counts; None takes their mean, so that ``size`` is ``channels``.
        outputs: Of the dense layer.
    """

    def __init__(self, layers: nn.Sequential, channels: int, *, side: int | None, outputs: int) -> None:
        super().__init__()
        self.layers = layers
        self.side = side
        self.size = channels * side**2 if side else channels
        self.outputs = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.layers(x)
        return maps.flatten(1) if self.side else maps.mean(dim=(2, 3))

    def dense(self) -> nn.Linear:
        """A new layer of the shape of the ImageNet classifier's first one: ``(N, size)`` to ``(N, outputs)``."""
        return nn.Linear(self.size, self.outputs)

    def freeze(self, convolutions: int) -> int:
        """Keep the weights of so many convolutions, and of all that stands between them and behind the last.

        Returns:
            How many of ``layers`` these are.

        Raises:
            UsageError: The body's layers are blocks of several convolutions, or fewer.
        """
        places = [place for place, layer in enumerate(self.layers) if isinstance(layer, nn.Conv2d)]
        if convolutions > len(places):
            raise UsageError(f"the body's first {len(places)} convolutions can be frozen, not {convolutions}")
        end = [*places, len(self.layers)][convolutions] if convolutions else 0
        self.layers[:end].requires_grad_(False)
        return end

    @torch.no_grad()
    def load_pretrained(self, weights: Mapping[str, torch.Tensor], dense: nn.Linear | None = None) -> None:
        """Copy the body from a state dict of the whole network, and the first dense layer into ``dense``.

        Raises:
            RuntimeError: There are too few tensors in it, or others.
        """
        given = [value for name, value in weights.items() if not name.endswith(_COUNTER)]
        own = {name: value for name, value in self.layers.state_dict().items() if not name.endswith(_COUNTER)}
        if dense:
            own |= {f"dense.{name}": value for name, value in dense.state_dict().items()}
        if len(given) < len(own):
            raise RuntimeError(f"{len(given)} tensors, and the network has {len(own)}")
        pairs = list(zip(own.values(), given, strict=False))
        for name, (value, found) in zip(own, pairs, strict=True):
            # timm holds VGG's dense layers as convolutions.
            if found.shape != value.shape and (value.ndim, found.flatten(1).shape) != (2, value.shape):
                raise RuntimeError(f"{tuple(found.shape)} where {name} is {tuple(value.shape)}")
        for value, found in pairs:
            value.copy_(found.reshape(value.shape))


class ProjectedBottleneck(nn.Module):
    """ResNet's block: 1 x 1, 3 x 3 in ``groups``, 1 x 1, and the input added to the result, projected where it differs.

    The stride is that of the 3 x 3, as in torchvision ("v1.5").
    """

    def __init__(self, inputs: int, inner: int, outputs: int, *, stride: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)),
            *(nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(inner)),
            *(nn.ReLU(inplace=True), nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.conv(x) + self.shortcut(x))


def vgg16_bn(width: float = 1.0) -> Body:
    """VGG16 with batch norm: 25,088 features of a 224 x 224 image, 14,723,136 parameters at a ``width`` of 1."""
    layers: list[nn.Module] = []
    inputs, channels = 3, 0
    for count, repeats in VGG16:
        channels = _scaled(count, width)
        for _ in range(repeats):
            layers += [nn.Conv2d(inputs, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            inputs = channels
        layers.append(nn.MaxPool2d(2))
    return Body(nn.Sequential(*layers), channels, side=7, outputs=_scaled(4096, width))


def resnet(width: float = 1.0, *, blocks: tuple[int, ...], groups: int = 1, group_width: int = 64) -> Body:
    """ResNet, or ResNeXt with several ``groups`` of ``group_width`` channels in the first stage: 2,048 features."""
    inputs = _scaled(64, width)
    layers: list[nn.Module] = [
        *(nn.Conv2d(3, inputs, 7, 2, 3, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)),
        nn.MaxPool2d(3, 2, 1),
    ]
    for count, repeats in zip(STAGES, blocks, strict=True):
        # A whole number of channels in each group, at any width.
        inner = groups * max(1, round(width * count * group_width / 64))
        outputs = 4 * _scaled(count, width)
        for repeat in range(repeats):
            stride = 2 if repeat == 0 and count > STAGES[0] else 1
            layers.append(ProjectedBottleneck(inputs, inner, outputs, stride=stride, groups=groups))
            inputs = outputs
    return Body(nn.Sequential(*layers), inputs, side=None, outputs=_scaled(CLASSES, width))


def mobilenet_v2(width: float = 1.0) -> Body:
    """MobileNetV2: 1,280 features."""
    return Body(mobilenet.body(width), _scaled(1280, width), side=None, outputs=_scaled(CLASSES, width))


BODIES: Mapping[str, Callable[[float], Body]] = {
    "vgg16_bn": vgg16_bn,
    "resnet50": partial(resnet, blocks=(3, 4, 6, 3)),
    "resnet101": partial(resnet, blocks=(3, 4, 23, 3)),
    "resnext50_32x4d": partial(resnet, blocks=(3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x8d": partial(resnet, blocks=(3, 4, 23, 3), groups=32, group_width=8),
    "mobilenet_v2": mobilenet_v2,
}


def _scaled(count: int, width: float) -> int:
    return max(4, round(count * width))
