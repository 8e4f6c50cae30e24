"""Trains what a table of accuracies needs, tests it, and remembers both, so that a second call only prints.

A training takes its whole budget of steps and its last weights, whatever the curve looked like: with so few people the
best moment to stop would be luck. Both artifacts come from those weights and are scored by ONNX Runtime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk import files, preprocess
from edge_sdk._version import __version__
from edge_sdk.calibration import guardrail
from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data import cache
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.verification.measurements import Measurement, measure
from edge_sdk.export.recipes import Recipe
from edge_sdk.export.reproduction.protocols import ALL, PlannedTraining, TableProtocol, by_dataset
from edge_sdk.export.reproduction.scores import SINGLE, ComparisonKind, Scorer, TestScores, artifacts, joined
from edge_sdk.export.training import loop
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.manifest import AccuracyDifference

Say = Callable[[str], None]
ModelTrainings = Sequence[tuple[PlannedTraining, TrainingRun]]
"""All trainings of a table with one model and preset."""

CHECKPOINT_STEPS = 100
"""So many steps are lost at most when a table is interrupted."""


@dataclass(frozen=True)
class ReproductionRequest:
    """What is wanted of a table.

    Attributes:
        data: Specifications of data sets.
        out: Folder of the trainings (``runs``), of what was measured on them and of the tables.
        steps: Of every training; ``None`` takes the table's, or the preset's where those are fewer.
        folds: Of a cross-validation.
        cohort: Normalise scores by so many nearest signatures of training people (adaptive s-norm); ``None`` does not.
        weights: Pretrained weights, for the recipes that take such.
        tiny: The recipes' miniatures instead.
    """

    data: tuple[str, ...]
    out: Path
    models: tuple[str, ...]
    presets: tuple[str, ...] = ("best",)
    steps: int | None = None
    seed: int = 0
    folds: int = 2
    cohort: int | None = None
    weights: Path | None = None
    tiny: bool = False

    def __post_init__(self) -> None:
        if not self.data:
            raise UsageError("a table of accuracies needs data sets, such as --data cedar:PATH sigcomp2011:PATH")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"a training takes at least one step, not {self.steps}")
        if self.cohort is not None and self.cohort < 2:
            raise UsageError(f"scores are normalised by at least 2 signatures, not {self.cohort}")


@dataclass(frozen=True)
class ResultRow:
    """One artifact of one model on one test.

    Attributes:
        artifact: ``fp32`` or ``int8``.
        steps: Of the training.
        measurements: By comparison; the one with a single reference and skilled forgeries is always there. It has the
            points ``best_accuracy`` and ``best_balanced_accuracy`` where one threshold stands behind all its scores.
        accuracy: What int8 costs against fp32.
    """

    test: str
    model: str
    preset: str
    steps: int
    artifact: str
    measurements: tuple[Measurement, ...]
    accuracy: AccuracyDifference | None

    def of(self, comparison: ComparisonKind) -> Measurement | None:
        """One of the measurements; ``None`` if the signatures were too few for it."""
        return next((m for m in self.measurements if (m.forgeries, m.references) == comparison), None)


class _StoredRows(msgspec.Struct, frozen=True):
    """Rows on disk, valid while ``key`` is that of what they were measured on."""

    key: str
    rows: tuple[ResultRow, ...]


def reproduce(protocol: TableProtocol, request: ReproductionRequest, say: Say = print) -> tuple[ResultRow, ...]:
    """The rows of a table: by test, then by model and preset as requested.

    What an earlier call with the same ``out`` has finished is not repeated; what it left unfinished is resumed.

    Raises:
        UsageError: No such model or preset, or data that the table is not about.
        DatasetError: A data set cannot be read or has too few writers. This is said before anything is trained.
        TrainingError: ``out`` holds trainings of this name on other people.
    """
    data = load_data(request)
    rows: list[ResultRow] = []
    for trainings in train(protocol, data, request, say):
        rows += _stored_rows(protocol, trainings, data, request, say)
    tests = [*by_dataset(data), ALL]
    return tuple(sorted(rows, key=lambda row: tests.index(row.test)))


def load_data(request: ReproductionRequest) -> Dataset:
    """The data in one order, whatever the user's: equal requests train alike. Raises DatasetError."""
    return load(*sorted(request.data))


def train(
    protocol: TableProtocol, data: Dataset, request: ReproductionRequest, say: Say = print
) -> Iterator[ModelTrainings]:
    """The trainings of a table, finished, by model and preset as requested.

    What an earlier call with the same ``out`` has finished is not repeated; what it left unfinished is resumed.

    Raises:
        UsageError, DatasetError, TrainingError: As :func:`reproduce`.
    """
    planned = protocol.trainings(data, seed=request.seed, folds=request.folds)
    recipes = [_budgeted(model, preset, protocol, request) for model in request.models for preset in request.presets]
    if request.weights is not None and not any(_starts_from_weights(chosen, request) for chosen in recipes):
        raise UsageError(f"none of {', '.join(request.models)} starts from pretrained weights; leave --weights out")
    by_model: list[ModelTrainings] = [
        [(one, _run(one, chosen, data, request)) for one in planned] for chosen in recipes
    ]
    for trainings in by_model:
        for number, (one, run) in enumerate(trainings, start=1):
            say(f"{_label(run)}: training {number} of {len(trainings)}, {one.name}, {run.preset.steps} steps")
            loop.train(run)
        yield trainings


def _budgeted(model: str, preset_name: str, protocol: TableProtocol, request: ReproductionRequest) -> Recipe:
    """The recipe with this preset only, which takes the table's steps and keeps the last weights."""
    chosen = recipes.get(model)
    if not chosen.embedding_size:
        raise UsageError(f"{model} does not compare embeddings; leave it out of --models")
    preset = chosen.preset(preset_name)
    steps = request.steps or min(protocol.steps, preset.steps)
    often = min(preset.validate_every, steps, CHECKPOINT_STEPS)
    return replace(
        chosen, presets={preset_name: replace(preset, steps=steps, patience=None, keep="last", validate_every=often)}
    )


def _starts_from_weights(chosen: Recipe, request: ReproductionRequest) -> bool:
    """Whether there are pretrained weights, and the recipe's network can load such."""
    if request.weights is None:
        return False
    ((_, preset),) = chosen.presets.items()
    network = (chosen.tiny if request.tiny else chosen.network)(**preset.network)
    return network.pretrained_on is not None


def _run(one: PlannedTraining, chosen: Recipe, data: Dataset, request: ReproductionRequest) -> TrainingRun:
    ((preset_name, preset),) = chosen.presets.items()
    pretrained: dict[str, Any] = {"weights": request.weights} if _starts_from_weights(chosen, request) else {}
    return TrainingRun(
        recipe=chosen,
        preset_name=preset_name,
        folder=request.out / "runs" / f"{one.name}-{chosen.name}-{preset_name}-{preset.steps}",
        train=data.select(one.train),
        validation=data.select(one.validation),
        data=tuple(sorted(request.data)),
        seed=request.seed,
        tiny=request.tiny,
        **pretrained,
    )


def _stored_rows(
    protocol: TableProtocol, trainings: ModelTrainings, data: Dataset, request: ReproductionRequest, say: Say
) -> tuple[ResultRow, ...]:
    """The rows of one model and preset, from disk if nothing behind them has changed."""
    run = trainings[0][1]
    path = request.out / "measured" / f"{protocol.name}-{run.recipe.name}-{run.preset_name}-{run.preset.steps}.json"
    key = _key(trainings, data, request)
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_StoredRows)
    except (FileNotFoundError, msgspec.MsgspecError):
        stored = None
    if stored is None or stored.key != key:
        stored = _StoredRows(key, tuple(_rows(protocol, trainings, data, request, say)))
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(stored), indent=1))
    return stored.rows


def _key(trainings: ModelTrainings, data: Dataset, request: ReproductionRequest) -> str:
    """Digest of all that rows depend on: weights, people, pictures and options."""
    facts = {
        "version": __version__,
        "trainings": [asdict(one) for one, _ in trainings],
        "weights": [hashlib.sha256((run.folder / "best.safetensors").read_bytes()).hexdigest() for _, run in trainings],
        "pictures": cache.key(data.samples, preprocess.digest(trainings[0][1].preset.preprocessing)),
        "cohort": request.cohort,
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _rows(
    protocol: TableProtocol, trainings: ModelTrainings, data: Dataset, request: ReproductionRequest, say: Say
) -> list[ResultRow]:
    """Test each training on its people; scores of one test are pooled, and those of all tests once more."""
    found: dict[tuple[str, str], list[TestScores]] = {}
    for one, run in trainings:
        for artifact, model in artifacts(run).items():
            scorer = Scorer(model, run, request.cohort)
            thresholds = scorer.thresholds(run.validation) if one.has_thresholds else {}
            for test, persons in by_dataset(data).items():
                if people := set(persons) & set(one.test):
                    say(f"{_label(run)}: testing {artifact} of {one.name} on {len(people)} {test} writers")
                    found.setdefault((test, artifact), []).append(scorer.test(data.select(people), thresholds))
    pooled = {key: joined(parts) for key, parts in found.items()}
    if protocol.together and len(by_dataset(data)) > 1:
        for artifact in ("fp32", "int8"):
            pooled[ALL, artifact] = joined([tested for (_, name), tested in pooled.items() if name == artifact])
    return [
        ResultRow(
            test=test,
            model=run.recipe.name,
            preset=run.preset_name,
            steps=run.preset.steps,
            artifact=artifact,
            measurements=tuple(
                measure(scores, test, *kind, points=tested.thresholds if kind == SINGLE else {})
                for kind, scores in tested.scores.items()
            ),
            accuracy=_accuracy(test, pooled[test, "fp32"], tested, run.recipe) if artifact == "int8" else None,
        )
        for (test, artifact), tested in pooled.items()
    ]


def _accuracy(test: str, expected: TestScores, found: TestScores, chosen: Recipe) -> AccuracyDifference:
    return guardrail.compare(expected.scores[SINGLE], found.scores[SINGLE], data=test, budget=chosen.budget)


def _label(run: TrainingRun) -> str:
    return f"{run.recipe.name} ({run.preset_name})"
