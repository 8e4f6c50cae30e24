"""The likelihood ratio: its definition, its clip, many people at once, and that nothing strange gets a high score."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import ScoreError
from edge_sdk.manifest import LogLikelihoodRatio
from edge_sdk.runtime import TemplateGallery
from edge_sdk.runtime.template import GaussianMixtureTemplate
from edge_sdk.scoring.base import Comparison
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.likelihood import FAR

RNG = np.random.default_rng(0)
MODES, DIM = 4, 6
BACKGROUND = GaussianMixture(
    np.full(MODES, 1 / MODES), RNG.normal(size=(MODES, DIM)) * 3, RNG.uniform(0.5, 2, (MODES, DIM))
).rounded()
MODEL: Any = SimpleNamespace(densities={"ubm.npy": BACKGROUND})
SCORE = LogLikelihoodRatio(output="m.features", background="ubm.npy", relevance=16.0, clip=3.0)


def walk(person: int, cycles: int) -> np.ndarray:
    """Features of one person: near one mode, a little off it."""
    rng = np.random.default_rng((person, cycles))
    mean = BACKGROUND.means[person % MODES] + np.random.default_rng(person).normal(size=DIM) * 0.7
    return (mean + 0.5 * rng.normal(size=(cycles, DIM))).astype(np.float32)


def test_the_score_is_the_mean_of_clipped_ratios() -> None:
    template, query = SCORE.enroll(walk(1, 12), MODEL), walk(1, 5)
    expected = []
    for row in query.astype(np.float64):
        ratio = template.log_likelihood(row[None])[0] - BACKGROUND.log_likelihood(row[None])[0]
        expected.append(min(max(ratio, -3.0), 3.0))
    assert SCORE.ratios(template, query, MODEL) == pytest.approx(expected)
    found = SCORE.compare(template, query, MODEL)
    assert found.score == found.raw == pytest.approx(np.mean(expected), abs=1e-8)
    assert SCORE.compare_rows(template, query, MODEL) == found
    assert SCORE.compare(template, query.reshape(1, 5, DIM), MODEL) == found, "time steps of one row"
    assert SCORE.range == (-3.0, 3.0)
    assert SCORE.worst == Comparison(-3.0, -3.0)


def test_enrolment_is_the_adapted_background_as_a_template_keeps_it() -> None:
    enrolled, adapted = SCORE.enroll(walk(1, 12), MODEL), BACKGROUND.adapted(walk(1, 12), 16.0)
    binding = {"embedding_space_id": "s", "variant_id": "v", "variant_sha256": "1", "bundle_name": "b", "count": 12}
    kept = GaussianMixtureTemplate.of(enrolled, **binding)
    for part in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(kept.content, part), getattr(enrolled, part))
        np.testing.assert_allclose(getattr(enrolled, part), getattr(adapted, part), rtol=1e-6)
    assert len(kept.values) == 4 * MODES * (1 + 2 * DIM)


def test_a_person_is_likelier_to_be_oneself() -> None:
    own = [SCORE.compare(SCORE.enroll(walk(p, 30), MODEL), walk(p, 20), MODEL).score for p in range(8)]
    other = [SCORE.compare(SCORE.enroll(walk(p, 30), MODEL), walk(p + 4, 20), MODEL).score for p in range(8)]
    assert min(own) > 0
    assert min(own) > max(other)


def test_one_bad_cycle_does_not_decide() -> None:
    template = SCORE.enroll(walk(1, 30), MODEL)
    good = SCORE.compare(template, walk(1, 9), MODEL).score
    bad = np.concatenate([walk(1, 9), np.full((1, DIM), 1e30, np.float32)])
    assert SCORE.compare(template, bad, MODEL).score == pytest.approx((9 * good - 3.0) / 10, abs=1e-8)


def test_what_is_far_from_everybody_is_nobody() -> None:
    """An adapted mode may be wider than the background's: out there its density alone would accept anything."""
    wide = GaussianMixture(BACKGROUND.weights, BACKGROUND.means, BACKGROUND.variances * 100)
    for size in (1e3, 1e10, 3e38):
        strange = np.full((2, DIM), size, np.float32)
        assert SCORE.compare(wide, strange, MODEL).score == -3.0
        with pytest.raises(ScoreError, match="far from those of everybody"):
            SCORE.enroll(np.concatenate([walk(1, 5), strange]), MODEL)
    tiny = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.full((1, 1), 1e-300))
    model: Any = SimpleNamespace(densities={"ubm.npy": tiny})
    assert SCORE.compare(tiny, np.full((1, 1), 3e38, np.float32), model).score == -3.0, "both densities are 0"
    away = BACKGROUND.means[:1] + np.sqrt(BACKGROUND.variances[:1]) * (FAR - 0.01)
    only = GaussianMixture(np.ones(1), BACKGROUND.means[:1], BACKGROUND.variances[:1])
    model = SimpleNamespace(densities={"ubm.npy": only})
    assert SCORE.compare(only, away, model).score == 0.0, "just within"


@pytest.mark.parametrize("values", [np.full((2, DIM), np.nan), np.full((2, DIM), np.inf), np.zeros((0, DIM))])
def test_no_numbers_get_no_score(values: np.ndarray) -> None:
    template = SCORE.enroll(walk(1, 12), MODEL)
    for call in (SCORE.enroll, lambda rows, model: SCORE.compare(template, rows, model)):
        with pytest.raises(ScoreError, match="none, or not finite"):
            call(values, MODEL)


def test_what_does_not_fit_is_refused() -> None:
    template = SCORE.enroll(walk(1, 12), MODEL)
    with pytest.raises(ScoreError, match=r"needs the density ubm\.npy"):
        SCORE.compare(template, walk(1, 2), SimpleNamespace(densities={}))  # type: ignore[arg-type]
    with pytest.raises(ScoreError, match=f"rows of {DIM}"):
        SCORE.compare(template, walk(1, 2)[:, 1:], MODEL)
    fewer = GaussianMixture(np.ones(1), BACKGROUND.means[:1], BACKGROUND.variances[:1])
    spike = GaussianMixture(BACKGROUND.weights, BACKGROUND.means, BACKGROUND.variances * 1e-3)
    away = [
        GaussianMixture(BACKGROUND.weights, far * BACKGROUND.variances, BACKGROUND.variances) for far in (1e30, -1e3)
    ]
    wrong = [
        (fewer, r"\(1, 6\) modes and values"),
        (spike, "variances below"),
        *((one, "means that lie") for one in away),
    ]
    for content, message in wrong:
        with pytest.raises(ScoreError, match=message):
            SCORE.check_content(content, MODEL)
    SCORE.check_content(template, MODEL)
    edge = BACKGROUND.means[:1] + 9.9 * np.sqrt(DIM * BACKGROUND.variances[:1]) * np.eye(1, DIM)
    SCORE.check_content(SCORE.enroll(np.repeat(edge, 20_000, axis=0).astype(np.float32), MODEL), MODEL)
    SCORE.check_content(SCORE.enroll(np.repeat(walk(1, 1), 20_000, axis=0), MODEL), MODEL)


# --- a prior of its own, adapted means, rows of one length ---

LENGTHS = LogLikelihoodRatio(
    output="m.features",
    background="ubm.npy",
    prior="within.npy",
    relevance=4.0,
    adapts="means",
    normalised=True,
    clip=9.0,
)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length sqrt(D)."""
    rows = rows.astype(np.float64)
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True)) * math.sqrt(DIM)


EVERYBODY = unit(np.concatenate([walk(person, 20) for person in range(50)]))
ONE = GaussianMixture(np.ones(1), EVERYBODY.mean(axis=0)[None], EVERYBODY.var(axis=0)[None]).rounded()
WITHIN = GaussianMixture(ONE.weights, ONE.means, np.full((1, DIM), 0.05)).rounded()
BOTH: Any = SimpleNamespace(densities={"ubm.npy": ONE, "within.npy": WITHIN})


def normal(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
    return sum(
        -((a - m) ** 2) / (2 * v) - math.log(2 * math.pi * v) / 2 for a, m, v in zip(x, mean, variance, strict=True)
    )


def test_the_prior_is_adapted_and_the_background_compared_with() -> None:
    rows, query = walk(1, 12), walk(1, 5)
    enrolled = LENGTHS.enroll(rows, BOTH)
    mean = (unit(rows).sum(axis=0) + 4 * WITHIN.means[0]) / (12 + 4)
    np.testing.assert_allclose(enrolled.means[0], mean, rtol=1e-6)
    np.testing.assert_array_equal(enrolled.variances, WITHIN.variances)
    expected = [normal(x, mean, WITHIN.variances[0]) - normal(x, ONE.means[0], ONE.variances[0]) for x in unit(query)]
    assert LENGTHS.ratios(enrolled, query, BOTH) == pytest.approx(np.clip(expected, -9, 9), abs=1e-4)
    assert LENGTHS.ratios(enrolled, query * 7, BOTH) == pytest.approx(np.clip(expected, -9, 9), abs=1e-4), "any length"
    people = [LENGTHS.enroll(walk(person, 12), BOTH) for person in range(9)]
    assert LENGTHS.stacked(people, BOTH).scores(query) == pytest.approx(
        [LENGTHS.compare(one, query, BOTH).score for one in people], abs=1e-7
    )


def test_both_files_are_named_and_needed() -> None:
    assert LENGTHS.density_outputs == {"ubm.npy": "m.features", "within.npy": "m.features"}
    renamed = LENGTHS.renamed(lambda name: f"a.{name}", lambda path: f"b/{path}")
    assert (renamed.output, renamed.background, renamed.prior) == ("a.m.features", "b/ubm.npy", "b/within.npy")
    with pytest.raises(ScoreError, match=r"needs the density within\.npy"):
        LENGTHS.enroll(walk(1, 5), SimpleNamespace(densities={"ubm.npy": ONE}))  # type: ignore[arg-type]
    with pytest.raises(ScoreError, match="all zero"):
        LENGTHS.enroll(np.zeros((3, DIM), np.float32), BOTH)


def test_a_template_whose_variances_moved_was_not_enrolled_by_means() -> None:
    enrolled = LENGTHS.enroll(walk(1, 12), BOTH)
    LENGTHS.check_content(enrolled, BOTH)
    wide = GaussianMixture(enrolled.weights, enrolled.means, enrolled.variances * 1.01)
    with pytest.raises(ScoreError, match="leaves as they are"):
        LENGTHS.check_content(wide, BOTH)


# --- many people ---


def people(count: int) -> dict[str, GaussianMixture]:
    return {f"p{person}": SCORE.enroll(walk(person, 12), MODEL) for person in range(count)}


def test_all_at_once_is_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = list(people(40).values())
    query = np.concatenate([walk(7, 6), np.full((1, DIM), 1e20, np.float32)])
    expected = [SCORE.compare(one, query, MODEL).score for one in contents]
    for at_once in (2**20, 100):
        monkeypatch.setattr("edge_sdk.scoring.densities.stacked_mixtures._AT_ONCE", at_once)
        assert SCORE.stacked(contents, MODEL).scores(query) == pytest.approx(expected, abs=1e-7)
    away = GaussianMixture(BACKGROUND.weights, BACKGROUND.means + 1e5, BACKGROUND.variances * 1e-4)
    model: Any = SimpleNamespace(densities={"ubm.npy": away})
    close = [away.adapted(away.means + 0.01 * k, 4.0) for k in range(5)]
    rows = (away.means + 0.005).astype(np.float32)
    expected = [SCORE.compare(one, rows, model).score for one in close]
    assert SCORE.stacked(close, model).scores(rows) == pytest.approx(expected, abs=1e-6), "far from 0"


def test_a_gallery_finds_whom_one_comparison_at_a_time_finds() -> None:
    binding = {"embedding_space_id": "s", "variant_id": "v", "variant_sha256": "1", "bundle_name": "b", "count": 12}
    templates = {name: GaussianMixtureTemplate.of(one, **binding) for name, one in people(60).items()}
    gallery = TemplateGallery(templates, SCORE, MODEL)
    query, asked = walk(23, 8), []

    def compare(content: GaussianMixture, values: np.ndarray) -> Comparison:
        asked.append(content)
        return SCORE.compare_rows(content, values, MODEL)

    every = [(name, SCORE.compare(one.content, query, MODEL)) for name, one in templates.items()]
    best = sorted(every, key=lambda pair: -pair[1].score)
    assert gallery.best(query, 3, compare) == best[:3]
    assert best[0][0] == "p23"
    assert len(asked) < 10, "the others were scored in the matrix"
    assert all(math.isfinite(one.score) for _, one in best)


def test_densities_of_other_shapes_are_not_searched() -> None:
    fewer = GaussianMixture(np.ones(1), BACKGROUND.means[:1], BACKGROUND.variances[:1])
    with pytest.raises(ScoreError, match="different numbers of modes"):
        SCORE.stacked([*people(2).values(), fewer], MODEL)
