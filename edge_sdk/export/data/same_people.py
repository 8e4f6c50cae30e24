"""People who are in several data sets under different names.

None of them is to be trained on under one name and tested under another. A table says who they are: CSV, a line for
each person, with all names: ``lfw/George_Clooney,cfp/012``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge_sdk import files
from edge_sdk.errors import DatasetError

MAX_BYTES = 16 * 2**20
_NAME = re.compile(r"[^/\s]+/\S.*")


@dataclass(frozen=True)
class SamePeople:
    """Who is who.

    Attributes:
        names: By each name of a person with several, all of them.
    """

    names: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, people: Iterable[Collection[str]]) -> SamePeople:
        """Of the names of each person. A name that stands for two of them makes them one."""
        names: dict[str, frozenset[str]] = {}
        for one in people:
            everyone = frozenset(one).union(*(names.get(name, frozenset()) for name in one))
            names.update(dict.fromkeys(everyone, everyone))
        return cls(names)

    @classmethod
    def read(cls, path: Path) -> SamePeople:
        """Read a table. Raises DatasetError if it cannot be read, or a line does not hold several names."""
        try:
            text = files.read_bytes(path, MAX_BYTES).decode("utf-8-sig")  # spreadsheets begin with a mark
            rows = list(csv.reader(text.splitlines(), strict=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{path} holds no table of people: {error}") from error
        people = []
        for number, row in enumerate(rows, start=1):
            found = [name.strip() for name in row]
            if not found or found[0].startswith("#"):
                continue
            if len(set(found)) < 2 or not all(_NAME.fullmatch(name) for name in found):
                raise DatasetError(
                    f"{path}, line {number}: expected the names of one person in two data sets or more, such as "
                    f"lfw/George_Clooney,cfp/012, not {','.join(row)}"
                )
            people.append(found)
        return cls.of(people)

    def others(self, people: Collection[str]) -> frozenset[str]:
        """The further names of these people, without those given."""
        return frozenset[str]().union(*(self.names.get(name, ()) for name in people)).difference(people)
