"""Every recipe: build, two training steps, export, parity. No recipe is named but in its own facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk.errors import MissingToolError, ScoreError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation
from edge_sdk.export.data.splits import split_subjects
from edge_sdk.export.formats.artifacts import Graphs, kinds
from edge_sdk.export.formats.float_onnx import fold_batch_norm, to_onnx
from edge_sdk.export.losses import locating
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.losses.locating import FaceLocation
from edge_sdk.export.networks import projection
from edge_sdk.export.networks.mobilenet import body
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes.deepsign import DeepSign
from edge_sdk.export.recipes.mobilenetv2 import DEVIATION, MEAN, MobileNetV2
from edge_sdk.export.recipes.signet import SigNet
from edge_sdk.export.training.checkpoint import load_network
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun

from ...paths import ROOT

PRESETS = [(name, preset) for name in recipes.names() for preset in recipes.get(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_two_steps_move_every_weight_but_the_frozen(
    name: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipes.get(name)
    alone = replace(chosen.preset(preset), extra=())  # made-up people take a minute to draw
    chosen = replace(chosen, presets={preset: alone})
    data = load("walks:6" if chosen.modality == "gait" else "synthetic:6")
    if isinstance(alone.objective, AttackClassification) and alone.objective.attacks == "rendered":
        samples = [one if one.genuine else replace(one, dataset=f"print+{one.dataset}") for one in data.samples]
        data = replace(data, samples=tuple(samples))
    if isinstance(alone.objective, FaceLocation):
        monkeypatch.setattr(
            locating, "face_points", lambda _: np.array([[3, 3], [5, 3], [4, 4], [3, 5], [5, 5]]) * 10.0
        )
        objective = replace(alone.objective, scenes=4)
        chosen = replace(chosen, presets={preset: replace(alone, objective=objective)})
    first, second = split_subjects(data, (0.5, 0.5))
    run = TrainingRun(chosen, preset, tmp_path, data.select(first), data.select(second), steps=2, tiny=True)
    torch.manual_seed(0)
    before = {key: value.clone() for key, value in run.network().state_dict().items()}
    try:
        outcome = train(run, quiet=True)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert outcome.steps == 2
    network = run.network()
    load_network(outcome.checkpoint, network)
    for key, value in network.named_parameters():
        assert torch.equal(value, before[key]) != value.requires_grad, key


def parameters(network: nn.Module, *, frozen: bool = False) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad or frozen)


def shapes_of(layers: Iterable[nn.Module], network: nn.Module, *input_shape: int) -> list[tuple[int, ...]]:
    """What the layers put out for one image, without the batch; the embedding must be a unit vector."""
    shapes: list[tuple[int, ...]] = []
    for layer in layers:
        layer.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        embedding = network.eval()(torch.rand(1, 1, *input_shape))
    assert embedding.norm().item() == pytest.approx(1, abs=1e-6)
    return [*shapes, tuple(embedding.shape[1:])]


def test_deepsign_has_the_papers_parameters_and_shapes() -> None:
    network = DeepSign()
    assert parameters(network) == 256_992  # table 4
    table_3 = [(64, 149, 179), (64, 74, 89), (128, 74, 89), (128, 74, 89), (128, 36, 44), (128, 36, 44), (144, 36, 44)]
    table_3 += [(192, 36, 44), (256, 36, 44), (256, 17, 21), (256, 17, 21), (256, 17, 21), (256, 1, 1), (256,)]
    assert shapes_of(network.features, network, 300, 360) == [*table_3, (128,)]


def test_signet_has_the_papers_parameters_and_shapes() -> None:
    network = SigNet()
    assert parameters(network) == 6_460_974  # table 4
    assert parameters(SigNet(row_norm=False)) == 6_460_974 - 2 * (37 + 18) + 2 * (96 + 256)
    table_1 = [(96, 37, 53), (96, 37, 53), (96, 18, 26), (256, 18, 26), (256, 18, 26), (256, 8, 12), (256, 8, 12)]
    table_1 += [(384, 8, 12), (256, 8, 12), (256, 3, 5), (256, 3, 5), (3840,), (1024,), (1024,), (128,)]
    layers = [*network.features, network.dense, network.dropout, network.embedding]
    assert shapes_of(layers, network, 155, 220) == [*table_1, (128,)]


def test_signet_normalises_rows_as_the_paper_or_channels() -> None:
    x = torch.rand(4, 4, 37, 5, generator=torch.Generator().manual_seed(0))
    for row_norm, axis in ((True, 2), (False, 1)):
        normalised = SigNet(row_norm=row_norm, width=0.02).train().features[1](x)
        for k in range(x.shape[axis]):
            part = x.select(axis, k)
            expected = (part - part.mean()) / (part.var(unbiased=False) + 1e-6).sqrt()
            assert torch.allclose(normalised.select(axis, k), expected, atol=1e-5)


def test_mobilenetv2_has_the_papers_parameters_and_shapes() -> None:
    network = MobileNetV2()
    assert parameters(network) == 721_589  # table 4: the body is frozen
    assert parameters(network.adapter) == 53
    assert parameters(network.dense) == 655_872
    assert parameters(network.embedding) == 65_664
    assert parameters(body()) == 3_504_872 - 1000 * 1281  # torchvision's, without ImageNet's classes
    assert parameters(MobileNetV2(unfreeze=19)) == 721_589 + 2_223_872
    layers = [network.adapter[0], network.adapter[2], network.features, network.dense, network.dropout]
    table_2 = [(10, 224, 224), (3, 224, 224), (1280, 7, 7), (512,), (512,), (128,)]
    assert shapes_of(layers, network, 224, 224) == table_2
    for unfreeze in (-1, 20):
        with pytest.raises(UsageError, match="0 to 19"):
            MobileNetV2(unfreeze=unfreeze, width=0.02)


def test_mobilenetv2s_body_sees_what_imagenet_taught_it() -> None:
    network = MobileNetV2(width=0.02).eval()
    seen: list[torch.Tensor] = []
    network.features.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    ink = torch.rand(2, 1, 64, 48)
    with torch.no_grad():
        network(ink)
    for channel in range(3):
        expected = (1 - ink[:, 0] - MEAN[channel]) / DEVIATION[channel]
        assert torch.allclose(seen[0][:, channel], expected, atol=1e-5)


@pytest.mark.parametrize("unfreeze", [0, 1, 12, 19])
def test_frozen_blocks_keep_weights_and_statistics(unfreeze: int) -> None:
    network = MobileNetV2(unfreeze=unfreeze, width=0.02)
    before = {name: value.clone() for name, value in network.features.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        network.train()
        network(torch.rand(4, 1, 64, 64))[:, 0].sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, value in network.features.state_dict().items():
        is_frozen = int(name.split(".")[0]) < 19 - unfreeze
        assert torch.equal(value, before[name]) == is_frozen, name


def test_a_last_layer_of_principal_components_keeps_what_the_features_tell_apart() -> None:
    network, images = DeepSign(width=0.1).eval(), torch.rand(40, 1, 64, 64)
    with torch.inference_mode():
        network.project(images.split(16))
        features = functional.normalize(network.features(images), dim=1).double()
    weight = network.embedding.weight.detach().double()
    embeddings = features @ weight.T
    assert weight.shape == (128, 26)
    assert not network.embedding.bias.any()
    assert torch.allclose(weight.T @ weight, torch.eye(26).double(), atol=1e-5)  # nothing is lost
    assert torch.allclose(torch.cdist(embeddings, embeddings), torch.cdist(features, features), atol=1e-5)
    variances = embeddings.var(dim=0)
    assert variances.max() < 20 * variances.mean()  # of principal components as they are: the first has nearly all


def test_of_more_features_than_values_the_strongest_directions_are_kept() -> None:
    rng = np.random.default_rng(0)
    features = 1 + rng.normal(size=(400, 12)) * np.geomspace(0.3, 0.003, 12)
    layer = projection.principal_layer(nn.Linear(12, 4), features)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    kept = rows @ layer.weight.detach().double().numpy().T
    strongest = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    with pytest.raises(UsageError, match="power of 2"):
        projection.principal_layer(nn.Linear(12, 6), features)
    assert np.trace(np.cov(kept.T)) == pytest.approx(strongest[:4].sum(), rel=1e-4)


def test_a_last_layer_cannot_be_replaced_where_nothing_was_learned() -> None:
    network = DeepSign(width=0.1).eval()
    with torch.inference_mode(), pytest.raises(ScoreError, match="has not learned"):
        network.project([torch.zeros(4, 1, 64, 64)])
    lengths = np.arange(1, 5)[:, np.newaxis] * np.ones((4, 26))
    with pytest.raises(ScoreError, match="has not learned"):  # features of one direction
        projection.principal_layer(network.embedding, lengths)


def test_networks_without_embeddings_have_no_last_layer_to_replace() -> None:
    with pytest.raises(UsageError, match="no layer of embeddings"):
        Network().project([])


def test_a_last_layer_is_replaced_after_the_last_step_alone() -> None:
    best = recipes.get("deepsign").preset("best")
    with pytest.raises(UsageError, match="last weights"):
        replace(best, keep="best")
    with pytest.raises(UsageError, match="without patience"):
        replace(best, patience=3)


def test_the_best_nets_training_changes_less_in_an_image_than_in_a_writer() -> None:
    """A forger gets proportions wrong by a tenth: what an image is changed by must not hide that."""
    changed = recipes.get("deepsign").preset("best").augmentation
    assert isinstance(changed, SignatureAugmentation)
    assert max(changed.image.scale, changed.image.slant) < 0.05 < min(changed.writer.scale, changed.writer.slant)


def test_the_nano_net_is_small_and_learns_as_its_model() -> None:
    nano = recipes.get("deepsign_nano")
    assert parameters(nano.network()) == 58_148
    best = recipes.get("deepsign").preset("best")
    assert nano.preset("best") == replace(best, steps=nano.preset("best").steps)
    samples = np.random.default_rng(0).random((2, 1, 150, 180), np.float32)  # of zeros, scales would be left out
    for kind in kinds(["onnx"]):
        model = Graphs(nano.network(batch_norm=True).eval(), (1, 150, 180), samples)
        made = model.float(kind) if kind.precision == "fp32" else model.quantizer(kind).quantize("minmax")
        assert len(made) <= {"fp32": 300_000, "int8": 100_000}[kind.precision]


@pytest.mark.parametrize(
    "network",
    [
        DeepSign(batch_norm=True, width=0.1),
        SigNet(row_norm=True, width=0.02),
        SigNet(row_norm=False, width=0.02),
        MobileNetV2(width=0.02),
    ],
    ids=["behind convolutions", "of rows", "behind a ReLU", "in residual blocks"],
)
def test_folding_leaves_the_function_and_no_batch_norm(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    folded, x = fold_batch_norm(network), torch.rand(2, 1, 155, 220)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.no_grad():
        assert torch.allclose(folded(x), network.eval()(x), atol=1e-5)


def test_folding_leaves_the_papers_graph() -> None:
    assert parameters(fold_batch_norm(DeepSign(batch_norm=True)), frozen=True) == 256_992


def test_the_float_graph_is_one_clean_file() -> None:
    model = onnx.load_from_string(to_onnx(DeepSign(batch_norm=True, width=0.1), (1, 300, 360)))
    onnx.checker.check_model(model, full_check=True)
    assert [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [
        "batch",
        1,
        300,
        360,
    ]
    operators = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in operators
    assert "Dropout" not in operators
    assert str(ROOT).encode() not in model.SerializeToString()


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="deepsign"):
        recipes.get("nothing")
    with pytest.raises(UsageError, match="best"):
        recipes.get("deepsign").preset("nothing")
