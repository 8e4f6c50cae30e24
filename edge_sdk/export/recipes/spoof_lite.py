"""A small net that has seen attacks: inverted residuals, trained on live faces and their imitations.

One-class nets see no attack before they meet one, and are weak for that; this one knows the species it was shown, and
may know no other. So their scores go together, which is why it takes ``ganomaly``'s very input. The blocks are
MobileNetV2's (Sandler et al., 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 1); their number
and widths are ours. Halftone, pixel grids and paper are fine textures, so half of the multiply-adds are spent before
the picture is an eighth of its side.

It has 179,329 parameters and takes 32.0 million multiply-adds a frame. `best` takes 25 minutes of a core. What it
reaches on faces is in ``spoof_lite.md`` beside this file; ``large``, to teach it, has not been trained yet.
"""

from __future__ import annotations

from torch import nn

from edge_sdk.export.augment.faces import CameraAugmentation
from edge_sdk.export.recipe import Preset, Recipe
from edge_sdk.export.recipes.mobilenetv2 import Bottleneck, convolution
from edge_sdk.export.supervised import LOGIT, Judge, LiveAgainstAttacks
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import FACE

STEM, FEATURES = 16, 192
STAGES = (
    # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (4, 24, 2, 2),
    (4, 32, 3, 2),
    (4, 64, 3, 2),
    (4, 80, 1, 1),
)


class SpoofLite(Judge):
    """Faces ``(N, 1, 128, 128)`` in [0, 1] to the logit of "live" ``(N, 1)``.

    Args:
        width: Share of the channels.
        dropout: Of the features, in training.
    """

    def __init__(self, *, width: float = 1.0, dropout: float = 0.2) -> None:
        def channels(count: int) -> int:
            return max(2, round(count * width))

        inputs = channels(STEM)
        layers: list[nn.Module] = [convolution(1, inputs, 3, stride=2)]
        for expansion, count, blocks, first_stride in STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                layers.append(Bottleneck(inputs, channels(count), stride=stride, expansion=expansion))
                inputs = channels(count)
        layers += [convolution(inputs, channels(FEATURES), 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(nn.Sequential(*layers), channels(FEATURES), dropout=dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def tiny(*, width: float = 1.0, dropout: float = 0.2) -> SpoofLite:
    """About 5,000 parameters, at a ``width`` of 1."""
    return SpoofLite(width=width / 8, dropout=dropout)


RECIPE = Recipe(
    name="spoof_lite",
    modality="face",
    network=SpoofLite,
    tiny=tiny,
    score=DecisionHead(output=LOGIT, activation="sigmoid"),
    presets={
        # For two cores: a step takes 1.3 to 1.5 s of one. In float32, for convolutions by channel were a quarter slower
        # in bfloat16, even on a core with AMX. Not tuned yet.
        "best": Preset(
            preprocessing=FACE,
            objective=LiveAgainstAttacks(images=64),
            augmentation=CameraAugmentation(),
            steps=1000,
            learning_rate=2e-3,
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            validate_every=200,
            precision="32-true",
        ),
        # A teacher for distillation: 677,121 parameters, 120 million multiply-adds.
        "large": Preset(
            preprocessing=FACE,
            objective=LiveAgainstAttacks(images=64),
            augmentation=CameraAugmentation(),
            steps=1000,
            learning_rate=1e-3,
            network={"width": 2.0, "dropout": 0.4},
            weight_decay=0.05,
            schedule="one_cycle",
            average=0.99,
            validate_every=200,
            precision="32-true",
        ),
    },
)
