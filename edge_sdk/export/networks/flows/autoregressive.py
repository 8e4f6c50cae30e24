"""Masked autoregressive transform: each value scaled and shifted by those before it, in one pass of a network."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_sdk.export.networks.flows.transform import Transform, bounded, start_small


class MaskedLinear(nn.Linear):
    """A dense layer, of which the weights where ``mask (outputs, inputs)`` is false count as 0."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.mask, self.bias)

    def plain(self) -> nn.Linear:
        """The same as an ordinary layer, a copy: otherwise a graph multiplies weights and mask at each call."""
        layer = nn.Linear(self.in_features, self.out_features)
        layer.load_state_dict({"weight": self.weight * self.mask, "bias": self.bias})
        return layer


class Autoregressive(Transform):
    """``y_i = (x_i - m_i(x_<i)) exp(-a_i(x_<i))``; ``log |det| = -sum a_i`` (Papamakarios et al. 2017, equation 4).

    ``m`` and ``a`` come of a MADE (Germain et al. 2015) with two hidden layers of ReLU: a unit of degree k sees values
    1 to k. The inverse takes a pass a value.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        values = torch.arange(1, features + 1)
        units = torch.arange(hidden) % (features - 1) + 1
        self.network = nn.Sequential(
            MaskedLinear(units[:, None] >= values),
            nn.ReLU(),
            MaskedLinear(units[:, None] >= units),
            nn.ReLU(),
            start_small(MaskedLinear(values.repeat(2)[:, None] > units)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._shift_and_scale(x)
        return (x - shift) * (-log_scale).exp(), -log_scale.sum(dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        x = torch.zeros_like(y)
        for _ in range(y.shape[1]):  # after k passes the first k values are right
            shift, log_scale = self._shift_and_scale(x)
            x = y * log_scale.exp() + shift
        return x

    def folded(self) -> nn.Module:
        folded = copy.deepcopy(self)
        layers = [layer.plain() if isinstance(layer, MaskedLinear) else layer for layer in folded.network]
        folded.network = nn.Sequential(*layers)
        return folded

    def _shift_and_scale(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = self.network(x).chunk(2, dim=1)
        return shift, bounded(raw)
