"""Table 4 of the DeepSign paper: how large the networks are, from fresh weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.export import recipes
from edge_sdk.export.formats.float_onnx import to_onnx

CALIBRATION_IMAGES = 4  # the values of int8 weights depend on them, their number does not


@dataclass(frozen=True)
class NetworkSize:
    """One network.

    Attributes:
        trainable, parameters: Those that a training moves, and all; without the statistics of batch norms.
        fp32, int8: Bytes of the ONNX files.
    """

    model: str
    preset: str
    trainable: int
    parameters: int
    fp32: int
    int8: int


def size(model: str, preset_name: str, *, tiny: bool = False) -> NetworkSize:
    """Count and export one network. Raises UsageError if there is no such model or preset."""
    chosen = recipes.get(model)
    preset = chosen.preset(preset_name)
    network = (chosen.tiny if tiny else chosen.network)(**preset.network)
    exported = to_onnx(network, preset.input_shape)
    noise = np.random.default_rng(0).random((CALIBRATION_IMAGES, *preset.input_shape), np.float32)
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return NetworkSize(
        model=model,
        preset=preset_name,
        trainable=sum(count for count, moves in counts if moves),
        parameters=sum(count for count, _ in counts),
        fp32=len(exported),
        int8=len(quantize(exported, noise)),
    )


def sizes(models: Sequence[str], presets: Sequence[str], *, tiny: bool = False) -> tuple[NetworkSize, ...]:
    """Every model with every preset. Raises UsageError as :func:`size` does."""
    return tuple(size(model, preset, tiny=tiny) for model in models for preset in presets)
