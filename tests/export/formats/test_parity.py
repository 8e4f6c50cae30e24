"""Every recipe in every format and precision, on every engine: what the network computes, within a tolerance a row."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import expanded, prepared, prepared_rows
from edge_sdk.export.data.load import load
from edge_sdk.export.formats.artifacts import FORMATS, REFERENCE, Graphs, VariantKind, check, kinds
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.export.formats.inference import Embeddings, run
from edge_sdk.export.networks.patterns import Patterns
from edge_sdk.runtime.engines import ENGINES, Tensors, installed, usable
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

KINDS = kinds(list(FORMATS))
ROWS = [
    (name, kind, engine)
    for name in recipes.names()
    for kind in KINDS
    for engine, row in ENGINES.items()
    # No workstation runs TensorRT's artifact; ONNX Runtime computes what its nodes say.
    if row.packages and (kind.id in row.variants or (engine == "onnxruntime" and kind.precision == "int8-sym"))
]


def outputs(name: str) -> tuple[str, ...]:
    """Those of every score that a run of the recipe can have, its own first."""
    chosen = recipes.get(name)
    return tuple(dict.fromkeys((*chosen.outputs, *(one for score in chosen.scores.values() for one in score.outputs))))


@cache
def graphs(name: str) -> tuple[Graphs, np.ndarray, Tensors]:
    """A miniature with random weights, its images, and what it makes of them."""
    chosen = recipes.get(name)
    torch.manual_seed(1)
    whole, preset = chosen.tiny().eval(), next(iter(chosen.presets.values()))
    for module in whole.modules():  # a fresh batch norm would do nothing
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    network = whole.inference_model(outputs(name))
    if chosen.modality == "gait":
        images = np.array(prepared_rows(load("walks:4").samples, preset.preprocessing).tensors[::50])
    else:
        images = prepared(load("synthetic:4").samples, preset.preprocessing)[::8]
        # Darker and darker, so that networks made for faces tell them apart too.
        images = (images * np.linspace(1, 0.1, len(images))[:, None, None, None]).astype(np.uint8)
    samples = expanded(images)
    with torch.no_grad():
        for _ in range(20):  # and one of other images than these would leave little of them
            network.train()(torch.from_numpy(samples))
        network.eval()
        made = network(torch.from_numpy(samples))
    parts = made if isinstance(made, tuple) else (made,)
    expected = {INPUT: samples} | {key: part.numpy() for key, part in zip(outputs(name), parts, strict=True)}
    return Graphs(network, samples.shape[1:], samples, outputs(name)), images, expected


def directions(name: str, made: Tensors) -> Embeddings:
    """The outputs of the recipe's own score behind one another, as unit vectors ``(N, D)``."""
    # In float64, for sums over the pixels of a reconstruction.
    joined = np.concatenate([made[one].reshape(len(made[one]), -1) for one in recipes.get(name).outputs], axis=1)
    return joined / np.linalg.norm(joined.astype(np.float64), axis=1, keepdims=True)


@cache
def counts_patterns(name: str) -> bool:
    """Whether a network counts local binary patterns, which these made-up pages have alike, however dark they are.

    Such networks have tests of their own, on textures: test_spoof_lbp.py and test_ganomaly_lite.py.
    """
    return any(isinstance(module, Patterns) for module in recipes.get(name).tiny().modules())


@cache
def computed(name: str, kind: VariantKind, engine: str) -> Tensors:
    """What an engine makes of the images, by output; skips the test where the engine is of no use here."""
    if not usable(engine, kind.id) or engine == "tensorrt":
        pytest.skip(f"{engine} is not installed, needs a GPU, or is not exact on this processor")
    if kind.precision != "fp32" and counts_patterns(name):
        pytest.skip("the pictures have too few patterns; the recipe's own test has more")
    if kind.format == "tflite":
        pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    rows = list(run(artifact(name, kind), graphs(name)[1], engine=engine, format=kind.format))
    return {key: np.concatenate([row[key].reshape(1, *row[key].shape[1:]) for row in rows]) for key in rows[0]}


# 1 - correlation. The distance of two latents that lie close together has the most to lose from int8.
SCORE_PARITY = {"fp32": 1e-8, "int8": 0.1, "int8-io": 0.1, "int8-sym": 0.1}
SCORED = [row for row in ROWS if recipes.get(row[0]).scores and recipes.get(row[0]).task == "spoof"]


@cache
def artifact(name: str, kind: VariantKind) -> bytes:
    made, _, _ = graphs(name)
    return made.float(kind) if kind.precision == "fp32" else made.quantizer(kind).quantize("minmax")


@pytest.mark.parametrize(("name", "kind", "engine"), ROWS, ids=lambda value: getattr(value, "id", value))
def test_parity(name: str, kind: VariantKind, engine: str) -> None:
    tolerance = recipes.get(name).parity.get(kind.id, recipes.PARITY[kind.precision])
    assert tolerance <= 5 * recipes.PARITY[kind.precision], "looser than any recipe may be"
    found, expected = directions(name, computed(name, kind, engine)), directions(name, graphs(name)[2])
    # A miniature's embeddings lie close together: one answer to every image would be within the tolerance.
    spread = (1 - expected @ expected.T).max()
    assert (1 - (found * expected).sum(axis=1)).max() <= min(tolerance, spread / 2)


@pytest.mark.parametrize(("name", "kind", "engine"), SCORED, ids=lambda value: getattr(value, "id", value))
def test_every_score_of_a_run_is_the_networks(name: str, kind: VariantKind, engine: str) -> None:
    found, expected = computed(name, kind, engine), graphs(name)[2]
    for label, score in recipes.get(name).scores.items():
        densities = {path: around(expected[output]) for path, output in score.density_outputs.items()}
        ours, theirs = score.score(found, densities), score.score(expected, densities)
        # As the exporter does: a shift or a scale of all scores costs nothing, for thresholds are each artifact's own.
        apart = 1 - np.corrcoef(ours, theirs)[0, 1]
        assert apart <= SCORE_PARITY[kind.precision], label
        if kind.precision == "fp32":
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4 * theirs.std()), label


def around(rows: np.ndarray) -> GaussianMixture:
    """One Gaussian of all rows."""
    return GaussianMixture(np.ones(1), rows.mean(axis=0, keepdims=True), rows.var(axis=0, keepdims=True) + 1e-3)


@pytest.mark.parametrize("name", recipes.names())
def test_the_field_takes_every_artifact(name: str) -> None:
    """TensorRT's parser where it is installed, and the operators of old TFLite boards."""
    pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    said: list[str] = []
    for kind in KINDS:
        check(kind, artifact(name, kind), said.append)
    assert bool(said) != installed("tensorrt")


def test_formats_are_names_or_single_artifacts() -> None:
    assert kinds([]) == (REFERENCE,)
    assert [kind.id for kind in kinds(["tensorrt", "int8.tflite"])] == ["fp32.onnx", "int8.tflite", "int8-sym.onnx"]
    assert {kind.id for kind in KINDS} == {kind.id for group in FORMATS.values() for kind in group}
    with pytest.raises(UsageError, match=r"int8-io\.tflite"):
        kinds(["coreml"])
