"""A network's forward pass as the int8 ONNX artifact will compute it, with gradients.

The quantiser itself says what is rounded: the simulation reads its result, and rounds the same tensors of the PyTorch
graph that the float ONNX file was translated from, where they have the same names. Gradients pass the rounding as if
it were not there, and stop at values outside the range (the straight-through estimator; Jacob et al., 2018,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference").

Biases stay float: their 32 bits, in steps of input scale times weight scale, lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.func import functional_call
from torch.fx import GraphModule, Node

from edge_sdk.errors import ConversionError
from edge_sdk.export.float_onnx import INPUT, folded_tensors

_SUFFIX = "_quantized"
"""What ONNX Runtime's quantiser appends to the name of a constant."""
SMALLEST = 1e-30
"""Of a channel's magnitudes: below, steps would have no reciprocal in float32."""


Rounding = tuple[Callable[..., torch.Tensor], tuple[float | int, ...]]
"""A function of a tensor, and its further arguments."""


def round_weight(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """Round to -127..127 times the largest magnitude of a channel / 127, where ``axis`` numbers the channels."""
    others = [other for other in range(weight.ndim) if other != axis]
    # A channel of zeros has no steps: any will do.
    scale = weight.detach().abs().amax(dim=others).clamp(min=SMALLEST) / 127
    return torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros_like(scale), axis, -127, 127)


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
        program: What :func:`edge_sdk.export.float_onnx.to_onnx_and_torch` gave beside the float ONNX model.
        int8: What :func:`edge_sdk.calibration.quantize.quantize` made of that model.

    Returns:
        Parameters are named as in :func:`folded_tensors`, are float, and hold no gradients.

    Raises:
        ConversionError: The int8 model rounds something that the PyTorch graph does not have.
    """
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    roundings = _roundings(onnx.load_from_string(int8))
    found: set[str] = set()
    for node in list(module.graph.nodes):
        name = INPUT if node.op == "placeholder" else str(node.target) if node.op == "get_attr" else node.name
        if name in roundings:
            found.add(name)
            _round(module.graph, node, roundings[name])
    if missing := roundings.keys() - found:
        raise ConversionError(
            f"the network cannot be trained for int8: its PyTorch graph has no {', '.join(sorted(missing))}"
        )
    plain = GraphModule(module, module.graph)  # the exported module forbids train() and eval()
    return plain.requires_grad_(requires_grad=False)


def _round(graph: torch.fx.Graph, node: Node, rounding: Rounding) -> None:
    function, arguments = rounding
    with graph.inserting_after(node):
        rounded = graph.call_function(function, (node, *arguments))
    node.replace_all_uses_with(rounded, delete_user_cb=lambda user: user is not rounded)


def _roundings(int8: onnx.ModelProto) -> Mapping[str, Rounding]:
    """What is done to activations, weights and other constants, by their names in the float model."""
    constants = {tensor.name: tensor for tensor in int8.graph.initializer}
    roundings: dict[str, Rounding] = {}
    for node in int8.graph.node:
        if node.op_type == "QuantizeLinear":
            name = node.input[0]
        elif node.op_type == "DequantizeLinear" and node.input[0] in constants:
            if constants[node.input[0]].data_type == onnx.TensorProto.INT32:
                continue  # a bias
            name = node.input[0].removesuffix(_SUFFIX)
        else:
            continue
        scale, zero = (onnx.numpy_helper.to_array(constants[given]) for given in node.input[1:])
        if scale.ndim:
            axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
            roundings[name] = round_weight, (axis,)
        else:
            limits = np.iinfo(zero.dtype)
            steps = float(scale), int(zero), int(limits.min), int(limits.max)
            roundings[name] = torch.fake_quantize_per_tensor_affine, steps
    return roundings
