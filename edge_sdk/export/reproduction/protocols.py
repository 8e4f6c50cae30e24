"""What the tables of ``edge-sdk reproduce`` are: who is trained on and tested, and what the paper prints.

The paper is DeepSign (Wang and Ko). Its tables 4, 6 and 7 stand here beside two protocols of our own, which test every
writer once: ``leave-one-out`` over data sets and ``cross-validation`` over writers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import folds, split_subjects

ALL = "all"
"""The row of all tests together."""

PAPER_MODELS = ("deepsign", "mobilenetv2", "signet")

_SPLIT = (0.6, 0.2, 0.2)  # section 4: training, validation and test, by person


@dataclass(frozen=True)
class PaperFigures:
    """What the paper prints for one model on one test, each in [0, 1]."""

    accuracy: float
    precision: float
    recall: float
    auroc: float


@dataclass(frozen=True)
class PaperSize:
    """A line of table 4, and why ours may differ from it."""

    parameters: int
    megabytes: float
    note: str


@dataclass(frozen=True)
class PlannedTraining:
    """One training and the people whom its weights are tested on.

    Attributes:
        name: Of its folder, within a table's runs.
        validation: For the thresholds. Where they are the test people themselves, nothing is chosen on them.

    Raises:
        DatasetError: A person is trained on and tested.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if shared := set(self.train) & {*self.validation, *self.test}:
            raise DatasetError(f"{self.name}: {sorted(shared)[:5]} are trained on and tested")

    @property
    def has_thresholds(self) -> bool:
        """Whether the validation people are others than the test people, so that a threshold may be fitted on them."""
        return not set(self.validation) & set(self.test)


@dataclass(frozen=True)
class TableProtocol:
    """One table of accuracies.

    Attributes:
        plan: The trainings for some data, a seed and a number of folds.
        steps: Optimiser steps of a training, unless a preset takes fewer or the user says otherwise.
        together: Whether all tests together are a row too, named :data:`ALL`.
        paper: What the paper prints, by test and model.
    """

    name: str
    title: str
    plan: Callable[[Dataset, int, int], tuple[PlannedTraining, ...]]
    steps: int
    together: bool
    paper: Mapping[tuple[str, str], PaperFigures] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def trainings(self, data: Dataset, *, seed: int = 0, folds: int = 2) -> tuple[PlannedTraining, ...]:
        """The trainings, each of which can be measured.

        Raises:
            UsageError: A data set that the table is about is missing, or too few folds are asked for.
            DatasetError: So few writers that one of the groups would be empty, or a test holds fewer than 2.
        """
        planned = self.plan(data, seed, folds)
        for training in planned:
            for name in by_dataset(data):
                count = sum(subject in training.test for subject in by_dataset(data)[name])
                if count == 1 or (count == 0 and len(planned) == 1):
                    raise DatasetError(
                        f"{self.name} would test {count} of {len(by_dataset(data)[name])} {name} writers, and at "
                        f"least 2 are needed; add writers or leave {name} out"
                    )
        return planned


def by_dataset(data: Dataset) -> dict[str, tuple[str, ...]]:
    """The persons of each data set, both in the order of their names."""
    pairs = sorted({(sample.dataset, sample.subject) for sample in data.samples})
    return {name: tuple(person for owner, person in pairs if owner == name) for name in sorted({o for o, _ in pairs})}


def _combined(data: Dataset, seed: int, _folds: int) -> tuple[PlannedTraining, ...]:
    return (PlannedTraining("combined", *split_subjects(data, _SPLIT, seed)),)


def _cedar_only(data: Dataset, seed: int, _folds: int) -> tuple[PlannedTraining, ...]:
    people = by_dataset(data)
    if "cedar" not in people:
        raise UsageError("deepsign-table7 trains on CEDAR; give it as --data cedar:PATH")
    train, validation, test = split_subjects(data.select(people["cedar"]), _SPLIT, seed)
    others = tuple(person for name, persons in people.items() if name != "cedar" for person in persons)
    return (PlannedTraining("cedar", train, validation, test + others),)


def _leave_one_out(data: Dataset, seed: int, _folds: int) -> tuple[PlannedTraining, ...]:
    people = by_dataset(data)
    if len(people) < 2:
        raise UsageError(f"leave-one-out needs at least 2 data sets, not {', '.join(people)} alone")
    trainings = []
    for name, left_out in people.items():
        others = data.select([person for person in data.subjects if person not in left_out])
        train, validation = split_subjects(others, (0.8, 0.2), seed)
        trainings.append(PlannedTraining(f"without-{name}", train, validation, left_out))
    return tuple(trainings)


def _cross_validation(data: Dataset, seed: int, count: int) -> tuple[PlannedTraining, ...]:
    trainings = []
    for number, people in enumerate(folds(data, count, seed), start=1):
        rest = tuple(person for person in data.subjects if person not in people)
        trainings.append(PlannedTraining(f"fold-{number}-of-{count}", rest, people, people))
    return tuple(trainings)


_THRESHOLD = (
    "Accuracy, precision and recall are at the threshold of the best accuracy on validation people (section 5.2)."
)
_PAIRS = (
    "The paper's CEDAR has 55 writers. Its text counts 300 genuine pairs of each; its table 5 has the 276 that there "
    "are without pairing a signature with itself."
)

PROTOCOLS: Mapping[str, TableProtocol] = {
    protocol.name: protocol
    for protocol in (
        TableProtocol(
            name="deepsign-table6",
            title="Trained on all data sets combined, tested on new writers of each (DeepSign paper, table 6)",
            plan=_combined,
            steps=1600,
            together=True,
            paper={
                ("cedar", "signet"): PaperFigures(0.73, 0.59, 0.65, 0.79),
                ("cedar", "mobilenetv2"): PaperFigures(0.72, 0.65, 0.28, 0.72),
                ("cedar", "deepsign"): PaperFigures(0.74, 0.51, 0.57, 0.72),
                ("bhsig260", "signet"): PaperFigures(0.81, 0.69, 0.75, 0.85),
                ("bhsig260", "mobilenetv2"): PaperFigures(0.75, 0.63, 0.65, 0.78),
                ("bhsig260", "deepsign"): PaperFigures(0.92, 0.83, 0.85, 0.95),
                (ALL, "signet"): PaperFigures(0.79, 0.66, 0.75, 0.84),
                (ALL, "mobilenetv2"): PaperFigures(0.76, 0.65, 0.70, 0.82),
                (ALL, "deepsign"): PaperFigures(0.85, 0.76, 0.84, 0.93),
            },
            notes=(_THRESHOLD, _PAIRS, 'The paper\'s "all" is CEDAR and the Bengali part of BHSig260.'),
        ),
        TableProtocol(
            name="deepsign-table7",
            title="Trained on CEDAR only, tested on new CEDAR writers and on other data sets (DeepSign paper, table 7)",
            plan=_cedar_only,
            steps=1600,
            together=False,
            paper={
                ("cedar", "signet"): PaperFigures(0.65, 0.70, 0.15, 0.78),
                ("cedar", "mobilenetv2"): PaperFigures(0.68, 0.67, 0.22, 0.72),
                ("cedar", "deepsign"): PaperFigures(0.76, 0.65, 0.59, 0.80),
                ("bhsig260", "signet"): PaperFigures(0.65, 0.53, 0.26, 0.64),
                ("bhsig260", "mobilenetv2"): PaperFigures(0.63, 0.52, 0.12, 0.59),
                ("bhsig260", "deepsign"): PaperFigures(0.74, 0.82, 0.50, 0.86),
            },
            notes=(_THRESHOLD, _PAIRS),
        ),
        TableProtocol(
            name="leave-one-out",
            title="Each data set tested by a model that was trained on the others",
            plan=_leave_one_out,
            steps=800,
            together=True,
            notes=(_THRESHOLD,),
        ),
        TableProtocol(
            name="cross-validation",
            title="Each writer tested once, by a model that was trained on no writer of the same fold",
            plan=_cross_validation,
            steps=800,
            together=True,
        ),
    )
}

SIZE_TABLE = "deepsign-table4"

SIZES: Mapping[str, PaperSize] = {
    "signet": PaperSize(
        6_460_974,
        25.0,
        "signet: the paper's number comes out if the two batch norms of table 1 scale the 37 and 18 rows of their "
        "maps (axis=1 of SigNet's channels-first code, on maps with channels last); with one scale for each of the 96 "
        "and 256 channels it would be 6,461,568.",
    ),
    "mobilenetv2": PaperSize(
        721_589,
        12.0,
        "mobilenetv2: the paper counts what it trains, the layers round a frozen body; its 12 MB are those of all "
        "2,945,461 parameters at 4 bytes.",
    ),
    "deepsign": PaperSize(
        256_992,
        1.1,
        "deepsign: the paper's number comes out with sqz = 48 in the last Fire block, where table 3 prints 32.",
    ),
}


def names() -> tuple[str, ...]:
    """The tables there are."""
    return (SIZE_TABLE, *PROTOCOLS)


def get(name: str) -> TableProtocol:
    """A table of accuracies by name. Raises UsageError if there is none."""
    if name not in PROTOCOLS:
        raise UsageError(f'no table "{name}"; choose from {", ".join(names())}')
    return PROTOCOLS[name]
