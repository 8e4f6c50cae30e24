"""dlib's face network read from a small file of the same format, against the same network written out in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.errors import TrainingError
from edge_sdk.export.distillation import dlib_file
from edge_sdk.export.distillation.onnx_module import OnnxModule

Layer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], int, int]
"""Kernel, bias, scale and shift of a convolution, its stride and padding."""


def integer(value: int) -> bytes:
    """dlib's: the number of bytes, then those, lowest first."""
    content = value.to_bytes((value.bit_length() + 7) // 8, "little")
    return bytes([len(content)]) + content


def tensor(values: NDArray[np.float32], *shape: int) -> bytes:
    return b"".join(map(integer, (2, *shape))) + values.astype("<f4").tobytes()


def named(name: str) -> bytes:
    return integer(1)[:1] + bytes([len(name)]) + name.encode()


def convolution(layer: Layer) -> bytes:
    kernel, bias, scale, shift, stride, padding = layer
    flat = np.concatenate([kernel.ravel(), bias])
    sizes = (len(kernel), *kernel.shape[2:], stride, stride, padding, padding)
    affine = np.concatenate([scale, shift])
    return (
        named("con_4")
        + tensor(flat, len(flat), 1, 1, 1)
        + b"".join(map(integer, sizes))
        + named("affine_")
        + tensor(affine, len(affine), 1, 1, 1)
    )


def layer(rng: np.random.Generator, out: int, channels: int, side: int, stride: int) -> Layer:
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    kernel = draw(out, channels, side, side) / np.float32(np.sqrt(channels * side * side))
    return kernel, draw(out), draw(out), draw(out), stride, 1 if stride == 1 else 0


def network(seed: int) -> tuple[list[Layer], NDArray[np.float32]]:
    """One block of stride 1, then four of stride 2, of which the third is of 8 rows: dlib fills its rows up."""
    rng = np.random.default_rng(seed)
    layers = [layer(rng, 2, 3, 7, 2), layer(rng, 2, 2, 3, 1), layer(rng, 2, 2, 3, 1)]
    for channels, wider in ((2, 3), (3, 3), (3, 4), (4, 5)):
        layers += [layer(rng, wider, channels, 3, 2), layer(rng, wider, wider, 3, 1)]
    return layers, rng.standard_normal((5, 6)).astype(np.float32)


def content(layers: list[Layer], matrix: NDArray[np.float32]) -> bytes:
    last = named("fc_2") + integer(matrix.shape[1]) + integer(matrix.shape[0]) + tensor(matrix, *matrix.shape, 1, 1)
    return b"".join(map(convolution, layers)) + last


def convolved(x: torch.Tensor, one: Layer) -> torch.Tensor:
    kernel, bias, scale, shift, stride, padding = (torch.as_tensor(value) for value in one)
    made = functional.conv2d(x, kernel, bias, int(stride), int(padding))
    return made * scale[:, None, None] + shift[:, None, None]


def reference(x: torch.Tensor, layers: list[Layer], matrix: NDArray[np.float32]) -> torch.Tensor:
    """The layers as dlib's documentation says."""
    x = functional.max_pool2d(functional.relu(convolved(x, layers[0])), 3, 2)
    for one, two in zip(layers[1::2], layers[2::2], strict=True):
        made = convolved(functional.relu(convolved(x, one)), two)
        beside = x if one[4] == 1 else functional.avg_pool2d(x, 2)
        total = torch.zeros(
            len(x), made.shape[1], *(max(a, b) for a, b in zip(made.shape[2:], beside.shape[2:], strict=True))
        )
        for part in (made, beside):
            total[:, : part.shape[1], : part.shape[2], : part.shape[3]] += part
        x = functional.relu(total)
    return x.mean((2, 3)) @ torch.as_tensor(matrix)


def test_the_network_is_dlibs() -> None:
    layers, matrix = network(1)
    pictures = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 3, 150, 150)).astype(np.float32))
    module = OnnxModule(dlib_file.read(content(layers, matrix)))
    assert module.input_shape == (3, 150, 150)
    torch.testing.assert_close(module(pictures), reference(pictures, layers, matrix), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_cut_file_is_refused(kept: float) -> None:
    whole = content(*network(1))
    with pytest.raises(TrainingError, match="not dlib's face recognition network"):
        dlib_file.read(whole[: int(kept * len(whole))])


def test_another_file_of_dlib_is_refused() -> None:
    with pytest.raises(TrainingError, match="not dlib's face recognition network"):
        dlib_file.read(named("loss_mmod_") + named("con_4") + tensor(np.ones(3, np.float32), 3, 1, 1, 1) + bytes(30))
