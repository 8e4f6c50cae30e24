"""Pictures that are one file: a comparison of a file with itself measures nothing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_sdk import files, images
from edge_sdk.export.data.samples import Dataset, Sample


@dataclass(frozen=True)
class IdenticalPicture:
    """A picture that was left out.

    Attributes:
        path: Of the picture.
        subject: Whose it is said to be.
        like: The path of another with the same bytes.
        other: Whose that is said to be.
    """

    path: str
    subject: str
    like: str
    other: str


def without_identical(data: Dataset) -> tuple[Dataset, tuple[IdenticalPicture, ...]]:
    """The data without pictures that are byte for byte others of the same data set, and those that were left out.

    Of a person's identical pictures the first stays. Of those that are said to be of several people none does: nobody
    can say whose they are. What cannot be read is nobody's copy, and left to whoever reads it.
    """
    dropped: dict[Sample, Sample] = {}
    for alike in _identical(data.samples):
        people = {sample.subject for sample in alike}
        for number, sample in enumerate(alike):
            if len(people) > 1 or number:
                dropped[sample] = next(other for other in alike if other is not sample)
    if not dropped:
        return data, ()
    found = tuple(
        IdenticalPicture(str(sample.path), sample.subject, str(other.path), other.subject)
        for sample, other in dropped.items()
    )
    return replace(data, samples=tuple(sample for sample in data.samples if sample not in dropped)), found


def _identical(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples of one data set and the same bytes, several each."""
    sizes: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        try:
            sizes[sample.dataset, sample.path.stat().st_size].append(sample)
        except OSError:
            continue
    groups: dict[tuple[str, bytes], list[Sample]] = defaultdict(list)
    for (dataset, _), same_size in sizes.items():
        if len(same_size) < 2:
            continue
        for sample in same_size:
            try:
                data = files.read_bytes(sample.path, images.MAX_FILE_BYTES)
            except OSError:
                continue
            groups[dataset, hashlib.sha256(data).digest()].append(sample)
    return [group for group in groups.values() if len(group) > 1]
