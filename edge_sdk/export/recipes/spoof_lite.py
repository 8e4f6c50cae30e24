"""A small network of local textures, trained on live faces and on presentation attacks.

One-class networks learn no attacks, and are weak for that; this one learns the species in its training data, and may
detect no other. So their scores can be fused, which is why it takes ``ganomaly``'s very input.

What is new at another place, on another day, is where the light comes from; what a print or a screen does to the finest
detail is not. So no layer gets the mean brightness, and the decision is a function of the mean over all patches of 41
pixels, wherever they lie. The layers between are MobileNet's (Howard et al., 2017, "MobileNets: Efficient Convolutional
Neural Networks for Mobile Vision Applications", section 3.1); their number and widths are ours.

`best` learns all attacks that it is given. Recorded and rendered ones teach little of each other, and a net as this one
learns the day of the few that were recorded; so `rendered` leaves these to ``spoof_lbp``, with which it is fused, and
`rendered_large` is the same of twice the channels. `varied_large` is that for data rendered before cameras of several
kinds, with cameras left out that tell how it carries over. The first two have 32,273 parameters, take 18.6 million
multiply-adds a frame and 7 to 10 minutes of a core to train; the large one 118,817, 64.5 million and 30 to 43. What
they reach on faces is in ``docs/results/liveness.md``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from edge_sdk.export.data.faces.augmentation import CameraAugmentation
from edge_sdk.export.data.sampling import Origin
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.networks.classifier import LOGIT, BinaryClassifier
from edge_sdk.export.networks.mobilenet import convolution
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import FACE

STEM = 32
STAGES = ((48, 2), (64, 1), (64, 1), (96, 2), (128, 1))
"""Channels and stride of each block."""
LEFT_OUT = ("webcam", "old", "nuaa")
"""Cameras that `varied_large` never sees: two kinds of rendering cameras, and NUAA's."""
INT8 = 127
"""The largest weight of symmetric int8."""


class Details(nn.Conv2d):
    """Convolution of ``(N, 1, H, W)`` that sees no even brightness: the mean is taken off each filter."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels, 5, 2, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean((2, 3), keepdim=True), self.bias)

    @torch.no_grad()
    def rounded(self) -> nn.Conv2d:
        """The same convolution with filters that symmetric int8, a scale for each filter, keeps as they are.

        Rounding by itself leaves filters whose weights do not sum to 0, and the brightness that they then see is much
        more than details are: that was seven eighths of what int8 cost this network. So where a filter's sum is
        off, the weights next to a tie are rounded the other way; the largest, which sets the scale, is not among them.
        """
        filters = (self.weight - self.weight.mean((2, 3), keepdim=True)).flatten(1)
        scale = (filters.abs().amax(1, keepdim=True) / INT8).clamp(min=torch.finfo(filters.dtype).tiny)
        steps = (filters / scale).round()
        for filter_, exact in zip(steps, filters / scale, strict=True):
            excess = int(filter_.sum())
            sign = 1 if excess > 0 else -1
            gain = torch.where(filter_.abs() < INT8, sign * (filter_ - exact), -torch.inf)
            filter_[gain.topk(abs(excess)).indices] -= sign
        plain = nn.Conv2d(1, self.out_channels, 5, 2, 2, bias=False)
        plain.weight.copy_((steps * scale).view_as(self.weight))
        return plain.requires_grad_(False)


class SpoofLite(BinaryClassifier):
    """Faces ``(N, 1, 128, 128)`` in [0, 1] to the logit of "live" ``(N, 1)``.

    Args:
        width: Share of the channels.
        dropout: Of the features, in training.
    """

    def __init__(self, *, width: float = 1.0, dropout: float = 0.3) -> None:
        def channels(count: int) -> int:
            return max(2, round(count * width))

        inputs = channels(STEM)
        layers: list[nn.Module] = [Details(inputs), nn.BatchNorm2d(inputs), nn.ReLU6()]
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

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        """A copy whose first layer loses nothing to int8."""
        del outputs  # the logit, and the look where there is one
        twin = copy.deepcopy(self)
        details, *others = twin.features.children()
        assert isinstance(details, Details)
        twin.features = nn.Sequential(details.rounded(), *others).train(self.training)
        return twin


def tiny(*, width: float = 1.0, dropout: float = 0.3) -> SpoofLite:
    """About 3,000 parameters, at a ``width`` of 1."""
    return SpoofLite(width=width / 4, dropout=dropout)


def _preset(steps: int, *, attacks: Origin | None = None, width: float = 1.0, without: tuple[str, ...] = ()) -> Preset:
    return Preset(
        preprocessing=FACE,
        objective=AttackClassification(images=64, attacks=attacks, without=without),
        augmentation=CameraAugmentation(),
        steps=steps,
        learning_rate=3e-3,
        network={"width": width},
        weight_decay=0.02,
        schedule="one_cycle",
        average=0.99,
        validate_every=250,
        precision="32-true",  # convolutions by channel were a quarter slower in bfloat16, even on a core with AMX
    )


RECIPE = Recipe(
    name="spoof_lite",
    task="spoof",
    modality="face",
    network=SpoofLite,
    tiny=tiny,
    score=DecisionHead(output=LOGIT, activation="sigmoid"),
    presets={
        "best": _preset(1500),
        "rendered": _preset(2000, attacks="rendered"),
        "rendered_large": _preset(4000, attacks="rendered", width=2.0),
        "varied_large": _preset(4000, attacks="rendered", width=2.0, without=LEFT_OUT),
    },
)
