"""How each set of faces names its files: live ones, and presentation attacks by their species.

NUAA says in lists what is for training and what for testing; all others are told by their folders, as those of
signatures in :mod:`edge_sdk.export.data.layouts`. Groups of a pattern: ``person``; where there is one, ``attack``,
the species; and ``session``, the recording that an image is a frame of.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.layouts import Entry, Pose, matched, order, require_content, some
from edge_sdk.export.data.modality_data import OWN, DataSource, research
from edge_sdk.images import natural

POSES = "poses.csv"
"""Optional, in the root of one's own folders: a line ``file,x,y,z`` for each image with a known :class:`Pose`."""


@dataclass(frozen=True)
class Folders:
    """Faces by folder; ``description`` is what an error message says it should look like.

    Images that fit ``passed_over`` belong to the set as published, and are left out. With an ``attack`` pattern, live
    images alone, or attacks alone, are half of a data set.
    """

    description: str
    live: str
    attack: str | None = None
    passed_over: str | None = None

    def entries(self, root: Path) -> list[Entry]:
        patterns = [pattern for pattern in (self.live, self.attack, self.passed_over) if pattern]
        poses = read_poses(root)
        found = []
        for match, path in matched(root, self.description, *patterns):
            if match.re.pattern == self.passed_over:
                continue
            groups = match.groupdict()
            attack = groups["attack"].lower() if "attack" in groups else None
            pose = poses.get(path.relative_to(root))
            found.append(Entry(groups["person"], attack is None, path, attack, groups.get("session"), pose))
        if not found:
            raise DatasetError(f"{root}: none of the images is wanted; expected {self.description}")
        if self.attack:
            self._require_both(root, found)
        return sorted(found, key=order)

    def _require_both(self, root: Path, entries: list[Entry]) -> None:
        species = {entry.attack for entry in entries}
        folders = (path.name.lower() for path in root.iterdir() if path.is_dir())
        announced = {name for name in folders if name.startswith("attack-")}
        empty = sorted(announced - {f"attack-{attack}" for attack in species})
        if None not in species:
            empty.append("live")
        if empty or species == {None}:
            raise DatasetError(
                f"{root}: half-complete: no images in {some(empty or ['attack-TYPE'])}; expected {self.description}; "
                "live faces alone are live:PATH"
            )


@dataclass(frozen=True)
class Nuaa:
    """NUAA's normalised faces by its official lists: 64 x 64, gray, attacks are photographs of prints.

    ``0003_01_05_02_17.bmp`` is frame 17 of person 0003, with glasses, in light 05, on day 02: all but the frame's
    number names a session, and the day stands for a camera. Windows' path separators in the lists are read as such.
    """

    parts: tuple[str, ...]
    """Of ``train`` and ``test``."""
    new: bool = False
    """Only people who are in neither training list: the official test list repeats nine of them (ERRATA)."""
    day: str = ""
    """Only what was recorded on this day, such as ``01``: light and place were others on the next one."""

    description = "client_{train,test}_normalized.txt, imposter_... alike, ClientNormalized/, ImposterNormalized/"
    _LINE = re.compile(r"(?P<person>\d{4})[\\/](?P=person)_(?P<session>\d\d_\d\d_\d\d)_\d+\.bmp", re.IGNORECASE)

    def entries(self, root: Path) -> list[Entry]:
        if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            raise DatasetError(f"{root}: no such folder; expected {self.description}")
        found = [entry for part in self.parts for entry in self._listed(root, part)]
        if self.new:
            known = {entry.person for entry in self._listed(root, "train")}
            found = [entry for entry in found if entry.person not in known]
        if not found:
            raise DatasetError(f"{root}: nobody is in the test lists alone, so there are no new people")
        if self.day:
            found = [entry for entry in found if (entry.session or "").endswith(f"_{self.day}")]
            if not found:
                raise DatasetError(f"{root}: nothing in the lists was recorded on day {self.day}")
        return sorted(found, key=order)

    def _listed(self, root: Path, part: str) -> list[Entry]:
        live = self._read(root, f"client_{part}_normalized.txt", "ClientNormalized", None)
        return live + self._read(root, f"imposter_{part}_normalized.txt", "ImposterNormalized", "print")

    def _read(self, root: Path, name: str, folder: str, attack: str | None) -> list[Entry]:
        try:
            lines = (root / name).read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{root}: no list {name}; expected {self.description}") from error
        matches = [self._LINE.fullmatch(line) for line in lines]
        if not lines or not all(matches):
            wrong = next((line for line, match in zip(lines, matches, strict=True) if not match), "nothing")
            raise DatasetError(f"{root / name}: expected lines such as 0001\\0001_00_00_01_0.bmp, not {wrong}")
        paths = [root / folder / line.replace("\\", "/") for line in lines]
        if missing := [path.relative_to(root).as_posix() for path in paths if not path.is_file()]:
            raise DatasetError(
                f"{root}: half-complete: {len(missing)} of the {len(paths)} images in {name} are missing: "
                f"{some(sorted(missing, key=natural))}; fetch them again"
            )
        require_content(root, paths)
        return [
            Entry(
                match["person"], attack is None, path, attack, match["session"], camera=f"day {match['session'][-2:]}"
            )
            for match, path in zip(matches, paths, strict=True)
            if match
        ]


_CFP = r"Data/Images/(?P<person>\d{3})/"
_OWN = r"(?P<person>[^/]+)/(?:(?P<session>.+)/)?[^/]+"
_FILES = "(png, jpg, bmp or tif)"

_NUAA, _LFW, _CFP_FACES = research("NUAA faces"), research("LFW faces"), research("CFP faces")

SOURCES: dict[str, DataSource] = {
    "nuaa": DataSource(Nuaa(("train", "test")), _NUAA),
    "nuaa-train": DataSource(Nuaa(("train",)), _NUAA, people="nuaa"),
    "nuaa-train-day1": DataSource(Nuaa(("train",), day="01"), _NUAA, people="nuaa"),
    "nuaa-train-day2": DataSource(Nuaa(("train",), day="02"), _NUAA, people="nuaa"),
    "nuaa-test": DataSource(Nuaa(("test",)), _NUAA, people="nuaa"),
    "nuaa-test-new": DataSource(Nuaa(("test",), new=True), _NUAA, people="nuaa"),
    "lfw": DataSource(Folders("PERSON/PERSON_NNNN.jpg", live=r"(?P<person>[^/]+)/(?P=person)_\d{4}"), _LFW),
    "cfp": DataSource(
        Folders("Data/Images/NNN/{frontal,profile}/NN.jpg", live=_CFP + r"(?:frontal|profile)/\d+"), _CFP_FACES
    ),
    "cfp-frontal": DataSource(
        Folders("Data/Images/NNN/frontal/NN.jpg", live=_CFP + r"frontal/\d+", passed_over=_CFP + r"profile/\d+"),
        _CFP_FACES,
        people="cfp",
    ),
    "live": DataSource(Folders(f"PERSON/* or PERSON/RECORDING/* {_FILES}", live=_OWN), OWN, own=True),
    "spoof": DataSource(
        Folders(
            f"live/PERSON/* and attack-TYPE/PERSON/*, or each with RECORDING/ below PERSON {_FILES}",
            live="live/" + _OWN,
            attack=r"attack-(?P<attack>[a-z0-9]+(?:[-_][a-z0-9]+)*)/" + _OWN,
        ),
        OWN,
        own=True,
    ),
}


def read_poses(root: Path) -> dict[Path, Pose]:
    """Head poses by the image's path below ``root``; empty if there is no :data:`POSES` file.

    Raises:
        DatasetError: a line that is not ``file,x,y,z`` in degrees (the first may name the columns), or no such image.
    """
    path = root / POSES
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is no text in UTF-8: {error}") from error
    poses: dict[Path, Pose] = {}
    for number, row in enumerate(csv.reader(lines), start=1):
        if not row or (number == 1 and row == ["file", *Pose._fields]):
            continue
        try:
            name, *angles = row
            pose = Pose(*map(float, angles))
        except (ValueError, TypeError) as error:
            raise DatasetError(f"{path}, line {number}: expected file,x,y,z in degrees, not {row}") from error
        if not all(-180 <= angle <= 180 for angle in pose):  # NaN, too
            raise DatasetError(f"{path}, line {number}: angles are between -180 and 180 degrees, not {angles}")
        if not (root / name).is_file():
            raise DatasetError(f"{path}, line {number}: no such image: {name}")
        poses[Path(name)] = pose
    return poses
