"""Person verification on CFP (document 004), Arch 1 and its variation: a siamese branch and a decision network.

Each row of the document's tables is a preset, such as ``13-sgd-1e-3-20``: the row's number, the optimiser, its rate and
the epochs. The rows of Arch 2 are those of ``person_embedding``. What the document calls pretrained is training with
``--weights``, a state dict of torchvision or timm.

The document names neither the optimiser of most rows (Adam; SGD where it says that Adam did not converge) nor the
weight decay, the size of a batch or the input: these are its authors' public code. What they leave open is chosen here:
the picture is stretched to 224 x 224, the corners of a turned one are black, and the bodies without a map of 7 x 7
features, all but VGG16, give their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_sdk import preprocess
from edge_sdk.export.data.faces.flip_rotate import FlipRotate
from edge_sdk.export.losses.pairs import PairCosine, PairDecision
from edge_sdk.export.losses.task import Objective
from edge_sdk.export.networks.siamese import DecisionNetwork
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import DecisionHead

INPUT = (preprocess.ToColor(order="rgb"), preprocess.Resize(height=224, width=224, interpolation="linear"))
PAIRS = 14
TRAINED = 8400
"""Pairs of the folds 01 to 06: an epoch."""
NARROW = 1 / 128
"""Width of the networks of tests."""

Loss = Literal["bce", "cross_entropy", "cosine"]


@dataclass(frozen=True)
class Row:
    """One row of the document's tables.

    Attributes:
        number: The document's "Experiment ID".
        dense: The variation: features from a linear layer in each branch.
        frozen: Convolutions that keep their weights.
        validation, test: The printed accuracies; None where nothing is printed.
        best_epoch: The printed one.
    """

    number: str
    loss: Loss
    rate: float
    epochs: int
    pretrained: bool
    augmented: bool
    validation: float | None = None
    test: float | None = None
    best_epoch: int | None = None
    dense: bool = False
    optimizer: Literal["adam", "sgd"] = "adam"
    body: str = "vgg16_bn"
    frozen: int = 0
    pairs: int = PAIRS

    @property
    def recipe(self) -> str:
        """The recipe that has it as a preset."""
        return "person_embedding" if self.loss == "cosine" else "person_verification"

    @property
    def name(self) -> str:
        """Of the preset."""
        mantissa, exponent = f"{self.rate:.0e}".split("e")
        return f"{self.number}-{self.optimizer}-{mantissa}e{int(exponent)}-{self.epochs}"

    @property
    def preset(self) -> Preset:
        """The row's settings: the weights of the best epoch are kept, by accuracy (Arch 1) or loss (Arch 2)."""
        decision = {"dense": self.dense, "classes": 2 if self.loss == "cross_entropy" else 1}
        epoch, objective = TRAINED // self.pairs, _objective(self.loss, self.pairs)
        return Preset(
            preprocessing=INPUT,
            objective=objective,
            steps=self.epochs * epoch,
            learning_rate=self.rate,
            network={"body": self.body, "frozen": self.frozen, **({} if self.loss == "cosine" else decision)},
            augmentation=FlipRotate() if self.augmented else None,
            optimizer=self.optimizer,
            weight_decay=5e-4,
            validate_every=epoch,
        )


ROWS = (
    Row("01", "bce", 1e-4, 7, True, False, 0.711, 0.735, 4),
    Row("02", "bce", 1e-4, 7, False, False, 0.506, None, 1),
    Row("03", "bce", 1e-4, 7, True, True, 0.709, None, 6),
    Row("04", "bce", 1e-4, 7, False, True, 0.501, None, 7),
    Row("05", "bce", 1e-4, 7, True, False, 0.714, 0.718, 3, dense=True),
    Row("06", "bce", 1e-4, 7, False, False, 0.504, 0.505, 2, dense=True),
    Row("07", "bce", 1e-4, 7, True, True, 0.713, 0.727, 4, dense=True),
    Row("08", "bce", 1e-4, 7, False, True, 0.501, 0.503, 1, dense=True),
    Row("11", "cross_entropy", 1e-4, 20, True, False, 0.793, 0.782, 11),
    Row("13", "cross_entropy", 1e-4, 14, True, True, 0.803, 0.819, 11),
    Row("15", "cross_entropy", 1e-4, 20, True, False, 0.772, 0.765, 14, dense=True),
    Row("17", "cross_entropy", 1e-4, 14, True, True, 0.710, 0.727, 13, dense=True),
    Row("13", "cross_entropy", 1e-4, 20, True, True, 0.718, 0.730, 20),
    Row("13", "cross_entropy", 5e-4, 20, True, True, 0.825, 0.824, 16, optimizer="sgd"),
    Row("13", "cross_entropy", 1e-3, 20, True, True, 0.826, 0.834, 20, optimizer="sgd"),
    Row("13", "cross_entropy", 1e-4, 40, True, True, 0.827, 0.832, 39),
    Row("21", "cosine", 1e-4, 14, True, False, 0.807, 0.826, 9),
    Row("21", "cosine", 5e-4, 14, True, False, 0.708, 0.714, 11),
    Row("23", "cosine", 1e-4, 14, True, True, 0.821, 0.818, 12),
    Row("23", "cosine", 5e-4, 14, True, True, 0.709, 0.720, 14),
    Row("23", "cosine", 1e-4, 40, True, True),
    Row("33", "cosine", 1e-4, 14, True, True, 0.746, 0.749, 13, frozen=7),
    Row("43", "cosine", 1e-4, 14, True, True, 0.822, 0.825, 7, body="resnet50"),
    Row("53", "cosine", 1e-4, 14, True, True, 0.823, 0.831, 14, body="resnet101"),
    Row("63", "cosine", 1e-4, 14, True, True, 0.826, 0.834, 12, body="resnext50_32x4d"),
    # Which of the two ResNeXt-101 is not said: torchvision had this one then.
    Row("73", "cosine", 1e-4, 14, True, True, body="resnext101_32x8d"),
    # Later, in the authors' repository.
    Row("23", "cosine", 1e-3, 40, True, True, 0.835, 0.857, optimizer="sgd"),
    Row("63", "cosine", 1e-3, 40, True, True, 0.845, 0.859, optimizer="sgd", body="resnext50_32x4d"),
)


_SHORT: dict[Loss, str] = {"bce": "bce", "cross_entropy": "ce", "cosine": "cosine"}


def _ours(loss: Loss, *, dense: bool, augmented: bool) -> Row:
    """What a GPU trains in minutes: the smallest body, and steps of twice as many pairs at twice the rate."""
    number = "-".join(["mobilenet", *["lin"] * dense, _SHORT[loss], *["plain"] * (not augmented)])
    return Row(number, loss, 2e-4, 8, True, augmented, dense=dense, body="mobilenet_v2", pairs=28)


OURS = tuple(
    _ours(loss, dense=dense, augmented=augmented)
    for augmented in (True, False)
    for dense in (False, True)
    for loss in _SHORT
    if not (dense and loss == "cosine")
)


def presets(*losses: Loss) -> dict[str, Preset]:
    """Of the rows with these losses, and the first of ours as ``best``."""
    chosen = {row.name: row.preset for row in (*ROWS, *OURS) if row.loss in losses}
    return {"best": next(row.preset for row in OURS if row.loss in losses)} | chosen


def _objective(loss: Loss, pairs: int) -> Objective:
    return PairCosine(pairs) if loss == "cosine" else PairDecision(pairs, loss_of=loss)


def tiny(**options: object) -> DecisionNetwork:
    """The same layers with a few channels each."""
    return DecisionNetwork(**options, width=NARROW)  # type: ignore[arg-type]


RECIPE = Recipe(
    name="person_verification",
    task="verify",
    modality="face",
    network=DecisionNetwork,
    tiny=tiny,
    branch="embedding",
    score=DecisionHead(output="head.logit", activation="sigmoid"),
    presets=presets("bce", "cross_entropy"),
)
