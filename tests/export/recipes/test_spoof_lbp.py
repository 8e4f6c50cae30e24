"""Recipe ``spoof_lbp``: patterns as loops find them, which neither light nor int8 changes, and their weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_sdk.export import recipes
from edge_sdk.export.formats.artifacts import Graphs, kinds
from edge_sdk.export.formats.inference import run
from edge_sdk.export.networks.patterns import RING, Patterns, uniform_patterns
from edge_sdk.export.recipes.spoof_lbp import RADII, SpoofLbp


def pictures(count: int, side: int = 128) -> NDArray[np.uint8]:
    """``(count, side, side)`` with even places, edges and noise."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 256, (count, side, side)).astype(np.uint8)
    found[:, : side // 3] = 90
    found[:, :, : side // 4] = np.arange(side)[:, None]
    return found


def tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images / np.float32(255))[:, None]


@pytest.fixture(scope="module")
def network() -> SpoofLbp:
    """In evaluation mode, standardised by noisy pictures; its verdict is random."""
    torch.manual_seed(0)
    made = recipes.get("spoof_lbp").network().train()
    images, rng = pictures(8), np.random.default_rng(1)
    with torch.no_grad():
        for _ in range(4):
            noisy = np.clip(images + rng.integers(-20, 21, images.shape), 0, 255).astype(np.uint8)
            made(tensor(noisy))
    assert isinstance(made, SpoofLbp)
    return made.eval()


def test_a_bit_turns_at_most_twice_in_a_uniform_pattern() -> None:
    patterns = uniform_patterns()
    assert len(set(patterns)) == 58
    assert (0,) * 8 in patterns
    assert (1, 1, 1, 0, 0, 0, 0, 1) in patterns
    assert (1, 0, 1, 0, 0, 0, 0, 0) not in patterns


def test_patterns_are_what_loops_find() -> None:
    picture = pictures(1, 32)[0]
    maps = Patterns(RADII, halved=True)(tensor(picture[None]))[0].numpy()
    halved = picture.astype(int).reshape(16, 2, 16, 2).sum((1, 3))
    patterns, reach = uniform_patterns(), max(RADII)
    assert maps.shape == (len(RADII) * len(patterns), 10, 10)
    for row, column in np.ndindex(maps.shape[1:]):
        y, x = row + reach, column + reach
        rings = [tuple(int(halved[y + r * down, x + r * right] >= halved[y, x]) for down, right in RING) for r in RADII]
        wanted = [float(ring == pattern) for ring in rings for pattern in patterns]
        np.testing.assert_allclose(maps[:, row, column], wanted, atol=1e-3)


def test_no_light_changes_a_pattern() -> None:
    """Neither less of it nor another tone curve, as far as levels that differed still do."""
    levels = np.random.default_rng(0).integers(0, 60, (2, 64, 64)).repeat(2, 1).repeat(2, 2)
    find = Patterns(RADII, halved=True)
    plain, dark, bent = (find(tensor(x.astype(np.uint8))) for x in (levels, 2 * levels + 9, levels**2 // 32 + levels))
    torch.testing.assert_close(dark, plain, atol=1e-3, rtol=0)
    torch.testing.assert_close(bent, plain, atol=1e-3, rtol=0)


def test_a_device_adds_up_what_training_learned(network: SpoofLbp) -> None:
    x = tensor(pictures(3))
    with torch.no_grad():
        torch.testing.assert_close(network.inference_model(("logit",))(x), network(x), atol=1e-3, rtol=1e-3)
        assert isinstance(network.features[0], Patterns), "the copy changed its original"


@pytest.mark.parametrize("kind", ["int8.onnx", "int8-io.tflite"])
def test_int8_finds_the_same_patterns(kind: str, network: SpoofLbp) -> None:
    """Pixels, bits and signs are whole numbers, which int8 holds; what is rounded is the weights of the sum."""
    if "tflite" in kind:
        pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    chosen, images = recipes.get("spoof_lbp"), pictures(8)
    images[::2] //= 3  # for the verdicts to differ
    network = copy.deepcopy(network)
    with torch.no_grad():
        # To where int8-io.tflite has its integers.
        network.get_parameter("classifier.1.bias").sub_(network(tensor(images)).mean())
        expected = network(tensor(images))[:, 0].numpy()
    # Slopes have logits far from 0 on both sides: rounding shifts all, and nothing may be cut where a range ends.
    across, down = np.arange(128), np.arange(128)[:, None]
    slopes = np.stack([across + 2 * down, 2 * across + down]).astype(np.uint8)
    learned = tensor(np.concatenate([images, slopes])).numpy()
    graphs = Graphs(chosen.inference_model(network), (1, 128, 128), learned, chosen.outputs)
    (one,) = kinds([kind])[-1:]
    int8 = graphs.quantizer(one).quantize("minmax")
    tensors = run(int8, images[:, None], engine=one.engine, format=one.format)
    found = np.array([each["logit"].item() for each in tensors])
    assert np.corrcoef(found, expected)[0, 1] > 0.98  # a shift of all costs nothing: each artifact has its thresholds
