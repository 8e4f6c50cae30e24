"""Binary classifiers: features, one dense layer, one logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.networks.network import Network

LOGIT = "logit"
LOOK = "look"
"""A few numbers of the features, for a density that tells what is like the training."""


class ClassifierOutput(NamedTuple):
    """What a :class:`BinaryClassifier` makes of images ``(B, 1, H, W)`` in [0, 1].

    Attributes:
        features: ``(B, F)``, of which the logit is a weighted sum.
        logit: ``(B, 1)``; its sigmoid is the probability of "live".
    """

    image: torch.Tensor
    features: torch.Tensor
    logit: torch.Tensor


class BinaryClassifier(Network):
    """Tells live images from attacks, ``(N, 1, H, W)`` in [0, 1].

    In training mode ``forward`` returns a :class:`ClassifierOutput`, in evaluation mode its logits, and behind them the
    :data:`LOOK` where there is one.

    Args:
        features: Images to ``(N, count)``.
        dropout: Share of the features that are dropped in training.

    Attributes:
        look: Of the features; fitted after training (:mod:`edge_sdk.export.packaging.domains`), None until then.
    """

    def __init__(self, features: nn.Module, count: int, *, dropout: float) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(count, 1))
        self.look: nn.Module | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor | ClassifierOutput | tuple[torch.Tensor, ...]:
        if self.training:
            return self.classify(x)
        if self.look is None:
            return self.classify(x).logit
        features = self.features(x)
        return self.classifier(features).float(), self.look(features).float()

    def outputs(self, x: torch.Tensor, names: Sequence[str]) -> tuple[torch.Tensor, ...]:
        """The logit, under its name. Raises UsageError for other names."""
        if unknown := [name for name in names if name != LOGIT]:
            raise UsageError(f"{type(self).__name__} has no output {', '.join(unknown)}")
        return (self.classify(x).logit,) * len(names)

    def classify(self, x: torch.Tensor) -> ClassifierOutput:
        """Features and logit, in either mode."""
        features = self.features(x)
        return ClassifierOutput(x, features.float(), self.classifier(features).float())
