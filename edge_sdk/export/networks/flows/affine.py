"""Affine parts of flows: norms, reversal, and Glow's mixing of all values."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from edge_sdk.export.networks.flows.transform import AffineTransform

EPSILON = 1e-5
"""Added to variances: a constant feature is not blown up."""


class ScaleAndShift(AffineTransform):
    """``y = exp(log_scale) x + shift``, a scale and a shift a feature: the norms in evaluation mode."""

    @abstractmethod
    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """``log_scale`` and ``shift``, ``(D,)`` each."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.scale_and_shift()
        return x * log_scale.exp() + shift, log_scale.sum().expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        log_scale, shift = self.scale_and_shift()
        return (y - shift) * (-log_scale).exp()

    def affine(self) -> tuple[Tensor, Tensor, Tensor]:
        log_scale, shift = self.scale_and_shift()
        return log_scale.exp().diag(), shift, log_scale.sum()


class ActNorm(ScaleAndShift):
    """Learned scale and shift that make the first rows it sees mean 0 and variance 1 (Glow, section 3.1)."""

    initialised: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.register_buffer("initialised", torch.tensor(False))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        return self.log_scale, self.shift

    def observe(self, x: Tensor) -> None:
        """Once; from then on scale and shift are learned."""
        if not self.initialised:
            log_scale = -0.5 * (x.var(dim=0, unbiased=False) + EPSILON).log()
            self.log_scale.data.copy_(log_scale)
            self.shift.data.copy_(-x.mean(dim=0) * log_scale.exp())
            self.initialised.fill_(True)


class VolumeBatchNorm(ScaleAndShift):
    """``y = exp(gain) (x - mean) / sqrt(variance + epsilon) + bias`` (Real NVP, section 3.7; MAF, appendix B).

    Mean and variance are the batch's in training mode; else those of all training rows, as last observed.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return super().forward(x)
        log_scale, shift = self._normalising(x.mean(dim=0), x.var(dim=0, unbiased=False))
        return x * log_scale.exp() + shift, log_scale.sum().expand(len(x))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        return self._normalising(self.mean, self.variance)

    def observe(self, x: Tensor) -> None:
        self.mean.copy_(x.mean(dim=0))
        self.variance.copy_(x.var(dim=0, unbiased=False))

    def _normalising(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = self.gain - 0.5 * (variance + EPSILON).log()
        return log_scale, self.bias - mean * log_scale.exp()


class Permutation(AffineTransform):
    """``y_i = x_order[i]``."""

    order: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        return y[:, self.order.argsort()]

    def affine(self) -> tuple[Tensor, Tensor, Tensor]:
        matrix = torch.eye(len(self.order), device=self.order.device)[self.order]
        return matrix, matrix.new_zeros(len(matrix)), matrix.new_zeros(())


class LULinear(AffineTransform):
    """``y = P L (U + diag(sign exp(log_diagonal))) x`` (Glow, equations 10 and 11): learned but for P and sign.

    ``L`` has ones on its diagonal and ``U`` zeros. It starts as a random rotation.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(features, features))
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self._triangles()
        return x @ (self.permutation @ lower @ upper).T, self.log_diagonal.sum().expand(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        lower, upper = self._triangles()
        half = torch.linalg.solve_triangular(lower, self.permutation.T @ y.T, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, half, upper=True).T

    def affine(self) -> tuple[Tensor, Tensor, Tensor]:
        lower, upper = self._triangles()
        matrix = self.permutation @ lower @ upper
        return matrix, matrix.new_zeros(len(matrix)), self.log_diagonal.sum()

    def _triangles(self) -> tuple[Tensor, Tensor]:
        ones = torch.eye(len(self.sign), dtype=self.sign.dtype, device=self.sign.device)
        return self.lower.tril(-1) + ones, self.upper.triu(1) + (self.sign * self.log_diagonal.exp()).diag()
