"""What updating a template gains, and how far a persistent forger gets, with the rule against drift and without it.

    python benchmarks/template_updates.py --runs runs/fold-1 runs/fold-2 --data cedar:PATH svc2004:PATH

Folds as `edge-sdk reproduce cross-validation --references` takes them, int8, the score `person_model`. Of each test
person the first genuine signatures are enrolled; the last two fifths, five at least, and every second forgery are kept
to measure on. The rest comes one by one: genuine signatures in the order in which they were written, each of them after
a forgery, or the forgeries alone, five times over. What the rule in question lets in joins the template.

Thresholds are measured on the people of the other folds, for each number of references. EER, FNMR and FMR are of scores
less the threshold of the template's own number of references; in brackets 95 % intervals over people.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.resampling import bootstrap, bootstrap_difference
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.calibration.person_model import fit_background
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.reproduction import protocols
from edge_sdk.export.reproduction.fold_runs import FoldRun, fold_runs
from edge_sdk.export.reproduction.tables import shown_interval
from edge_sdk.runtime.template import EmbeddingTemplate
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.person_model import log_ratios
from edge_sdk.tables import Table

COUNTS = (1, 2, 3, 5, 10)
DRAWS = 5  # enrolments of a person for thresholds
ROUNDS = 5  # of a forger who comes alone
NEWEST = 10  # rows of a template that keeps whatever came last

Rows = NDArray[np.float32]
Thresholds = dict[int, dict[float | None, float]]
"""By number of references and false match rate; None is that of the EER."""


class Rule(NamedTuple):
    """Who may join.

    Attributes:
        updates: Whether anything does.
        joins: The false match rate at whose threshold the template must accept a sample; None for that of the EER.
        alone: Whether the enrolment alone must accept it, too.
        keeps: Whether the enrolment stays; else the newest rows stay, whatever they are.
    """

    name: str
    updates: bool = True
    joins: float | None = None
    alone: bool = False
    keeps: bool = True


NEVER = Rule("never updated", updates=False)
RULES = (
    NEVER,
    Rule("whatever is accepted, the newest stay", keeps=False),
    Rule("whatever is accepted, the enrolment stays"),
    Rule("at an FMR of 10 %", joins=0.1, alone=True),
    Rule("at an FMR of 5 %: the rule", joins=0.05, alone=True),
    Rule("at an FMR of 1 %", joins=0.01, alone=True),
)


class Person(NamedTuple):
    """Embeddings of one person's genuine signatures, in order, and of the forgeries of them."""

    name: str
    genuine: Rows
    forged: Rows


class Fold(NamedTuple):
    """People who are new to the fold's network, everybody as its training people show, and thresholds of others."""

    people: tuple[Person, ...]
    everybody: Background
    thresholds: Thresholds


def read(fold: FoldRun) -> Fold:
    """The embeddings of a fold, still without thresholds; the background is of float ones, as in a bundle."""
    train = fold.train.samples
    fitted = fit_background(
        fold.embeddings("fp32", fold.train),
        [one.subject for one in train],
        [one.genuine for one in train],
        seed=fold.record.seed,
    )
    return Fold(tuple(persons(fold.test, fold.embeddings("int8", fold.test))), Background.decode(fitted.encode()), {})


def persons(people: Dataset, embeddings: Rows) -> Iterator[Person]:
    """Each person of a data set."""
    subjects = np.array([one.subject for one in people.samples])
    genuine = np.array([one.genuine for one in people.samples])
    for name in people.subjects:
        own = subjects == name
        yield Person(name, embeddings[own & genuine], embeddings[own & ~genuine])


def thresholds(folds: Sequence[Fold], seed: int) -> Thresholds:
    """Of skilled forgeries, by number of references."""
    found: Thresholds = {}
    rng = np.random.default_rng(seed)
    for count in COUNTS:
        scores: list[NDArray[np.float64]] = []
        mated: list[NDArray[np.bool_]] = []
        for fold in folds:
            for person in fold.people:
                for _ in range(DRAWS):
                    order = rng.permutation(len(person.genuine))
                    queries = np.concatenate([person.genuine[order[count:]], person.forged])
                    scores.append(log_ratios(person.genuine[order[:count]], queries, fold.everybody))
                    mated.append(np.arange(len(queries)) < len(person.genuine) - count)
        pooled = ScoreSet(np.concatenate(scores), np.concatenate(mated), np.zeros(sum(map(len, scores))))
        rates = {rule.joins for rule in RULES if rule.joins is not None}
        found[count] = {rate: verification.threshold_at_fmr(pooled, rate) for rate in rates}
        found[count][None] = verification.eer(pooled).threshold
    return found


def with_thresholds(folds: Sequence[Fold], seed: int) -> list[Fold]:
    """Each fold with those of the others."""
    return [fold._replace(thresholds=thresholds([one for one in folds if one is not fold], seed)) for fold in folds]


def of_count(measured: Thresholds, references: int) -> dict[float | None, float]:
    """Of the most references that are no more than these."""
    return measured[max(count for count in measured if count <= references)]


def updated(rule: Rule, enrolled: Rows, stream: Sequence[Rows], fold: Fold) -> Rows:
    """The rows of the template after the stream."""
    template = EmbeddingTemplate.of(
        enrolled, embedding_space_id="", variant_id="", variant_sha256="", bundle_name="", count=len(enrolled)
    )
    alone = of_count(fold.thresholds, len(enrolled))[None]
    newest = enrolled
    for row in stream if rule.updates else ():
        known = template.embeddings if rule.keeps else newest
        needed = max(of_count(fold.thresholds, len(known))[name] for name in (None, rule.joins))
        if log_ratios(known, row, fold.everybody)[0] < needed:
            continue
        if rule.alone and log_ratios(enrolled, row, fold.everybody)[0] < alone:
            continue
        if (known == row).all(axis=1).any():
            continue
        template = template.updated(row, lambda rows: rows)
        newest = np.concatenate([newest, row])[-NEWEST:]
    return template.embeddings if rule.keeps else newest


def streams(genuine: Rows, forged: Rows) -> dict[str, list[Rows]]:
    """What comes one by one, ``(1, D)`` each."""
    own, other = ([rows[i : i + 1] for i in range(len(rows))] for rows in (genuine, forged))
    each = [(other[i % len(other)], row) for i, row in enumerate(own)]
    return {
        "genuine": own,
        "each after a forgery": [row for pair in each for row in pair],
        "a forger alone": other * ROUNDS,
    }


class Outcome(NamedTuple):
    """Of one person: scores less the threshold, of whom they are, and what the template holds."""

    scores: ScoreSet
    rows: int
    forged: int


def outcome(rule: Rule, person: Person, references: int, stream: str, fold: Fold) -> Outcome:
    """What is measured on the kept signatures after the stream."""
    kept = max(5, round(0.4 * len(person.genuine)))
    genuine, queries = person.genuine[references:-kept], person.genuine[-kept:]
    tried, others = person.forged[0::2], person.forged[1::2]
    came = streams(genuine, tried)[stream]
    rows = updated(rule, person.genuine[:references], came, fold)
    everything = np.concatenate([queries, others])
    scores = log_ratios(rows, everything, fold.everybody) - of_count(fold.thresholds, len(rows))[None]
    mated = np.arange(len(everything)) < len(queries)
    forged = sum(bool((tried == row).all(axis=1).any()) for row in rows)
    return Outcome(ScoreSet(scores, mated, [person.name] * len(scores)), len(rows), forged)


def table(folds: Sequence[Fold], references: int) -> Table:
    """A line for each stream and rule."""
    lines = []
    for stream in ("genuine", "each after a forgery", "a forger alone"):
        baseline: ScoreSet | None = None
        for rule in RULES:
            found = [outcome(rule, person, references, stream, fold) for fold in folds for person in fold.people]
            scores = verification.concatenate([one.scores for one in found])
            baseline = scores if rule is NEVER else baseline
            assert baseline is not None
            rates = verification.fmr_fnmr(scores, 0.0)
            change = "" if rule is NEVER else shown_interval(bootstrap_difference(scores, baseline, Curves.eer), 100, 1)
            lines.append(
                (
                    *(stream, rule.name, shown_interval(bootstrap(scores, Curves.eer), 100, 1), change),
                    *(f"{100 * rate:.1f}" for rate in (rates.fnmr, rates.fmr)),
                    *(
                        f"{np.mean(numbers):.1f}"
                        for numbers in ([one.rows for one in found], [one.forged for one in found])
                    ),
                )
            )
    people = sum(len(fold.people) for fold in folds)
    return Table(
        ("what comes", "joins", "EER %", "change", "FNMR %", "FMR %", "rows", "forged"),
        lines,
        text=("what comes", "joins"),
        note=f"{references} enrolled, {people} people.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", type=Path, required=True, metavar="RUN")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--seed", type=int, default=0, help="that dealt people to the folds")
    parser.add_argument("--references", nargs="+", type=int, default=[1, 3, 5], metavar="N", help="enrolled first")
    arguments = parser.parse_args()
    data = load(*sorted(arguments.data))
    planned = protocols.get("cross-validation").trainings(data, seed=arguments.seed, folds=len(arguments.runs))
    read_folds = [read(fold) for fold in fold_runs(arguments.runs, planned, data)]
    folds = with_thresholds(read_folds, arguments.seed)
    for references in arguments.references:
        print(table(folds, references).markdown())


if __name__ == "__main__":
    main()
