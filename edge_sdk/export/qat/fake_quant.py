"""A network's forward pass as the int8 ONNX artifact will compute it, with gradients.

The quantiser itself says what is rounded: the simulation reads its result, and rounds the same tensors of the PyTorch
graph that the float ONNX file was translated from, where they have the same names. Gradients pass the rounding as if
it were not there, and stop at values outside the range (the straight-through estimator; Jacob et al., 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn
from torch.export import ExportedProgram
from torch.func import functional_call
from torch.fx import GraphModule, Node

from edge_sdk.calibration.quantization.activation_statistics import WEIGHTED
from edge_sdk.errors import ConversionError
from edge_sdk.export.formats.float_onnx import INPUT, folded_tensors

_SUFFIX = "_quantized"
"""What ONNX Runtime's quantiser appends to the name of a constant."""
SMALLEST = 1e-30
"""Of a channel's magnitudes: below, steps would have no reciprocal in float32."""

Rounding = tuple[Callable[..., torch.Tensor], tuple[float | int | str, ...]]
"""A function of a tensor, and its further arguments; text stands for the tensor of that name."""


def round_weight(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """Round to -127..127 times the largest magnitude of a channel / 127, where ``axis`` numbers the channels."""
    scale = _step(weight, axis)
    return torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros_like(scale), axis, -127, 127)


def round_bias(bias: torch.Tensor, weight: torch.Tensor, axis: int, scale: float) -> torch.Tensor:
    """Round to what integer products are counted in: the input's ``scale`` times the weight's step of each channel."""
    step = scale * _step(weight, axis)
    return bias + ((bias / step).round() * step - bias).detach()


def _step(weight: torch.Tensor, axis: int) -> torch.Tensor:
    others = [other for other in range(weight.ndim) if other != axis]
    # A channel of zeros has no steps: any will do.
    return weight.detach().abs().amax(dim=others).clamp(min=SMALLEST) / 127


class FakeQuantized(nn.Module):
    """Computes what the int8 artifact of ``network`` computes; trains the very parameters of ``network``.

    Batch norms are folded with their running statistics, which stay as they are, and dropout is off: both would move
    activations out of their ranges.

    Args:
        network: With the parameters to train.
        graph: What :func:`simulate` made of this network, or of a copy.
    """

    def __init__(self, network: nn.Module, graph: GraphModule) -> None:
        super().__init__()
        self.network, self.graph = network, graph

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = functional_call(self.graph, folded_tensors(self.network), (x,))
        return embeddings


def simulate(program: ExportedProgram, int8: bytes) -> GraphModule:
    """The graph of a network that rounds what its int8 model rounds.

    Args:
        program: What :func:`edge_sdk.export.formats.float_onnx.to_onnx_and_torch` gave beside the float ONNX model.
        int8: What :func:`edge_sdk.calibration.quantization.onnx_int8.quantize` made of that model.

    Returns:
        Parameters are named as in :func:`folded_tensors`, are float, and hold no gradients.

    Raises:
        ConversionError: The int8 model rounds something that the PyTorch graph does not have.
    """
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    graph, roundings = module.graph, _roundings(onnx.load_from_string(int8))
    nodes = {_onnx_name(node): node for node in graph.nodes}
    if missing := roundings.keys() - nodes.keys():
        raise ConversionError(
            f"the network cannot be trained for int8: its PyTorch graph has no {', '.join(sorted(missing))}"
        )
    for name, (function, arguments) in roundings.items():
        node = nodes[name]
        users = list(node.users)
        with graph.inserting_before(min(users)):
            given = (nodes[argument] if isinstance(argument, str) else argument for argument in arguments)
            rounded = graph.call_function(function, (node, *given))
        for user in users:
            user.replace_input_with(node, rounded)
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.view.default):
        node.target = torch.ops.aten.reshape.default  # the loop's maps are channels-last, those of the export were not
    plain = GraphModule(module, graph)  # the exported module forbids train() and eval()
    return plain.requires_grad_(requires_grad=False)


def _onnx_name(node: Node) -> str:
    return INPUT if node.op == "placeholder" else str(node.target) if node.op == "get_attr" else node.name


def _roundings(int8: onnx.ModelProto) -> Mapping[str, Rounding]:
    """What is done to activations, weights, other constants and biases, by their names in the float model."""
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    restored = {node.output[0]: node for node in int8.graph.node if node.op_type == "DequantizeLinear"}
    roundings: dict[str, Rounding] = {}
    for node in int8.graph.node:
        if node.op_type == "QuantizeLinear":
            roundings[node.input[0]] = _rounding(node, constants)
        elif node.op_type == "DequantizeLinear" and node.input[0] in constants:
            if constants[node.input[0]].dtype != np.int32:  # a bias comes with its layer
                roundings[node.input[0].removesuffix(_SUFFIX)] = _rounding(node, constants)
        elif node.op_type in WEIGHTED and len(node.input) == 3 and node.input[2] in restored:
            image, weight, bias = (restored[name] for name in node.input)
            _, (axis,) = _rounding(weight, constants)
            arguments = weight.input[0].removesuffix(_SUFFIX), axis, float(constants[image.input[1]])
            roundings[bias.input[0].removesuffix(_SUFFIX)] = round_bias, arguments
    return roundings


def _rounding(node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]) -> Rounding:
    scale, zero = (constants[name] for name in node.input[1:])
    if scale.ndim:
        return round_weight, (next(attribute.i for attribute in node.attribute if attribute.name == "axis"),)
    limits = np.iinfo(zero.dtype)
    return torch.fake_quantize_per_tensor_affine, (float(scale), int(zero), int(limits.min), int(limits.max))
