"""Load data sets by a short specification.

>>> data = load("synthetic:4")
>>> len(data.subjects), len(data.samples)
(4, 80)
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from edge_sdk import modalities
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.catalogue import split_kind
from edge_sdk.export.data.layouts import Entry, images
from edge_sdk.export.data.people import person_id, unknown_person
from edge_sdk.export.data.samples import Dataset, ReportProgress, Sample, joined, unreported


def load(*specs: str, progress: ReportProgress = unreported) -> Dataset:
    """Load one data set, or several into one.

    Args:
        specs: each the name of a data set and its argument, such as ``cedar:PATH`` or ``synthetic:48``;
            :func:`edge_sdk.export.data.catalogue.rows` lists all. In front may stand a rendering (``photo+cedar:PATH``,
            ``print+lfw:PATH``), and before all of these a crop (``crop+print+lfw:PATH``);
            :func:`edge_sdk.export.data.catalogue.prefixes` lists those. Rendered samples are of the same persons.
        progress: called with data sets that are rendered or drawn, such as
            :meth:`edge_sdk.export.training.progress.ProgressDisplay.report`.

    Raises:
        DatasetError: a folder is missing, empty or half-complete, or two specifications hold the same person.
        UsageError: a specification cannot be read.
    """
    if not specs:
        raise UsageError("no data set given")
    return joined(*(_load_one(spec, progress) for spec in specs))


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
        _load_one(spec, progress)
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


def _load_one(spec: str, progress: ReportProgress) -> Dataset:
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
    # Parts of a data set are told apart when they are joined or named, but are one data set.
    dataset, shown = kind.prefix + people, kind.prefix + (people if source.own else kind.source)
    report = partial(progress, f"rendering {shown}")
    if kind.crop:
        entries = data.crops[kind.crop].make(entries, kind.rendering, report)
    elif kind.rendering:
        entries = data.renderings[kind.rendering].make(entries, report)
    samples = tuple(sample_of(dataset, people, data.modality, entry) for entry in entries)
    return Dataset(shown, samples, frozenset({people}) if source.own else frozenset())


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
