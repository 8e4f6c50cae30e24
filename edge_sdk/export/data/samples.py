"""Samples of a data set: which file shows whom, and whether it is genuine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.layouts import Pose

Report = Callable[[str, int, int], None]
"""Called with what is slow (``rendering print+lfw``), how much of it is done, and all of it."""


def unreported(_what: str, _done: int, _total: int) -> None:
    """For callers who do not want to know."""


@dataclass(frozen=True)
class Sample:
    """One image.

    Attributes:
        dataset: The name of its data set.
        subject: The person whose signature or face it shows or imitates, unique across data sets.
        genuine: Written by this person, or this person's live face; else a forgery or a presentation attack.
        path: Of its file.
        attack: Species of a presentation attack, such as ``print`` or ``screen``; None for live faces and signatures.
        session: The recording, among those of the same subject and attack, that it is a frame of; None if of none.
        pose: Of the head, where it is known.
    """

    dataset: str
    subject: str
    genuine: bool
    path: Path
    attack: str | None = None
    session: str | None = None
    pose: Pose | None = None

    @property
    def rendered(self) -> bool:
        """Made of another image of this person, as by ``print+``."""
        return self.dataset != self.subject.partition("/")[0]

    def read(self) -> NDArray[np.uint8]:
        """The image as uint8, (H, W) gray, (H, W, 3) BGR or (H, W, 4) BGRA.

        Raises:
            InputError: the file is no readable image.
        """
        from edge_sdk import images

        return images.load(self.path)


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order: by data set, person, genuine before forged, file."""

    name: str
    samples: tuple[Sample, ...]

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """The persons, sorted, each once."""
        return tuple(sorted({sample.subject for sample in self.samples}))

    def select(self, subjects: Collection[str]) -> Dataset:
        """The samples of these subjects only, in the same order.

        Raises:
            DatasetError: a subject is not in this data set.
        """
        wanted = set(subjects)
        if unknown := sorted(wanted.difference(self.subjects)):
            raise DatasetError(f"{self.name}: no such subject: {', '.join(unknown[:5])}")
        return Dataset(self.name, tuple(sample for sample in self.samples if sample.subject in wanted))


def joined(*parts: Dataset) -> Dataset:
    """Several data sets as one.

    Raises:
        DatasetError: two of them hold the same person. Scans and photographs of one person are no such case.
    """
    owner: dict[tuple[str, str], str] = {}
    for part in parts:
        people = dict.fromkeys((sample.dataset, sample.subject) for sample in part.samples)
        for person in people:
            if person in owner:
                raise DatasetError(f"{owner[person]} and {part.name} both hold {person[1]}; give each person once")
        owner.update(dict.fromkeys(people, part.name))
    return Dataset("+".join(part.name for part in parts), tuple(s for part in parts for s in part.samples))


Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Who signed which image of a training set.

    Attributes:
        subject: ``int64 (N,)``, 0..S-1: the person whose signature the image shows or imitates.
        genuine: ``bool (N,)``.
    """

    subject: Indices
    genuine: NDArray[np.bool_]

    @cached_property
    def originals(self) -> tuple[Indices, ...]:
        """Per subject, the indices of its genuine images."""
        return tuple(np.flatnonzero((self.subject == s) & self.genuine) for s in range(self.subjects))

    @cached_property
    def forgeries(self) -> tuple[Indices, ...]:
        """Per subject, the indices of its skilled forgeries."""
        return tuple(np.flatnonzero((self.subject == s) & ~self.genuine) for s in range(self.subjects))

    @property
    def subjects(self) -> int:
        return int(self.subject.max(initial=-1)) + 1
