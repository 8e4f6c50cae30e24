"""What the tables of document 000 share: users' walks, and a network that was trained to name the users.

Every user of the data is trained on, and every fifth of a user's walks is held out: the document holds out cycles. The
validation that a training needs is on made-up walkers, and decides nothing: the last weights are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.swa_utils import update_bn

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import PreparedRows, prepared_rows
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.networks.memory_format import batch
from edge_sdk.export.networks.people_classifier import PeopleClassifier
from edge_sdk.export.training import checkpoint, loop
from edge_sdk.export.training.finished import KeptWeights
from edge_sdk.export.training.records import RunRecord
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.preprocess import Operation

RECIPE, DEFAULT = "gait", "paper"
HELD_OUT = 5
"""One of so many walks of a user is held out."""
STRANGERS = "walks:4@900"
_AT_ONCE = 256

Say = Callable[[str], None]


@dataclass(frozen=True)
class GaitRequest:
    """What is wanted.

    Attributes:
        out: Folder of the trainings (``runs``), of the densities, of what was measured and of the tables.
        data: Specifications of walks; needed where something is to be measured.
        presets: Networks of table 1 to train; none prints what there is. The first gives the other tables' features.
        steps: Of each training, instead of the preset's.
        users: To be enrolled for table 2; everybody if empty.
        folds: Of users, for table 2: the population of a user is everybody in the other folds.
        run: A finished run whose features the other tables take instead. It may have learned from the walks that are
            held out from the densities.
        tiny: The recipe's miniatures, and densities that are fitted for a moment.
    """

    out: Path
    data: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    steps: int | None = None
    seed: int = 0
    users: tuple[str, ...] = ()
    folds: int = 4
    run: Path | None = None
    tiny: bool = False


@dataclass(frozen=True, eq=False)
class Walks:
    """The cycles of some walks with what a network makes of them.

    Attributes:
        users, walks: ``(R,)`` whose each cycle is, and of which file.
        features: ``(R, D)``.
        logits: ``(R, U)``, of the training users in their order.
    """

    users: NDArray[np.str_]
    walks: NDArray[np.str_]
    features: NDArray[np.float32]
    logits: NDArray[np.float32]

    def of(self, chosen: NDArray[np.bool_]) -> Walks:
        """Some of the rows."""
        return Walks(self.users[chosen], self.walks[chosen], self.features[chosen], self.logits[chosen])


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network of table 1, or of a run, and what it makes of users' walks.

    Attributes:
        name: For people to read.
        users: Of the table 1 networks, in the order of the logits.
        train, test: The walks that it has learned from, and those held out.
        network: In evaluation mode.
        weights: Their file.
    """

    name: str
    steps: int
    users: tuple[str, ...]
    train: Walks
    test: Walks
    network: PeopleClassifier
    weights: Path


def train(request: GaitRequest, preset: str, say: Say) -> TrainedNetwork:
    """Train a network, unless that is done, and run it on all walks. Raises as :func:`reproduce` does."""
    if not request.data:
        raise UsageError(f"{preset} learns to name the users of walks: give --data nexus:PATH")
    chosen = recipes.get(RECIPE)
    learned, held_out = split_walks(load(*request.data))
    settings = chosen.preset(preset)
    steps = request.steps or settings.steps
    say(f"{preset}: training on {len(learned.samples)} walks of {len(learned.subjects)} users")
    run = TrainingRun(
        recipe=replace(chosen, presets={preset: replace(settings, validate_every=min(settings.validate_every, steps))}),
        preset_name=preset,
        folder=request.out / "runs" / f"{RECIPE}-{preset}-{steps}",
        train=learned,
        validation=load(STRANGERS),
        data=request.data,
        seed=request.seed,
        steps=request.steps,
        tiny=request.tiny,
    )
    result = loop.train(run)
    network = run.network()
    checkpoint.load_network(result.checkpoint, network)
    assert isinstance(network, PeopleClassifier), "the recipe's networks name people"
    measure_norms(network, prepared_rows(learned.samples, settings.preprocessing).tensors, request.seed)
    name = f"{preset}, {result.steps} steps"
    parts = learned, held_out
    return _applied(name, result.steps, network, weights=result.checkpoint, by=settings.preprocessing, parts=parts)


def features(request: GaitRequest, say: Say) -> TrainedNetwork:
    """The network of the tables of features: of the run that is given, else of the first preset, which is trained.

    Raises:
        UsageError: The run is of another recipe's network.
        TrainingError: There is no such run. Also as :func:`train`.
    """
    if request.run is None:
        return train(request, (request.presets or (DEFAULT,))[0], say)
    record = RunRecord.read(request.run)
    kept = KeptWeights.read(request.run, record)
    if not isinstance(kept.network, PeopleClassifier):
        raise UsageError(f"{request.run} is a run of {record.recipe}, whose network does not name people")
    preset = kept.recipe.preset(record.preset)
    parts = split_walks(load(*request.data))
    known = len(set(record.train).intersection(parts[0].subjects))
    name = f"{record.recipe} ({record.preset}), {kept.step} steps on all walks of {known} of the users"
    weights = request.run / "best.safetensors"
    return _applied(name, kept.step, kept.network, weights=weights, by=preset.preprocessing, parts=parts)


def measure_norms(network: PeopleClassifier, rows: NDArray[np.float32], seed: int) -> None:
    """Take the statistics of batch norms over all rows ``(R, 4, 100)``, in random batches.

    Those of training follow with Keras' momentum of 0.99, for which the document's 1,000,000 cycles an epoch are enough
    and some hundred steps are not: the network would name hardly a user of the very rows that it has learned.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    parts = np.array_split(order, -(-len(order) // _AT_ONCE))
    update_bn((batch(rows[part], torch.device("cpu")) for part in parts), network)


def _applied(
    name: str,
    steps: int,
    network: PeopleClassifier,
    *,
    weights: Path,
    by: Sequence[Operation],
    parts: tuple[Dataset, Dataset],
) -> TrainedNetwork:
    users = parts[0].subjects
    rows = (prepared_rows(part.samples, by) for part in parts)
    learned, held_out = (_walks(network.eval(), part, len(users)) for part in rows)
    return TrainedNetwork(name, steps, users, learned, held_out, network, weights)


def split_walks(data: Dataset) -> tuple[Dataset, Dataset]:
    """The walks to learn from, and those held out: of each user, in the order of the files, every fifth.

    Raises:
        DatasetError: A user has fewer.
    """
    learned, held_out = [], []
    for user in data.subjects:
        walks = [sample for sample in data.samples if sample.subject == user]
        if len(walks) < HELD_OUT:
            raise DatasetError(f"{user} has {len(walks)} walks, and one of {HELD_OUT} is held out: leave the user out")
        held_out += walks[HELD_OUT - 1 :: HELD_OUT]
        learned += [walk for number, walk in enumerate(walks, start=1) if number % HELD_OUT]
    return replace(data, samples=tuple(learned)), replace(data, samples=tuple(held_out))


@torch.no_grad()
def _walks(network: PeopleClassifier, rows: PreparedRows, users: int) -> Walks:
    """Features, and logits of the first so many people, of all rows."""
    made_features, logits = [], []
    for start in range(0, len(rows.tensors), _AT_ONCE):
        made = network.features(batch(rows.tensors[start : start + _AT_ONCE], torch.device("cpu")))
        made_features.append(made.numpy())
        logits.append(network.classifier(network.norm(made))[:, :users].numpy())
    return Walks(
        np.array([sample.subject for sample in rows.samples]),
        np.array([str(sample.path) for sample in rows.samples]),
        np.concatenate(made_features),
        np.concatenate(logits),
    )
