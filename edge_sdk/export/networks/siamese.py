"""Siamese networks of document 004: two images through one branch, then a decision network or a distance.

Images are ``(N, 3, 224, 224)`` in [0, 1], red, green, blue. In training mode a batch holds pairs, the two images of
each behind one another; in evaluation mode a network gives what a template holds of each image.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from edge_sdk.export.networks.bodies import BODIES
from edge_sdk.export.networks.network import Network

HIDDEN = 4096
"""Units of the decision network's layers."""
GENUINE = 1
"""The class of cross entropy that stands for "the same person"."""


class Siamese(Network):
    """The branch: a body, of which the first ``frozen`` convolutions keep weights and statistics.

    Args:
        body: A name of :data:`~edge_sdk.export.networks.bodies.BODIES`.
        width: Share of its channels, and of the units of all further layers.
    """

    pretrained_on = "imagenet"

    def __init__(self, body: str = "vgg16_bn", *, frozen: int = 0, width: float = 1.0) -> None:
        super().__init__()
        self.body = BODIES[body](width)
        self.frozen = self.body.freeze(frozen)

    def train(self, mode: bool = True) -> Siamese:
        super().train(mode)
        self.body.layers[: self.frozen].eval()
        return self

    def load_pretrained(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the body from torchvision's or timm's state dict of it; the classifier is left out."""
        self.body.load_pretrained(weights)


class DecisionNetwork(Siamese):
    """Arch 1, and its variation with a dense layer in each branch: pairs to logits of "the same person".

    =============  =======================================  =====================================
    .              branch                                   decision network, on both put together
    =============  =======================================  =====================================
    Arch 1         the body's features (VGG16: 25,088)      4096, 4096, ``classes``
    ``dense``      the same, then 4096                      4096, ``classes``
    =============  =======================================  =====================================

    A ReLU and dropout of a half follow each dense layer but the last.

    Args:
        classes: 1 for binary cross entropy, 2 for cross entropy.
    """

    def __init__(
        self, body: str = "vgg16_bn", *, dense: bool = False, classes: int = 1, frozen: int = 0, width: float = 1.0
    ) -> None:
        super().__init__(body, frozen=frozen, width=width)
        hidden = max(4, round(HIDDEN * width))
        self.size = hidden if dense else self.body.size
        self.dense = _layer(self.body.size, hidden) if dense else nn.Sequential()
        layers = [_layer(2 * self.size, hidden)] if dense else [_layer(2 * self.size, hidden), _layer(hidden, hidden)]
        self.head = nn.Sequential(*layers, nn.Linear(hidden, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(P, classes)`` of P pairs in training; else templates ``(N, size)``."""
        made = self.dense(self.body(x))
        return self.head(torch.cat([made[0::2], made[1::2]], dim=1)).float() if self.training else made.float()

    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        """The branch alone."""
        del outputs  # there is one
        return nn.Sequential(self.body, self.dense).train(self.training)

    def comparison(self) -> nn.Module:
        """Two templates behind one another, ``(P, 2 size)``, to one logit ``(P, 1)``.

        Of two classes it is the difference, for that has the softmax's probability as its sigmoid.
        """
        head = copy.deepcopy(self.head)
        last = head[-1]
        assert isinstance(last, nn.Linear)
        if last.out_features == 1:
            return head
        single = nn.Linear(last.in_features, 1, device=last.weight.device)
        with torch.no_grad():
            for ours, theirs in zip(single.parameters(), last.parameters(), strict=True):
                ours.copy_(theirs[GENUINE : GENUINE + 1] - theirs[1 - GENUINE : 2 - GENUINE])
        head[-1] = single
        return head.train(self.training)


class EmbeddingNetwork(Siamese):
    """Arch 2: unit embeddings ``(N, D)``, the body's features through ImageNet's first dense layer.

    That has 4,096 outputs in VGG16; in the others it is the only one, and its 1,000 logits are the embedding.
    """

    def __init__(self, body: str = "vgg16_bn", *, frozen: int = 0, width: float = 1.0) -> None:
        super().__init__(body, frozen=frozen, width=width)
        self.dense = self.body.dense()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.dense(self.body(x)).float(), dim=1)

    def load_pretrained(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take body and dense layer from torchvision's or timm's state dict of it."""
        self.body.load_pretrained(weights, self.dense)


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(0.5))
