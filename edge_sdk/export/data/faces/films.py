"""Films made of pictures: a person before a camera, and a print and a screen with a picture of the same person.

One live picture of each person becomes three recordings, before the same kind of camera and moved by the same kind of
hand. Their media are those of :mod:`edge_sdk.export.data.faces.instruments`, which training may have seen on other
people: they say how frames add up to a decision, not how real attacks fare.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.faces.instruments import INSTRUMENTS, NoInstrument
from edge_sdk.export.data.faces.recapture import BARE, CAMERA, VERSIONS, Picture, Shot, recapture
from edge_sdk.export.data.layouts import Entry
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, ToGray
from edge_sdk.preprocess.step import as_image
from edge_sdk.runtime.faces import Cascade

NAME = "film"
WIDTH, HEIGHT = 400, 300
FRAMES = 30
"""Of one film."""
KINDS = (BARE, *INSTRUMENTS)
# Part of the cache folders' names: raise it when a change here alters the frames.
VERSION = 1
_QUALITY = 92


def filmed(entries: Sequence[Entry], progress: cache.Count = cache.uncounted) -> list[Entry]:
    """The frames of three films of each person, rendered once into the user's cache folder; ``session`` names a film.

    They show the person's first live picture in which the cascade finds one face; people without one are left out.

    Args:
        progress: Called with the number of people done and in all.

    Raises:
        DatasetError: There are no live pictures, one cannot be read, or the cascade finds a face in none.
    """
    people = [list(pictures) for _, pictures in groupby((e for e in entries if e.genuine), lambda entry: entry.person)]
    found: list[Entry] = []
    for number, pictures in enumerate(people, 1):
        picture = _first_with_face(pictures)
        found += [frame for kind in KINDS for frame in _film(picture, kind)] if picture else []
        progress(number, len(people))
    if not found:
        raise DatasetError("the cascade finds a single face in none of the live pictures, so there is nothing to film")
    return found


def _first_with_face(pictures: Iterable[Entry]) -> Entry | None:
    cascade = Cascade()

    def located(picture: Image, _rng: np.random.Generator) -> bytes:
        return b"one face" if len(cascade(framed(ToGray()(picture)))) == 1 else b""

    group = f"{NAME}-v{VERSION}-faces"
    return next((one for one in pictures if cache.rendered([one], group, ".txt", located, "searched")), None)


def _film(picture: Entry, kind: str) -> list[Entry]:
    shown = picture if kind == BARE else picture._replace(genuine=False, attack=kind)
    shown = shown._replace(session=picture.path.stem)
    group = f"{NAME}-v{VERSION}-{kind}-v{VERSIONS[kind]}"
    return [
        entry
        for number in range(FRAMES)
        for entry in cache.rendered([shown], f"{group}/{number:02d}", ".jpg", partial(_frame, kind, number), "filmed")
    ]


def _frame(kind: str, number: int, face: Image, rng: np.random.Generator) -> bytes:
    """Frame ``number`` of a film, as JPEG: what the film shows is drawn anew for each, and alike."""
    rng = rng.spawn(len(KINDS))[KINDS.index(kind)]
    gray = ToGray()(face)
    shown = gray if kind == BARE else Picture.draw(rng)(gray, rng)
    instrument = NoInstrument() if kind == BARE else INSTRUMENTS[kind].draw(rng)
    shot = Shot.draw(rng)
    held = replace(shot, corners=(shot.corners + _hand(rng)[number]).astype(np.float32))
    seen = framed(recapture(shown, instrument, held, rng.spawn(FRAMES)[number]))
    return cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _hand(rng: np.random.Generator) -> NDArray[np.float64]:
    """Where the corners are moved to in each frame, ``(FRAMES, 4, 2)``: a hand trembles about a place, and loses it."""
    place, places = np.zeros((4, 2)), []
    for _ in range(FRAMES):
        place = 0.8 * place + rng.normal(0, 0.004, (1, 2)) + rng.normal(0, 0.001, (4, 2))
        places.append(place)
    return np.stack(places)


def framed(face: Image) -> Image:
    """``uint8 (HEIGHT, WIDTH)`` with the face ``(H, W)`` in its middle, as large as the camera makes it."""
    scale = CAMERA / max(face.shape)
    scaled = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    side, top = WIDTH - scaled.shape[1], HEIGHT - scaled.shape[0]
    return as_image(
        cv2.copyMakeBorder(scaled, top // 2, top - top // 2, side // 2, side - side // 2, cv2.BORDER_REPLICATE)
    )
