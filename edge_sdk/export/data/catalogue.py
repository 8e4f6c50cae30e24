"""All data sets: which there are, by modality. To add a modality, write its folder and add its line to :data:`DATA`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_sdk.errors import UsageError
from edge_sdk.export.data import faces, gait, signatures
from edge_sdk.export.data.modality_data import AnyDataSource, ModalityData

DATA: dict[str, ModalityData] = {one.modality: one for one in (signatures.DATA, faces.DATA, gait.DATA)}


@dataclass(frozen=True)
class DataSetInfo:
    """A data set for people to read.

    Attributes:
        specification: ``cedar:PATH``.
        modality: Of its samples.
        description: Its files.
        licence: What its owner states.
        commercial_use: Of models trained on it.
    """

    specification: str
    modality: str
    description: str
    licence: str
    commercial_use: bool


@dataclass(frozen=True)
class SourceName:
    """What stands before the colon of a specification, taken apart: ``crop+print+lfw``.

    Attributes:
        crop, rendering: Their names, or nothing.
        source: The name of the data set.
    """

    crop: str
    rendering: str
    source: str

    @property
    def prefix(self) -> str:
        """``crop+print+``."""
        return "".join(f"{part}+" for part in (self.crop, self.rendering) if part)


def of(modality: str) -> ModalityData:
    """The data of a modality. Raises UsageError if there are none."""
    if modality not in DATA:
        raise UsageError(f"there are no data sets of the modality {modality!r}; choose from {', '.join(DATA)}")
    return DATA[modality]


def find(name: str) -> tuple[ModalityData, AnyDataSource] | None:
    """The row of a data set by its name without prefixes, with its modality; None if there is none."""
    return next(((data, data.sources[name]) for data in DATA.values() if name in data.sources), None)


def split_kind(name: str) -> SourceName:
    """Take the prefixes off a data set's name.

    >>> split_kind("crop+print+lfw")
    SourceName(crop='crop', rendering='print', source='lfw')
    """
    crop = _prefix(name, {crop for data in DATA.values() for crop in data.crops})
    rest = name.removeprefix(f"{crop}+")
    rendering = _prefix(rest, {rendering for data in DATA.values() for rendering in data.renderings})
    return SourceName(crop, rendering, rest.removeprefix(f"{rendering}+"))


def rows() -> Iterator[DataSetInfo]:
    """Every data set, by modality, for help texts and documentation."""
    for data in DATA.values():
        for name, source in data.sources.items():
            yield DataSetInfo(
                specification=f"{name}:{source.argument}",
                modality=data.modality,
                description=source.description,
                licence=source.licence.statement.format(name=name),
                commercial_use=source.licence.commercial_use,
            )


def prefixes() -> Iterator[tuple[str, str, str]]:
    """What may stand before a data set's name: (prefix, modality, description)."""
    for data in DATA.values():
        for table in (data.renderings, data.crops):
            for name, one in table.items():
                yield f"{name}+", data.modality, one.description


def _prefix(name: str, known: set[str]) -> str:
    head, plus, _ = name.partition("+")
    return head if plus and head in known else ""
