"""From a trained network to a float ONNX graph."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import logging
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnxscript import opset18 as opset
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge_sdk.calibration.quantization.onnx_pools import plain_pools
from edge_sdk.errors import ConversionError

GRAPH = "model"
"""What the manifest calls the graph of the samples."""
INPUT, OUTPUT = "image", "embedding"
OPSET = 18
TAKEN = frozenset({"code", "graph", "meta"})
"""Names that no part of a network may have: PyTorch's exporter makes a module with attributes of these names, finds
them instead of the part, and reports a weight that does not exist."""


def _log_sigmoid(x: Any) -> Any:
    return opset.Neg(opset.Softplus(opset.Neg(x)))


def _logaddexp(x: Any, y: Any) -> Any:
    return opset.Add(opset.Max(x, y), opset.Softplus(opset.Neg(opset.Abs(opset.Sub(x, y)))))


STABLE: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.log_sigmoid.default: _log_sigmoid,
    torch.ops.aten.logaddexp.default: _logaddexp,
}
"""In place of the exporter's ``log(sigmoid(x))`` and ``log(exp(x) + exp(y))``, which are infinite for large numbers
(``findings/torch_onnx_log_of_exp.sh``)."""


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in evaluation mode, the same function, without 2-D batch norms.

    With running mean m, variance v, scale g and shift b, the weight of a convolution before it in an ``nn.Sequential``
    becomes ``w g / sqrt(v + eps)`` and its bias ``(bias - m) g / sqrt(v + eps) + b``. A batch norm without such a
    convolution becomes one: 1 x 1, by channel, which int8 can give a scale a channel and every engine computes.
    """
    network = copy.deepcopy(network).eval()
    for path, before in _batch_norms(network).items():
        norm = network.get_submodule(path)
        assert isinstance(norm, nn.BatchNorm2d)
        if before is None:
            network.set_submodule(path, _as_convolution(norm))
            continue
        layer = network.get_submodule(before)
        assert isinstance(layer, nn.Conv2d)
        network.set_submodule(before, fuse_conv_bn_eval(layer, norm))
        parent, _, name = path.rpartition(".")
        delattr(network.get_submodule(parent), name)
    return network


def folded_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers of ``fold_batch_norm(network)`` by name, differentiable in those of ``network``."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for path, before in _batch_norms(network).items():
        norm = network.get_submodule(path)
        assert isinstance(norm, nn.BatchNorm2d)
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None
        for name in norm.state_dict():
            del tensors[f"{path}.{name}"]
        gain = norm.weight / (variance + norm.eps).sqrt()
        column = gain.view(-1, 1, 1, 1)
        weight, bias = f"{before or path}.weight", f"{before or path}.bias"
        tensors[bias] = (tensors.get(bias, 0) - mean) * gain + norm.bias
        tensors[weight] = tensors[weight] * column if before else column
    return tensors


def _batch_norms(network: nn.Module) -> dict[str, str | None]:
    """The name of each 2-D batch norm, with that of the convolution before it in an ``nn.Sequential``, if any."""
    before: dict[str, str | None] = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            before.setdefault(path, None)  # its parent, which knows better, came first
        elif isinstance(module, nn.Sequential):
            for (name, layer), (following, norm) in itertools.pairwise(module.named_children()):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    prefix = f"{path}." if path else ""
                    before[prefix + following] = prefix + name
    return before


def _as_convolution(norm: nn.BatchNorm2d) -> nn.Module:
    channels = norm.num_features
    identity = nn.Conv2d(channels, channels, 1, groups=channels, bias=False).eval()
    nn.init.ones_(identity.weight)
    return fuse_conv_bn_eval(identity, norm)


def to_onnx(network: nn.Module, input_shape: tuple[int, ...], outputs: tuple[str, ...] = (OUTPUT,)) -> bytes:
    """Export with a free batch size, input ``image`` of ``input_shape`` and the named outputs, as one file.

    Args:
        network: Batch norms are folded; the argument is left as it is.
        input_shape: Without the batch.

    Raises:
        ConversionError: An average pool divides by a number of its own, or a part of the network has a name that the
            exporter cannot take.
    """
    return to_onnx_and_torch(network, input_shape, outputs)[0]


def to_onnx_and_torch(
    network: nn.Module, input_shape: tuple[int, ...], outputs: tuple[str, ...] = (OUTPUT,)
) -> tuple[bytes, torch.export.ExportedProgram]:
    """:func:`to_onnx`, and the PyTorch graph that was translated; a tensor has the same name in both."""
    if taken := sorted(TAKEN & dict(network.named_children()).keys()):
        raise ConversionError(
            f"{type(network).__name__}.{taken[0]} has the name of an attribute of the exporter's own modules, which "
            "hides its weights: call it something else"
        )
    folded = fold_batch_norm(network).float().cpu()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it notes that torchvision, which nobody needs, is absent
    example = torch.zeros(2, *input_shape)  # a batch of 1 would be taken for a constant
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            folded,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes=({0: batch},),
            custom_translation_table=STABLE,
            verbose=False,
        )
    assert program is not None and program.exported_program is not None
    if any(_has_divisor(node) for node in program.exported_program.graph.nodes):
        raise ConversionError(
            "an average pool has a divisor_override, which ONNX has not, and its exporter leaves out: "
            "multiply what the pool gives instead"
        )
    program.optimize()
    model = program.model_proto
    model.CopyFrom(onnx.shape_inference.infer_shapes(model))
    plain_pools(model)
    # The exporter notes each node's source lines, which are this machine's paths and half of the file.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    return bytes(model.SerializeToString()), program.exported_program


def _has_divisor(node: torch.fx.Node) -> bool:
    """Whether it is an average pool with the argument ``divisor_override``, the seventh."""
    if node.target is not torch.ops.aten.avg_pool2d.default:
        return False
    return (*node.args, *[None] * 7)[6] is not None or node.kwargs.get("divisor_override") is not None
