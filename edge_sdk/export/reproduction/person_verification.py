"""Document 004's tables: person verification on CFP, each row trained and tested by one command.

Folds 01 to 06 train, 07 and 08 validate, 09 and 10 test, frontal and profile pairs pooled. What has been measured lies
in ``OUT/measured``, one file a row, and the table is made of it: rows that nobody has trained have the document's
numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from edge_sdk import files
from edge_sdk.calibration.metrics.pairs import Comparisons
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet, auroc, eer
from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.pair_lists import PairList, load_pairs
from edge_sdk.export.losses.pair_tasks import PublishedPairs, percentile_threshold, probabilities
from edge_sdk.export.losses.pairs import PairObjective
from edge_sdk.export.networks.memory_format import batch
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import Recipe
from edge_sdk.export.recipes.person_verification import OURS, ROWS, TRAINED, Row
from edge_sdk.export.reproduction.tables import NONE, PAPER, ResultTable
from edge_sdk.export.training import checkpoint, loop
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.tables import Table

NAME = "person_verification"
FOLDS = {"train": tuple(range(1, 7)), "validation": (7, 8), "test": (9, 10)}
MAX_BYTES = 2**20
_AT_ONCE = 32
"""Images in a pass of the network."""

Say = Callable[[str], None]


class MeasuredRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a row reached.

    Attributes:
        preset: Its name, which says all settings but these two.
        pretrained: Whether it started from weights of others.
        steps: That were taken; the preset's where training was not cut short.
        best_epoch: Of the kept weights; a part of an epoch counts as one.
        threshold: A half (Arch 1), or fitted on the validation pairs (Arch 2).
        validation, test: Accuracies at the threshold.
        auroc, eer: Of the test pairs.
    """

    preset: str
    pretrained: bool
    steps: int
    best_epoch: int
    threshold: float
    validation: float
    test: float
    auroc: float
    eer: float

    @classmethod
    def of(
        cls, row: Row, *, pretrained: bool, steps: int, best_step: int, validation: ScoreSet, test: ScoreSet
    ) -> MeasuredRow:
        """Of the scores of the kept weights."""
        fitted = row.loss == "cosine"
        threshold = percentile_threshold(validation.scores, validation.mated) if fitted else 0.5
        return cls(
            preset=row.name,
            pretrained=pretrained,
            steps=steps,
            best_epoch=-(-best_step // (TRAINED // row.pairs)),
            threshold=threshold,
            validation=_accuracy(validation, threshold),
            test=_accuracy(test, threshold),
            auroc=auroc(test),
            eer=float(eer(test).eer),
        )

    def write(self, out: Path) -> None:
        """Into ``OUT/measured``."""
        name = f"{NAME}-{self.preset}{'' if self.pretrained else '-random'}.json"
        files.write_bytes(out / "measured" / name, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


@dataclass(frozen=True)
class PersonRequest:
    """What is wanted.

    Attributes:
        data: ``cfp:PATH``; needed where something is to be trained.
        out: Folder of the trainings (``runs``), of what was measured on them and of the table.
        presets: To train and test; none prints what there is.
        steps: Of each, instead of the preset's.
        weights: By others, which the rows that the document calls pretrained start from.
        tiny: The recipes' miniatures instead.
    """

    out: Path
    presets: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    steps: int | None = None
    seed: int = 0
    weights: Path | None = None
    tiny: bool = False


def reproduce(request: PersonRequest, say: Say = print) -> ResultTable:
    """Train and test the requested rows, unless that is done, and give the table of all that was measured in ``out``.

    Raises:
        UsageError: No such row, or no data for it.
        DatasetError: The data have no published pairs, or are not complete.
        TrainingError: ``out`` holds another training of this name, or the weights do not fit.
    """
    rows = {row.name: row for row in (*ROWS, *OURS)}
    if unknown := [name for name in request.presets if name not in rows]:
        raise UsageError(f"{NAME} has no row {', '.join(unknown)}; choose from {', '.join(rows)}")
    if request.presets:
        pairs = load_pairs(_specification(request.data))
        for number, name in enumerate(request.presets, start=1):
            say(f"{name}: row {number} of {len(request.presets)}")
            _measure(rows[name], pairs, request).write(request.out)
    return table(read(request.out))


def read(out: Path) -> tuple[MeasuredRow, ...]:
    """All that was measured, in the order of the files' names."""
    found = sorted((out / "measured").glob(f"{NAME}-*.json"))
    return tuple(msgspec.json.decode(files.read_bytes(path, MAX_BYTES), type=MeasuredRow) for path in found)


def table(measured: Sequence[MeasuredRow]) -> ResultTable:
    """The document's rows, each above ours of the same settings; MobileNetV2's stand below the row that they change."""
    head = (
        *("row", "who", "body", "loss", "branch", "optimizer", "rate", "steps", "pairs a step", "pretrained"),
        *("augmented", "validation", "test", "best epoch", "test AUROC", "test EER %"),
    )
    lines, waiting = [], list(measured)
    ours = {row.name: row for row in (*ROWS, *OURS)}
    for row in ROWS:
        lines.append(_printed(row))
        for one in [one for one in waiting if _belongs(ours[one.preset], one, row)]:
            lines.append(_line(ours[one.preset], one))
            waiting.remove(one)
    lines += [_line(ours[one.preset], one) for one in waiting]
    return ResultTable(
        NAME,
        "Person verification on CFP (document 004)",
        Table(head, lines, text=("row", "who", "body", "loss", "branch", "optimizer", "pretrained", "augmented")),
        (
            "Frontal and profile pairs pooled: folds 01-06 train, 07-08 validate, 09-10 test.",
            "Arch 1: accuracy at a probability of a half, the mean of both orders of a pair; weights of best accuracy.",
            "Arch 2: accuracy at a threshold fitted on the validation pairs; weights of least validation loss.",
            "The document's steps are its epochs of 600.",
        ),
        {"rows": msgspec.to_builtins(measured), "document": [_facts(row) for row in ROWS]},
    )


def _specification(data: Iterable[str]) -> str:
    kinds = [spec.partition(":") for spec in data]
    if len(kinds) != 1 or kinds[0][0] != "cfp" or not kinds[0][2]:
        raise UsageError(f"{NAME} trains and tests on CFP's published pairs: give --data cfp:PATH, and nothing else")
    return f"cfp-pooled:{kinds[0][2]}"


def _measure(row: Row, pairs: PairList, request: PersonRequest) -> MeasuredRow:
    run = _run(row, pairs, request)
    result = loop.train(run)
    network = run.network()
    facts = checkpoint.load_network(result.checkpoint, network)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device).eval()
    return MeasuredRow.of(
        row,
        pretrained=run.weights is not None,
        steps=result.steps,
        best_step=int(facts["step"]),
        validation=_scores(row, network, pairs.of(FOLDS["validation"]), device),
        test=_scores(row, network, pairs.of(FOLDS["test"]), device),
    )


def _run(row: Row, pairs: PairList, request: PersonRequest) -> TrainingRun:
    chosen = recipes.get(row.recipe)
    objective = row.preset.objective
    assert isinstance(objective, PairObjective)
    preset = replace(row.preset, objective=replace(objective, published=PublishedPairs(pairs)))
    weights = request.weights if row.pretrained else None
    steps = request.steps or preset.steps
    recipe: Recipe = replace(chosen, presets={row.name: preset})
    return TrainingRun(
        recipe=recipe,
        preset_name=row.name,
        folder=request.out / "runs" / f"{row.name}{'' if weights else '-random'}-{steps}",
        train=pairs.of(FOLDS["train"]).data,
        validation=pairs.of(FOLDS["validation"]).data,
        data=request.data,
        seed=request.seed,
        steps=request.steps,
        tiny=request.tiny,
        weights=weights,
    )


@torch.no_grad()
def _scores(row: Row, network: Network, pairs: PairList, device: torch.device) -> ScoreSet:
    """Of the pairs, by the float network: a probability, or the cosine of two embeddings."""
    images = prepared(pairs.data.samples, row.preset.preprocessing)
    parts = [network(batch(np.asarray(images[k : k + _AT_ONCE]), device)) for k in range(0, len(images), _AT_ONCE)]
    made = torch.cat(parts).float().cpu().numpy()
    compared: Comparisons = pairs.comparisons
    if row.loss == "cosine":
        scores: Floats = np.sum(made[pairs.first] * made[pairs.second], axis=1, dtype=np.float64)
    else:
        scores = probabilities(network, made, compared)
    return ScoreSet(scores, compared.mated, pairs.subjects[:, 0])


def _accuracy(scores: ScoreSet, threshold: float) -> float:
    return float(np.mean((scores.scores >= threshold) == scores.mated))


def _belongs(ours: Row, one: MeasuredRow, row: Row) -> bool:
    """Whether ours is this row, or changes nothing but body, optimiser, rate and length of it."""
    if ours in ROWS:
        return ours is row
    theirs = (row.loss, row.dense, row.pretrained, row.augmented)
    return (ours.loss, ours.dense, one.pretrained, ours.augmented) == theirs


def _printed(row: Row) -> tuple[str, ...]:
    accuracy = (f"{value:.3f}" if value is not None else NONE for value in (row.validation, row.test))
    best = str(row.best_epoch) if row.best_epoch else NONE
    return (*_settings(row, PAPER, row.preset.steps, row.pretrained), *accuracy, best, NONE, NONE)


def _line(row: Row, one: MeasuredRow) -> tuple[str, ...]:
    found = (
        f"{one.validation:.3f}",
        f"{one.test:.3f}",
        str(one.best_epoch),
        f"{one.auroc:.3f}",
        f"{100 * one.eer:.1f}",
    )
    return (*_settings(row, "ours", one.steps, one.pretrained), *found)


def _settings(row: Row, who: str, steps: int, pretrained: bool) -> tuple[str, ...]:
    branch = "Arch 2" if row.loss == "cosine" else "variation" if row.dense else "Arch 1"
    flags = ("yes" if flag else "no" for flag in (pretrained, row.augmented))
    body = f"{row.body}, {row.frozen} frozen" if row.frozen else row.body
    number = row.number if row in ROWS else NONE
    return (number, who, body, row.loss, branch, row.optimizer, f"{row.rate:g}", str(steps), str(row.pairs), *flags)


def _facts(row: Row) -> dict[str, object]:
    return {"row": row.name, "validation": row.validation, "test": row.test, "best_epoch": row.best_epoch}
