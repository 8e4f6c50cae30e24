"""Histograms of local binary patterns and a weighted sum of them: live told from attacks by what no light changes.

A pattern says which of eight pixels round another are darker than it; so it stays as it is whatever the light and the
tone curve do. How often each occurs was found to tell faces from photographs of faces by Määttä, Hadid and Pietikäinen
(2011, "Face Spoofing Detection From Single Images Using Micro-Texture Analysis"), from whom the regions and the uniform
patterns are (Ojala et al., 2002, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification with Local
Binary Patterns"). Here neighbours are whole pixels and not points on a circle, so that comparisons are exact on any
engine; pixels are four of the input's; the verdict is linear, and not a support vector machine's.

All is a network: a layer of fixed weights finds each pattern, exactly so in int8, and training learns the 591 numbers
of the verdict. `best` takes 3.5 million multiply-adds a frame. What it reaches is in ``spoof_lite.md`` beside this.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from edge_sdk.export.recipe import Preset, Recipe
from edge_sdk.export.supervised import LOGIT, Judge, LiveAgainstAttacks
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import FACE

RING = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Rows down and columns to the right of the pixels round another, once about."""
EQUAL = 2e-4
"""Pixels that differ by less are equal: a fifth of the step between means of four levels of 255."""
REGIONS = 3
"""Along each side of the picture, half of which each region takes."""


def uniform_patterns() -> list[tuple[int, ...]]:
    """The 58 of the 256 patterns of eight bits in which no more than two neighbours differ, once about."""
    return [
        bits
        for bits in itertools.product((0, 1), repeat=len(RING))
        if sum(one != other for one, other in zip(bits, bits[1:] + bits[:1], strict=True)) <= 2
    ]


class Patterns(nn.Module):
    """Pictures ``(N, 1, H, W)`` to maps ``(N, 58, H - 2 r, W - 2 r)``: 1 where a pixel has the pattern, else 0.

    A bit is 1 where the pixel ``radius`` away is not darker. Of the products of bits b and a pattern's signs, +1 where
    its bit is 1 and -1 where it is 0, the sum is the pattern's number of ones if all bits agree, and less otherwise.
    """

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.radius = radius
        patterns = torch.tensor(uniform_patterns(), dtype=torch.float32)
        self.find = nn.Conv2d(len(RING), len(patterns), 1).requires_grad_(requires_grad=False)
        self.find.weight.copy_((2 * patterns - 1)[:, :, None, None])
        assert self.find.bias is not None
        self.find.bias.copy_(1 - patterns.sum(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        r, (height, width) = self.radius, x.shape[2:]
        centre = x[:, :, r : height - r, r : width - r] - EQUAL
        bits = [
            (x[:, :, r + r * down : height - r + r * down, r + r * right : width - r + r * right] >= centre).to(x.dtype)
            for down, right in RING
        ]
        return functional.relu(self.find(torch.cat(bits, 1)))


class Histograms(nn.Module):
    """Pictures ``(N, 1, 128, 128)`` to ``(N, 590)``: roots of the shares of pixels that have each pattern.

    The roots make rare and frequent patterns count alike (a comparison of roots is that of Hellinger's distance). The
    last of each histogram's 59 is the share of all patterns that are not uniform.
    """

    COUNT = 59 * (REGIONS**2 + 1)

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = Patterns(1), Patterns(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.avg_pool2d(x, 2)
        near, far = self.near(x), self.far(x)
        side = near.shape[2] // 2
        starts = [round(place * (near.shape[2] - side) / (REGIONS - 1)) for place in range(REGIONS)]
        places = [near[:, :, top : top + side, left : left + side] for top in starts for left in starts]
        found = torch.stack([place.mean((2, 3)) for place in (*places, far)], 1)
        others = (1 - found.sum(2, keepdim=True)).clamp(min=0)
        return torch.cat([found, others], 2).flatten(1).sqrt()


class SpoofLbp(Judge):
    """Faces ``(N, 1, 128, 128)`` in [0, 1] to the logit of "live" ``(N, 1)``, a sum of standardised features."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        count = Histograms.COUNT
        super().__init__(nn.Sequential(Histograms(), nn.BatchNorm1d(count, affine=False)), count, dropout=dropout)


RECIPE = Recipe(
    name="spoof_lbp",
    modality="face",
    network=SpoofLbp,
    tiny=SpoofLbp,
    score=DecisionHead(output=LOGIT, activation="sigmoid"),
    presets={
        # Pictures as they are: noise and blur would change which patterns they have, and light changes none.
        "best": Preset(
            preprocessing=FACE,
            objective=LiveAgainstAttacks(images=64),
            steps=1000,
            learning_rate=5e-3,
            optimizer="adam",
            penalty={"verdict.1.weight": 0.01},
            schedule="one_cycle",
            average=0.99,
            validate_every=250,
            precision="32-true",
        ),
    },
)
