"""Whom a bundle's weights know: a figure for new people must not rest on anybody whom they were learned from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.bundle import Bundle
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.load import original
from edge_sdk.export.data.people import dataset_of, unknown_person
from edge_sdk.export.data.same_people import SamePeople
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.training.records import RunRecord


@dataclass(frozen=True)
class Knowledge:
    """Of the run that a bundle was exported from.

    Attributes:
        learned: Everybody whom the weights were learned from, also by teachers and under other names.
        validated: Everybody on whom the moment to stop was chosen.
    """

    learned: frozenset[str]
    validated: frozenset[str]

    @classmethod
    def read(cls, run: Path, bundle: Bundle, same: SamePeople) -> Knowledge:
        """Read a run's folder.

        Raises:
            TrainingError: It holds no run.
            UsageError: The bundle was exported from another run.
        """
        from edge_sdk.export.training.finished import Learned  # torch, which an evaluation without runs does not need

        record = RunRecord.read(run)
        training = bundle.manifest.training
        if (training.recipe, training.preset, training.people) != (
            record.recipe,
            record.described_preset,
            record.people_digest,
        ):
            why = "" if training.people else " (it is of before bundles said whom they learned from: export it again)"
            raise UsageError(
                f"{bundle.id} was not exported from {run}{why}; give the bundles and their runs in the same order"
            )
        learned = Learned.of(record, None).people
        return cls(_with_others(learned, same), _with_others(record.validation, same))

    def allows_test(self, people: Collection[str]) -> bool:
        """Whether nothing of the weights was learned from or chosen on these people."""
        return not self.learned.union(self.validated).intersection(people)

    def allows_threshold(self, people: Collection[str]) -> bool:
        """Whether nothing was learned from these people; a threshold may be chosen where the moment to stop was."""
        return not self.learned.intersection(people)

    def new_people(self, data: Dataset) -> Dataset:
        """The people of some data of whom the weights know nothing. Raises DatasetError if they know everybody."""
        new = [person for person in data.subjects if self.allows_test([person])]
        if not new:
            raise DatasetError(f"{data.name}: the bundle learned from everybody there, so that nobody can be tested")
        return data.select(new)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The data sets behind the weights whose people are not told apart, such as a foreign teacher's."""
        return tuple(sorted(dataset_of(name) for name in self.learned if name == unknown_person(dataset_of(name))))


def notes(bundle: Bundle, datasets: Collection[str], known: Knowledge | None) -> tuple[str, ...]:
    """What has to be said of a bundle's figures on people of these data sets."""
    training = bundle.manifest.training
    found = []
    if known is None:
        learned = sorted({original(name) for name in training.data}.intersection(datasets))
        if learned:
            found.append(
                f"{bundle.id} learned from people of {', '.join(learned)}, and without its run (--runs) nobody can say "
                "from whom: these figures may rest on people whom it knows"
            )
        if training.teachers:
            found.append(f"{bundle.id} was taught by {', '.join(training.teachers)}: those whom they know count too")
    elif known.unknown:
        found.append(
            f"{bundle.id} learned from {', '.join(known.unknown)}, whose people are not known: those tested here may "
            "be among them"
        )
    return tuple(found)


def _with_others(people: Collection[str], same: SamePeople) -> frozenset[str]:
    return frozenset(people) | same.others(people)
