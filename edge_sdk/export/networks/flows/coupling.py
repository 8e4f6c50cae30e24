"""Affine coupling (Dinh et al. 2016, section 3.3): one part of a vector scales and shifts the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_sdk.export.networks.flows.transform import Transform, bounded, start_small


class Coupling(Transform):
    """``y_a = x_a``, ``y_b = x_b exp(s(x_a)) + t(x_a)``; ``log |det| = sum s(x_a)``.

    ``s`` has two hidden layers of tanh, ``t`` of ReLU, as in the code that document 000 cites. The parts are slices, of
    which every converter knows what they are; a mask of zeros and ones would double the work, and one of truth values
    does not convert to TFLite.

    Args:
        first: Whether the first half of the vector is what changes: has to alternate from block to block, or one half
            never changes.
    """

    def __init__(self, features: int, hidden: int, *, first: bool) -> None:
        super().__init__()
        self.split = features // 2
        self.first = first
        changed = self.split if first else features - self.split
        self.log_scale = _network(features - changed, hidden, changed, nn.Tanh)
        self.shift = _network(features - changed, hidden, changed, nn.ReLU)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, changed = self._parts(x)
        log_scale = bounded(self.log_scale(kept))
        return self._whole(kept, changed * log_scale.exp() + self.shift(kept)), log_scale.sum(dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        kept, changed = self._parts(y)
        return self._whole(kept, (changed - self.shift(kept)) * (-bounded(self.log_scale(kept))).exp())

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        one, other = x[:, : self.split], x[:, self.split :]
        return (other, one) if self.first else (one, other)

    def _whole(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat([changed, kept] if self.first else [kept, changed], dim=1)


def _network(inputs: int, hidden: int, outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        activation(),
        nn.Linear(hidden, hidden),
        activation(),
        start_small(nn.Linear(hidden, outputs)),
    )
