"""An evaluation's pictures as HTML: what pre-processing makes of a few samples, and the pairs decided wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

import msgspec
import numpy as np

from edge_sdk.errors import InputError
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.html import file_thumbnail, short_name, thumbnail
from edge_sdk.export.evaluation.verification.evaluate import Report, WrongPair
from edge_sdk.preprocess import Image, Operation, trace

_PAIR, _STAGE = 300, 150  # pixels on a thumbnail's longer side
_KINDS = (
    ("Skilled forgeries that were accepted", False, "skilled"),
    ("Other people's signatures that were accepted", False, "random"),
    ("Genuine signatures that were rejected", True, "skilled"),
)


def stages(
    operations: Sequence[Operation], samples: Sequence[Sample], read: Callable[[Sample], Image] = Sample.read
) -> Iterable[str]:
    """A table with a row for each sample: the picture that `read` gives, then after each operation."""
    yield "<h2>From pixel to network input</h2>"
    yield "<p class=muted>The picture after each operation; a dash where an operation left it as it was.</p>"
    head = "".join(f"<th>{_operation(operation)}</th>" for operation in operations)
    rows = "".join(f"<tr>{''.join(_row(operations, sample, read))}</tr>" for sample in samples)
    head = f"<tr><th class=text>data, file</th><th>as read</th>{head}</tr>"
    yield f"<div class=scroll><table class=stages>{head}{rows}</table></div>"


def wrong_pairs(report: Report) -> Iterable[str]:
    """The pairs on the wrong side of the threshold, by kind of error; nothing where the bundle has no threshold."""
    if report.threshold is None:
        return
    for title, mated, forgeries in _KINDS:
        pairs = [pair for pair in report.wrong_pairs if pair.mated is mated and pair.forgeries == forgeries]
        yield f"<h2>{title}</h2>"
        if not pairs:
            yield "<p class=muted>None.</p>"
            continue
        yield f"<p class=muted>Furthest from the threshold {report.threshold:.4f} first; each picture once.</p>"
        yield f"<div class=pairs>{''.join(map(_pair, pairs))}</div>"


def _operation(operation: Operation) -> str:
    settings = msgspec.to_builtins(operation)
    name = settings.pop("op")
    values = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{escape(name)}<br><span class=muted>{escape(values)}</span>"


def _row(operations: Sequence[Operation], sample: Sample, read: Callable[[Sample], Image]) -> Iterable[str]:
    yield f"<td class=text>{escape(sample.dataset)}<br><span class=muted>{escape(short_name(sample.path))}</span></td>"
    try:
        picture = read(sample)
    except (InputError, OSError) as error:  # gone since it was embedded
        yield f"<td class=text colspan={len(operations) + 1}>{escape(str(error))}</td>"
        return
    yield f"<td>{thumbnail(picture, _STAGE, 'as read')}</td>"
    for operation, after in trace(operations, picture):
        same = np.array_equal(after, picture)
        shown = "&ndash;" if same else thumbnail(after, _STAGE, f"after {type(operation).__name__}")
        yield f"<td>{shown}</td>"
        picture = after


def _pair(pair: WrongPair) -> str:
    names = " and ".join(map(short_name, (pair.reference, pair.query)))
    pictures = "".join(file_thumbnail(path, _PAIR) for path in (pair.reference, pair.query))
    return f"<figure>{pictures}<figcaption>score {pair.score:.4f}<br>{escape(names)}</figcaption></figure>"
