"""Operating points of a bundle's variant on a user's own people, for several numbers of references of an enrolment.

Where samples give many rows, as walks give cycles, some rows of other samples take the references' place.
"""

from __future__ import annotations

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.pairs import Forgeries
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.thresholds import points_by_references
from edge_sdk.calibration.unusable import UnusablePicture, named
from edge_sdk.errors import DatasetError, ScoreError, UsageError
from edge_sdk.export.data.samples import IMPOSTORS, Dataset, impostor_kinds
from edge_sdk.export.evaluation.fitted import FittedThresholds, require_people
from edge_sdk.export.evaluation.verification.comparers import comparer_of
from edge_sdk.export.evaluation.verification.samples import Count, embed, faces_in
from edge_sdk.runtime import Verifier

OPTIONS: tuple[str, ...] = ()
"""What else :func:`fit` takes for this task."""


def fit(
    bundle: Bundle, variant: str, data: Dataset, *, engine: str, threads: int = 1, progress: Count | None = None
) -> FittedThresholds:
    """Fit the thresholds of one variant, by the runtime's own verifier.

    Impostors are skilled forgeries where every data set has some, and other people's genuine samples where none has.
    People of different data sets are never compared: the scanner would give them away. Faces are found where the bundle
    cuts them out of pictures and the data do not.

    Raises:
        UsageError: Some data sets have forgeries and others none.
        ScoreError: The score compares nobody without densities of people.
        DatasetError: Fewer than 5 people, nobody with two genuine samples, or no usable picture at all.
        EngineError: The engine refuses the variant, or fails.
    """
    kind = impostors(data)
    faces = faces_in(bundle.manifest.source, data.samples)
    with Verifier(bundle, engine=engine, precision=variant, threads=threads, faces=faces) as verifier:
        comparer = comparer_of(verifier.bundle, verifier.compare_pairs)
        protocols = comparer.by_references(kind)
        (compared, *_) = protocols.values()
        try:
            embedded = embed(verifier, data.samples, progress=progress)
        except ScoreError as error:
            raise DatasetError(f"{data.name}: {error}") from error
        unusable = tuple(UnusablePicture(one.path, one.subject, one.reasons) for one in embedded.failures)
        genuine = [sample.subject for sample in embedded.samples if sample.genuine]
        require_people(data.name, genuine, "with usable genuine samples", unusable)
        names = sorted({sample.dataset for sample in embedded.samples})
        found = []
        for name in names:
            try:
                found.append(comparer.scored(embedded.of(name), compared).scores)
            except ScoreError as error:
                raise DatasetError(f"{name}: {error}{named(unusable)}") from error
        scores = verification.concatenate(found)
        require_people(data.name, scores.subjects.tolist(), "with two usable genuine samples", unusable)

        def with_references(count: int) -> ScoreSet:
            if protocols[count] == compared:
                return scores
            parts = (comparer.scored(embedded.of(name), protocols[count]).scores for name in names)
            return verification.concatenate(tuple(parts))

        points = points_by_references(
            with_references,
            tuple(protocols),
            data=lambda count: f"{data.name}, {scores.subject_count} people, {protocols[count].described}",
        )
    return FittedThresholds(
        variant=variant,
        engine=engine,
        points=points,
        impostors=compared.described,
        subjects=scores.subject_count,
        unusable=unusable,
    )


def impostors(data: Dataset) -> Forgeries:
    """The hardest kind of impostors that the data sets have, which must be the same for all of them."""
    names = sorted({sample.dataset for sample in data.samples})
    kinds = {name: impostor_kinds([one for one in data.samples if one.dataset == name])[0] for name in names}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name}: {IMPOSTORS[kind]}" for name, kind in kinds.items())
        raise UsageError(
            f"impostors differ ({listed}): fit thresholds on data sets of one kind, for a mixture says "
            "nothing about either"
        )
    return kinds[names[0]]
