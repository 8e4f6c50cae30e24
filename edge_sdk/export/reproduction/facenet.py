"""The FaceNet essay's figures (document 002) beside ours: LFW by fold, and VAL by the number of training images.

People of LFW in no published fold train, a tenth of them validates. Each fold is decided by the threshold, on squared
distances, that has the highest accuracy on all others: nine splits choose it for the tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from edge_sdk import files
from edge_sdk.calibration.metrics.verification import ScoreSet, auroc, eer, fnmr_at_fmr
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.pair_lists import PairList, load_pairs
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import split_subjects
from edge_sdk.export.evaluation.verification.folds import MeanAccuracy, each_by_the_others
from edge_sdk.export.networks.memory_format import batch
from edge_sdk.export.networks.network import Network
from edge_sdk.export.reproduction.tables import NONE, PAPER, ResultTable
from edge_sdk.export.training import checkpoint, loop
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.tables import Table

NAME = "facenet"
FAR = 1e-3
"""At which FaceNet gives VAL; the essay leaves it out."""
MAX_BYTES = 2**20
_AT_ONCE = 32
"""Images in a pass of the network."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Printed:
    """A line of the essay: shares in [0, 1], ``error`` the standard error of the accuracy."""

    test: str
    images: int | None = None
    accuracy: float | None = None
    error: float | None = None
    threshold: float | None = None
    val: float | None = None


PRINTED = (
    Printed("LFW", accuracy=0.9887, error=0.0015, threshold=1.242),
    Printed("LFW, faces aligned", accuracy=0.9963),
    Printed("YouTube Faces", accuracy=0.9512, error=0.0039),
    Printed("FaceNet's own", images=2_600_000, val=0.763),
    Printed("FaceNet's own", images=26_000_000, val=0.851),
    Printed("FaceNet's own", images=52_000_000, val=0.851),
    Printed("FaceNet's own", images=260_000_000, val=0.862),
)
"""Sections 2.5, 8, 8.1 and 8.2."""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a training reached on LFW's published pairs.

    Attributes:
        steps: That were taken; the preset's where training was not cut short.
        people, images: That were trained on.
        folds, pairs: That were tested, each once.
        accuracy, error: Mean over the folds and its standard error.
        threshold: Mean over the folds, a squared distance.
        val: Share of pairs of one person that are accepted where :data:`FAR` of the others are.
        auroc, eer: Of all pairs together.
    """

    preset: str
    steps: int
    people: int
    images: int
    folds: int
    pairs: int
    accuracy: float
    error: float
    threshold: float
    val: float
    auroc: float
    eer: float


@dataclass(frozen=True)
class FacenetRequest:
    """What is wanted.

    Attributes:
        out: Folder of the trainings (``runs``), of what was measured on them and of the table.
        presets: To train and test; none prints what there is.
        data: ``lfw:PATH``; needed where something is to be trained.
        steps: Of each, instead of the preset's.
        tiny: The recipe's miniature instead.
    """

    out: Path
    presets: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    steps: int | None = None
    seed: int = 0
    tiny: bool = False


def reproduce(request: FacenetRequest, say: Say = print) -> ResultTable:
    """Train and test the requested presets, unless that is done, and give the table of all that is in ``out``.

    Raises:
        UsageError: No such preset, or other data than LFW.
        DatasetError: The data have no published pairs, or are not complete.
        TrainingError: ``out`` holds another training of this name.
    """
    for name in request.presets:
        recipes.get(NAME).preset(name)
    if request.presets:
        if len(request.data) != 1 or not request.data[0].startswith("lfw:"):
            raise UsageError(f"{NAME} trains and tests on LFW: give --data lfw:PATH, and nothing else")
        data, pairs = load(*request.data), load_pairs(request.data[0])
        for name in request.presets:
            say(f"{NAME} ({name}): training")
            found = _measure(_run(name, data, pairs, request), pairs)
            path = request.out / "measured" / f"{NAME}-{name}.json"
            files.write_bytes(path, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return table(read(request.out))


def read(out: Path) -> tuple[Measured, ...]:
    """All that was measured, in the order of the files' names."""
    found = sorted((out / "measured").glob(f"{NAME}-*.json"))
    return tuple(msgspec.json.decode(files.read_bytes(path, MAX_BYTES), type=Measured) for path in found)


def table(measured: Sequence[Measured]) -> ResultTable:
    """The essay's figures, then ours."""
    head = ("who", "test", "training images", "accuracy %", "threshold", f"VAL % at FAR {FAR:g}", "AUROC", "EER %")
    lines = []
    for one in PRINTED:
        decided = (_images(one.images), _accuracy(one.accuracy, one.error), _value(one.threshold, 1), _value(one.val))
        lines.append((PAPER, one.test, *decided, NONE, NONE))
    for ours in measured:
        who = f"ours, {ours.preset}, {ours.steps} steps"
        accuracy, val = _accuracy(ours.accuracy, ours.error), _value(ours.val)
        decided = (_images(ours.images), accuracy, _value(ours.threshold, 1), val)
        lines.append((who, f"LFW, {ours.folds} folds", *decided, f"{ours.auroc:.3f}", _value(ours.eer)))
    return ResultTable(
        NAME,
        "FaceNet (document 002)",
        Table(head, lines, text=("who", "test")),
        (
            "Accuracy: mean of the folds +- its standard error.",
            "Thresholds are squared distances, chosen for each fold on all others; the mean is shown.",
            "The essay gives VAL without its FAR and test set. In FaceNet they are 0.001 and images of its own.",
            "Ours is trained on LFW's people in no published fold alone.",
        ),
        {"rows": msgspec.to_builtins(measured), "document": msgspec.to_builtins(PRINTED)},
    )


def _run(preset: str, data: Dataset, pairs: PairList, request: FacenetRequest) -> TrainingRun:
    others = set(data.subjects) - pairs.people(pairs.numbers)
    if not others:
        raise DatasetError(f"{data.name}: everybody is in a published fold, so that nobody is left to train on")
    left = data.select(others)
    train, validation = split_subjects(left, (0.9, 0.1), request.seed)
    recipe = recipes.get(NAME)
    settings = recipe.preset(preset)
    often = min(settings.validate_every, request.steps or settings.steps)
    return TrainingRun(
        recipe=replace(recipe, presets={preset: replace(settings, validate_every=often)}),
        preset_name=preset,
        folder=request.out / "runs" / f"{NAME}-{preset}-{request.steps or settings.steps}",
        train=left.select(train),
        validation=left.select(validation),
        data=request.data,
        seed=request.seed,
        steps=request.steps,
        tiny=request.tiny,
    )


def _measure(run: TrainingRun, pairs: PairList) -> Measured:
    result = loop.train(run)
    network = run.network()
    checkpoint.load_network(result.checkpoint, network)
    scores = squared_distances(network, pairs, run)
    folds = each_by_the_others(scores, pairs.folds)
    mean = MeanAccuracy.of(folds)
    assert mean.standard_error is not None, "there are two folds or more"
    return Measured(
        preset=run.preset_name,
        steps=result.steps,
        people=len(run.train.subjects),
        images=len(run.train.samples),
        folds=len(folds),
        pairs=len(pairs),
        accuracy=mean.mean,
        error=mean.standard_error,
        threshold=float(np.mean([-fold.threshold for fold in folds])),
        val=1 - fnmr_at_fmr(scores, FAR),
        auroc=auroc(scores),
        eer=float(eer(scores).eer),
    )


@torch.no_grad()
def squared_distances(network: Network, pairs: PairList, run: TrainingRun) -> ScoreSet:
    """Minus the squared distance of each pair's embeddings, by the float network."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device).eval()
    images = prepared(pairs.data.samples, run.preset.preprocessing)
    parts = [network(batch(np.asarray(images[k : k + _AT_ONCE]), device)) for k in range(0, len(images), _AT_ONCE)]
    made = torch.cat(parts).double().cpu().numpy()
    squared = ((made[pairs.first] - made[pairs.second]) ** 2).sum(axis=1)
    return ScoreSet(-squared, pairs.mated, pairs.subjects[:, 0])


def _images(count: int | None) -> str:
    return NONE if count is None else f"{count:,}"


def _value(share: float | None, factor: float = 100) -> str:
    return NONE if share is None else f"{factor * share:.{1 if factor == 100 else 3}f}"


def _accuracy(share: float | None, error: float | None) -> str:
    if share is None:
        return NONE
    return f"{100 * share:.2f}" + ("" if error is None else f" +- {100 * error:.2f}")
