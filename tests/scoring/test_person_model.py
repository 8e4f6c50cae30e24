"""The model of a person: decisions, agreement of its ways to compare, and what it refuses."""

from __future__ import annotations

import struct

import msgspec
import numpy as np
import pytest

from edge_sdk.calibration.metrics.verification import ScoreSet, eer
from edge_sdk.errors import BundleError, ScoreError
from edge_sdk.scoring.background import MAGIC, MAX_BYTES, Background
from edge_sdk.scoring.embedding import EmbeddingDistance
from edge_sdk.scoring.person_model import LIMIT, PersonModel

from .people import DIMS, FILE, People, background, drawn, opened

TRAINING = drawn(30, seed=1)
EVERYBODY = background(TRAINING)
MODEL = opened(EVERYBODY)
NEW = drawn(20, seed=2)
SCORE = PersonModel(output="model.embedding", background=FILE)


def rate(people: People, score: PersonModel | EmbeddingDistance, references: int) -> float:
    """The equal error rate of forgeries, with one threshold for all people."""
    scores, mated, subjects = [], [], []
    for person in np.unique(people.subjects):
        genuine, forged = people.of(person), people.of(person, genuine=False)
        queries = np.concatenate([genuine[references:], forged])
        scores.append(score.enrolled_scores(genuine[:references], queries, MODEL))
        mated += [True] * (len(queries) - len(forged)) + [False] * len(forged)
        subjects += [person] * len(queries)
    return eer(ScoreSet(np.concatenate(scores), np.array(mated), np.array(subjects))).eer


@pytest.mark.parametrize("references", [1, 3, 10])
def test_new_people_are_told_from_their_forgers_better_than_by_the_distance(references: int) -> None:
    plain = EmbeddingDistance(output="model.embedding", metric="euclidean")
    assert rate(NEW, SCORE, references) < rate(NEW, plain, references) - 0.02


def test_more_references_tell_more() -> None:
    assert rate(NEW, SCORE, 10) < rate(NEW, SCORE, 3) < rate(NEW, SCORE, 1)


def test_a_score_is_the_logistic_of_the_raw_one() -> None:
    rows = NEW.of("p0")
    compared = SCORE.compare(SCORE.enroll(rows[:5], MODEL), rows[5:6], MODEL)
    assert compared.score == pytest.approx(1 / (1 + np.exp(-compared.raw)), abs=1e-6)
    assert 0.0 < compared.score < 1.0
    assert SCORE.range == (0.0, 1.0)


@pytest.mark.parametrize("references", [1, 2, 4])
def test_every_way_to_compare_gives_the_same_scores(references: int) -> None:
    queries = np.concatenate([NEW.of("p1")[references:], NEW.of("p2")])
    enrolled = SCORE.enroll(NEW.of("p1")[:references], MODEL)
    one_by_one = [SCORE.compare(enrolled, query[None], MODEL).score for query in queries]
    np.testing.assert_allclose(SCORE.enrolled_scores(enrolled, queries, MODEL), one_by_one, rtol=0, atol=1e-8)
    if references == 1:
        np.testing.assert_allclose(SCORE.matrix(enrolled, queries, MODEL)[0], one_by_one, rtol=0, atol=1e-8)
        np.testing.assert_allclose(
            SCORE.pairs(np.repeat(enrolled, len(queries), axis=0), queries, MODEL), one_by_one, rtol=0, atol=1e-8
        )


def test_the_order_of_references_and_the_length_of_embeddings_do_not_matter() -> None:
    rows = NEW.of("p3")
    first = SCORE.compare(rows[:6], rows[6:7], MODEL)
    again = SCORE.compare(7.0 * rows[[4, 2, 0, 5, 1, 3]], rows[6:7] / 3.0, MODEL)
    assert again.score == pytest.approx(first.score, abs=1e-6)


def test_several_samples_of_one_person_count_by_their_mean_ratio() -> None:
    rows = NEW.of("p4")
    each = [SCORE.compare(rows[:3], rows[i : i + 1], MODEL).raw for i in (5, 6)]
    assert SCORE.compare_rows(rows[:3], rows[5:7], MODEL).raw == pytest.approx(np.mean(each), abs=1e-5)


def test_a_reference_itself_scores_highest_and_a_stranger_low() -> None:
    rows = NEW.of("p5")
    assert SCORE.compare(rows[:1], rows[:1], MODEL).raw == LIMIT
    assert SCORE.compare(rows[:5], NEW.of("p6")[:1], MODEL).score < 0.05
    assert SCORE.worst.score == 0.0
    assert SCORE.worst.raw == -LIMIT


def test_alike_references_are_stricter_than_varied_ones() -> None:
    rows = NEW.of("p7")
    alike = np.repeat(rows[:1], 10, axis=0)
    assert SCORE.compare(alike, rows[12:13], MODEL).score < SCORE.compare(rows[:10], rows[12:13], MODEL).score


@pytest.mark.parametrize("references", [3, 5])
def test_a_reference_of_somebody_else_takes_no_part(references: int) -> None:
    rows, other = NEW.of("p9"), NEW.of("p10")
    with_it = SCORE.compare(np.concatenate([rows[:references], other[:1]]), rows[12:13], MODEL)
    assert with_it == SCORE.compare(rows[:references], rows[12:13], MODEL)


def test_a_forgery_among_the_references_hardly_lets_others_in() -> None:
    accepted = []
    for enrolled in (0, 1):
        scores = [
            SCORE.enrolled_scores(
                np.concatenate([NEW.of(name)[: 5 - enrolled], NEW.of(name, genuine=False)[:enrolled]]),
                NEW.of(name, genuine=False)[1:],
                MODEL,
            )
            for name in np.unique(NEW.subjects)
        ]
        accepted.append(float(np.mean(np.concatenate(scores) > 0.5)))
    assert accepted[1] < accepted[0] + 0.1


def test_references_of_many_people_do_not_accept_strangers() -> None:
    mixed = np.concatenate([NEW.of(f"p{person}")[:1] for person in range(10)])
    strangers = np.concatenate([NEW.of(f"p{person}")[:4] for person in range(10, 20)])
    assert SCORE.enrolled_scores(mixed, strangers, MODEL).max() < 0.5


def test_opposite_references_are_compared_and_match_neither_well() -> None:
    row = NEW.of("p8")[:1]
    opposite = np.concatenate([row, -row])
    assert SCORE.compare(opposite, NEW.of("p8")[1:2], MODEL).score < 0.5


@pytest.mark.parametrize("counts", [(1,) * 20, (1, 2, 5, 10) * 5, (3,) * 20])
def test_a_gallery_finds_those_whom_comparing_each_would_find(counts: tuple[int, ...]) -> None:
    contents = [NEW.of(f"p{person}")[:count] for person, count in enumerate(counts)]
    stacked = SCORE.stacked(contents, MODEL)
    for probe in (NEW.of("p0")[10:11], NEW.of("p11")[10:13], contents[4][:1], 3.0 - NEW.of("p2")[:1]):
        scores = np.array([SCORE.compare_rows(content, probe, MODEL).raw for content in contents])
        for wanted in (1, 3):
            found = list(stacked.candidates(probe, wanted))
            best = np.argsort(-scores, kind="stable")[:wanted]
            assert set(best.tolist()) <= set(found)
            assert found == sorted(found)
    np.testing.assert_array_equal(stacked[3], contents[3])


def test_equal_templates_in_a_gallery_are_compared_as_often_as_wanted_only() -> None:
    stacked = SCORE.stacked([NEW.of("p0")[:3]] * 50, MODEL)
    assert stacked.candidates(NEW.of("p0")[5:6], 2) == [0, 1]


@pytest.mark.parametrize(
    ("references", "query", "message"),
    [
        (np.full((3, DIMS), np.nan), np.ones((1, DIMS)), "not finite"),
        (np.ones((3, DIMS)), np.full((1, DIMS), np.inf), "not finite"),
        (np.zeros((1, DIMS)), np.ones((1, DIMS)), "all zero"),
        (np.ones((1, DIMS)), np.zeros((1, DIMS)), "all zero"),
        (np.ones((3, DIMS + 1)), np.ones((1, DIMS)), "13 values"),
        (np.ones((3, DIMS)), np.ones((1, DIMS - 1)), "11 values"),
        (np.ones((0, DIMS)), np.ones((1, DIMS)), "no embedding"),
        (np.ones((3, DIMS)), np.ones((2, DIMS)), "not 2"),
    ],
)
def test_what_is_no_embedding_of_this_model_is_refused(references: np.ndarray, query: np.ndarray, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        SCORE.compare(SCORE.enroll(references, MODEL), query, MODEL)


def test_it_compares_with_the_background_alone() -> None:
    with pytest.raises(ScoreError, match=r"the background other\.bin, which was not given"):
        PersonModel(output="model.embedding", background="other.bin").enroll(NEW.of("p0"), MODEL)
    with pytest.raises(ScoreError, match="opened model"):
        SCORE.matrix(NEW.of("p0"), NEW.of("p1"))


def test_a_background_survives_its_file() -> None:
    data = EVERYBODY.encode()
    assert len(data) < MAX_BYTES
    again = Background.decode(data)
    assert again.encode() == data
    np.testing.assert_allclose(again.within, EVERYBODY.within, rtol=0, atol=1e-9)


def test_a_long_background_takes_fewer_bits_and_still_fits() -> None:
    rng = np.random.default_rng(0)
    dims = 256
    triangle = np.tril(rng.normal(size=(dims, dims))) + 5 * np.eye(dims)
    long = msgspec.structs.replace(EVERYBODY, mean=rng.normal(size=dims), within=triangle, everybody=triangle)
    data = long.encode()
    assert len(data) < MAX_BYTES
    np.testing.assert_allclose(Background.decode(data).within, triangle, rtol=0, atol=np.abs(triangle).max() / 200)


DATA = EVERYBODY.encode()
START = len(MAGIC)


def changed(offset: int, part: bytes) -> bytes:
    """The file with other bytes in a place."""
    return DATA[:offset] + part + DATA[offset + len(part) :]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC,
        DATA[1:],
        DATA[:-1],
        DATA + b"\0",
        changed(START, struct.pack("<H", DIMS + 1)),
        changed(START, struct.pack("<H", 65535)),
        changed(START + 2, struct.pack("<H", 1)),
        changed(START + 2, struct.pack("<H", 3)),
        changed(START + 4, bytes(4)),  # nobody
        *(changed(START + 8 + 8 * number, struct.pack("<d", np.nan)) for number in range(4)),
        *(changed(START + 8 + 8 * number, struct.pack("<d", 0.0)) for number in range(3)),
        changed(START + 8, struct.pack("<d", -1.0)),
        changed(START + 40, struct.pack("<f", np.inf)),  # the mean
        changed(START + 40 + 4 * DIMS, struct.pack("<f", np.nan)),  # a scale
        changed(START + 40 + 4 * DIMS, struct.pack("<f", 0.0)),
        changed(START + 40 + 8 * DIMS, struct.pack("<h", 0)),  # the first value of the diagonal
        changed(START + 40 + 8 * DIMS, struct.pack("<h", -5)),
    ],
)
def test_a_damaged_background_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="damaged background"):
        Background.decode(data)


def test_a_sample_that_is_nearly_one_of_the_template_is_no_further_one() -> None:
    """Two samples of a person differ by twice their scatter, each in its own way."""
    held, rng = NEW.of("p0")[:3], np.random.default_rng(0)
    for share, repeated in ((0.0, True), (0.05, True), (0.5, False)):
        inverse = np.linalg.inv(EVERYBODY.within)
        away = rng.normal(size=DIMS)
        away *= np.sqrt(2 * share * EVERYBODY.scatter * DIMS) / np.linalg.norm(away)
        near = held[1:2] / np.linalg.norm(held[1:2]) + away @ inverse
        length = float(np.linalg.norm(near))
        assert SCORE.repeats(held, (near * 3).astype(np.float32), MODEL) == repeated, (share, length)
    assert not any(SCORE.repeats(held, further[None], MODEL) for further in NEW.of("p0")[3:])


def test_a_reference_that_is_given_several_times_counts_once() -> None:
    own, queries = NEW.of("p0"), NEW.of("p0")[3:]
    once = SCORE.enrolled_scores(own[:2], queries, MODEL)
    rng = np.random.default_rng(0)
    frames = own[0] + rng.normal(scale=1e-4, size=(8, DIMS))
    repeated = np.concatenate([own[:1], own[1:2], own[:1], own[1:2] * 2, frames]).astype(np.float32)
    np.testing.assert_allclose(SCORE.enrolled_scores(repeated, queries, MODEL), once, atol=1e-6)
    np.testing.assert_allclose(
        SCORE.enrolled_scores(own[[0, 0, 0]], queries, MODEL), SCORE.enrolled_scores(own[:1], queries, MODEL), atol=1e-6
    )
