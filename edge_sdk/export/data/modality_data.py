"""What the workstation knows of one modality's data: its data sets, golden inputs, limits and pictures.

A data set is one row of its modality's ``layouts.py`` (:class:`DataSource`): files, description and licence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edge_sdk.calibration.metrics.pairs import Forgeries
from edge_sdk.export.data.cache import Count
from edge_sdk.export.data.layouts import Entry
from edge_sdk.preprocess import Image


@dataclass(frozen=True)
class Licence:
    """What the owner of a data set allows.

    Attributes:
        commercial_use: Of models that were trained on it.
        statement: For model cards; ``{name}`` stands for the data set's name.
    """

    commercial_use: bool
    statement: str


RESEARCH = "{title}: research use, as its owner states"
OWN = Licence(commercial_use=False, statement="{name}: the user's own data, licence not known to edge-sdk")


def research(title: str) -> Licence:
    """The licence of a data set for research."""
    return Licence(commercial_use=False, statement=RESEARCH.format(title=title))


class Layout(Protocol):
    """Where a data set's samples lie."""

    @property
    def description(self) -> str:
        """What a folder should look like, for help and error messages."""
        ...

    def entries(self, root: Path) -> list[Entry]:
        """Every sample of the data set, sorted; DatasetError if the folder is missing, empty or half-complete."""
        ...


@dataclass(frozen=True)
class DataSource:
    """One row: what stands before the colon of a specification, such as ``cedar:PATH``.

    Attributes:
        layout: Finds the samples below a folder.
        licence: Of the data set.
        people: The name that its people carry; the row's name without one. Parts of a set share it.
        own: Whether it is a user's folder, told apart from others by the folder's name.
    """

    layout: Layout
    licence: Licence
    people: str = ""
    own: bool = False

    argument: str = field(default="PATH", init=False)

    @property
    def description(self) -> str:
        """The files below the folder."""
        return self.layout.description

    def load(self, rest: str, kind: str, progress: Count) -> tuple[str, list[Entry]]:
        """The name that the data set's people carry, and its samples.

        Args:
            rest: What stands behind the colon.
            kind: What stands before it.
            progress: Called with how much of slow work is done, and with all of it.
        """
        del progress
        root = Path(rest).expanduser()
        entries = self.layout.entries(root)
        return root.resolve().name if self.own else self.people or kind, entries


@dataclass(frozen=True)
class GeneratedSource:
    """A row whose samples are made: ``synthetic:N``.

    Attributes:
        make: Makes the samples of what stands behind the colon.
    """

    make: Callable[[str, Count], list[Entry]]
    argument: str
    description: str
    licence: Licence
    own: bool = False

    def load(self, rest: str, kind: str, progress: Count) -> tuple[str, list[Entry]]:
        """As :meth:`DataSource.load`."""
        return kind, self.make(rest, progress)


AnyDataSource = DataSource | GeneratedSource


@dataclass(frozen=True)
class Rendering:
    """What can stand before a data set's name: ``print+lfw:PATH``.

    Attributes:
        make: The entries, rendered.
        description: For help.
    """

    make: Callable[[Sequence[Entry], Count], list[Entry]]
    description: str


@dataclass(frozen=True)
class Crop:
    """What can stand before all renderings: ``crop+print+lfw:PATH``.

    Attributes:
        make: The entries, first rendered by the name of a rendering or, where that is empty, as they are, then cut out.
        description: For help.
    """

    make: Callable[[Sequence[Entry], str, Count], list[Entry]]
    description: str


class PublishedPair(NamedTuple):
    """One line of a list."""

    fold: int
    first: Entry
    second: Entry
    mated: bool


class PairReader(Protocol):
    """Reads the lists of one data set."""

    def __call__(self, root: Path) -> list[PublishedPair]:
        """Every pair, in order; DatasetError if a list or a picture is missing, or a line cannot be read."""
        ...


@dataclass(frozen=True)
class Holdout:
    """Folds by their use, where each has one: the threshold is chosen on ``validation``."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class PairSource:
    """One row: what stands before the colon of ``cfp-ff:PATH``.

    Attributes:
        read: Its lists.
        people: The data set whose people they are of.
        description: The files below the folder, for help and error messages.
        holdout: The use of its folds; None where each is tested once, with the threshold chosen on the others.
    """

    read: PairReader
    people: str
    description: str
    holdout: Holdout | None = None


@dataclass(frozen=True)
class ModalityData:
    """The data of one modality.

    Attributes:
        modality: A name of :data:`edge_sdk.modalities.MODALITIES`.
        sources: Its data sets, by the name before the colon.
        impostors: The kinds of impostor comparisons that its data sets can have. Which a data set has follows from its
            samples (:func:`edge_sdk.export.data.samples.impostor_kinds`).
        golden: By task (``verify``: reference, then query; ``spoof``), makes the golden trial's raw files by name.
        limits: By task, what a model card says a model must not be used for, as Markdown.
        view: A raw sample as a picture, for reports.
        pairs: Its published lists of pairs, by the name before the colon.
    """

    modality: str
    sources: Mapping[str, AnyDataSource]
    impostors: tuple[Forgeries, ...]
    golden: Mapping[str, Callable[[], Mapping[str, bytes]]]
    limits: Mapping[str, str]
    view: Callable[[Any], Image]
    renderings: Mapping[str, Rendering] = field(default_factory=dict)
    crops: Mapping[str, Crop] = field(default_factory=dict)
    pairs: Mapping[str, PairSource] = field(default_factory=dict)
