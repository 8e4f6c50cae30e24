"""Networks that are trained to name the people of the training set; what a device computes are the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.networks.network import Network
from edge_sdk.export.networks.temporal import EPSILON, MOMENTUM, deployed

FEATURES = "features"


class NamedPeople(NamedTuple):
    """What a :class:`PeopleClassifier` makes of rows in training.

    Attributes:
        rows: ``(B, ...)``, its input.
        features: ``(B, D)``.
        logits: ``(B, P)``, one a person.
    """

    rows: torch.Tensor
    features: torch.Tensor
    logits: torch.Tensor


class PeopleClassifier(Network):
    """Features, a batch norm over them, and a dense layer that names people.

    In training mode ``forward`` returns :class:`NamedPeople`, in evaluation mode the features alone.

    Args:
        features: Rows to ``(N, size)``.
        people: The most that can be told apart; a training set with fewer leaves the other logits unused.
    """

    def __init__(self, features: nn.Module, size: int, *, people: int) -> None:
        super().__init__()
        self.features = features
        self.norm = nn.BatchNorm1d(size, eps=EPSILON, momentum=MOMENTUM)
        self.classifier = nn.Linear(size, people)

    def forward(self, x: torch.Tensor) -> torch.Tensor | NamedPeople:
        features: torch.Tensor = self.features(x)
        if not self.training:
            return features
        return NamedPeople(x, features.float(), self.classifier(self.norm(features)).float())

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        """The features, of layers that every format has. Raises UsageError for other outputs."""
        if unknown := [name for name in outputs if name != FEATURES]:
            raise UsageError(f"{type(self).__name__} has no output {', '.join(unknown)}")
        return deployed(self.features)
