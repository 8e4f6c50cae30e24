"""How far enrolments of several references can be trusted: the draw, strangers among them, a smaller background.

    python benchmarks/references.py --runs runs/fold-1 runs/fold-2 --data cedar:PATH sigcomp2011:PATH svc2004:PATH

Folds as `edge-sdk reproduce cross-validation --references` takes them; int8, skilled forgeries unless a table says
otherwise, one threshold for all people, scores of all folds pooled. Nothing is fitted on the people who are tested.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.pairs import Comparisons
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.export.data.load import load
from edge_sdk.export.reproduction import protocols
from edge_sdk.export.reproduction.enrolment import KINDS
from edge_sdk.export.reproduction.enrolment_rules import (
    NEW,
    OLD,
    EmbeddedPeople,
    PairRule,
    mean_score,
    with_background,
)
from edge_sdk.export.reproduction.fold_runs import FoldRun, fold_runs
from edge_sdk.export.reproduction.protocols import by_dataset
from edge_sdk.tables import Table

ARTIFACT = "int8"
COUNTS = (3, 5, 10)
FALSE_FLAGS = (0.01, 0.05, 0.1)
"""Shares of genuine enrolments."""
Rates = dict[str, list[ScoreSet]]


class Tested(NamedTuple):
    """A fold's test people of one data set, and the old and the new rule."""

    fold: FoldRun
    people: EmbeddedPeople
    rules: dict[str, PairRule]


def tested(fold: FoldRun) -> Iterator[Tested]:
    """Each data set of a fold."""
    rules = {OLD: mean_score(fold, fold.test), NEW: with_background(fold, fold.train)}
    for persons in by_dataset(fold.test).values():
        people = fold.test.select(persons)
        yield Tested(fold, EmbeddedPeople.of(people, fold.embeddings(ARTIFACT, people)), rules)


def eer(parts: Sequence[ScoreSet]) -> float:
    """In per cent, of all parts together."""
    return 100 * verification.eer(verification.concatenate(parts)).eer


def draws(tests: Sequence[Tested], count: int) -> Table:
    """One enrolment a person, drawn `count` times."""
    rows = []
    for kind in KINDS:
        for references in COUNTS:
            found: dict[str, list[float]] = {OLD: [], NEW: []}
            for seed in range(count):
                parts: Rates = {OLD: [], NEW: []}
                for one in tests:
                    for name, scores in one.people.scores(one.rules, kind, references, draws=1, seed=seed).items():
                        parts[name].append(scores)
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


def spoiled(people: EmbeddedPeople, references: int, *, draws: int = 5) -> dict[str, Comparisons]:
    """Enrolments of genuine references, the same with one exchanged for a forgery, and without that one.

    All three are compared with the same queries, among which the enrolled forgery is not.
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


def forgeries_enrolled(tests: Sequence[Tested], references: int) -> Table:
    """One of the references is a skilled forgery."""
    found: dict[str, Rates] = {}
    for one in tests:
        for name, pairs in spoiled(one.people, references).items():
            for rule, scored in one.rules.items():
                scores = scored(pairs, one.people.embeddings, one.people.subjects)
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


def against_each_other(tests: Sequence[Tested], references: int, *, draws: int = 5) -> Table:
    """Each reference scored by an enrolment of the others: how often the least score tells a stranger."""
    least: dict[str, dict[str, list[np.ndarray]]] = {}
    for one in tests:
        for name, enrolments in with_strangers(one.people, references, draws).items():
            others = np.array([np.delete(rows, k) for rows in enrolments for k in range(references)])
            queries = np.concatenate(enrolments)
            pairs = Comparisons(others, queries, np.ones(len(queries), np.bool_))
            for rule, scored in one.rules.items():
                scores = scored(pairs, one.people.embeddings, one.people.subjects).scores
                least.setdefault(name, {}).setdefault(rule, []).append(scores.reshape(-1, references).min(axis=1))
    found = {name: {rule: np.concatenate(parts) for rule, parts in rules.items()} for name, rules in least.items()}
    genuine, *strange = found
    rows = []
    for false in FALSE_FLAGS:
        cells = [f"{100 * false:g}"]
        for rule in (OLD, NEW):
            threshold = np.quantile(found[genuine][rule], false)
            cells += [f"{100 * np.mean(found[name][rule] < threshold):.1f}" for name in strange]
        rows.append(tuple(cells))
    head = (f"{genuine}, %", *(f"{rule}: {name}, %" for rule in (OLD, NEW) for name in strange))
    note = f"Flagged of enrolments of {references} references, by the least score of a reference against the others."
    return Table(head, rows, note=note)


def with_strangers(people: EmbeddedPeople, references: int, draws: int) -> dict[str, list[np.ndarray]]:
    """Enrolments by who is among the references; the last one is the stranger."""
    found: dict[str, list[np.ndarray]] = {"genuine": [], "1 forgery": [], "1 of another writer": []}
    for person in np.unique(people.subjects):
        rng = np.random.default_rng([1, zlib.crc32(str(person).encode())])
        own = np.flatnonzero((people.subjects == person) & people.genuine)
        forged = np.flatnonzero((people.subjects == person) & ~people.genuine)
        others = np.flatnonzero((people.subjects != person) & people.genuine)
        if len(own) < references or not len(forged):
            continue
        for _ in range(draws):
            enrolled = rng.permutation(own)[:references]
            for name, last in zip(found, (enrolled[-1], rng.choice(forged), rng.choice(others)), strict=True):
                found[name].append(np.append(enrolled[:-1], last))
    return found


def smaller_backgrounds(tests: Sequence[Tested], references: int, sizes: Sequence[int], draws: int) -> Table:
    """Fitted to some of the training people."""
    folds = {one.fold.name: one.fold for one in tests}

    def rates(rules: Mapping[str, PairRule]) -> list[float]:
        """By kind of forgeries, with a rule for each fold."""
        return [
            eer([one.people.scores({NEW: rules[one.fold.name]}, kind, references)[NEW] for one in tests])
            for kind in KINDS
        ]

    def some(size: int, seed: int) -> dict[str, PairRule]:
        rng = np.random.default_rng(seed)
        return {
            name: with_background(fold, fold.train.select(rng.choice(fold.train.subjects, size, replace=False)))
            for name, fold in folds.items()
        }

    rows = []
    for size in sizes:
        found = np.array([rates(some(size, seed)) for seed in range(draws)])
        rows.append((str(size), *map(spread, found.T)))
    everybody = rates({one.fold.name: one.rules[NEW] for one in tests})
    rows.append(("all", *(f"{value:.1f}" for value in everybody)))
    head = ("people", *(f"{kind}: EER %" for kind in KINDS))
    note = f"{NEW}, {references} references; {draws} draws of people: mean (standard deviation; least to most)."
    return Table(head, rows, text=("people",), note=note)


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
    tests = [one for fold in fold_runs(arguments.runs, planned, data) for one in tested(fold)]
    print(draws(tests, arguments.draws).markdown())
    print(forgeries_enrolled(tests, arguments.references).markdown())
    print(against_each_other(tests, arguments.references).markdown())
    print(smaller_backgrounds(tests, arguments.references, arguments.sizes, 3).markdown())


if __name__ == "__main__":
    main()
