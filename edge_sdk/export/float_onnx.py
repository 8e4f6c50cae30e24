"""From a trained network to a float ONNX graph."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import logging
import warnings

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

INPUT, OUTPUT = "image", "embedding"
OPSET = 18


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in evaluation mode, the same function, without 2-D batch norms.

    With running mean m, variance v, scale g and shift b, the weight of a convolution before it in an ``nn.Sequential``
    becomes ``w g / sqrt(v + eps)`` and its bias ``(bias - m) g / sqrt(v + eps) + b``. A batch norm without such a
    convolution becomes one: 1 x 1, by channel, which int8 can give a scale a channel and every engine computes.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        children = list(module.named_children())
        for (name, layer), (following, norm) in itertools.pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(layer, norm))
                delattr(module, following)
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.BatchNorm2d):
                setattr(module, name, _as_convolution(layer))
    return network


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
    """
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
            verbose=False,
        )
    assert program is not None
    program.optimize()
    model = program.model_proto
    # The exporter notes each node's source lines, which are this machine's paths and half of the file.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    return bytes(model.SerializeToString())
