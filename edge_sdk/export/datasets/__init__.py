"""Data sets of signatures and faces: load them by a short specification, split them by person.

>>> data = load("synthetic:4")
>>> len(data.subjects), len(data.samples)
(4, 80)
>>> train, validation, test = split_subjects(load("cedar:/data/cedar"), seed=1)  # doctest: +SKIP
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.datasets.faces import FACES
from edge_sdk.export.datasets.layouts import LAYOUTS, Entry, Pose, images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk.export.datasets.cache import Count

__all__ = ["Dataset", "Pose", "Sample", "folds", "joined", "load", "load_unlabeled", "split_subjects"]

KINDS = frozenset({*LAYOUTS, *FACES, "synthetic"})
OWN = frozenset({"folder", "live", "spoof"})
RENDERINGS = ("photo", "print", "screen", "camera")
CROP = "crop"

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


def load(*specs: str, progress: Report = unreported) -> Dataset:
    """Load one data set, or several into one.

    Args:
        specs: each a set of signatures: ``cedar:PATH``, ``sigcomp2011:PATH``, ``svc2004:PATH``, ``bhsig260:PATH``,
            ``folder:PATH`` (``PATH/WRITER/{genuine,forged}/*``), ``synthetic:N`` or ``synthetic:N@SEED`` (N writers,
            drawn once into the user's cache folder). With ``photo+`` in front, photographs of these scans
            (:mod:`edge_sdk.export.datasets.photograph`), of the same persons.
            Or a set of faces: ``nuaa:PATH``; its official lists, ``nuaa-train:PATH`` and ``nuaa-test:PATH``; the test
            list without the people of the training list, ``nuaa-test-new:PATH``; live faces alone, ``lfw:PATH``,
            ``cfp:PATH``, ``cfp-frontal:PATH``, ``live:PATH`` (``PATH/PERSON/*``); and ``spoof:PATH``
            (``PATH/live/PERSON/*``, ``PATH/attack-TYPE/PERSON/*``). In ``live`` and ``spoof`` a person may have a
            folder for each recording, and ``PATH`` a file of head poses
            (:data:`edge_sdk.export.datasets.faces.POSES`). With ``print+`` or ``screen+`` in front, attacks made of
            the live faces, and with ``camera+`` live faces before the same camera
            (:mod:`edge_sdk.export.datasets.recapture`), of the same persons. ``crop+`` before all of these cuts the
            faces out as a device does (:mod:`edge_sdk.export.datasets.crops`): ``crop+cfp:PATH``,
            ``crop+print+cfp:PATH``.
        progress: told of data sets that are rendered or drawn, such as
            :meth:`edge_sdk.export.progress.Progress.report`.

    Raises:
        DatasetError: a folder is missing, empty or half-complete, or two specifications hold the same person.
        UsageError: a specification cannot be read.
    """
    if not specs:
        raise UsageError("no data set given")
    return joined(*(_load_one(spec, progress) for spec in specs))


def load_unlabeled(*specs: str, progress: Report = unreported) -> Dataset:
    """Load pictures to learn from without labels.

    Args:
        specs: each as for :func:`load`, or any folder: every picture below it is taken, of nobody knows whom (subject
            ``FOLDER/unknown``).
        progress: as for :func:`load`.

    Raises:
        DatasetError: a folder is missing, or there is no picture in it.
        UsageError: a specification cannot be read.
    """
    parts = [
        _load_one(spec, progress) if original(spec.partition(":")[0]) in KINDS else _load_pictures(Path(spec))
        for spec in specs
    ]
    return Dataset("+".join(part.name for part in parts), tuple(sample for part in parts for sample in part.samples))


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


def split_subjects(
    dataset: Dataset, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> tuple[tuple[str, ...], ...]:
    """Split the persons at random into disjoint parts, each data set by the same fractions.

    How one data set is split depends on its own persons and the seed alone, not on the data sets beside it.

    Args:
        dataset: the persons to split.
        fractions: size of each part, positive, summing to 1.
        seed: another seed, another split.

    Raises:
        UsageError: the fractions are not positive or do not sum to 1.
        DatasetError: so few subjects that a part would be empty.
    """
    if min(fractions, default=0) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise UsageError(f"fractions must be positive and sum to 1, not {tuple(fractions)}")
    parts: list[list[str]] = [[] for _ in fractions]
    for subjects in _shuffled(dataset, seed):
        ends = np.rint(np.cumsum(fractions) * len(subjects)).astype(int)
        for part, chunk in zip(parts, np.split(subjects, ends[:-1]), strict=True):
            part.extend(chunk.tolist())
    return _complete(dataset, parts)


def folds(dataset: Dataset, n: int, seed: int = 0) -> tuple[tuple[str, ...], ...]:
    """Split the persons at random into ``n`` disjoint test folds of equal size (within 1), mixed alike by data set.

    Raises:
        UsageError: fewer than 2 folds.
        DatasetError: fewer subjects than folds.
    """
    if n < 2:
        raise UsageError(f"cross-validation needs at least 2 folds, not {n}")
    order = [subject for subjects in _shuffled(dataset, seed) for subject in subjects.tolist()]
    return _complete(dataset, [order[i::n] for i in range(n)])


def original(name: str) -> str:
    """The name of the data set that one was rendered of, or cut out of; its own if neither.

    >>> original("crop+print+lfw"), original("lfw")
    ('lfw', 'lfw')
    """
    return _prefixed(name)[2]


def before_rendering(name: str) -> str:
    """The name of the data set with the same pictures as they were: of its live faces, cut out alike.

    >>> before_rendering("crop+print+lfw"), before_rendering("print+lfw"), before_rendering("lfw")
    ('crop+lfw', 'lfw', 'lfw')
    """
    crop, _, source = _prefixed(name)
    return f"{crop}+{source}" if crop else source


def _prefixed(kind: str) -> tuple[str, str, str]:
    """:data:`CROP` or nothing, what is rendered (:data:`RENDERINGS`) or nothing, and what of."""
    crop = CROP if kind.startswith(CROP + "+") else ""
    kind = kind.removeprefix(CROP + "+")
    rendering = next((name for name in RENDERINGS if kind.startswith(name + "+")), "")
    return crop, rendering, kind.removeprefix(rendering + "+")


def _load_one(spec: str, progress: Report) -> Dataset:
    kind, _, rest = spec.partition(":")
    crop, rendering, kind = _prefixed(kind)
    known = rest and kind in KINDS
    if not known or (rendering and (kind in FACES) is (rendering == "photo")) or (crop and kind not in FACES):
        scans, faces = (", ".join(f"{name}:PATH" for name in kinds) for kinds in (LAYOUTS, FACES))
        raise UsageError(
            f'"{spec}" names no data set; expected {scans}, synthetic:N or synthetic:N@SEED, photo+ and one of these; '
            f"{faces}, print+, screen+ or camera+ and one of these, and crop+ before any of faces"
        )
    name, entries = _entries(kind, rest, partial(progress, f"drawing {kind}"))
    # Parts of NUAA are told apart when they are joined or named, but are one data set.
    dataset, shown = name, name if kind in OWN else kind
    if crop or rendering:
        prefix = "".join(f"{part}+" for part in (crop, rendering) if part)
        dataset, shown = prefix + dataset, prefix + shown
        entries = _rendered(rendering, entries, partial(progress, f"rendering {shown}"), crop=bool(crop))
    return Dataset(shown, tuple(_sample(dataset, name, entry) for entry in entries))


def _rendered(rendering: str, entries: list[Entry], progress: Count, *, crop: bool) -> list[Entry]:
    from edge_sdk.export.datasets import crops, photograph, recapture

    if rendering == "photo":
        return photograph.album(entries, progress)
    if crop:
        return crops.cropped(entries, rendering, progress)
    return recapture.recaptured(entries, rendering, progress)


def _entries(kind: str, rest: str, progress: Count) -> tuple[str, list[Entry]]:
    """The name that a data set's people carry, and its images."""
    if kind == "synthetic":
        from edge_sdk.export.datasets import synthetic

        return kind, synthetic.render(rest, progress)
    root = Path(rest).expanduser()
    entries = (FACES[kind] if kind in FACES else LAYOUTS[kind]).entries(root)
    # Users' folders are told apart by their names; the public sets have one name wherever they lie.
    return root.resolve().name if kind in OWN else kind.partition("-")[0], entries


def _sample(dataset: str, people: str, entry: Entry) -> Sample:
    return Sample(
        dataset, f"{people}/{entry.person}", entry.genuine, entry.path, entry.attack, entry.session, entry.pose
    )


def _load_pictures(root: Path) -> Dataset:
    root = root.expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected a folder of pictures, or a data set such as cedar:PATH")
    paths = sorted(images(root))
    if not paths:
        raise DatasetError(f"{root}: no pictures; expected png, jpg, bmp or tif files in it or below it")
    name = root.resolve().name
    return Dataset(name, tuple(Sample(name, f"{name}/unknown", genuine=True, path=path) for path in paths))


def _shuffled(dataset: Dataset, seed: int) -> list[NDArray[np.str_]]:
    # By the data set that a person comes from: scans and photographs of one person stay together.
    names = sorted({subject.partition("/")[0] for subject in dataset.subjects})
    groups = [[s for s in dataset.subjects if s.partition("/")[0] == name] for name in names]
    seeds = [(seed, zlib.crc32(name.encode())) for name in names]
    return [np.random.default_rng(s).permutation(np.array(group)) for s, group in zip(seeds, groups, strict=True)]


def _complete(dataset: Dataset, parts: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    if not all(parts):
        raise DatasetError(f"{dataset.name}: {len(dataset.subjects)} subjects are too few for {len(parts)} parts")
    return tuple(tuple(sorted(part)) for part in parts)
