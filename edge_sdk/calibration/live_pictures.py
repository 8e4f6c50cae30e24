"""Live pictures of one's own camera: whose they are, and the faces in them that can be used.

A folder holds pictures of one person, or a folder for each person, with recordings below it or without; a video or a
camera shows one person. What cannot be used is kept with the reason: nothing is passed over silently.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.calibration.unusable import UnusablePicture, named
from edge_sdk.errors import DatasetError, InputError
from edge_sdk.runtime import arrivals, folders, sources
from edge_sdk.runtime.detector import SpoofDetector

LEAST, MOST = 50, 1000
"""Usable pictures: fewer support no BPCER of 10 %; more say little new, and all are held in memory."""

GAP_S = 0.2
"""Frames of a video or a camera are taken so far apart: neighbours say nearly the same."""

UNFAMILIAR = "unfamiliar"
"""The flag of a face that is unlike those trained on, which those of a new camera may well be."""


@dataclass(frozen=True)
class LivePicture:
    """One picture of a live person.

    Attributes:
        person: Any name, the same for all pictures of one person.
        name: What messages call the picture.
        picture: Path, encoded bytes or array; None where the camera gave none.
    """

    person: str
    name: str
    picture: images.Source | None


@dataclass(frozen=True, eq=False)
class LiveFaces:
    """The faces of the usable pictures.

    Attributes:
        faces: ``uint8 (H, W)`` or ``(H, W, 3)`` each, cut out as the bundle says.
        people: ``(N,)`` whose they are.
        unusable: Pictures that took no part.
        digest: SHA-256 over the pixels of the faces, 64 hex digits.
    """

    faces: tuple[images.Image, ...]
    people: NDArray[np.str_]
    unusable: tuple[UnusablePicture, ...]
    digest: str


def in_paths(paths: Sequence[str | os.PathLike[str]]) -> Iterator[LivePicture]:
    """The pictures in folders, and the frames of videos.

    Raises:
        DatasetError: A folder holds attacks, or pictures beside folders of people, or nothing.
        InputError: No such file or folder, or no video.
    """
    for each in paths:
        path = Path(each)
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            yield from of_frames(sources.video(path), path.stem, str(path))
            continue
        _require_live(path.resolve())
        people = _folders(path)
        if not people:
            yield from _pictures(path, path.resolve().name)
            continue
        _require_people_alone(path)
        for person in people:
            yield from _below(person, person.name)


def of_frames(frames: Iterable[arrivals.Arrival], person: str, source: str) -> Iterator[LivePicture]:
    """The frames of one person, those with a time no closer than :data:`GAP_S`."""
    last = None
    for frame in frames:
        time, picture = arrivals.stamped(frame)
        if last is None or not 0 <= time - last < GAP_S:
            last = time
            yield LivePicture(person, f"{source} at {time:.2f} s", picture)


def cut_out(
    detector: SpoofDetector, pictures: Iterable[LivePicture], *, same_size: bool, wanted: int | None = None
) -> LiveFaces:
    """The face of each picture that shows exactly one, and can be judged; the same picture counts once.

    Args:
        detector: Of the bundle, with what finds faces.
        same_size: Whether the pictures are whole frames, which one camera gives in one size.
        wanted: Usable pictures after which no further one is taken; None takes all.

    Raises:
        DatasetError: Fewer usable pictures than :data:`LEAST`, more than :data:`MOST`, or frames of several sizes.
        EngineError: The engine failed.
    """
    faces, people, unusable = list[images.Image](), list[str](), list[UnusablePicture]()
    seen, sizes, pixels = set[bytes](), Counter[tuple[int, int]](), hashlib.sha256()
    for one in pictures:
        face, shape, reasons = _face(detector, one.picture, seen)
        if face is None:
            unusable.append(UnusablePicture(one.name, one.person, reasons))
            continue
        faces.append(face)
        people.append(one.person)
        sizes[shape] += 1
        pixels.update(repr(face.shape).encode() + face.tobytes())
        if len(faces) > MOST:
            raise DatasetError(f"more than {MOST} usable pictures: take fewer, of more people")
        if len(faces) == wanted:
            break
    if len(faces) < LEAST:
        raise DatasetError(
            f"{len(faces)} usable live pictures of {len(faces) + len(unusable)}; a camera needs at least {LEAST}, each "
            f"with one face, and none of them twice{named(tuple(unusable))}"
        )
    if same_size and len(sizes) > 1:
        found = ", ".join(f"{count} of {a} x {b}" for (a, b), count in sizes.most_common(3))
        raise DatasetError(
            f"pictures of several sizes ({found}): those of one camera have one; give each camera a bundle of its own"
        )
    return LiveFaces(tuple(faces), np.array(people, np.str_), tuple(unusable), pixels.hexdigest())


def _face(
    detector: SpoofDetector, picture: images.Source | None, seen: set[bytes]
) -> tuple[images.Image | None, tuple[int, int], tuple[str, ...]]:
    """The face cut out, the frame's longer and shorter side; or no face and the reasons."""
    if picture is None:
        return None, (0, 0), ("corrupt",)
    try:
        image = images.load(picture)
        shape = max(image.shape[:2]), min(image.shape[:2])
        digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        if digest in seen:
            return None, shape, ("frozen",)
        seen.add(digest)
        found = detector.examine(image)
    except InputError as error:
        return None, (0, 0), (type(error).__name__,)
    reasons = tuple(flag for flag in found.flags if flag != UNFAMILIAR)
    if found.face is None or reasons:
        return None, shape, reasons or ("no_face",)
    return found.face, shape, ()


def _below(folder: Path, person: str) -> Iterator[LivePicture]:
    _require_live(folder)
    yield from _pictures(folder, person)
    for one in _folders(folder):
        yield from _below(one, person)


def _folders(folder: Path) -> list[Path]:
    """Those in a folder that are not hidden, 2 before 10."""
    found = (one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    return sorted(found, key=lambda one: images.natural(one.name))


def _pictures(folder: Path, person: str) -> Iterator[LivePicture]:
    """What lies directly in a folder; a folder of folders alone holds nothing."""
    if not any(one.is_file() for one in folder.iterdir()):
        return
    for item in folders.items(folder):
        if item.use != "other" and not os.path.isdir(item.path):  # noqa: PTH112 - as above
            yield LivePicture(person, str(item.path), item.path)


def _require_live(folder: Path) -> None:
    """Layouts of data name the folders of attacks so, above the people or below them."""
    if folder.name.lower().startswith("attack-"):
        raise DatasetError(f"{folder} holds attacks: give the folder of live pictures alone")


def _require_people_alone(path: Path) -> None:
    beside = [one for one in folders.items(path) if one.use == "picture"]
    if beside:
        raise DatasetError(
            f"{beside[0].path}: pictures beside folders of people; whose are they? Put them into a folder too"
        )
