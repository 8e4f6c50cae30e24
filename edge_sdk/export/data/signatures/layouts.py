"""How each public set of signatures names its files: one pattern for genuine images, one for forgeries.

A pattern is matched against the whole path below the data set's root, without the file's ending, with ``/`` between
folders and regardless of case. Its group ``writer`` names the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.layouts import Entry, matched, order, some
from edge_sdk.export.data.modality_data import OWN, DataSource, research
from edge_sdk.images import natural


@dataclass(frozen=True)
class SignatureFiles:
    """File names of one data set; ``description`` is what an error message says the folder should look like.

    Without a ``forged`` pattern it has genuine signatures alone.
    """

    description: str
    genuine: str
    forged: str | None = None

    def entries(self, root: Path) -> list[Entry]:
        """Every image below ``root``, sorted.

        Raises:
            DatasetError: as :func:`matched`, or a writer with genuine signatures only or forgeries only.
        """
        patterns = [pattern for pattern in (self.genuine, self.forged) if pattern]
        found = [
            Entry(m["writer"], m.re.pattern == self.genuine, path)
            for m, path in matched(root, self.description, *patterns)
        ]
        if self.forged:
            _require_both_kinds(root, found)
        return sorted(found, key=order)


SOURCES: dict[str, DataSource] = {
    "cedar": DataSource(
        SignatureFiles(
            "full_org/original_WRITER_K.png and full_forg/forgeries_WRITER_K.png",
            genuine=r"full_org/original_(?P<writer>\d+)_\d+",
            forged=r"full_forg/forgeries_(?P<writer>\d+)_\d+",
        ),
        research("CEDAR offline signatures"),
    ),
    # A forgery is named by forger (4 digits) and writer (3 digits); a few stand the other way round (K_FORGERWRITER).
    "sigcomp2011": DataSource(
        SignatureFiles(
            "WRITER/WRITER_K.png and WRITER_forg/FORGERWRITER_K.png, for instance 001/001_01.png and "
            "001_forg/0119001_01.png",
            genuine=r"(?P<writer>\d+)/(?:(?P=writer)_\d+|\d+_(?P=writer))",
            forged=r"(?P<writer>\d+)_forg/(?:\d{4}(?P=writer)_\d+|\d+_\d{4}(?P=writer))",
        ),
        research("SigComp2011"),
    ),
    "svc2004": DataSource(
        SignatureFiles(
            "userU/genuine/UuSk.png and userU/forged/UuSk.png, for instance user1/genuine/U1S1.png",
            genuine=r"user(?P<writer>\d+)/genuine/U(?P=writer)S\d+",
            forged=r"user(?P<writer>\d+)/forged/U(?P=writer)S\d+",
        ),
        research("SVC2004"),
    ),
    "bhsig260": DataSource(
        SignatureFiles(
            "Bengali/NNN/B-S-NNN-G-KK.tif (forged: -F-) and the same under Hindi/ with H-S-",
            genuine=r"(?P<writer>(?:(?P<b>Bengali)|Hindi)/0*(?P<n>\d+))/(?(b)B|H)-S-0*(?P=n)-G-\d+",
            forged=r"(?P<writer>(?:(?P<b>Bengali)|Hindi)/0*(?P<n>\d+))/(?(b)B|H)-S-0*(?P=n)-F-\d+",
        ),
        research("BHSig260"),
    ),
    "folder": DataSource(
        SignatureFiles(
            "WRITER/genuine/*.png and WRITER/forged/*.png (png, jpg, bmp or tif)",
            genuine=r"(?P<writer>[^/]+)/genuine/[^/]+",
            forged=r"(?P<writer>[^/]+)/forged/[^/]+",
        ),
        OWN,
        own=True,
    ),
    "genuine": DataSource(
        SignatureFiles("WRITER/*.png, no forgeries (png, jpg, bmp or tif)", genuine=r"(?P<writer>[^/]+)/[^/]+"),
        OWN,
        own=True,
    ),
}


def _require_both_kinds(root: Path, entries: list[Entry]) -> None:
    genuine = {entry.person for entry in entries if entry.genuine}
    forged = {entry.person for entry in entries if not entry.genuine}
    for have, lack, missing in (("genuine", "forged", genuine - forged), ("forged", "genuine", forged - genuine)):
        if missing:
            raise DatasetError(
                f"{root}: half-complete: {len(missing)} writer(s) with {have} but no {lack} images: "
                f"{some(sorted(missing, key=natural))}; add the {lack} images or remove those writers"
            )
