"""Recipe ``ganomaly_lite``: what it counts in a face, what a device computes of it, and what int8 keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_sdk.export import recipes
from edge_sdk.export.formats.artifacts import Graphs, kinds
from edge_sdk.export.formats.inference import run
from edge_sdk.export.networks.patterns import RING, Patterns, uniform_patterns
from edge_sdk.export.recipes.ganomaly_lite import (
    FARTHEST,
    LATENT_AND_RESIDUAL,
    RADII,
    SHARES,
    GanomalyLite,
    PatternShares,
)

from .test_spoof_lbp import pictures, tensor


def faces(count: int = 8) -> NDArray[np.uint8]:
    """``(count, 128, 128)``: even places, edges, and noise of different strength."""
    rng, found = np.random.default_rng(2), pictures(count)
    noisy = found + rng.integers(-20, 21, found.shape) * np.linspace(0, 1, count)[:, None, None]
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> GanomalyLite:
    """In evaluation mode, standardised by :func:`faces`; its weights are random."""
    torch.manual_seed(0)
    made = GanomalyLite().train()
    with torch.no_grad():
        for _ in range(4):
            made(tensor(faces()))
    return made.eval()


def test_patterns_of_every_other_pixel_are_what_loops_find() -> None:
    picture, reach = pictures(1, 16)[0].astype(int), max(RADII)
    maps = Patterns(RADII, halved=False)(tensor(picture[None].astype(np.uint8)))[0].numpy()
    assert maps.shape == (SHARES, 6, 6)
    for row, column in np.ndindex(maps.shape[1:]):
        y, x = 2 * row + reach, 2 * column + reach
        rings = [
            tuple(int(picture[y + r * down, x + r * right] >= picture[y, x]) for down, right in RING) for r in RADII
        ]
        wanted = [float(ring == pattern) for ring in rings for pattern in uniform_patterns()]
        np.testing.assert_allclose(maps[:, row, column], wanted, atol=1e-3)


def test_shares_are_the_means_of_the_maps() -> None:
    find, x = Patterns(RADII, halved=False), tensor(faces(3))
    torch.testing.assert_close(find.shares(x), find(x).mean((2, 3)), atol=1e-5, rtol=0)


def test_shares_are_standardised_by_all_that_was_seen() -> None:
    """Two batches: the mean of their means, and of their variances; the batch at hand counts like those before."""
    shares = PatternShares().train()
    batches = [tensor(faces()[:4]), tensor(faces()[4:])]
    counted = [shares.patterns(batch).mean((2, 3)) for batch in batches]
    first, second = (shares(batch) for batch in batches)
    mean, var = ([getattr(one, name)(0) for one in counted] for name in ("mean", "var"))
    torch.testing.assert_close(first, (counted[0] - mean[0]) / (var[0] + 1e-9).sqrt(), atol=1e-3, rtol=1e-3)
    both = (counted[1] - (mean[0] + mean[1]) / 2) / ((var[0] + var[1]) / 2 + 1e-9).sqrt()
    torch.testing.assert_close(second, both, atol=1e-3, rtol=1e-3)
    assert both.abs().max() > FARTHEST
    torch.testing.assert_close(shares.eval()(batches[1]), both.clamp(-FARTHEST, FARTHEST), atol=1e-3, rtol=1e-3)


def test_a_device_counts_in_two_sums(network: GanomalyLite) -> None:
    x = tensor(faces(3))
    with torch.no_grad():
        expected = network.outputs(x, [LATENT_AND_RESIDUAL, "latent"])
        found = network.inference_model([LATENT_AND_RESIDUAL, "latent"])(x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-3)
    assert isinstance(network.shares, PatternShares), "the copy changed its original"


def test_the_residual_is_what_the_decoder_does_not_restore(network: GanomalyLite) -> None:
    x = tensor(faces(3))
    with torch.no_grad():
        both, reconstruction = network.outputs(x, [LATENT_AND_RESIDUAL, "reconstruction"])
        imitated = network.imitated(x)
        latent = network.encoder(imitated)[1]
    assert both.shape == (3, 16 + SHARES)
    torch.testing.assert_close(both, torch.cat([latent, imitated - reconstruction], 1))


def test_a_step_counts_each_statistic_of_the_discriminator_once() -> None:
    """Its batch norms see what is imitated and its reconstruction once a step, and not again for the generator."""
    torch.manual_seed(0)
    network = GanomalyLite().train()
    network(tensor(faces()))
    assert int(network.discriminator.get_buffer("features.2.num_batches_tracked")) == 2


def test_the_docstring_counts_what_is_learned() -> None:
    chosen = recipes.get("ganomaly_lite")
    parts = (chosen.network().encoder, chosen.network().decoder)
    assert sum(parameter.numel() for part in parts for parameter in part.parameters()) == 8_772


@pytest.mark.parametrize("kind", ["int8.onnx", "int8-sym.onnx", "int8-io.tflite"])
def test_int8_keeps_latents_and_residuals(kind: str, network: GanomalyLite) -> None:
    if "tflite" in kind:
        pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    images = faces()
    with torch.no_grad():
        expected = network.outputs(tensor(images), [LATENT_AND_RESIDUAL])[0].numpy()
    names = (LATENT_AND_RESIDUAL,)
    graphs = Graphs(network.inference_model(names), (1, 128, 128), tensor(images).numpy(), names)
    (one,) = kinds([kind])[-1:]
    made = run(graphs.quantizer(one).quantize("minmax"), images[:, None], engine=one.engine, format=one.format)
    found = np.concatenate([each[LATENT_AND_RESIDUAL] for each in made])
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
