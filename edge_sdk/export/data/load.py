"""Load data sets by a short specification.

>>> data = load("synthetic:4")
>>> len(data.subjects), len(data.samples)
(4, 80)
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edge_sdk import modalities
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.catalogue import SourceName, split_kind
from edge_sdk.export.data.layouts import Entry, images
from edge_sdk.export.data.modality_data import ModalityData
from edge_sdk.export.data.people import person_id, unknown_person
from edge_sdk.export.data.samples import Dataset, ReportProgress, Sample, joined, unreported


def load(*specs: str, progress: ReportProgress = unreported, subjects: Collection[str] | None = None) -> Dataset:
    """Load one data set, or several into one.

    Args:
        specs: each the name of a data set and its argument, such as ``cedar:PATH`` or ``synthetic:48``;
            :func:`edge_sdk.export.data.catalogue.rows` lists all. In front may stand a rendering (``photo+cedar:PATH``,
            ``print+lfw:PATH``), and before all of these a crop (``crop+print+lfw:PATH``);
            :func:`edge_sdk.export.data.catalogue.prefixes` lists those. Rendered samples are of the same persons.
        progress: called with data sets that are rendered or drawn, such as
            :meth:`edge_sdk.export.training.progress.ProgressDisplay.report`.
        subjects: take only these people, before anything is rendered; None takes all.

    Raises:
        DatasetError: a folder is missing, empty or half-complete, two specifications hold the same person, or one of
            ``subjects`` is in none.
        UsageError: a specification cannot be read.
    """
    if not specs:
        raise UsageError("no data set given")
    sources = [_Source.read(spec, progress) for spec in specs]
    if subjects is not None:
        sources = [source.select(subjects) for source in sources]
        if unknown := sorted(set(subjects).difference(*(source.subjects for source in sources))):
            raise DatasetError(f"{', '.join(specs)}: no such subject: {', '.join(unknown[:5])}")
    return joined(*(source.rendered(progress) for source in sources if subjects is None or source.entries))


def load_unlabeled(*specs: str, modality: str, progress: ReportProgress = unreported) -> Dataset:
    """Load samples to learn from without labels.

    Args:
        specs: each as for :func:`load`, or any folder: every file of the modality below it is taken, of unknown people
            (subject ``FOLDER/unknown``).
        modality: A name of :data:`edge_sdk.modalities.MODALITIES`.
        progress: as for :func:`load`.

    Raises:
        DatasetError: a folder is missing, or there is no picture in it.
        UsageError: a specification cannot be read.
    """
    parts = [
        _Source.read(spec, progress).rendered(progress)
        if catalogue.find(original(spec.partition(":")[0]))
        else _load_files(Path(spec), modality)
        for spec in specs
    ]
    return Dataset(
        "+".join(part.name for part in parts),
        tuple(sample for part in parts for sample in part.samples),
        frozenset[str]().union(*(part.own for part in parts)),
    )


def _is_known(spec: str) -> bool:
    return catalogue.find(original(spec.partition(":")[0])) is not None


def original(name: str) -> str:
    """The name of the data set that one was rendered of, or cut out of; its own if neither.

    >>> original("crop+print+lfw"), original("lfw")
    ('lfw', 'lfw')
    """
    return split_kind(name).source


def before_rendering(name: str) -> str:
    """The name of the data set with the same pictures as they were: of its live faces, cut out alike.

    >>> before_rendering("crop+print+lfw"), before_rendering("print+lfw"), before_rendering("lfw")
    ('crop+lfw', 'lfw', 'lfw')
    """
    kind = split_kind(name)
    return f"{kind.crop}+{kind.source}" if kind.crop else kind.source


@dataclass(frozen=True)
class _Source:
    """A specification that was read, before its samples are rendered."""

    data: ModalityData
    kind: SourceName
    people: str
    own: bool
    entries: Sequence[Entry]

    @classmethod
    def read(cls, spec: str, progress: ReportProgress) -> _Source:
        name, _, rest = spec.partition(":")
        kind = split_kind(name)
        found = catalogue.find(kind.source)
        data, source = found or (None, None)
        if (
            data is None
            or source is None
            or not rest
            or (kind.rendering and kind.rendering not in data.renderings)
            or (kind.crop and kind.crop not in data.crops)
        ):
            raise UsageError(_unknown(spec))
        people, entries = source.load(rest, kind.source, partial(progress, f"drawing {kind.source}"))
        return cls(data, kind, people, source.own, entries)

    @property
    def subjects(self) -> set[str]:
        return {person_id(self.people, entry.person) for entry in self.entries}

    def select(self, subjects: Collection[str]) -> _Source:
        chosen = [entry for entry in self.entries if person_id(self.people, entry.person) in subjects]
        return replace(self, entries=chosen)

    def rendered(self, progress: ReportProgress) -> Dataset:
        # Parts of a data set are told apart when they are joined or named, but are one data set.
        kind, entries = self.kind, list(self.entries)
        dataset = kind.prefix + self.people
        shown = kind.prefix + (self.people if self.own else kind.source)
        report = partial(progress, f"rendering {shown}")
        if kind.crop:
            entries = self.data.crops[kind.crop].make(entries, kind.rendering, report)
        elif kind.rendering:
            entries = self.data.renderings[kind.rendering].make(entries, report)
        samples = tuple(sample_of(dataset, self.people, self.data.modality, entry) for entry in entries)
        return Dataset(shown, samples, frozenset({self.people}) if self.own else frozenset())


def _unknown(spec: str) -> str:
    expected = []
    for data in catalogue.DATA.values():
        names = ", ".join(f"{name}:{source.argument}" for name, source in data.sources.items())
        prefixes = " or ".join(f"{name}+" for name in (*data.renderings, *data.crops))
        expected.append(f"{names}{f' (in front may stand {prefixes})' if prefixes else ''}")
    return f'"{spec}" names no data set; expected {"; ".join(expected)}'


def sample_of(dataset: str, people: str, modality: str, entry: Entry) -> Sample:
    """An entry as a sample of a data set, of the people that are called ``people``."""
    return Sample(
        dataset,
        person_id(people, entry.person),
        entry.genuine,
        entry.path,
        entry.attack,
        entry.session,
        entry.pose,
        entry.faces,
        surroundings=entry.surroundings,
        camera=entry.camera,
        modality=modality,
    )


def _load_files(root: Path, modality: str) -> Dataset:
    root = root.expanduser()
    if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        raise DatasetError(f"{root}: no such folder; expected a folder of samples, or a data set such as cedar:PATH")
    suffixes = modalities.get(modality).suffixes
    paths = sorted(images(root, suffixes))
    if not paths:
        raise DatasetError(f"{root}: no samples; expected files that end in {', '.join(sorted(suffixes))}")
    name = root.resolve().name
    samples = (Sample(name, unknown_person(name), genuine=True, path=path, modality=modality) for path in paths)
    return Dataset(name, tuple(samples), frozenset({name}))
