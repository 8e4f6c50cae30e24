"""What a flow is composed of, and the flow: invertible maps of vectors whose change of volume is known."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edge_sdk.errors import UsageError

LIMIT = 3.0
"""A block scales a value by at most ``e^3``, so that log densities of values far from all training data stay finite."""


class Transform(nn.Module, ABC):
    """An invertible map ``y = f(x)`` of rows ``(N, D)``."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``y (N, D)`` and ``log |det df/dx| (N,)``."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """``x`` with ``f(x) = y``, in evaluation mode."""

    def observe(self, x: Tensor) -> None:
        """Take what is not learned but computed from all training rows ``(N, D)``."""

    def folded(self) -> nn.Module:
        """The same function in evaluation mode without what depends on the weights alone."""
        return self


class AffineTransform(Transform):
    """``y = W x + b``: the same change of volume everywhere."""

    @abstractmethod
    def affine(self) -> tuple[Tensor, Tensor, Tensor]:
        """``W (D, D)``, ``b (D,)`` and ``log |det W|``, a number, of evaluation mode."""


class Flow(nn.Module):
    """A density by change of variables, over rows ``(N, D)``.

    ``log p(x) = log N(f(x); 0, I) + log |det df/dx|`` with ``f`` the transforms one after another (Dinh et al. 2016,
    equation 3).

    >>> Flow(2, []).log_prob(torch.zeros(1, 2)).exp()  # 1 / (2 pi)
    tensor([0.1592])
    """

    def __init__(self, features: int, transforms: Sequence[Transform]) -> None:
        super().__init__()
        if features < 2:
            raise UsageError(f"a flow is over 2 features or more, not {features}")
        self.features = features
        self.transforms = nn.ModuleList(transforms)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents ``z = f(x) (N, D)`` and ``log |det df/dx| (N,)``."""
        total = x.new_zeros(len(x))
        for transform in self.transforms:
            x, log_det = transform(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        """``x`` with ``f(x) = z``, in evaluation mode."""
        for transform in reversed(self.transforms):
            assert isinstance(transform, Transform)
            z = transform.inverse(z)
        return z

    def log_prob(self, x: Tensor) -> Tensor:
        """``log p(x)``, ``(N,)``."""
        z, log_det = self(x)
        return log_det - 0.5 * (z.square().sum(dim=1) + self.features * math.log(2 * math.pi))

    @torch.no_grad()
    def sample(self, count: int, *, seed: int = 0) -> Tensor:
        """``(count, D)`` drawn from the density."""
        generator = torch.Generator().manual_seed(seed)
        return self.inverse(torch.randn(count, self.features, generator=generator))

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Set the norms from all training rows ``(N, D)``: each from what the transforms before it make of them."""
        mode = self.training
        self.eval()
        for transform in self.transforms:
            assert isinstance(transform, Transform)
            transform.observe(x)
            x, _ = transform(x)
        self.train(mode)


def bounded(raw: Tensor) -> Tensor:
    """The logarithm of a scale, in ``(-LIMIT, LIMIT)``, of a network's output; about the same near 0."""
    return LIMIT * torch.tanh(raw / LIMIT)


def start_small(layer: nn.Linear) -> nn.Linear:
    """The last layer of a network that gives shifts and scales: small, so that a flow starts near the identity."""
    with torch.no_grad():
        layer.weight.mul_(0.01)
        layer.bias.zero_()
    return layer
