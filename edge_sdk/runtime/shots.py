"""Many frames of one person, of which the best are compared (best-shot selection).

Frames of a video are alike in person and unlike in quality. The few best by :attr:`Prepared.quality
<edge_sdk.modalities.Prepared.quality>` are compared, each by itself, and their **scores are averaged**. Averaging the
embeddings instead would ask for another threshold: the mean of unit vectors is shorter than 1, so that scaling it back
to 1 raises every cosine, those of impostors too, above what the operating point was measured on. A mean of scores never
exceeds the highest of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from edge_sdk import images
from edge_sdk.errors import UsageError
from edge_sdk.modalities import Prepared
from edge_sdk.runtime import arrivals, sources
from edge_sdk.runtime.arguments import is_whole

FLAGS = ("corrupt", "bit_depth")
"""Of a frame that is no picture; see :mod:`edge_sdk.runtime.frames`."""

Prepare = Callable[[images.Image], Prepared]


@dataclass(frozen=True, eq=False)
class Shots:
    """Frames of one person, in place of a picture: ``verifier.verify(template, Shots("clip.mp4"))``.

    Attributes:
        frames: Path of a video, or frames in their order: pictures, or ``(seconds, picture)``. A generator can be used
            once. Damaged frames, None too, are passed over.
        best: How many are compared, from 1. A few are enough: neighbours in a video say nearly the same.
        most: How many are looked at, at most, from ``best``: a camera's frames have no end.
        gap_s: Frames with a time are looked at so many seconds apart.
    """

    frames: str | os.PathLike[str] | Iterable[arrivals.Arrival] = field(repr=False)
    best: int = 3
    most: int = 50
    gap_s: float = 0.2

    def __post_init__(self) -> None:
        whole = is_whole(self.best) and is_whole(self.most)
        if not (whole and 1 <= self.best <= self.most and 0 <= self.gap_s < float("inf")):
            raise UsageError(
                f"best is {self.best}, most {self.most}, gap_s {self.gap_s}; best and most are whole numbers, best is "
                "from 1 to most, gap_s from 0"
            )

    def select(self, prepare: Prepare, *, enrolling: bool = False) -> list[Prepared]:
        """The best frames, the best first; equals in their order.

        Args:
            prepare: What a verifier does with a decoded picture.
            enrolling: Whether to leave out what must not be enrolled.

        Returns:
            1 to ``best`` usable frames; if none is usable, one that is blocked, with the flags of all; nothing if there
            are no frames.

        Raises:
            InputError, UsageError: As :func:`edge_sdk.runtime.arrivals.decoded` and
                :func:`edge_sdk.runtime.sources.video`.
        """
        usable, refused = list[Prepared](), list[Prepared]()
        for picture in self._pictures():
            image, flags = arrivals.decoded(picture)
            one = Prepared(np.empty(0, np.float32), flags, flags) if image is None else prepare(image)
            barred = one.blocking or (enrolling and one.not_enrolled)
            (refused if barred else usable).append(one)
            usable = sorted(usable, key=lambda shot: -shot.quality)[: self.best]
        if usable or not refused:
            return usable
        flags = tuple(dict.fromkeys(flag for one in refused for flag in one.flags))
        return [Prepared(np.empty(0, np.float32), flags, flags)]

    def _pictures(self) -> Iterator[images.Source | None]:
        """The pictures to look at."""
        named = isinstance(self.frames, (str, os.PathLike))
        frames = sources.video(self.frames) if named else arrivals.opened(self.frames)  # type: ignore[arg-type]
        last, left = None, self.most
        for frame in frames:
            time, picture = arrivals.stamped(frame)
            if isinstance(frame, tuple):
                if last is not None and 0 <= time - last < self.gap_s:
                    continue
                last = time
            yield picture
            left -= 1
            if not left:
                return
