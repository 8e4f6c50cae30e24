"""The operators of convolutional networks as torch functions, after the ONNX specification.

Each takes a node's inputs in their order, and its attributes by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

from edge_sdk.errors import TrainingError


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int] = (),  # noqa: ARG001  # the weight's
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
) -> Tensor:
    top, left, bottom, right = pads
    even = (top, left) == (bottom, right)  # what the convolution pads itself needs no copy
    x, sides = (x, (top, left)) if even else (_padded(x, pads), (0, 0))
    return functional.conv2d(x, weight, bias, tuple(strides), sides, tuple(dilations), group)


def _batch_normalization(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,  # noqa: ARG001  # of training
) -> Tensor:
    return functional.batch_norm(x, mean, variance, scale, shift, training=False, eps=epsilon)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    if slope.numel() > 1 and slope.shape != (x.shape[1], *[1] * (x.ndim - 2)):
        raise TrainingError("PRelu is known to this reader with one slope, or one a channel")
    return functional.prelu(x, slope.to(x.dtype).flatten())


def _max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
) -> Tensor:
    return functional.max_pool2d(_padded(x, pads, -torch.inf), tuple(kernel_shape), tuple(strides))


def _average_pool(x: Tensor, *, kernel_shape: Sequence[int], strides: Sequence[int] = (1, 1)) -> Tensor:
    return functional.avg_pool2d(x, tuple(kernel_shape), tuple(strides))


def _pad(x: Tensor, pads: Tensor, value: Tensor | None = None, *, mode: bytes = b"constant") -> Tensor:
    if mode != b"constant":
        raise TrainingError(f"padding by {mode.decode()} is not known to this reader, only by a constant")
    starts, ends = pads.reshape(2, -1).tolist()
    sides = [side for pair in zip(reversed(starts), reversed(ends), strict=True) for side in pair]
    return functional.pad(x, sides, value=0.0 if value is None else float(value))


def _gemm(
    x: Tensor, weight: Tensor, bias: Tensor, *, alpha: float = 1, beta: float = 1, transA: int = 0, transB: int = 0
) -> Tensor:
    left, right = x.T if transA else x, weight.T if transB else weight
    return alpha * (left @ right) + beta * bias


def _flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    return x.flatten(axis)


def _reshape(x: Tensor, shape: Tensor) -> Tensor:
    """The shape's first number, of a batch of one, stands for the batch."""
    return x.reshape(len(x), *shape.tolist()[1:])


def _dequantize(x: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, axis: int = 1) -> Tensor:
    along = [1] * x.ndim
    along[axis] = -1
    centred = x.float() if zero_point is None else x.float() - zero_point.float().reshape(along)
    return centred * scale.float().reshape(along)


def _cast(x: Tensor, *, to: int) -> Tensor:
    return x.to(torch.from_numpy(helper.tensor_dtype_to_np_dtype(to).type(0)[None]).dtype)


def _padded(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    top, left, bottom, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda a, b: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Dropout": lambda x, *, ratio=0.5: x,  # noqa: ARG005  # of training
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "MaxPool": _max_pool,
    "Mul": lambda a, b: a * b,
    "PRelu": _prelu,
    "Pad": _pad,
    "Relu": functional.relu,
    "Reshape": _reshape,
    "Sub": lambda a, b: a - b,
}
