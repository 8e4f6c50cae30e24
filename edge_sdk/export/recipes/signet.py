"""SigNet: the DeepSign paper's baseline (table 1), 6,460,974 trainable parameters."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation
from edge_sdk.export.losses.metric import ContrastivePairs, MinedMetric
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import EMBEDDING_SCORES, Preset, Recipe

HEIGHT, WIDTH = 155, 220
L2 = 5e-4
"""Table 1, on the kernels of both dense layers; SigNet calls it its weight decay, and has no other."""


class RowNorm(nn.Module):
    """Batch norm with one scale and shift for each of ``rows`` image rows, not for each channel."""

    def __init__(self, rows: int, *, eps: float, momentum: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(rows, eps, momentum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class SigNet(Network):
    """Table 1 of the DeepSign paper: ``(N, 1, 155, 220)`` in [0, 1], ink 1, to unit embeddings ``(N, 128)``.

    What the table leaves open is as in SigNet's published Keras code: a ReLU in each convolution and in the first dense
    layer, so before the batch norm (which therefore does not fold into its convolution), and Glorot's initial weights.

    That code normalises axis 1 of channels-last maps, which are the rows, 37 and 18 of them. With two parameters a row
    the net has exactly the paper's 6,460,974; with the usual norm of the 96 and 256 channels it would have 6,461,568.
    ``row_norm`` chooses.

    It departs from the code at its end: there the embedding passes a ReLU and is compared as it is. Here it is not
    cut to positive values, which table 1 does not show either, and is scaled to unit length, as all embeddings that
    edge-sdk compares.

    Args:
        row_norm: As the paper; else one scale and shift for each channel.
        width: Share of the table's channels and of the first dense layer.
    """

    def __init__(self, *, row_norm: bool = True, width: float = 1.0) -> None:
        super().__init__()

        def channels(count: int) -> int:
            return max(4, round(count * width))

        def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(inplace=True))

        def norm(count: int, rows: int) -> nn.Module:
            # Keras' momentum of 0.9 is the share that stays, torch's 0.1 the share that is new.
            if row_norm:
                return RowNorm(rows, eps=1e-6, momentum=0.1)
            return nn.BatchNorm2d(count, eps=1e-6, momentum=0.1)

        first, second, third, dense = (channels(count) for count in (96, 256, 384, 1024))
        self.features = nn.Sequential(
            convolution(1, first, 11, stride=4),
            norm(first, rows=37),
            nn.MaxPool2d(3, 2),
            convolution(first, second, 5, padding=2),
            norm(second, rows=18),
            nn.MaxPool2d(3, 2),
            nn.Dropout(0.3),
            convolution(second, third, 3, padding=1),
            convolution(third, second, 3, padding=1),
            nn.MaxPool2d(3, 2),
            nn.Dropout(0.3),
            nn.Flatten(),
        )
        self.dense = nn.Linear(3 * 5 * second, dense)
        self.dropout = nn.Dropout(0.5)
        self.embedding = nn.Linear(dense, 128)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dropout(functional.relu(self.dense(self.features(x))))
        return functional.normalize(self.embedding(x).float(), dim=1)


def tiny(*, row_norm: bool = True) -> SigNet:
    """About 7,000 parameters."""
    return SigNet(row_norm=row_norm, width=0.02)


# Section 5.1: the hyper-parameters of SigNet, which trains batches of 128 pairs with RMSprop at 1e-4, rho 0.9, epsilon
# 1e-8, and an end "as soon as the validation accuracy began to decrease, which occured at 3 epochs" (section 3.2): one
# of CEDAR's 28,116 pairs is 220 batches, and a validation that is no better is the last.
PAPER = Preset(
    preprocessing=preprocess.framed(preprocess.PAPER, HEIGHT, WIDTH),
    objective=ContrastivePairs(pairs=128, margin=1.0),
    steps=3 * 220,
    learning_rate=1e-4,
    optimizer="rmsprop",
    penalty={"dense.weight": L2, "embedding.weight": L2},
    validate_every=220,
    patience=1,
)

RECIPE = Recipe(
    name="signet",
    task="verify",
    modality="signature",
    network=SigNet,
    tiny=tiny,
    embedding_size=128,
    score=EMBEDDING_SCORES["person_model"],
    scores=EMBEDDING_SCORES,
    presets={
        "paper": PAPER,
        "paper_bhsig260": replace(PAPER, preprocessing=preprocess.framed(preprocess.BINARIZED, HEIGHT, WIDTH)),
        # DeepSign's best settings on table 1's frame, with the norm that other networks have.
        "best": Preset(
            preprocessing=preprocess.framed(preprocess.INK, HEIGHT, WIDTH),
            objective=MinedMetric(),
            steps=600,
            learning_rate=1e-3,
            network={"row_norm": False},
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
