"""face_lite within what was asked for: its size, its work, and the layers that int8 likes."""

from __future__ import annotations

import torch
from torch import nn

from edge_sdk.export import recipes
from edge_sdk.preprocess.align import FaceAlignment

RECIPE = recipes.get("face_lite")


def test_size_and_work() -> None:
    network = RECIPE.network(**RECIPE.preset("best").network).eval()
    work: list[int] = []

    def count(layer: nn.Module, _: object, made: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        work.append(layer.weight.numel() * made.shape[2] * made.shape[3])

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        made = network(torch.rand(2, 1, 112, 112))
    assert torch.allclose(made.norm(dim=1), torch.ones(2))
    assert made.shape == (2, RECIPE.embedding_size)
    # stem, three stages, 1 x 1, 7 x 7: 56, 28, 14 and 7 pixels a side, counted layer by layer
    stem = 9 * 32 * 56**2
    first = (9 * 32 * 64 + 3 * (9 + 1) * 64 * 64) * 28**2
    second = (9 * 64 * 96 + 4 * (9 + 1) * 96 * 96) * 14**2
    third = (9 * 96 * 112 + 2 * (9 + 1) * 112 * 112 + 112 * 32) * 7**2
    assert sum(work) == stem + first + second + third + 32 * 128 * 49 == 212_194_304
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_121_600


def test_every_layer_is_one_that_int8_computes_fast_and_exactly() -> None:
    network = RECIPE.network()
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    assert {type(layer) for layer in leaves} == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}
    assert all(layer.groups == 1 for layer in leaves if isinstance(layer, nn.Conv2d))


def test_a_device_aligns_what_it_is_shown() -> None:
    source = RECIPE.source(RECIPE.preset("best"))
    assert source.alignment == FaceAlignment()
    assert (source.face, source.color) == (None, "gray")
