"""Pictures searched by the runtime's own locator, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_sdk.bundle import Bundle
from edge_sdk.errors import InputError
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.locate.matching import FLOOR, PictureOutcome, match
from edge_sdk.manifest import Variant
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.runtime import Locator

Count = Callable[[int, int], None]
"""Called with the number of samples done and in all."""


@dataclass(frozen=True)
class SearchedPicture:
    """One picture with all that was found in it, from a low confidence on."""

    sample: Sample
    faces: tuple[LocatedFace, ...]
    outcome: PictureOutcome


@dataclass(frozen=True)
class UnreadablePicture:
    """A picture that cannot be read; ``error`` is the name of what reading it raised."""

    sample: Sample
    error: str


@dataclass(frozen=True)
class Searched:
    """What one variant on one engine found."""

    bundle: Bundle
    variant: Variant
    engine: str
    pictures: tuple[SearchedPicture, ...]
    failures: tuple[UnreadablePicture, ...]


def search(
    bundle: str | Bundle,
    data: Dataset,
    *,
    engine: str = "auto",
    precision: str | None = None,
    threads: int = 1,
    progress: Count | None = None,
) -> Searched:
    """Search every picture of ``data`` once.

    Raises:
        DatasetError: Where the faces of a picture are is not known.
        BundleError, EngineError: The bundle cannot be run so.
    """
    pictures, failures = [], []
    with Locator(bundle, engine=engine, precision=precision, threads=threads) as locator:
        for number, sample in enumerate(data.samples, start=1):
            try:
                picture = sample.read()
            except InputError as error:
                failures.append(UnreadablePicture(sample, type(error).__name__))
            else:
                faces = locator.candidates(picture, FLOOR)
                pictures.append(SearchedPicture(sample, faces, match(sample, picture.shape, faces)))
            if progress:
                progress(number, len(data.samples))
        return Searched(locator.bundle, locator.variant, locator.engine, tuple(pictures), tuple(failures))
