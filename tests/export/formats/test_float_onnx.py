"""What the float exporter refuses by itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edge_sdk.errors import ConversionError
from edge_sdk.export.formats.float_onnx import TAKEN, to_onnx


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


def test_they_do_no_harm_further_inside() -> None:
    assert to_onnx(nn.Sequential(OnePart("graph")), (4,))
