"""Pictures of an evaluation report: what pre-processing makes of a few samples, and groups of captioned pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from edge_sdk import quality
from edge_sdk.errors import InputError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.html import CaptionedPictures, short_name, thumbnail
from edge_sdk.markup import Html
from edge_sdk.preprocess import Operation, trace
from edge_sdk.preprocess.region import InkRegion

_STAGE = 150  # pixels on a thumbnail's longer side


@dataclass(frozen=True)
class PictureGroup:
    """Captioned pictures under a title; the note is shown where there are any."""

    title: str
    figures: Sequence[CaptionedPictures]
    note: str = ""


@dataclass(frozen=True)
class OperationName:
    """An operation of the pre-processing, and its parameters."""

    name: str
    settings: str


@dataclass(frozen=True)
class StageRow:
    """One sample: as read, then after each operation, None where that left it as it was; or why it cannot be read.

    ``cut`` is what was cut out of a page before the first operation.
    """

    data: str
    file: str
    pictures: Sequence[Html | None] = ()
    problem: str = ""
    cut: Html | None = None


@dataclass(frozen=True)
class Stages:
    """Samples on their way to the network's input."""

    operations: Sequence[OperationName]
    rows: Sequence[StageRow]


def stages(
    operations: Sequence[Operation],
    samples: Sequence[Sample],
    read: Callable[[Sample], Any] = Sample.read,
    region: InkRegion | None = None,
) -> Stages:
    """A row for each sample: a picture of what `read` gives, then after each operation.

    Where ink is cut out of a page of any of them first, by the manifest's `region`, a picture of that comes before.
    """
    names = [_name(operation) for operation in operations]
    rows = [_row(operations, sample, read, region) for sample in samples]
    if region is not None and any(row.cut for row in rows):
        names.insert(0, OperationName("region", _settings(msgspec.to_builtins(region))))
        rows = [row if row.problem else _with_cut(row) for row in rows]
    return Stages(names, rows)


def _name(operation: Operation) -> OperationName:
    settings = msgspec.to_builtins(operation)
    name = settings.pop("op")
    return OperationName(name, _settings(settings))


def _with_cut(row: StageRow) -> StageRow:
    return replace(row, pictures=[row.pictures[0], row.cut, *row.pictures[1:]])


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _row(
    operations: Sequence[Operation], sample: Sample, read: Callable[[Sample], Any], region: InkRegion | None
) -> StageRow:
    data, file = sample.dataset, short_name(sample.path)
    try:
        picture = read(sample)
    except (InputError, OSError) as error:  # gone since it was scored
        return StageRow(data, file, problem=str(error))
    view = catalogue.of(sample.modality).view
    pictures: list[Html | None] = [thumbnail(view(picture), _STAGE, "as read")]
    seen = picture if region is None else quality.seen(operations, picture, region)
    cut = None if seen is picture else thumbnail(view(seen), _STAGE, "cut out of the page")
    picture = seen
    for operation, after in trace(operations, picture):
        same = np.array_equal(after, picture)
        pictures.append(None if same else thumbnail(view(after), _STAGE, f"after {type(operation).__name__}"))
        picture = after
    return StageRow(data, file, pictures, cut=cut)
