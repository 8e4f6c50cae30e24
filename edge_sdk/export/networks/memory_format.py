"""Images and networks as PyTorch computes them fastest, on CPUs with vector units and on GPUs: channels last."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def channels_last(module: Module) -> Module:
    """The same module, its weights in the order that tensor cores need as well."""
    moved: Module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def batch(samples: NDArray[Any], device: torch.device) -> torch.Tensor:
    """``uint8 (N, C, H, W)`` as ``float32`` in [0, 1]; ``float32 (N, T, C)`` as it is."""
    if samples.dtype != np.uint8:
        return torch.from_numpy(np.array(samples, np.float32)).to(device)
    scaled = torch.from_numpy(samples.astype(np.float32) / 255).to(device)
    return scaled.contiguous(memory_format=torch.channels_last)
