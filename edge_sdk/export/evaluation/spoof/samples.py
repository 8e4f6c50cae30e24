"""The samples of a liveness evaluation: each through the runtime's detector once, with a score or without."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.calibration.thresholds import rate
from edge_sdk.errors import InputError
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.spoof.projection import POINTS, ComparedOutput
from edge_sdk.manifest import Rate
from edge_sdk.preprocess import Image
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import SpoofDetector
from edge_sdk.runtime.engines import Tensors

EXAMPLES = 3  # people of each data set and class
Count = Callable[[int, int], None]
"""Called with the number of samples done and in all."""


@dataclass(frozen=True, eq=False)
class ScoredSample:
    """What the detector found in one picture.

    Attributes:
        score: Higher is more likely live; NaN for a non-response.
        flags: As a stream has them (:mod:`edge_sdk.runtime.frames`).
        error: What reading the picture raised, by name; else empty.
        boxes: Of all faces.
        digest: Of the pixels; None for a picture that cannot be read.
        point: Where it lies in the evaluation's projection of latents, if it is drawn.
        tensors: What the score is computed from, where it is to be fitted anew; else empty.
    """

    sample: Sample
    score: float = math.nan
    flags: tuple[str, ...] = ()
    error: str = ""
    boxes: tuple[Box, ...] = ()
    digest: bytes | None = None
    point: NDArray[np.float32] | None = None
    tensors: Tensors = field(default_factory=dict)

    @property
    def scored(self) -> bool:
        """Whether the detector responded."""
        return math.isfinite(self.score)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why there is no score; empty if there is one."""
        if self.scored:
            return ()
        return (self.error,) if self.error else self.flags or ("no_face",)


@dataclass(frozen=True, eq=False)
class ExampleSample:
    """A picture for the report: the face as cut out, its score, and what the network took and gave."""

    sample: Sample
    face: Image
    score: float
    tensors: Tensors


@dataclass(frozen=True)
class NonResponse:
    """A picture without a score. reasons: flags, ``no_face``, or the name of the error that reading it raised."""

    path: str
    data: str
    subject: str
    attack: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class SpoofDataSummary:
    """What was evaluated; attacks, and their non-response rate APNRR, by species. BPNRR is that of live faces."""

    name: str
    subjects: int
    live: int
    attacks: dict[str, int]
    bpnrr: Rate | None
    apnrr: dict[str, Rate]


def score_samples(
    detector: SpoofDetector,
    samples: Sequence[Sample],
    compared: ComparedOutput | None,
    *,
    kept: Collection[str] = (),
    seed: int = 0,
    progress: Count | None = None,
) -> tuple[tuple[ScoredSample, ...], tuple[ExampleSample, ...]]:
    """Score every sample once, in order; keep the points of those drawn by `seed`, and a few examples.

    Of every sample the tensors named ``kept`` are kept too. Examples are the first scored pictures of the first people
    of each data set's live faces and of each species.
    """
    drawn = _drawn(samples, seed) if compared else frozenset()
    examples: dict[tuple[str, str], dict[str, ExampleSample]] = defaultdict(dict)
    found = []
    for number, sample in enumerate(samples):
        scored, example = _score(detector, sample, compared if number in drawn else None, kept)
        found.append(scored)
        people = examples[sample.dataset, sample.attack or ""]
        if example and sample.subject not in people and len(people) < EXAMPLES:
            people[sample.subject] = example
        if progress is not None:
            progress(number + 1, len(samples))
    return tuple(found), tuple(itertools.chain.from_iterable(examples[key].values() for key in sorted(examples)))


def non_response(picture: ScoredSample) -> NonResponse:
    """A picture without a score, for the list."""
    sample = picture.sample
    return NonResponse(str(sample.path), sample.dataset, sample.subject, sample.attack, picture.reasons)


def summary(name: str, samples: Sequence[ScoredSample], *, replicates: int = 1000, seed: int = 0) -> SpoofDataSummary:
    """Count the pictures of one data set."""
    own = [picture for picture in samples if picture.sample.dataset == name]
    classes: dict[str, list[ScoredSample]] = defaultdict(list)
    for picture in own:
        classes[picture.sample.attack or ""].append(picture)
    missing = {
        kind: rate(
            np.array([not picture.scored for picture in pictures]),
            np.array([picture.sample.subject for picture in pictures]),
            replicates=replicates,
            seed=seed,
        )
        for kind, pictures in sorted(classes.items())
    }
    bpnrr = missing.pop("", None)
    return SpoofDataSummary(
        name=name,
        subjects=len({picture.sample.subject for picture in own}),
        live=len(classes.get("", ())),
        attacks={kind: len(classes[kind]) for kind in missing},
        bpnrr=bpnrr,
        apnrr=missing,
    )


def _score(
    detector: SpoofDetector, sample: Sample, compared: ComparedOutput | None, kept: Collection[str]
) -> tuple[ScoredSample, ExampleSample | None]:
    try:
        picture = images.load(sample.path)
    except (InputError, OSError) as error:
        return ScoredSample(sample, flags=("corrupt",), error=type(error).__name__), None
    digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
    found = detector.examine(picture)
    point = compared.point(found.tensors) if compared and found.tensors else None
    tensors = {name: values for name, values in found.tensors.items() if name in kept}
    scored = ScoredSample(
        sample, found.score, found.flags, boxes=found.boxes, digest=digest, point=point, tensors=tensors
    )
    if not found.tensors or found.face is None:
        return scored, None
    return scored, ExampleSample(sample, found.face, found.score, found.tensors)


def _drawn(samples: Sequence[Sample], seed: int) -> frozenset[int]:
    """Indices of at most :data:`POINTS` samples, as many of each data set's live faces and species where there are."""
    rng = np.random.default_rng(seed)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in rng.permutation(len(samples)).tolist():
        groups[samples[number].dataset, samples[number].attack or ""].append(number)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*(groups[key] for key in sorted(groups))))
    return frozenset(itertools.islice((number for number in turns if number is not None), POINTS))
