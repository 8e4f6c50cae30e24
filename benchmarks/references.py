"""How far enrolments of several references can be trusted: the draw, a forgery among them, a smaller background.

    python benchmarks/references.py --runs runs/fold-1 runs/fold-2 --data cedar:PATH sigcomp2011:PATH svc2004:PATH

Folds as `edge-sdk reproduce cross-validation --references` takes them; int8, skilled forgeries unless a table says
otherwise, one threshold for all people, scores of all folds pooled. Nothing is fitted on the people who are tested.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.pairs import Comparisons, Forgeries
from edge_sdk.calibration.metrics.resampling import bootstrap_difference
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.reproduction import protocols
from edge_sdk.export.reproduction.enrolment_rules import (
    NEW,
    OLD,
    PairRule,
    TestedPeople,
    mean_score,
    person_model,
    with_background,
)
from edge_sdk.export.reproduction.fold_runs import FoldRun, fold_runs
from edge_sdk.export.reproduction.protocols import by_dataset
from edge_sdk.export.reproduction.tables import shown_interval
from edge_sdk.tables import Table

ARTIFACT = "int8"
COUNTS = (3, 5, 10)
Rates = dict[str, list[ScoreSet]]


def tested(folds: Sequence[FoldRun]) -> Iterator[tuple[FoldRun, Dataset, TestedPeople]]:
    """Each fold's test people of each data set."""
    for fold in folds:
        for persons in by_dataset(fold.test).values():
            people = fold.test.select(persons)
            yield fold, people, TestedPeople.of(people, fold.embeddings(ARTIFACT, people))


def both(fold: FoldRun, people: Dataset) -> dict[str, PairRule]:
    """The old and the new rule."""
    return {OLD: mean_score(fold, people), NEW: person_model(fold, people)}


def eer(parts: Sequence[ScoreSet]) -> float:
    """In per cent, of all parts together."""
    return 100 * verification.eer(verification.concatenate(parts)).eer


def draws(folds: Sequence[FoldRun], count: int) -> Table:
    """One enrolment a person, drawn `count` times."""
    rows = []
    kinds: tuple[Forgeries, ...] = ("skilled", "random")
    for kind in kinds:
        for references in COUNTS:
            found: dict[str, list[float]] = {OLD: [], NEW: []}
            for seed in range(count):
                parts: Rates = {OLD: [], NEW: []}
                for fold, people, embedded in tested(folds):
                    scores = embedded.scores(both(fold, people), kind, references, draws=1, seed=seed)
                    for name in scores:
                        parts[name].append(scores[name])
                for name, each in parts.items():
                    found[name].append(eer(each))
            change = np.subtract(found[NEW], found[OLD])
            rows.append((kind, str(references), *(spread(found[name]) for name in found), spread(change)))
    head = ("forgeries", "references", f"EER %: {OLD}", NEW, "change")
    note = f"{count} draws of one enrolment a person: mean (standard deviation; least to most)."
    return Table(head, rows, text=("forgeries",), note=note)


def spread(values: Sequence[float] | np.ndarray) -> str:
    """Mean, standard deviation, least and most."""
    return f"{np.mean(values):.1f} ({np.std(values, ddof=1):.1f}; {np.min(values):.1f} to {np.max(values):.1f})"


def spoiled(people: TestedPeople, references: int, *, draws: int = 5) -> dict[str, Comparisons]:
    """The same queries against enrolments of genuine references, the same with one exchanged for a forgery, and
    without that one.

    The forgery that is enrolled is no query of any of the three.
    """
    kept: dict[str, list[tuple[np.ndarray, int, bool]]] = {}
    for person in np.unique(people.subjects):
        rng = np.random.default_rng([0, zlib.crc32(str(person).encode())])
        own = np.flatnonzero((people.subjects == person) & people.genuine)
        forged = np.flatnonzero((people.subjects == person) & ~people.genuine)
        if len(own) <= references or len(forged) < 2:
            continue
        for _ in range(draws):
            order = rng.permutation(own)
            false = rng.choice(forged)
            enrolled, queries = order[:references], order[references:]
            for name, rows in (
                (f"{references} genuine", enrolled),
                (f"{references - 1} genuine and 1 forgery", np.append(enrolled[:-1], false)),
                (f"{references - 1} genuine", enrolled[:-1]),
            ):
                kept.setdefault(name, []).extend((rows, query, True) for query in queries)
                kept[name].extend((rows, query, False) for query in forged[forged != false])
    return {name: Comparisons(*map(np.array, zip(*comparisons, strict=True))) for name, comparisons in kept.items()}


def forgeries_enrolled(folds: Sequence[FoldRun], references: int) -> Table:
    """One of the references is a skilled forgery."""
    found: dict[str, Rates] = {}
    for fold, people, embedded in tested(folds):
        for name, pairs in spoiled(embedded, references).items():
            for rule, scored in both(fold, people).items():
                scores = scored(pairs, embedded.embeddings, embedded.subjects)
                found.setdefault(name, {}).setdefault(rule, []).append(scores)
    thresholds: dict[str, float] = {}
    rows = []
    for name, rules in found.items():
        cells = [name]
        for rule, parts in rules.items():
            pooled = verification.concatenate(parts)
            threshold = thresholds.setdefault(rule, verification.eer(pooled).threshold)  # of the genuine enrolments
            rates = verification.fmr_fnmr(pooled, threshold)
            cells += [f"{eer(parts):.1f}", f"{100 * rates.fmr:.1f}", f"{100 * rates.fnmr:.1f}"]
        rows.append(tuple(cells))
    head = ("enrolled", *(f"{rule}: {what}" for rule in (OLD, NEW) for what in ("EER %", "FMR %", "FNMR %")))
    return Table(head, rows, text=("enrolled",), note="FMR and FNMR at the threshold of the first line's EER.")


def smaller_backgrounds(folds: Sequence[FoldRun], references: int, sizes: Sequence[int], draws: int) -> Table:
    """Fitted to some of the training people."""

    def scores(made: Callable[[FoldRun, Dataset], PairRule], kind: Forgeries) -> ScoreSet:
        parts = [
            embedded.scores({NEW: made(fold, people)}, kind, references)[NEW]
            for fold, people, embedded in tested(folds)
        ]
        return verification.concatenate(parts)

    def some(size: int, seed: int) -> Callable[[FoldRun, Dataset], PairRule]:
        def made(fold: FoldRun, _people: Dataset) -> PairRule:
            drawn = np.random.default_rng(seed).choice(fold.train.subjects, size, replace=False)
            return with_background(fold, fold.train.select(drawn.tolist()))

        return made

    everybody = {kind: scores(person_model, kind) for kind in ("skilled", "random")}
    rows = []
    for size in sizes:
        cells = [str(size)]
        for kind, whole in everybody.items():
            found = [scores(some(size, seed), kind) for seed in range(draws)]
            change = [bootstrap_difference(one, whole, Curves.eer) for one in found]
            worst = max(change, key=lambda one: one.value)
            cells += [f"{np.mean([eer([one]) for one in found]):.1f}", shown_interval(worst, 100, 1)]
        rows.append(tuple(cells))
    size = min(len(fold.train.subjects) for fold in folds)
    rows.append(
        (f"all, {size} or more", *(cell for whole in everybody.values() for cell in (f"{eer([whole]):.1f}", "")))
    )
    head = ("people", "skilled: EER %", "worst draw adds", "random: EER %", "worst draw adds ")
    return Table(head, rows, text=("people",), note=f"{references} references; mean of {draws} draws of people.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", type=Path, required=True, metavar="RUN")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--seed", type=int, default=0, help="that dealt people to the folds")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--references", type=int, default=5, help="of the second and third table")
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 20, 30], help="people behind a background")
    arguments = parser.parse_args()
    data = load(*sorted(arguments.data))
    planned = protocols.get("cross-validation").trainings(data, seed=arguments.seed, folds=len(arguments.runs))
    folds = fold_runs(arguments.runs, planned, data)
    for table in (
        draws(folds, arguments.draws),
        forgeries_enrolled(folds, arguments.references),
        smaller_backgrounds(folds, arguments.references, arguments.sizes, 3),
    ):
        print(table.markdown())


if __name__ == "__main__":
    main()
