"""The gait paper's networks: the printed table layer by layer, what Keras means by it, and the same on a device."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.networks.people_classifier import NamedPeople, PeopleClassifier
from edge_sdk.export.networks.temporal import (
    LocallyConnected,
    SameConvolution,
    TemporalConvolutions,
    TimeNorm,
    deployed,
)
from edge_sdk.export.recipes import gait

# Document 000, section 7.1: output shape and parameters; of the layers that have parameters, and of the pool.
TABLE = {
    "features.conv2d_9": ((64, 4, 96), 384),
    "features.norm_9": ((64, 4, 96), 384),
    "features.conv2d_10": ((64, 1, 92), 81_984),
    "features.norm_10": ((64, 1, 92), 368),
    "features.residual.0.0": ((64, 1, 92), 16_448),
    "features.residual.0.1": ((64, 1, 92), 368),
    "features.residual.1.0": ((64, 1, 92), 32_832),
    "features.residual.1.1": ((64, 1, 92), 368),
    "features.residual.2.0": ((64, 1, 92), 32_832),
    "features.residual.2.1": ((64, 1, 92), 368),
    "features.residual.3.0": ((64, 1, 92), 32_832),
    "features.residual.3.1": ((64, 1, 92), 368),
    "features.residual.4.0": ((64, 1, 92), 32_832),
    "features.residual.4.1": ((64, 1, 92), 368),
    "features.conv2d_16": ((32, 1, 64), 23_584),  # channels last in the paper: (1, 64, 32)
    "features.dense_4": ((512,), 1_049_088),
    "features.pool": ((1, 4, 33), 0),
    "features.locally_connected": ((16, 1, 8), 2_176),
    "features.dense_5": ((512,), 328_192),
    "norm": ((512,), 2_048),
    "classifier": ((1000,), 513_000),
}


def sizes(module: nn.Module) -> tuple[int, int]:
    """Trainable numbers, and those of batch norms' running means and variances."""
    counted = [value for name, value in module.named_buffers() if not name.endswith("num_batches_tracked")]
    return sum(p.numel() for p in module.parameters()), sum(value.numel() for value in counted)


def shake(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every batch norm a history, and every bias a value."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight)
        if isinstance(bias := getattr(module, "bias", None), nn.Parameter):
            nn.init.normal_(bias, std=0.3)
    return network.eval()


def test_the_table_of_the_appendix() -> None:
    network = gait.network()
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for name in TABLE:
        module = network.get_submodule(name)
        module.register_forward_hook(
            lambda one, _inputs, made, name=name: found.update({name: (tuple(made.shape[1:]), sum(sizes(one)))})
        )
    made = network(torch.randn(3, 4, 100))
    assert found == TABLE
    assert sizes(network) == (2_148_504, 2_320)  # together the paper's 2,150,824
    assert isinstance(made, NamedPeople)
    assert (made.features.shape, made.logits.shape) == ((3, 512), (3, 1000))
    network.eval()
    with FlopCounterMode(display=False) as counter:
        assert network(torch.randn(1, 4, 100)).shape == (1, 512)
    # Products of the table: maps times kernels. The locally connected layer multiplies 8 windows of 16 by 16 filters.
    along = 92 * 64 * 64
    convolutions = 4 * 96 * 64 * 5 + along * (4 * 5 + 4 + 4 * 8) + 64 * 32 * 92 * 8
    assert counter.get_total_flops() == 2 * (convolutions + 2048 * 512 + 8 * 16 * 16 + 640 * 512)


def test_the_norm_is_over_time() -> None:
    x = torch.randn(5, 3, 2, 7, dtype=torch.float64)
    norm = TimeNorm(7).double()
    made = norm(x)
    for step in range(7):
        values = x[..., step]
        expected = (values - values.mean()) / (values.var(correction=0) + 1e-3).sqrt()  # Keras' epsilon
        assert torch.allclose(made[..., step], expected)
    assert torch.allclose(norm.running_mean, 0.01 * x.mean(dim=(0, 1, 2)))  # Keras' momentum of .99


@pytest.mark.parametrize(("kernel", "before"), [(4, 1), (8, 3)])
def test_an_even_kernel_has_the_odd_zero_behind(kernel: int, before: int) -> None:
    layer, x = SameConvolution(1, 1, kernel), torch.randn(1, 1, 1, 20)
    layer.requires_grad_(requires_grad=False)
    made, weight, padded = layer(x), layer.conv.weight[0, 0, 0], {t: x[0, 0, 0, t] for t in range(20)}
    for t in range(20):
        expected = sum(weight[k] * padded.get(t - before + k, 0) for k in range(kernel)) + layer.conv.bias[0]
        assert made[0, 0, 0, t].item() == pytest.approx(max(0, float(expected)), abs=1e-5)


def test_each_place_has_weights_of_its_own() -> None:
    layer, x = LocallyConnected(8, 3), torch.randn(2, 1, 4, 33)
    nn.init.normal_(layer.bias)
    made = layer(x)
    for place in range(8):
        window = x[:, 0, :, 4 * place : 4 * place + 4].flatten(1)
        expected = functional.relu(window @ layer.weight[place] + layer.bias[place])
        assert torch.allclose(made[:, :, 0, place], expected, atol=1e-5)
    assert sum(p.numel() for p in LocallyConnected(8, 16).parameters()) == 2_176


def test_time_steps_are_the_channels_of_the_last_convolution() -> None:
    network = shake(TemporalConvolutions(width=0.1))
    layer, seen = network.conv2d_16, []
    layer.register_forward_hook(lambda _module, inputs, made: seen.append((inputs[0], made)))
    network(torch.randn(1, 4, 100))
    ((x, made),) = seen
    assert x.shape == (1, 92, 1, 6)  # time, then maps
    weight, bias = layer.conv.weight[:, :, 0], layer.conv.bias
    for place in range(6):
        near = [(k, place - 3 + k) for k in range(8) if 0 <= place - 3 + k < 6]
        expected = sum(weight[:, :, k] @ x[0, :, 0, other] for k, other in near) + bias
        assert torch.allclose(made[0, :, 0, place], expected.relu(), atol=1e-4)


@pytest.mark.parametrize("kind", [*gait.KINDS, "lite"])
def test_a_device_computes_the_same(kind: str) -> None:
    whole = recipes.get("gait_lite").tiny() if kind == "lite" else gait.tiny(kind=kind, width=2)
    shake(whole)
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    made = whole.inference_model(["features"])
    assert not any(isinstance(module, TimeNorm | LocallyConnected) for module in made.modules())
    x, ends = torch.randn(6, 4, 100), []
    last = made.get_submodule(made.last)
    assert isinstance(last, nn.Linear)
    last.register_forward_hook(lambda _module, _inputs, output: ends.append(output))
    features = made(x)
    assert torch.equal(features, ends[0])  # nothing is behind it
    assert torch.allclose(features, whole(x), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in whole.state_dict().items())
    assert not made.training
    assert deployed(made)(x).shape == (6, whole.features.size)


def test_dropout_is_of_the_dense_layers_inputs() -> None:
    network = TemporalConvolutions(width=0.1, dropout=0.5).train()
    seen: list[torch.Tensor] = []
    for layer in (network.dense_4, network.dense_5):
        nn.init.ones_(layer.bias)
        layer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network(torch.rand(64, 4, 100))
    assert all((one == 0).float().mean() > 0.45 for one in seen)


def test_what_is_no_network_of_gait() -> None:
    with pytest.raises(UsageError, match='no kind of network "gru"'):
        gait.network(kind="gru")
    with pytest.raises(UsageError, match="no output logits"):
        gait.tiny().inference_model(["logits"])


@pytest.mark.parametrize("name", ["gait", "gait_lite"])
def test_tiny_networks_name_28_users_and_whom_best_derives_from_them(name: str) -> None:
    assert recipes.get(name).tiny().classifier.out_features >= 4 * 28


def test_the_small_network_is_small() -> None:
    network = recipes.get("gait_lite").network().eval()
    assert isinstance(network, PeopleClassifier)
    with FlopCounterMode(display=False) as counter:
        assert network(torch.randn(1, 4, 100)).shape == (1, 64)
    assert counter.get_total_flops() <= 2 * 5e6
