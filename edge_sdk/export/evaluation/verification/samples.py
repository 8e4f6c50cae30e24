"""The samples of a verifier's evaluation: each embedded once, or a failure to acquire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import InputError, ScoreError, UsageError
from edge_sdk.export.data.catalogue import split_kind
from edge_sdk.export.data.samples import Sample
from edge_sdk.manifest import Image, Source
from edge_sdk.modalities.base import Prepared
from edge_sdk.runtime import Verifier

_AHEAD = 4  # samples a worker; they lie in memory until the engine takes them

Count = Callable[[int, int], None]
"""Called with the number of samples done and in all."""


@dataclass(frozen=True)
class AcquisitionFailure:
    """A picture that could not be used. reasons: quality flags, or the name of the error that reading it raised."""

    path: str
    subject: str
    genuine: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class VerificationDataSummary:
    """What was evaluated: people, pictures, and how many of the pictures failed to be acquired."""

    name: str
    subjects: int
    genuine: int
    forged: int
    failed_genuine: int
    failed_forged: int


@dataclass(frozen=True, eq=False)
class EmbeddedSamples:
    """The usable samples with their embeddings (N, D) and quality flags, and the failures to acquire.

    A sample of several rows, such as a walk of cycles, is there once for each.
    """

    samples: tuple[Sample, ...]
    embeddings: NDArray[np.float32]
    failures: tuple[AcquisitionFailure, ...]
    flags: tuple[tuple[str, ...], ...]

    @property
    def people(self) -> list[str]:
        """Whose each sample is."""
        return [sample.subject for sample in self.samples]

    def of(self, dataset: str) -> EmbeddedSamples:
        """The part of one data set."""
        return self.rows([k for k, sample in enumerate(self.samples) if sample.dataset == dataset])

    def rows(self, chosen: Sequence[int]) -> EmbeddedSamples:
        """Some of them, without the failures."""
        return EmbeddedSamples(
            tuple(self.samples[k] for k in chosen),
            self.embeddings[list(chosen)],
            (),
            tuple(self.flags[k] for k in chosen),
        )


def embed(
    verifier: Verifier, samples: Sequence[Sample], *, workers: int = 0, progress: Count | None = None
) -> EmbeddedSamples:
    """Pre-process and embed every sample once; those that the device would refuse become failures instead.

    Args:
        workers: Threads that decode and pre-process the next samples while the engine runs; without any it waits.
    """
    kept: list[Sample] = []
    embeddings: list[NDArray[np.float32]] = []
    failures: list[AcquisitionFailure] = []
    flags: list[tuple[str, ...]] = []
    acquired = _acquired(verifier, samples, workers)
    for done, (sample, prepared) in enumerate(zip(samples, acquired, strict=True), start=1):
        if isinstance(prepared, Prepared):
            embeddings.append(verifier.embed(prepared))
            kept += [sample] * len(embeddings[-1])
            flags += [prepared.flags] * len(embeddings[-1])
        else:
            failures.append(AcquisitionFailure(str(sample.path), sample.subject, sample.genuine, prepared))
        if progress is not None:
            progress(done, len(samples))
    if not kept:
        raise ScoreError(f"none of {len(samples)} pictures can be used")
    return EmbeddedSamples(tuple(kept), np.concatenate(embeddings), tuple(failures), tuple(flags))


def _acquired(verifier: Verifier, samples: Sequence[Sample], workers: int) -> Iterator[Prepared | tuple[str, ...]]:
    """Each sample as the network takes it, or why the device would refuse it; a few are prepared ahead by workers."""

    def acquire(sample: Sample) -> Prepared | tuple[str, ...]:
        try:
            prepared = verifier.prepare(sample.path)
        except (InputError, OSError) as error:
            return (type(error).__name__,)
        return prepared.blocking or prepared

    if not workers:
        yield from map(acquire, samples)
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Prepared | tuple[str, ...]]] = deque()
        for sample in samples:
            ahead.append(pool.submit(acquire, sample))
            if len(ahead) > _AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def faces_in(source: Source, samples: Sequence[Sample]) -> Literal["aligned", "locator"]:
    """How faces are to be found in pictures, by what stands before the names of their data sets.

    Pictures that were cut out as the bundle's manifest says (``align+`` where it aligns, else ``crop+``) are taken as
    they are; in all others the locator looks for the face. It matters only where the manifest cuts faces out.

    Raises:
        UsageError: Some pictures are cut out and others are not.
    """
    made_by = "align" if isinstance(source, Image) and source.alignment else "crop"
    cut_out = {split_kind(sample.dataset).crop == made_by for sample in samples}
    if len(cut_out) > 1:
        raise UsageError("some pictures are cut out and others are not: give them apart, or say what holds for all")
    return "aligned" if cut_out == {True} else "locator"


def summary(name: str, samples: Sequence[Sample], failures: Sequence[AcquisitionFailure]) -> VerificationDataSummary:
    """Count the people and pictures of one data set."""
    own = [sample for sample in samples if sample.dataset == name]
    paths = {str(sample.path) for sample in own}
    failed = [failure.genuine for failure in failures if failure.path in paths]
    genuine = sum(sample.genuine for sample in own)
    return VerificationDataSummary(
        name=name,
        subjects=len({sample.subject for sample in own}),
        genuine=genuine,
        forged=len(own) - genuine,
        failed_genuine=sum(failed),
        failed_forged=len(failed) - sum(failed),
    )
