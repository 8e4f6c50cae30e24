"""Comparisons of several rows with several rows: samples, such as walks, that give many rows each, such as cycles.

An *enrolment* is E rows of some samples of a person, a *test* is T rows of other samples; no enrolment is compared with
a test that shares a sample with it. Numpy only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics.pairs import RANDOM_PER_SUBJECT
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.scoring.base import DIGITS

Indices = NDArray[np.intp]

RowScores = Callable[[Indices], Floats]
"""Scores rows, given by index ``(R,)``, by themselves: ``(R,)``."""


class RowCounts(NamedTuple):
    """Rows of an enrolment and of a test."""

    enrolment: int
    test: int


COUNTS = (RowCounts(10, 5), RowCounts(5, 5), RowCounts(20, 10), RowCounts(30, 20))
"""What is measured where nothing else is asked for; thresholds are for the first."""
REPEATS = 5
"""Enrolments of a person."""
SAMPLES = 5
"""Samples that the rows of an enrolment are spread over, where the person has so many."""
MATED_PER_SUBJECT = 200


def enrolments(least: RowCounts, counts: Sequence[RowCounts]) -> tuple[RowCounts, ...]:
    """As many test rows as `least` has, with its enrolment and the larger ones of `counts`, in rising order.

    >>> enrolments(RowCounts(10, 5), (RowCounts(30, 20), RowCounts(5, 5)))
    (RowCounts(enrolment=10, test=5), RowCounts(enrolment=30, test=5))
    """
    larger = {one.enrolment for one in counts if one.enrolment > least.enrolment}
    return tuple(RowCounts(count, least.test) for count in sorted({least.enrolment, *larger}))


@dataclass(frozen=True, slots=True, eq=False)
class GroupedComparisons:
    """P comparisons of M enrolments with Q tests.

    Attributes:
        enrolments: ``(M, E)`` rows by index.
        tests: ``(Q, T)`` rows by index.
        reference, query: ``(P,)`` which enrolment, in rising order, and which test.
        mated: ``(P,)`` bool.
        subjects: ``(P,)`` whose enrolment it is.
        left_out: People without a mated comparison: too few samples or rows.
    """

    enrolments: Indices
    tests: Indices
    reference: Indices
    query: Indices
    mated: NDArray[np.bool_]
    subjects: NDArray[np.str_]
    left_out: tuple[str, ...] = ()

    def scores(self, enroll: Callable[[Indices], RowScores]) -> ScoreSet:
        """Each comparison's mean score of the test's rows, rounded as the runtime rounds.

        Args:
            enroll: Takes the rows of an enrolment, and gives what scores rows against it.
        """
        found = np.empty(self.reference.size)
        for number, enrolled in enumerate(self.enrolments):
            chosen = slice(*np.searchsorted(self.reference, [number, number + 1]))
            rows, place = np.unique(self.tests[self.query[chosen]], return_inverse=True)
            by_row = enroll(enrolled)(rows)
            found[chosen] = by_row[place.reshape(-1, self.tests.shape[1])].mean(axis=1).round(DIGITS)
        return ScoreSet(found, self.mated, self.subjects)


def build_groups(
    subjects: ArrayLike,
    samples: ArrayLike,
    *,
    enrolment: int,
    test: int,
    spread: int = SAMPLES,
    repeats: int = REPEATS,
    mated: int = MATED_PER_SUBJECT,
    impostors: int = RANDOM_PER_SUBJECT,
    seed: int = 0,
) -> GroupedComparisons:
    """The comparisons of a data set whose samples give many rows each.

    `repeats` times, a person's samples are put into random order. The first `spread` of them, or as many as hold
    `enrolment` rows, are for the enrolment: the same number of rows of each, one behind the other. All other samples of
    the person are cut into tests of `test` rows one behind the other, of one sample each where a sample holds so many.
    An enrolment is compared with at most ``mated / repeats`` of these tests, and with at most ``impostors / repeats``
    tests of other people, of each of them the same number within one. So the cost grows with the people, not with its
    square, and nobody counts for more than the limits.

    The order of a person's samples depends on the seed and the person's name alone: it is the same for every number
    of rows, and whoever else is there.

    Args:
        subjects: ``(R,)`` whose each row is.
        samples: ``(R,)`` which sample each row is of, unique across people; the rows of a sample are in order of time.
        enrolment, test: E and T.
        spread: Samples that an enrolment is of, if the person has at least one more.

    Raises:
        ScoreError: Lengths differ, a number is below 1, a sample is of two people, or no mated or no impostor
            comparison comes out.
    """
    people, sources = np.asarray(subjects).astype(np.str_), np.asarray(samples).astype(np.str_)
    if people.ndim != 1 or people.shape != sources.shape:
        raise ScoreError(f"subjects and samples must be of one length, got shapes {people.shape} and {sources.shape}")
    if min(enrolment, test, spread, repeats) < 1:
        raise ScoreError(f"groups need at least one row, got {enrolment}, {test}, {spread} and {repeats}")
    walks = {person: _by_sample(people, sources, person) for person in np.unique(people).tolist()}
    if sum(map(len, walks.values())) != np.unique(sources).size:
        raise ScoreError("a sample is of two people")

    rng = np.random.default_rng(seed)
    everybody = {person: _cut(rows, test) for person, rows in walks.items()}
    numbers = _numbered(everybody)
    tests = [block for blocks in everybody.values() for block in blocks]
    enrolments: list[Indices] = []
    parts: list[tuple[int, Indices, bool, str]] = []
    left_out = []
    for person, rows in walks.items():
        before = len(enrolments)
        for enrolled, rest in _enrolments(person, rows, enrolment, spread=spread, repeats=repeats, seed=seed):
            own = _cut(rest, test)
            if not own:
                continue
            own = [own[k] for k in _draw(np.arange(len(own)), mated // repeats, rng)]
            parts.append((len(enrolments), np.arange(len(tests), len(tests) + len(own)), True, person))
            tests += own
            others = _others(person, numbers, impostors // repeats, rng)
            parts.append((len(enrolments), others, False, person))
            enrolments.append(enrolled)
        if len(enrolments) == before:
            left_out.append(person)
    counts = [sum(queries.size for _, queries, is_mated, _ in parts if is_mated is kind) for kind in (True, False)]
    if not all(counts):
        raise ScoreError(
            f"{counts[0]} mated and {counts[1]} impostor comparisons of {enrolment} rows with {test} rows come out of "
            f"{people.size} rows of {np.unique(sources).size} samples of {len(walks)} people: a person needs rows of "
            "two samples at least"
        )
    return GroupedComparisons(
        enrolments=np.stack(enrolments),
        tests=np.stack(tests),
        reference=np.concatenate([np.full(queries.size, number) for number, queries, _, _ in parts]),
        query=np.concatenate([queries for _, queries, _, _ in parts]),
        mated=np.concatenate([np.full(queries.size, is_mated) for _, queries, is_mated, _ in parts]),
        subjects=np.concatenate([np.full(queries.size, person) for _, queries, _, person in parts]),
        left_out=tuple(left_out),
    )


def _by_sample(people: NDArray[np.str_], sources: NDArray[np.str_], person: str) -> list[Indices]:
    """A person's rows, by sample."""
    own = np.flatnonzero(people == person)
    return [own[sources[own] == source] for source in np.unique(sources[own])]


def _enrolments(
    person: str, walks: list[Indices], count: int, *, spread: int, repeats: int, seed: int
) -> Iterator[tuple[Indices, list[Indices]]]:
    """The rows of each enrolment, and the samples that are left for tests; none if the person has too few."""
    rng = np.random.default_rng([seed, zlib.crc32(person.encode())])
    for _ in range(repeats):
        order = [walks[k] for k in rng.permutation(len(walks))]
        starts = rng.random(len(walks))
        used = min(spread, count, len(order) - 1)
        while used < len(order) - 1 and sum(rows.size for rows in order[:used]) < count:
            used += 1
        sizes = _even([rows.size for rows in order[:used]], count)
        if sum(sizes) < count:
            continue
        blocks = []
        for rows, size, start in zip(order, sizes, starts, strict=False):
            first = int(start * (rows.size - size + 1))
            blocks.append(rows[first : first + size])
        yield np.concatenate(blocks), order[used:]


def _even(room: list[int], count: int) -> list[int]:
    """How many of each to take so that they are `count` in all and as equal as their room allows.

    >>> _even([10, 2, 10], 11)
    [4, 2, 5]
    """
    taken, left = [0] * len(room), min(count, sum(room))
    for place, k in enumerate(sorted(range(len(room)), key=room.__getitem__)):
        taken[k] = min(room[k], left // (len(room) - place))
        left -= taken[k]
    return taken


def _cut(walks: list[Indices], size: int) -> list[Indices]:
    """Blocks of `size` rows within a sample; across samples only where none has so many."""
    if walks and max(rows.size for rows in walks) < size:
        walks = [np.concatenate(walks)]
    return [rows[k : k + size] for rows in walks for k in range(0, rows.size - size + 1, size)]


def _numbered(everybody: dict[str, list[Indices]]) -> dict[str, Indices]:
    """The numbers of each person's tests, one person's behind another's."""
    ends = np.cumsum([len(blocks) for blocks in everybody.values()])
    return {
        person: np.arange(end - len(blocks), end)
        for (person, blocks), end in zip(everybody.items(), ends.tolist(), strict=True)
    }


def _others(person: str, numbers: dict[str, Indices], limit: int, rng: np.random.Generator) -> Indices:
    """At most `limit` tests of other people, of each the same number where there are so many, in order."""
    others = [numbers[other] for other in numbers if other != person]
    order = rng.permutation(len(others)).tolist()  # whoever gives one more is drawn
    sizes = _even([others[k].size for k in order], limit)
    drawn = [_draw(others[k], size, rng) for k, size in zip(order, sizes, strict=True)]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, np.intp)


def _draw(items: Indices, count: int, rng: np.random.Generator) -> Indices:
    return np.sort(rng.choice(items, min(count, items.size), replace=False))
