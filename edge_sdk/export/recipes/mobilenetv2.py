"""MobileNetV2 for signatures: an ImageNet body between two small adapters and two dense layers (paper, table 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation
from edge_sdk.export.losses.metric import ContrastivePairs, MinedMetric
from edge_sdk.export.networks.mobilenet import BLOCKS, body
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import EMBEDDING_SCORES, Preset, Recipe

# Of ImageNet's images in [0, 1], red, green, blue: what the body was trained on is (image - mean) / deviation.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OFFSET = 0.5
"""Of what the adapters put out: at 0, which is ink, a ReLU would pass no gradient."""
L2 = 0.00047
"""Table 2, on the kernels of both dense layers."""


class MobileNetV2(Network):
    """Table 2 of the DeepSign paper: ``(N, 1, H, W)`` in [0, 1], ink 1, to unit embeddings ``(N, 128)``.

    The table's shapes are those of a 224 x 224 input. With a frozen body it trains the paper's 721,589 parameters: 53
    in the two 1 x 1 convolutions that make three channels of one, 655,872 and 65,664 in the dense layers.

    The table prints no activation functions. The text gives the convolutions a ReLU; the first dense layer has one
    here as well, for two linear layers would be one. The adapters start with what the body knows: dark ink on white
    paper, 1 - x, in each channel. They put out 1.5 - x, and a fixed step without parameters makes (image - mean) /
    deviation of it. That stands behind the second ReLU, which its negative values would not pass.

    Args:
        unfreeze: How many of the body's 19 blocks are trained, counted from the last. The others keep their weights
            and the statistics of their batch norms.
        dropout: The table's rate.
        width: Share of the body's channels and of the first dense layer.

    Raises:
        UsageError: The body has no ``unfreeze`` blocks.
    """

    pretrained_on = "imagenet"

    def __init__(self, *, unfreeze: int = 0, dropout: float = 0.24, width: float = 1.0) -> None:
        super().__init__()
        if not 0 <= unfreeze <= BLOCKS:
            raise UsageError(f"the body has 0 to {BLOCKS} blocks to unfreeze, not {unfreeze}")
        self.adapter = nn.Sequential(
            nn.Conv2d(1, 10, 1), nn.ReLU(inplace=True), nn.Conv2d(10, 3, 1), nn.ReLU(inplace=True)
        )
        mean, deviation = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(DEVIATION).view(3, 1, 1)
        self.register_buffer("scale", 1 / deviation, persistent=False)
        self.register_buffer("shift", -(OFFSET + mean) / deviation, persistent=False)
        self.features = body(width)
        self.frozen = BLOCKS - unfreeze
        self.features[: self.frozen].requires_grad_(False)
        maps, hidden = max(4, round(1280 * width)), max(4, round(512 * width))
        self.dense = nn.Linear(maps, hidden)
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Linear(hidden, 128)
        self._initialise()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(self.adapter(x) * self.scale + self.shift).mean(dim=(2, 3))
        x = self.dropout(functional.relu(self.dense(x)))
        return functional.normalize(self.embedding(x).float(), dim=1)

    def train(self, mode: bool = True) -> MobileNetV2:
        super().train(mode)
        self.features[: self.frozen].eval()
        return self

    def load_pretrained(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the body of torchvision's ``mobilenet_v2``; its classifier is left out."""
        prefix = "features."
        self.features.load_state_dict(
            {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        )

    @torch.no_grad()
    def _initialise(self) -> None:
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        spread, gather = self.adapter[0], self.adapter[2]
        assert isinstance(spread, nn.Conv2d) and isinstance(gather, nn.Conv2d)
        assert spread.bias is not None and gather.bias is not None
        # The first of the ten channels carries 1.5 - x; the others carry ink, and have no weight yet.
        nn.init.uniform_(spread.weight)
        nn.init.zeros_(spread.bias)
        spread.weight[0], spread.bias[0] = -1, 1 + OFFSET
        nn.init.zeros_(gather.weight)
        nn.init.zeros_(gather.bias)
        gather.weight[:, 0] = 1


def tiny(*, unfreeze: int = 0, dropout: float = 0.24) -> MobileNetV2:
    """About 9,000 parameters."""
    return MobileNetV2(unfreeze=unfreeze, dropout=dropout, width=0.02)


# Section 5.1: a frozen body, Adam at its default 1e-3, batch 32, five epochs. Those are 4,393 batches of the 28,116
# pairs of CEDAR; the cap of 250 is for two cores.
PAPER = Preset(
    preprocessing=preprocess.framed(preprocess.PAPER, 224, 224),
    objective=ContrastivePairs(pairs=32, margin=1.0),
    steps=250,
    learning_rate=1e-3,
    optimizer="adam",
    penalty={"dense.weight": L2, "embedding.weight": L2},
    validate_every=50,
)

RECIPE = Recipe(
    name="mobilenetv2",
    task="verify",
    modality="signature",
    network=MobileNetV2,
    tiny=tiny,
    embedding_size=128,
    score=EMBEDDING_SCORES["person_model"],
    scores=EMBEDDING_SCORES,
    presets={
        "paper": PAPER,
        "paper_bhsig260": replace(PAPER, preprocessing=preprocess.framed(preprocess.BINARIZED, 224, 224)),
        # What section 8 leaves for later: the whole body is trained. On DeepSign's frame, with its best settings.
        "best": Preset(
            preprocessing=preprocess.INK,
            objective=MinedMetric(),
            steps=600,
            learning_rate=1e-3,
            network={"unfreeze": BLOCKS},
            augmentation=SignatureAugmentation(),
            extra=("synthetic:120@1",),
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            keep="last",
            validate_every=200,
        ),
    },
)
