"""Simulated int8: what the artifact computes, for every recipe, with gradients for every weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_sdk.calibration.quantization.activation_statistics import ActivationStatistics, collect_statistics
from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.errors import ConversionError
from edge_sdk.export import recipes
from edge_sdk.export.formats.float_onnx import fold_batch_norm, folded_tensors, to_onnx_and_torch
from edge_sdk.export.qat.fake_quant import FakeQuantized, round_bias, round_weight, simulate
from edge_sdk.export.recipes.deepsign import DeepSign, Fire
from edge_sdk.runtime.engines import onnxruntime

EMBEDDING = [name for name in recipes.names() if recipes.get(name).embedding_size]


@dataclass(frozen=True, eq=False)
class Case:
    """A miniature with the statistics of its images, sparse strokes, and what they did in its graph.

    Made-up statistics would leave layers of few channels with nothing above 0, and so without gradients.
    """

    network: nn.Module
    images: torch.Tensor
    program: torch.export.ExportedProgram
    observed: ActivationStatistics

    def simulated(self, int8: bytes | None = None) -> FakeQuantized:
        graph = simulate(self.program, int8 or quantize(self.observed))
        return FakeQuantized(self.network, graph).train()  # in the loop's mode, which changes nothing


@cache
def case(name: str) -> Case:
    torch.manual_seed(0)
    chosen = recipes.get(name)
    preset = chosen.preset("best")
    network = chosen.tiny(**preset.network)
    images = torch.rand(6, *preset.input_shape) * (torch.rand(6, *preset.input_shape) < 0.1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
            if isinstance(module.weight, nn.Parameter):
                nn.init.uniform_(module.weight, 0.5, 1.5)
    with torch.no_grad():
        network.train()(images)
    network.eval()
    model, program = to_onnx_and_torch(network, preset.input_shape)
    return Case(network, images, program, collect_statistics(model, images.numpy()))


class LayerByLayer(torch.fx.Interpreter):
    """Runs the simulation, but gives each layer what the artifact gives it.

    Half-way between two steps float rounding decides, in each image of a deep network, whose layers multiply it: only
    one layer at a time is comparable.

    Args:
        simulated: Of the network.
        int8: The artifact.
        images: For both.

    Attributes:
        steps: By how many the two differ, for each activation that is rounded.
        expected: The artifact's embeddings.
    """

    def __init__(self, simulated: FakeQuantized, int8: bytes, images: torch.Tensor) -> None:
        simulated.graph.load_state_dict(folded_tensors(simulated.network))
        super().__init__(simulated.graph)
        model = onnx.load_from_string(int8)
        inner = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
        for node in inner:
            model.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], types[node.input[2]], None))
        made = onnxruntime.load(model.SerializeToString(), threads=1).run({"image": images.numpy()})
        self.rounded = {node.input[0]: torch.from_numpy(made[node.output[0]]) for node in inner}
        self.expected = made["embedding"]
        self.steps: dict[str, torch.Tensor] = {}

    def run_node(self, n: torch.fx.Node) -> object:
        found = super().run_node(n)
        if n.target is not torch.fake_quantize_per_tensor_affine or n.args[0].op == "get_attr":
            return found
        name = "image" if n.args[0].op == "placeholder" else n.args[0].name
        _, scale, zero, *_ = n.args
        artifact = (self.rounded[name].float() - zero) * scale
        self.steps[name] = ((found - artifact) / scale).round().abs()
        return artifact


@pytest.mark.parametrize("name", EMBEDDING)
def test_each_layer_of_the_simulation_computes_what_the_artifacts_does(name: str) -> None:
    one = case(name)
    int8 = quantize(one.observed, method="percentile_99.9")
    layers = LayerByLayer(one.simulated(int8), int8, one.images)
    with torch.no_grad():
        found = layers.run(one.images).numpy()
    assert layers.steps.keys() == layers.rounded.keys()
    for key, steps in layers.steps.items():
        assert steps.max() <= 1, key
        assert steps.mean() < 0.01, key  # a weight half-way between two steps moves a part of its channel
    assert np.linalg.norm(found - layers.expected, axis=1).max() < 1e-5


@pytest.mark.parametrize("name", EMBEDDING)
def test_the_whole_simulation_is_near_the_artifact(name: str) -> None:
    one = case(name)
    int8 = quantize(one.observed, method="percentile_99.9")
    engine = onnxruntime.load(int8, threads=1)
    expected = np.concatenate([engine.run({"image": image[None].numpy()})["embedding"] for image in one.images])
    with torch.no_grad():
        plain = one.network.eval()(one.images).numpy()
        simulated = one.simulated(int8)(one.images).numpy()
    far, near = (np.linalg.norm(found - expected, axis=1) for found in (plain, simulated))
    assert far.min() > 1e-5
    assert near.mean() < far.mean() / 2  # deep miniatures multiply a single step (see LayerByLayer)


def test_layers_that_stay_float_are_not_rounded() -> None:
    one = case("deepsign")
    int8 = quantize(one.observed, keep_float_ops=list(one.observed.layers)[3:])
    found = onnxruntime.load(int8, threads=1).run({"image": one.images.numpy()})["embedding"]
    with torch.no_grad():
        assert np.allclose(one.simulated(int8)(one.images).numpy(), found, atol=1e-4)


@pytest.mark.parametrize("name", EMBEDDING)
def test_gradients_reach_every_weight_and_statistics_stay(name: str) -> None:
    one = case(name)
    before = {key: value.clone() for key, value in one.network.named_buffers()}
    one.network.zero_grad()
    one.simulated()(one.images)[:, ::3].sum().backward()
    for key, parameter in one.network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key
    assert all(torch.equal(value, before[key]) for key, value in one.network.named_buffers())


@pytest.mark.parametrize("name", EMBEDDING)
def test_folded_tensors_are_those_of_the_folded_network(name: str) -> None:
    network = case(name).network
    folded, expected = folded_tensors(network), fold_batch_norm(network)
    named = {**dict(expected.named_parameters()), **dict(expected.named_buffers())}
    assert folded.keys() == named.keys()
    for key, value in folded.items():
        assert torch.allclose(value, named[key], rtol=1e-5, atol=1e-6), key


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_rounded_channel_by_channel(axis: int) -> None:
    weight = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    weight.select(axis, 1).zero_()
    expected = weight.clone()
    for channel in expected.unbind(axis):
        flat = channel.reshape(-1).tolist()
        step = max(abs(value) for value in flat) / 127
        rounded = [round(value / step) * step if step else 0.0 for value in flat]
        channel.copy_(torch.tensor(rounded).view_as(channel))
    assert torch.allclose(round_weight(weight, axis), expected, atol=1e-6)


def test_biases_are_rounded_to_the_steps_of_integer_products() -> None:
    weight = torch.tensor([[1.27, -0.3], [0.2, -2.54]])  # steps of 0.01 and 0.02
    bias = torch.tensor([0.0126, -0.0126])
    assert torch.allclose(round_bias(bias, weight, 0, 0.5), torch.tensor([0.015, -0.01]))


def test_gradients_pass_the_rounding_as_they_are() -> None:
    weight = torch.randn(3, 4, requires_grad=True, generator=torch.Generator().manual_seed(0))
    bias = torch.randn(3, requires_grad=True, generator=torch.Generator().manual_seed(1))
    factor = torch.arange(12.0).view(3, 4)
    (round_weight(weight, 0) * factor).sum().backward()
    assert torch.equal(weight.grad, factor)
    weight.grad = None
    (round_bias(bias, weight, 0, 0.1) * factor[:, 1]).sum().backward()
    assert torch.equal(bias.grad, factor[:, 1])
    assert weight.grad is None


def test_an_int8_model_of_another_network_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"has no .*adapter\.0\.weight"):
        simulate(case("deepsign").program, quantize(case("mobilenetv2").observed))


def unbalance(network: DeepSign) -> None:
    """Channels of very different size between two layers, of which the float function knows nothing."""
    for fire in network.features:
        if isinstance(fire, Fire):
            squeeze, norm = fire.squeeze[0], fire.squeeze[1]
            factor = torch.logspace(-3, 3, squeeze.out_channels, base=2)
            norm.weight.data *= factor
            norm.bias.data *= factor
            for expand in (fire.narrow[0], fire.wide[0]):
                expand.weight.data /= factor[None, :, None, None]


def test_training_mends_what_int8_breaks() -> None:
    """The aim is the float network's own answers: without the simulation there would be nothing to learn."""
    torch.manual_seed(0)
    network = DeepSign(batch_norm=True, width=0.16, dropout=0.0)
    images = torch.rand(16, 1, 40, 48) * (torch.rand(16, 1, 40, 48) < 0.1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    network.train()(images)
    network.eval()
    unbalance(network)
    with torch.no_grad():
        aim = network(images)

    def artifact() -> tuple[FakeQuantized, np.ndarray]:
        model, program = to_onnx_and_torch(network, (1, 40, 48))
        int8 = quantize(collect_statistics(model, images.numpy()))
        found = onnxruntime.load(int8, threads=1).run({"image": images.numpy()})["embedding"]
        return FakeQuantized(network, simulate(program, int8)), np.linalg.norm(found - aim.numpy(), axis=1)

    simulated, before = artifact()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        (simulated(images) - aim).square().sum(dim=1).mean().backward()
        optimizer.step()
    _, after = artifact()
    assert after.mean() < 0.75 * before.mean()
