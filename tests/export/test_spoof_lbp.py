"""Recipe ``spoof_lbp``: patterns as loops find them, shares that are shares, and nothing that light or int8 changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_sdk.export import recipe
from edge_sdk.export.artifacts import Graphs, kinds
from edge_sdk.export.recipes.spoof_lbp import RING, Histograms, Patterns, uniform_patterns
from edge_sdk.export.scoring import run


def pictures(count: int, side: int = 128) -> np.ndarray:
    """``uint8 (count, side, side)`` with even places, edges and noise."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 256, (count, side, side)).astype(np.uint8)
    found[:, : side // 3] = 90
    found[:, :, : side // 4] = np.arange(side)[:, None]
    return found


def test_a_bit_turns_at_most_twice_in_a_uniform_pattern() -> None:
    patterns = uniform_patterns()
    assert len(set(patterns)) == 58
    assert (0,) * 8 in patterns
    assert (1, 1, 1, 0, 0, 0, 0, 1) in patterns
    assert (1, 0, 1, 0, 0, 0, 0, 0) not in patterns


@pytest.mark.parametrize("radius", [1, 2])
def test_patterns_are_what_loops_find(radius: int) -> None:
    picture = pictures(1, 16)[0]
    found = Patterns(radius)(torch.from_numpy(picture / np.float32(255))[None, None])[0].numpy()
    patterns = uniform_patterns()
    for row, column in np.ndindex(found.shape[1:]):
        y, x = row + radius, column + radius
        bits = tuple(int(picture[y + radius * down, x + radius * right] >= picture[y, x]) for down, right in RING)
        wanted = [float(bits == pattern) for pattern in patterns]
        assert found[:, row, column].tolist() == wanted, (row, column)


def test_squares_of_the_features_are_shares() -> None:
    x = torch.from_numpy(pictures(3) / np.float32(255))[:, None]
    blocks = Histograms()(x).square().view(3, 10, 59)
    torch.testing.assert_close(blocks.sum(2), torch.ones(3, 10))
    assert (blocks[:, :, 58] > 0).any()  # some patterns of noise are not uniform
    mirrored = Histograms()(x.flip(3)).square().view(3, 10, 59)
    torch.testing.assert_close(mirrored.sum(2), torch.ones(3, 10))
    assert not torch.allclose(mirrored, blocks, atol=1e-3)


def test_no_light_changes_a_pattern() -> None:
    """Less of it, or another tone curve, as far as levels that differed still do."""
    x = torch.from_numpy(pictures(2) / np.float32(255))[:, None]
    x = torch.nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    features = Histograms()
    torch.testing.assert_close(features(0.5 * x + 0.2), features(x))
    torch.testing.assert_close(features((x + 0.2) ** 0.5), features(x))


def test_int8_finds_the_same_patterns() -> None:
    """Bits, signs and sums are small whole numbers, which int8 holds."""
    torch.manual_seed(0)
    chosen = recipe.get("spoof_lbp")
    network = chosen.network().train()
    images = pictures(8)
    x = torch.from_numpy(images / np.float32(255))[:, None]
    with torch.no_grad():
        for _ in range(40):
            network(x + 0.1 * torch.rand_like(x))  # the standardisation's mean and spread
        expected = network.eval()(x)[:, 0].numpy()
    graphs = Graphs(chosen.device_part(network), (1, 128, 128), x.numpy(), chosen.outputs)
    (int8,) = (graphs.quantizable(kind).quantize("minmax") for kind in kinds(["onnx"]) if kind.id == "int8.onnx")
    found = np.array([tensors["logit"].item() for tensors in run(int8, images)])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected) + 1e-5)
    assert np.ptp(expected) > 0.01
