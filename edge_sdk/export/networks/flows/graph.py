"""A flow as a device computes it."""

from __future__ import annotations

import copy
import math
from itertools import groupby

import torch
from torch import Tensor, nn

from edge_sdk.export.networks.flows.transform import AffineTransform, Flow, Transform

OUTPUTS = ("latent", "log_likelihood")
"""What the graph gives, for :func:`edge_sdk.export.formats.float_onnx.to_onnx`."""


class DensityGraph(nn.Module):
    """A flow in evaluation mode: rows ``(N, D)`` to latents ``(N, D)`` and log-likelihoods ``(N, 1)``.

    Masks are multiplied into weights, affine transforms that follow one another become one dense layer, and what they
    add to every log-likelihood becomes one constant. The flow is left as it is.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        constant = -0.5 * flow.features * math.log(2 * math.pi)
        parts: list[nn.Module] = []
        for affine, group in groupby(
            copy.deepcopy(flow).transforms, lambda transform: isinstance(transform, AffineTransform)
        ):
            if affine:
                layer, log_det = _composed([part for part in group if isinstance(part, AffineTransform)])
                parts.append(layer)
                constant += log_det
            else:
                parts.extend(part.folded() for part in group if isinstance(part, Transform))
        self.parts = nn.ModuleList(parts)
        self.constant = constant
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_dets = []
        for part in self.parts:
            if isinstance(part, nn.Linear):
                x = part(x)
            else:
                x, log_det = part(x)
                log_dets.append(log_det)
        total = sum(log_dets, -0.5 * x.square().sum(dim=1)) + self.constant
        return x, total[:, None]


@torch.no_grad()
def _composed(transforms: list[AffineTransform]) -> tuple[nn.Linear, float]:
    """One layer that computes all of them, composed in float64, and the logarithm of its determinant."""
    matrix, shift, total = (part.double() for part in transforms[0].affine())
    for transform in transforms[1:]:
        weight, bias, log_det = (part.double() for part in transform.affine())
        matrix, shift, total = weight @ matrix, weight @ shift + bias, total + log_det
    layer = nn.Linear(*matrix.shape)
    layer.load_state_dict({"weight": matrix, "bias": shift})
    return layer, float(total)
