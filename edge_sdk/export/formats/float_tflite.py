"""From a trained network to a float TFLite graph, by LiteRT's converter."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from edge_sdk.errors import ConversionError
from edge_sdk.export.formats.float_onnx import INPUT, OUTPUT, fold_batch_norm
from edge_sdk.extras import needs_extra


def to_tflite(network: nn.Module, input_shape: tuple[int, ...], outputs: tuple[str, ...] = (OUTPUT,)) -> bytes:
    """Export with a batch of 1, input ``image`` and the named outputs.

    Maps are ``(1, C, H, W)`` to the network and ``(1, H, W, C)`` in the file, as TFLite's kernels want them; the
    engines turn them round. Recordings ``(1, T, C)`` stay as they are.

    Args:
        network: Batch norms are folded; the argument is left as it is.
        input_shape: Without the batch.

    Raises:
        MissingToolError: The converter is not installed.
        ConversionError: It refuses the network.
    """
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    with _quiet():
        with needs_extra("tflite-export"):
            import litert_torch

            from edge_sdk.calibration.quantization import tflite_graph
        folded = _quantizable(fold_batch_norm(network).float().cpu())
        example = torch.zeros(1, *input_shape)
        with torch.inference_mode():
            made = folded(example)
        maps = [place for place, tensor in enumerate(made if isinstance(made, tuple) else [made]) if tensor.ndim == 4]
        is_map = example.ndim == 4
        wrapped = litert_torch.to_channel_last_io(folded, args=[0] if is_map else [], outputs=maps)
        try:
            model = litert_torch.convert(
                wrapped.eval(), (example.movedim(1, -1) if is_map else example,)
            ).model_content()
        except Exception as exc:  # torch's, XLA's and MLIR's have no common root
            raise ConversionError(f"the network cannot be converted to TFLite: {exc}") from exc
    return tflite_graph.tidy(bytes(model), INPUT, outputs)


class _Leaky(nn.Module):
    """``max(x, slope x)``: TFLite's leaky ReLU, but of operators that AI Edge Quantizer can make integer."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.maximum(x, self.slope * x)


def _quantizable(network: nn.Module) -> nn.Module:
    """Change ``network`` in place to an equal one whose operators TFLite has, and can compute with integers."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.LeakyReLU) and 0 <= child.negative_slope <= 1:
                setattr(module, name, _Leaky(child.negative_slope))
            elif isinstance(child, nn.ConvTranspose2d):
                _pad_kernel(child)
    return network


def _pad_kernel(layer: nn.ConvTranspose2d) -> None:
    """Change a layer with output padding, which TFLite does not have, to an equal one: a larger kernel, of zeros."""
    down, right = layer.output_padding
    layer.weight = nn.Parameter(functional.pad(layer.weight.detach(), (0, right, 0, down)))
    layer.kernel_size = layer.kernel_size[0] + down, layer.kernel_size[1] + right
    layer.output_padding = (0, 0)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the converter's prints, warnings, and what its C++ part writes to file descriptor 2."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with (
            open(os.devnull, "w") as nowhere,  # noqa: PTH123 - not a path
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
