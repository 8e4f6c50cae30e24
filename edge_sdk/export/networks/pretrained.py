"""Weights that others have trained, to start from: a PyTorch state dict in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch

from edge_sdk import files
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export.networks.network import Network


def digest(path: Path) -> str:
    """SHA-256 of the file. Raises TrainingError if it cannot be read."""
    try:
        with files.open_regular(path) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise TrainingError(f"no pretrained weights at {path}: {error}") from error


def load_pretrained(network: Network, path: Path) -> None:
    """Fill ``network`` from a file of ``torch.save``, read without executing what it may hold beside tensors.

    Raises:
        UsageError: The network does not start from weights of others.
        TrainingError: The file is missing, is no state dict, or is one of another network.
    """
    if network.pretrained_on is None:
        raise UsageError(f"{type(network).__name__} takes no pretrained weights; leave them out")
    try:
        with files.open_regular(path) as file:
            weights = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"no pretrained weights at {path}") from error
    except Exception as error:  # the reader fails on damaged files with whatever it meets first
        raise TrainingError(f"{path} holds no PyTorch weights: {error}") from error
    if not isinstance(weights, Mapping) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise TrainingError(f"{path} holds something else than a state dict: a mapping of names to tensors")
    try:
        network.load_pretrained(weights)
    except RuntimeError as error:
        raise TrainingError(f"{path} holds weights of another network: {error}") from error
