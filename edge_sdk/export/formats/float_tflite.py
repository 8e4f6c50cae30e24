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


def require_converter() -> None:
    """Raises MissingToolError: The converter is not installed."""
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")
    with _quiet(), needs_extra("tflite-export"):
        import litert_torch  # noqa: F401

        from edge_sdk.calibration.quantization import tflite_graph  # noqa: F401


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
    require_converter()
    with _quiet():
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
            hint = ""
            if "NonConcreteBooleanIndex" in type(exc).__name__ or "boolean ind" in str(exc):
                hint = "it selects values by a mask, x[mask]; use torch.where or masked_fill, which keep the shape: "
            raise ConversionError(f"the network cannot be converted to TFLite: {hint}{exc}") from exc
    return tflite_graph.tidy(bytes(model), INPUT, outputs)


class _Leaky(nn.Module):
    """``max(x, slope x)``: TFLite's leaky ReLU, but of operators that AI Edge Quantizer can make integer."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.maximum(x, self.slope * x)


class _PaddedAverage(nn.Module):
    """An average pool of operators that TFLite has, where the converter leaves StableHLO or a negative padding.

    Zeros beside the picture count in the pool; its result is multiplied by the window's pixels over those that count.
    """

    def __init__(self, pool: nn.AvgPool2d) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = map(_pair, (pool.kernel_size, pool.stride, pool.padding))
        self.ceil_mode, self.padding_counts = pool.ceil_mode, pool.count_include_pad

    @staticmethod
    def suits(pool: nn.AvgPool2d) -> bool:
        """Whether its windows are rounded up, or its padding is left out other than TFLite does at a stride of 1."""
        kernel, stride, padding = map(_pair, (pool.kernel_size, pool.stride, pool.padding))
        same = stride == (1, 1) and all(k == 2 * p + 1 for k, p in zip(kernel, padding, strict=True))
        left_out = any(padding) and not pool.count_include_pad and not same
        return pool.divisor_override is None and (pool.ceil_mode or left_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (rows, bottom), (columns, right) = (self._windows(axis, x.shape[2 + axis]) for axis in range(2))
        top, left = self.padding
        pooled = functional.avg_pool2d(functional.pad(x, (left, right, top, bottom)), self.kernel, self.stride)
        area = self.kernel[0] * self.kernel[1]
        return pooled * torch.tensor([[[[area / (height * width) for width in columns] for height in rows]]])

    def _windows(self, axis: int, size: int) -> tuple[list[int], int]:
        """How many rows (columns) of each window count, and the zeros that the last window covers at the end."""
        kernel, step, padding = self.kernel[axis], self.stride[axis], self.padding[axis]
        room = size + 2 * padding - kernel
        count = (-(-room // step) if self.ceil_mode else room // step) + 1
        starts = [start for start in range(-padding, step * count - padding, step) if start < size]
        low, high = (-padding, size + padding) if self.padding_counts else (0, size)
        counting = [min(high, start + kernel) - max(low, start) for start in starts]
        return counting, max(0, starts[-1] + kernel - size)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _quantizable(network: nn.Module) -> nn.Module:
    """Change ``network`` in place to an equal one whose operators TFLite has, and can compute with integers."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.LeakyReLU) and 0 <= child.negative_slope <= 1:
                setattr(module, name, _Leaky(child.negative_slope))
            elif isinstance(child, nn.ConvTranspose2d):
                _pad_kernel(child)
            elif isinstance(child, nn.AvgPool2d) and _PaddedAverage.suits(child):
                setattr(module, name, _PaddedAverage(child))
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
