"""Document 000's table 1: networks that name the walker of a cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.calibration.metrics.resampling import Interval, draw_subjects, interval
from edge_sdk.calibration.metrics.verification import Floats
from edge_sdk.export.reproduction.gait import GaitRequest, Say, Walks, train
from edge_sdk.export.reproduction.tables import NONE, PAPER, ResultTable, shown_interval
from edge_sdk.tables import Table

NAME = "gait-table1"
NETWORKS: Mapping[str, str] = {"mlp": "feed-forward MLP", "rnn": "RNN", "paper": "temporal CNN"}
"""Presets, and the document's names for them."""
PRINTED: Mapping[str, tuple[float, ...]] = {
    "mlp": (0.2837, 0.2065, 0.2146, 0.2105),
    "rnn": (0.4331, 0.3131, 0.3521, 0.3315),
    "paper": (0.5792, 0.5321, 0.5635, 0.5474),
}
"""Table 1: accuracy, precision, recall and F1."""
REPLICATES = 1000
MAX_BYTES = 2**20


class ClassifierMeasurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network on the cycles of held-out walks, each to be given to its user; 95 % intervals by bootstrap over users.

    Attributes:
        walks, cycles: Held out.
        precision, recall, f1: Means over users.
        f1_of_means: Of the mean precision and the mean recall, which is what the document prints.
        by_walk: Share of walks that the sum of their cycles' log-probabilities gives to the right user.
    """

    preset: str
    steps: int
    users: int
    walks: int
    cycles: int
    accuracy: Interval
    precision: Interval
    recall: Interval
    f1: Interval
    f1_of_means: Interval
    by_walk: Interval


def reproduce(request: GaitRequest, say: Say = print) -> ResultTable:
    """Train and test the requested networks, unless that is done, and give the table of all that is in ``out``.

    Raises:
        UsageError: No such preset, or no data.
        DatasetError: A user has too few walks.
        TrainingError: ``out`` holds another training of this name.
    """
    for preset in request.presets:
        trained = train(request, preset, say)
        found = measure(preset, trained.steps, trained.users, trained.test)
        path = request.out / "measured" / f"{NAME}-{preset}.json"
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return table(read(request.out))


def measure(preset: str, steps: int, users: Sequence[str], test: Walks) -> ClassifierMeasurement:
    """How well the cycles of held-out walks are given to their users.

    Args:
        users: In the order of the logits.
    """
    true = np.array([users.index(user) for user in test.users])
    confusion = np.zeros((len(users), len(users)))
    np.add.at(confusion, (true, test.logits.argmax(axis=1)), 1)
    names, first, walk = np.unique(test.walks, return_index=True, return_inverse=True)
    summed = np.zeros((len(names), len(users)))
    np.add.at(summed, walk, _log_softmax(test.logits))
    by_walk = np.zeros((len(users), len(users)))
    np.add.at(by_walk, (true[first], summed.argmax(axis=1)), 1)
    draws = draw_subjects(len(users), REPLICATES, 0)
    exact, resampled = (figures(confusion, weights) for weights in (np.ones((1, len(users))), draws))
    exact_walk, resampled_walk = (figures(by_walk, weights)[0] for weights in (np.ones((1, len(users))), draws))
    accuracy, precision, recall, f1, of_means = (
        interval(float(value[0]), column) for value, column in zip(exact, resampled, strict=True)
    )
    walks = interval(float(exact_walk[0]), resampled_walk)
    counts = len(users), len(names), len(true)
    return ClassifierMeasurement(preset, steps, *counts, accuracy, precision, recall, f1, of_means, walks)


def figures(confusion: Floats, weights: Floats) -> tuple[Floats, ...]:
    """Accuracy, precision, recall, F1 and the F1 of mean precision and recall, ``(R,)`` each.

    Precision, recall and F1 are means over users (macro averages); a user whom nothing is given to has a precision
    of 0, as scikit-learn has it.

    Args:
        confusion: ``(U, U)`` cycles by their user and by whom they were given to.
        weights: ``(R, U)`` how often a user, with all cycles, is taken.
    """
    right = np.diag(confusion) * weights
    own = confusion.sum(axis=1) * weights
    given = weights @ confusion
    total = weights.sum(axis=1)

    def mean(shares: Floats) -> Floats:
        found: Floats = (shares * weights).sum(axis=1) / total
        return found

    precision = mean(np.divide(right, given, out=np.zeros_like(right), where=given > 0))
    recall = mean(np.divide(right, own, out=np.zeros_like(right), where=own > 0))
    f1 = mean(np.divide(2 * right, own + given, out=np.zeros_like(right), where=own + given > 0))
    both = precision + recall
    of_means = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return right.sum(axis=1) / own.sum(axis=1), precision, recall, f1, of_means


def read(out: Path) -> tuple[ClassifierMeasurement, ...]:
    """All that was measured, in the document's order."""
    paths = [out / "measured" / f"{NAME}-{preset}.json" for preset in NETWORKS]
    others = sorted(set((out / "measured").glob(f"{NAME}-*.json")) - set(paths))
    return tuple(
        msgspec.json.decode(files.read_bytes(path, MAX_BYTES), type=ClassifierMeasurement)
        for path in (*paths, *others)
        if path.exists()
    )


def table(measured: Sequence[ClassifierMeasurement]) -> ResultTable:
    """Table 1, the document's figures above ours of the same network."""
    head = ("network", "who", "users", "cycles", "accuracy", "precision", "recall", "F1", "F1 of means", "whole walks")
    lines: list[tuple[str, ...]] = []
    for preset in dict.fromkeys([*NETWORKS, *(one.preset for one in measured)]):
        name = NETWORKS.get(preset, preset)
        if preset in PRINTED:
            accuracy, precision, recall, f1 = (f"{share:.4f}" for share in PRINTED[preset])
            lines.append((name, PAPER, "1000", "99999", accuracy, precision, recall, NONE, f1, NONE))
        for one in (one for one in measured if one.preset == preset):
            values = one.accuracy, one.precision, one.recall, one.f1, one.f1_of_means, one.by_walk
            who = f"ours, {preset}, {one.steps} steps"
            lines.append((name, who, str(one.users), str(one.cycles), *(shown_interval(x, 1, 3) for x in values)))
    return ResultTable(
        NAME,
        "Naming the walker of a cycle (document 000, table 1)",
        Table(head, lines, text=("network", "who")),
        (
            "Ours: cycles of walks that were held out, one of five of each user; the document holds out cycles.",
            "Precision, recall and F1 are means over users. The document's F1 is of these two means.",
            "Whole walks: each is given to the user with the largest sum of log-probabilities of its cycles.",
            "In brackets 95 % intervals by bootstrap over users.",
            "By chance one in as many as there are users is right: in the document 0.1 %, where it prints 0.01 %.",
        ),
        {"rows": msgspec.to_builtins(measured), "document": msgspec.to_builtins(PRINTED)},
    )


def _log_softmax(logits: NDArray[Any]) -> Floats:
    found: Floats = torch.from_numpy(logits).double().log_softmax(dim=1).numpy()
    return found
