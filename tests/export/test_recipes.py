"""Every recipe: build, two training steps, export, parity. No recipe is named but in its own facts."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export import recipe
from edge_sdk.export.datasets import load, split_subjects
from edge_sdk.export.float_onnx import fold_batch_norm, to_onnx
from edge_sdk.export.recipes.deepsign import DeepSign
from edge_sdk.export.training import Run, train

PRESETS = [(name, preset) for name in recipe.names() for preset in recipe.get(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_two_steps_move_every_weight(name: str, preset: str, tmp_path: Path) -> None:
    chosen = recipe.get(name)
    data = load("synthetic:6")
    first, second = split_subjects(data, (0.5, 0.5))
    run = Run(chosen, preset, tmp_path, data.select(first), data.select(second), steps=2, tiny=True)
    torch.manual_seed(0)
    before = {key: value.clone() for key, value in run.network().state_dict().items()}
    outcome = train(run, quiet=True)
    assert outcome.steps == 2
    network = run.network()
    from edge_sdk.export.checkpoint import load_network

    load_network(outcome.checkpoint, network)
    moved = [key for key, value in network.named_parameters() if not torch.equal(value, before[key])]
    assert len(moved) == len(list(network.named_parameters()))


def test_deepsign_has_the_papers_parameters_and_shapes() -> None:
    network = DeepSign().eval()
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 256_992  # table 4
    shapes: list[tuple[int, ...]] = []
    for layer in network.features:
        layer.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        embedding = network(torch.rand(1, 1, 300, 360))
    assert embedding.shape == (1, 128)
    assert embedding.norm().item() == pytest.approx(1, abs=1e-6)
    table_3 = [(64, 149, 179), (64, 74, 89), (128, 74, 89), (128, 74, 89), (128, 36, 44), (128, 36, 44), (144, 36, 44)]
    table_3 += [(192, 36, 44), (256, 36, 44), (256, 17, 21), (256, 17, 21), (256, 17, 21), (256, 1, 1), (256,)]
    assert shapes == table_3


def test_folding_leaves_the_function_and_the_papers_graph() -> None:
    network = DeepSign(batch_norm=True, width=0.1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    folded, x = fold_batch_norm(network), torch.rand(2, 1, 64, 64)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.no_grad():
        assert torch.allclose(folded(x), network.eval()(x), atol=1e-5)
    assert sum(p.numel() for p in fold_batch_norm(DeepSign(batch_norm=True)).parameters()) == 256_992


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
    assert str(Path(__file__).parents[2]).encode() not in model.SerializeToString()


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="deepsign"):
        recipe.get("nothing")
    with pytest.raises(UsageError, match="best"):
        recipe.get("deepsign").preset("nothing")
