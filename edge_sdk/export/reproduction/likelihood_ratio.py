"""The score of document 000 on the embeddings of any bundle, beside their cosine.

The document says that its log-likelihood ratio suits any modality whose features a network gives. Here these are the
embeddings of a bundle for signatures or faces, of people who are new to its weights. They are dealt to folds; the
projection and everybody's density of a fold are fitted on the people of the others, its own are compared.

Two densities: that with the relevance of Reynolds et al. (2000), and that whose settings have the least EER when the
people of the others are dealt to halves of which each is scored by the density of the other one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics.pairs import Comparisons, Forgeries, build_pairs, score_pairs
from edge_sdk.calibration.metrics.resampling import Interval, bootstrap_all, bootstrap_difference
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet, concatenate, eer
from edge_sdk.errors import ScoreError, TrainingError, UsageError
from edge_sdk.export.data.identical import without_identical
from edge_sdk.export.data.load import load
from edge_sdk.export.data.people import datasets_of
from edge_sdk.export.data.same_people import SamePeople
from edge_sdk.export.data.samples import Dataset, impostor_kinds
from edge_sdk.export.data.splits import Split, folds
from edge_sdk.export.evaluation.verification.comparers import DensityModel, enrolled_by
from edge_sdk.export.evaluation.verification.knowledge import Knowledge, notes
from edge_sdk.export.evaluation.verification.samples import EmbeddedSamples, embed, faces_in
from edge_sdk.export.reproduction.fitted_ratio import CHOICES, REYNOLDS, DensityChoice, FittedRatio
from edge_sdk.export.reproduction.tables import NONE, ResultTable, shown_interval
from edge_sdk.runtime import Verifier
from edge_sdk.scoring.embedding import EmbeddingScore
from edge_sdk.tables import Table

NAME = "likelihood-ratio"
ALL = "all"
SHIPPED, COSINE = "as shipped", "cosine"
REFERENCES = (1, 5, 10)

Say = Callable[[str], None]


@dataclass(frozen=True)
class LikelihoodRequest:
    """What is wanted.

    Attributes:
        bundle: Whose embeddings are compared.
        data: Specifications of data sets with people who are new to it.
        run: That the bundle was exported from, which says who is new. Without it the bundle must have been trained on a
            split of exactly these data that was drawn by its seed.
        same: Who is in several data sets under other names.
        folds: Of people, from 2.
        choices: That the second density is chosen from.
    """

    bundle: str
    data: tuple[str, ...]
    run: Path | None = None
    same: SamePeople = field(default_factory=SamePeople)
    folds: int = 2
    seed: int = 0
    precision: str = "fp32"
    choices: tuple[DensityChoice, ...] = CHOICES


class ScoreKey(NamedTuple):
    """A protocol, and the score that its comparisons were given."""

    data: str
    forgeries: Forgeries
    references: int
    score: str


class ComparedScore(msgspec.Struct, frozen=True):
    """One score's figures on one protocol; intervals are 95 %, by bootstrap over people.

    Attributes:
        score: The bundle's own, the cosine with the mean of the references, or a likelihood ratio.
        difference: EER minus that of the cosine, on the same resamples.
    """

    data: str
    forgeries: Forgeries
    references: int
    score: str
    people: int
    mated: int
    impostors: int
    auroc: Interval
    eer: Interval
    difference: Interval


def reproduce(request: LikelihoodRequest, say: Say = print) -> ResultTable:
    """Embed the people who are new to a bundle, and compare them by its score, by cosine and by likelihood ratios.

    Raises:
        UsageError: The bundle does not compare embeddings, or nobody can say who is new to it.
        BundleError, EngineError: It cannot be run.
        DatasetError: It knows everybody.
        ScoreError: Too few people or samples.
    """
    bundle = Bundle.open(request.bundle)
    data, known = _new_people(bundle, load(*request.data), request)
    data, _ = without_identical(data)
    say(f"{bundle.id}: embedding {len(data.samples)} samples of {len(data.subjects)} people")
    faces = faces_in(bundle.manifest.source, data.samples)
    with Verifier(bundle, engine="onnxruntime", precision=request.precision, faces=faces) as verifier:
        embedded = embed(verifier, data.samples)
        name = f"{bundle.manifest.name} {verifier.variant.id}"
    parts = folds(data, request.folds, request.seed)
    chosen: list[str] = []
    scores: dict[ScoreKey, list[ScoreSet]] = {}
    for number, test in enumerate(parts, start=1):
        others = [person for person in data.subjects if person not in test]
        say(f"fold {number} of {request.folds}: choosing a density on {len(others)} people")
        best = choose(_of(embedded, others), data.select(others), request)
        chosen.append(f"{best} (fold {number})")
        background, people = _genuine(_of(embedded, others))
        ratios = {
            f"ratio, {REYNOLDS}": FittedRatio.fit(background, people, REYNOLDS, request.seed),
            "ratio, chosen": FittedRatio.fit(background, people, best, request.seed),
        }
        for key, found in _fold_scores(_of(embedded, test), bundle, ratios, request.seed).items():
            scores.setdefault(key, []).append(found)
    new = "in the groups of the split drawn by its seed that taught nothing" if known is None else "by its run"
    said = [
        f"{name} on {len(data.subjects)} people who are new to its weights, {new}; {request.folds} folds.",
        "The projection and everybody's density of a fold are fitted on the people of the others.",
        f"Cosine: with the mean of the references. Chosen: {'; '.join(chosen)}.",
        "In brackets 95 % intervals by bootstrap over people; differences are of the same resamples.",
    ]
    if known is not None:
        said += notes(bundle, datasets_of(data.subjects), known)
    return table(bundle.manifest.name, _compared(scores, request.seed), said)


def choose(embedded: EmbeddedSamples, data: Dataset, request: LikelihoodRequest) -> DensityChoice:
    """The settings with the least EER where each half of some people is scored by the density of the other half.

    One enrolment of each person with five references, and the hardest impostors that there are. Settings that the rows
    are too few for do not count.

    Raises:
        ScoreError: The rows are too few for all of them.
    """
    halves = folds(data, 2, request.seed)
    kind = impostor_kinds(data.samples)[0]
    tested = [_protocol(_of(embedded, half), kind, 5, request.seed, repeats=1) for half in halves]
    fitted = [_genuine(_of(embedded, half)) for half in reversed(halves)]
    found: dict[DensityChoice, float] = {}
    for choice in request.choices:
        try:
            scores = [
                FittedRatio.fit(*background, choice, request.seed).scores(pairs, part.embeddings, _people(part))
                for background, parts in zip(fitted, tested, strict=True)
                for part, pairs in parts
            ]
        except (ScoreError, TrainingError):
            continue
        found[choice] = eer(concatenate(scores)).eer
    if not found:
        raise ScoreError(f"{len(embedded.samples)} samples of {len(data.subjects)} people are too few for any density")
    return min(found, key=found.__getitem__)


def table(bundle: str, rows: Sequence[ComparedScore], said: Sequence[str]) -> ResultTable:
    """All protocols, the scores of each below one another."""
    head = ("data", "impostors", "references", "people", "comparisons", "score", "AUROC", "EER %", "minus cosine's")
    lines = []
    for row in rows:
        compared = f"{row.mated} + {row.impostors}"
        figures = shown_interval(row.auroc, 1, 3), shown_interval(row.eer, 100, 1)
        difference = NONE if row.score == COSINE else shown_interval(row.difference, 100, 1)
        protocol = row.data, row.forgeries, str(row.references), str(row.people), compared
        lines.append((*protocol, row.score, *figures, difference))
    return ResultTable(
        f"{NAME}-{bundle}",
        f"Likelihood ratios on embeddings of {bundle} (document 000, section 4.1)",
        Table(head, lines, text=("data", "impostors", "score")),
        tuple(said),
        {"rows": msgspec.to_builtins(rows)},
    )


def _new_people(bundle: Bundle, data: Dataset, request: LikelihoodRequest) -> tuple[Dataset, Knowledge | None]:
    """The people whom the weights do not know, each under one name."""
    if not isinstance(bundle.manifest.score, EmbeddingScore):
        raise UsageError(f"{bundle.id} does not compare embeddings")
    training = bundle.manifest.training
    if request.run is not None:
        known = Knowledge.read(request.run, bundle, request.same)
        data = known.new_people(data)
    elif training.people or training.teachers:
        raise UsageError(f"nobody can say who is new to {bundle.id}: give the run that it was exported from (--run)")
    else:
        known = None
        split = Split.draw(data, training.seed)
        data = data.select([*split.thresholds, *split.guardrail, *split.test])
    kept: set[str] = set()
    for person in data.subjects:
        if not request.same.others([person]) & kept:
            kept.add(person)
    return data.select(kept), known


def _fold_scores(
    part: EmbeddedSamples, bundle: Bundle, ratios: Mapping[str, FittedRatio], seed: int
) -> dict[ScoreKey, ScoreSet]:
    """Every score of a fold's people, on each protocol that they are enough for."""
    own, model = bundle.manifest.score, DensityModel.of(bundle)
    matrix, enrolled = partial(own.matrix, model=model), enrolled_by(own, model)
    found: dict[ScoreKey, ScoreSet] = {}
    for forgeries, count in itertools.product(impostor_kinds(part.samples), REFERENCES):
        for some, pairs in _protocol(part, forgeries, count, seed):
            people, embeddings = _people(some), some.embeddings
            key = ScoreKey(some.samples[0].dataset, forgeries, count, SHIPPED)
            found[key] = score_pairs(pairs, embeddings, people, rule=own.rule, matrix=matrix, enrolled=enrolled)
            cosines = score_pairs(pairs, embeddings, people, metric="cosine", rule="mean_embedding")
            found[key._replace(score=COSINE)] = cosines
            for name, ratio in ratios.items():
                found[key._replace(score=name)] = ratio.scores(pairs, embeddings, people)
    return found


def _protocol(
    part: EmbeddedSamples, forgeries: Forgeries, references: int, seed: int, *, repeats: int = 5
) -> list[tuple[EmbeddedSamples, Comparisons]]:
    """The comparisons within each data set that has people enough; `repeats` enrolments of each person."""
    found = []
    for name in dict.fromkeys(sample.dataset for sample in part.samples):
        some = part.of(name)
        genuine = [sample.genuine for sample in some.samples]
        try:
            pairs = build_pairs(
                _people(some),
                genuine,
                forgeries=forgeries,
                references=references,
                repeats=repeats,
                limit=200 * repeats,
                seed=seed,
            )
        except ScoreError:
            continue
        found.append((some, pairs))
    return found


def _compared(scores: Mapping[ScoreKey, Sequence[ScoreSet]], seed: int) -> tuple[ComparedScore, ...]:
    """Folds joined, data sets one by one and, if there are several, together."""
    joined = {key: concatenate(parts) for key, parts in scores.items()}
    together: dict[ScoreKey, list[ScoreSet]] = {}
    for key, own in joined.items():
        together.setdefault(key._replace(data=ALL), []).append(own)
    joined |= {key: concatenate(parts) for key, parts in together.items() if len(parts) > 1}
    found = []
    for key, own in joined.items():
        area, rate = bootstrap_all(own, [Curves.auroc, Curves.eer], seed=seed)
        difference = bootstrap_difference(own, joined[key._replace(score=COSINE)], Curves.eer, seed=seed)
        counts = own.subject_count, own.mated_count, own.impostor_count
        found.append(ComparedScore(*key, *counts, area, rate, difference))
    return tuple(found)


def _of(embedded: EmbeddedSamples, people: Collection[str]) -> EmbeddedSamples:
    rows = [k for k, sample in enumerate(embedded.samples) if sample.subject in people]
    return embedded.rows(rows)


def _people(part: EmbeddedSamples) -> list[str]:
    return [sample.subject for sample in part.samples]


def _genuine(part: EmbeddedSamples) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings that a background is fitted on, and whose they are: everybody's own, no forgeries."""
    rows = [k for k, sample in enumerate(part.samples) if sample.genuine]
    return part.embeddings[rows], [part.samples[k].subject for k in rows]
