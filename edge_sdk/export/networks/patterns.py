"""Uniform local binary patterns as fixed layers, which neither light nor int8 changes.

A pattern says which of eight pixels round another are darker than it. That histograms of them tell faces from
photographs of faces was found by Määttä, Hadid and Pietikäinen (2011, "Face Spoofing Detection From Single Images Using
Micro-Texture Analysis"); uniform patterns are from Ojala, Pietikäinen and Mäenpää (2002, "Multiresolution Gray-Scale
and Rotation Invariant Texture Classification with Local Binary Patterns").
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

RING = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Rows down and columns to the right of the pixels round another, once about."""
ONE = 6.0
"""What stands for a set bit, for ReLU6 cuts there."""
LEVELS = 255
"""Steps of a pixel's value."""


def uniform_patterns() -> list[tuple[int, ...]]:
    """The 58 of the 256 patterns of eight bits that change no more than twice, once about."""
    return [
        bits
        for bits in itertools.product((0, 1), repeat=len(RING))
        if sum(one != other for one, other in zip(bits, bits[1:] + bits[:1], strict=True)) <= 2
    ]


class Patterns(nn.Sequential):
    """Pictures ``(N, 1, H, W)`` of levels k / 255 to maps ``(N, 58 R, h, w)`` for R radii.

    A map is 1 where the pixel has its pattern, else 0. Differences of pixels are multiples of a level, so that a bit, 1
    where the neighbour is not darker, is a difference that is moved by one such step and cut to [0, 1]. Of the products
    of bits and a pattern's signs, +1 where its bit is 1 and -1 where it is 0, the sum is the pattern's number of ones
    if all bits agree, and less otherwise.

    Args:
        radii: How far the neighbours are, in pixels.
        halved: Pixels are the sums of four of the picture's, ``h = H / 2 - 2 max(radii)``. Else they are the picture's
            own, and every other one along each side has its pattern looked for, ``h = (H + 1) / 2 - max(radii)``.
    """

    def __init__(self, radii: Sequence[int], *, halved: bool) -> None:
        patterns, reach, block = torch.tensor(uniform_patterns(), dtype=torch.float32), max(radii), 2 if halved else 1
        compare = nn.Conv2d(1, len(radii) * len(RING), block * (2 * reach + 1), 2)
        find = nn.Conv2d(len(radii) * len(RING), len(radii) * len(patterns), 1)
        assert compare.bias is not None
        assert find.bias is not None
        with torch.no_grad():
            compare.weight.zero_()
            pixels = compare.weight.view(len(radii), len(RING), 2 * reach + 1, block, 2 * reach + 1, block)
            for radius, ring in zip(radii, pixels, strict=True):
                for (down, right), pixel in zip(RING, ring, strict=True):
                    pixel[reach + radius * down, :, reach + radius * right] += ONE * LEVELS
                    pixel[reach, :, reach] -= ONE * LEVELS
            compare.bias.fill_(ONE)
            find.weight.copy_(torch.block_diag(*[2 * patterns - 1] * len(radii))[:, :, None, None] / ONE)
            find.bias.copy_((1 - patterns.sum(1)).repeat(len(radii)))
        super().__init__(compare, nn.ReLU6(), find, nn.ReLU())
        self.requires_grad_(requires_grad=False)
        powers = 2 ** torch.arange(len(RING))
        numbers = torch.full((2 ** len(RING),), len(patterns))  # behind the last: of all patterns that are not uniform
        numbers[(patterns.long() * powers).sum(1)] = torch.arange(len(patterns))
        self.register_buffer("_powers", powers, persistent=False)
        self.register_buffer("_numbers", numbers, persistent=False)

    _powers: torch.Tensor
    _numbers: torch.Tensor

    @torch.no_grad()
    def shares(self, x: torch.Tensor) -> torch.Tensor:
        """The mean of each map, ``(N, 58 R)``, in a sixth of the time that making the maps takes: bits are numbers."""
        bits = self[1](self[0](x)).flatten(2).unflatten(1, (-1, len(RING))) > ONE / 2
        numbers = self._numbers[(bits * self._powers[:, None]).sum(2)]
        counts = x.new_zeros(*numbers.shape[:2], len(uniform_patterns()) + 1)
        counts.scatter_add_(2, numbers, x.new_ones(()).expand(numbers.shape))
        return (counts[:, :, :-1] / numbers.shape[2]).flatten(1)
