"""Samples of a data set: which file is whose, and whether it is genuine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_sdk import modalities, preprocess
from edge_sdk.calibration.metrics.pairs import Forgeries
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.layouts import Pose
from edge_sdk.export.data.people import dataset_of
from edge_sdk.preprocess.crop import LocatedFace

ReportProgress = Callable[[str, int, int], None]
"""Called with what is slow (``rendering print+lfw``), how much of it is done, and all of it."""


def unreported(_what: str, _done: int, _total: int) -> None:
    """For callers who do not want to know."""


@dataclass(frozen=True)
class Sample:
    """One image or recording.

    Attributes:
        dataset: The name of its data set.
        subject: The person it is of or imitates, unique across data sets (:mod:`edge_sdk.export.data.people`).
        genuine: Written by this person, or this person's live face; else a forgery or a presentation attack.
        path: Of its file.
        attack: Species of a presentation attack, such as ``print`` or ``screen``; None for live faces and signatures.
        session: The recording, among those of the same subject and attack, that it is a frame of; None if of none.
        pose: Of the head, where it is known.
        faces: All faces in the image, where they are known; empty where there is none.
        surroundings: The file of the same picture with more on each side than a device sees, for random changes of an
            aligned face; None if there is none.
        camera: What took it, among the cameras of its data set: a kind of rendering camera, or the day of a recording;
            None where it is not known.
        modality: A name of :data:`edge_sdk.modalities.MODALITIES`.
    """

    dataset: str
    subject: str
    genuine: bool
    path: Path
    attack: str | None = None
    session: str | None = None
    pose: Pose | None = None
    faces: tuple[LocatedFace, ...] | None = None
    surroundings: Path | None = None
    camera: str | None = None
    modality: str = field(kw_only=True)

    @property
    def rendered(self) -> bool:
        """Made of another image of this person, as by ``print+``."""
        return self.dataset != dataset_of(self.subject)

    def read(self) -> Any:
        """The raw sample, as its modality decodes it: ``uint8 (H, W[, C])`` or a recording.

        Raises:
            InputError: the file cannot be decoded.
        """
        return modalities.get(self.modality).decode(self.path)

    def prepared(self, operations: Sequence[preprocess.Operation]) -> NDArray[np.float32]:
        """The sample through a pipeline, as the device takes it: the ink is cut out of a page first.

        Raises:
            InputError: the file cannot be decoded.
        """
        modality = modalities.get(self.modality)
        return modality.prepare(operations, self.read(), modality.source(operations, None)).tensor


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order: by data set, person, genuine before forged, file.

    Attributes:
        own: The data sets among them that are a user's own folders, whose licence nobody here knows.
    """

    name: str
    samples: tuple[Sample, ...]
    own: frozenset[str] = frozenset()

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
        return replace(self, samples=tuple(sample for sample in self.samples if sample.subject in wanted))


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
    return Dataset(
        "+".join(part.name for part in parts),
        tuple(sample for part in parts for sample in part.samples),
        frozenset[str]().union(*(part.own for part in parts)),
    )


def impostor_kinds(samples: Sequence[Sample]) -> tuple[Forgeries, ...]:
    """How impostors can be had of these samples, the hardest first: skilled forgeries only where there are some.

    >>> impostor_kinds([])
    ('random',)
    """
    forged = any(not sample.genuine and sample.attack is None for sample in samples)
    return ("skilled", "random") if forged else ("random",)


IMPOSTORS: Final[Mapping[Forgeries, str]] = {"skilled": "skilled forgeries", "random": "random impostors"}
"""What reports and manifests call the impostors of each kind."""

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

    @classmethod
    def of(cls, dataset: Dataset) -> Labels:
        """Number a data set's subjects in the order of their names."""
        number = {subject: index for index, subject in enumerate(dataset.subjects)}
        return cls(
            np.array([number[sample.subject] for sample in dataset.samples], np.int64),
            np.array([sample.genuine for sample in dataset.samples], np.bool_),
        )

    @property
    def subjects(self) -> int:
        """S."""
        return int(self.subject.max(initial=-1)) + 1
