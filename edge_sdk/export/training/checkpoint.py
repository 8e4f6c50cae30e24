"""Training state as one safetensors file: weights, averaged weights, optimiser, embedding bank, and the step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode
from torch import nn

from edge_sdk import files
from edge_sdk.errors import TrainingError
from edge_sdk.export.training.writing import writing


def save(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON-able facts so that at any moment ``path`` holds the old file or the new one, whole.

    Raises:
        TrainingError: The disk refuses.
    """
    copies = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with writing(path):
        files.write_bytes(path, encode(copies, {"facts": json.dumps(facts)}))


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Raises TrainingError if the file is missing or damaged."""
    try:
        with files.open_regular(path), safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return tensors, dict(json.loads((file.metadata() or {})["facts"]))
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise TrainingError(f"{path} is no checkpoint of edge-sdk: {error}") from error


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """An optimiser's per-parameter state as flat tensors, ``INDEX.KEY``."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{key}": torch.as_tensor(value) for index, entry in state.items() for key, value in entry.items()}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """The inverse of :func:`pack_optimizer`; learning rates and the like stay the optimiser's own."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Put ``PREFIX/`` before each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def section(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under ``PREFIX/``, without it."""
    return {name.split("/", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")}


def load_network(path: Path, network: nn.Module) -> dict[str, Any]:
    """Fill ``network`` with the averaged weights of a checkpoint and return its facts.

    Raises:
        TrainingError: The checkpoint is missing, damaged or of another network.
    """
    tensors, facts = load(path)
    try:
        network.load_state_dict(section("average", tensors))
    except RuntimeError as error:
        raise TrainingError(f"{path} holds weights of another network: {error}") from error
    return facts
