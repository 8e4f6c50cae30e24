"""What the float exporter refuses by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.errors import ConversionError
from edge_sdk.export.formats.float_onnx import TAKEN, to_onnx
from edge_sdk.runtime.engines import load_engine


class OnePart(nn.Module):
    """A dense layer behind a name of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (part,) = self.children()
        made: torch.Tensor = part(x)
        return made


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_names_that_the_exporter_has_itself_are_refused(name: str) -> None:
    with pytest.raises(ConversionError, match=rf"OnePart\.{name} has the name"):
        to_onnx(OnePart(name), (4,))


class Logs(nn.Module):
    """What a likelihood and a logit's log probability are computed by."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([functional.logsigmoid(x), torch.logaddexp(x, -2 * x), torch.logsumexp(x, 1, keepdim=True)], 1)


def test_logarithms_of_exponentials_are_finite() -> None:
    """The exporter's own would be infinite, or minus infinity."""
    x = np.array([[-300, -89, -1, 0], [1e-3, 2, 89, 1000], [-1000, 50, -50, 20]], np.float32)
    found = load_engine("onnxruntime", to_onnx(Logs(), (4,)), "onnx").run({"image": x})["embedding"]
    wide = x.astype(np.float64)
    expected = np.concatenate(
        [
            -np.logaddexp(0, -wide),
            np.logaddexp(wide, -2 * wide),
            np.logaddexp.reduce(wide, axis=1, keepdims=True),
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_they_do_no_harm_further_inside() -> None:
    assert to_onnx(nn.Sequential(OnePart("graph")), (4,))
