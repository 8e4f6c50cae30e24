"""How each set of walks names its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_sdk.export.data.layouts import Entry, matched, order
from edge_sdk.export.data.modality_data import DataSource, Licence
from edge_sdk.sensors import SUFFIXES


@dataclass(frozen=True)
class WalkFiles:
    """One CSV file a walk, named by a pattern with the group ``person``; no walk imitates another person's.

    ``description`` is what an error message says the folder should look like.
    """

    description: str
    walk: str

    def entries(self, root: Path) -> list[Entry]:
        """Every walk below ``root``, sorted. Raises DatasetError as :func:`matched`."""
        found = matched(root, self.description, self.walk, suffixes=SUFFIXES)
        return sorted((Entry(match["person"], genuine=True, path=path) for match, path in found), key=order)


SOURCES: dict[str, DataSource] = {
    "nexus": DataSource(
        WalkFiles("userNN/walkMM.csv, lines of time stamp in ms, ax, ay, az in m/s^2", r"user(?P<person>\d+)/walk\d+"),
        Licence(commercial_use=False, statement="Nexus One walks: academic use, not commercial, as its owner states"),
    ),
}
