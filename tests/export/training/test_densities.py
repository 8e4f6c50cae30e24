"""Fitting of flows: a bent density, a person's density, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_sdk.errors import ScoreError, TrainingError, UsageError
from edge_sdk.export.networks.flows import FLOWS, Flow, build_flow
from edge_sdk.export.networks.gaussian_mixture import fit
from edge_sdk.export.training.densities import (
    ADAPTED,
    FAST,
    PAPER,
    FlowSettings,
    adapt_flow,
    adapted_loss,
    fit_flow,
)
from edge_sdk.export.training.progress import ProgressDisplay

QUICK = FlowSettings(learning_rate=5e-3, batch=200, epochs=30, patience=10)


def banana(count: int, seed: int) -> np.ndarray:
    """``x ~ N(0, 1)``, ``y ~ N(x^2 - 1, 0.3^2)``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return np.stack([x, x**2 - 1 + 0.3 * rng.normal(size=count)], axis=1)


def truth(rows: np.ndarray) -> float:
    x, y = rows.T
    return float(np.mean(-0.5 * (x**2 + ((y - x**2 + 1) / 0.3) ** 2) - math.log(2 * math.pi * 0.3)))


def mean(flow: Flow, rows: np.ndarray) -> float:
    with torch.no_grad():
        return float(flow.log_prob(torch.from_numpy(rows).float()).mean())


@pytest.fixture(scope="module")
def fitted() -> dict[str, Flow]:
    return {kind: fit_flow(kind, banana(1000, 0), banana(300, 1), settings=QUICK) for kind in FLOWS}


@pytest.mark.parametrize("kind", FLOWS)
def test_a_flow_is_nearer_to_a_bent_density_than_a_gaussian(fitted: dict[str, Flow], kind: str) -> None:
    test = banana(2000, 2)
    gaussian = float(fit(banana(1000, 0), 1).log_likelihood(test).mean())
    assert gaussian < truth(test) - 0.9
    assert truth(test) - 0.5 < mean(fitted[kind], test) < truth(test) + 0.01


def test_the_seed_decides() -> None:
    x, few = banana(50, 3), replace(QUICK, epochs=2)
    flow, again, other = (fit_flow("maf", banana(200, 0), x, settings=few, seed=seed) for seed in (0, 0, 1))
    assert mean(again, x) == mean(flow, x) != mean(other, x)
    assert not again.training


def test_fitting_stops_when_other_people_get_no_likelier_and_keeps_the_best() -> None:
    class Shown(ProgressDisplay):
        def bar(self, label: str, total: int, done: int = 0) -> Shown:
            self.label, self.notes = (label, total), {}
            return self

        def update(self, done: int, note: str = "") -> None:
            self.notes[done] = note

        def finish(self) -> None:
            self.finished = True

    few, others, progress = banana(200, 0), banana(300, 1), Shown(quiet=True)
    settings = replace(QUICK, learning_rate=2e-2, epochs=1000, patience=2)
    flow = fit_flow("maf", few, others, settings=settings, progress=progress)
    assert progress.label == ("maf density", 1000) and progress.finished
    assert max(progress.notes) < 1000
    found = [float(note.split("rows ")[1].split(",")[0]) for note in progress.notes.values()]
    assert mean(flow, others) == pytest.approx(max(found), abs=0.006)


def test_the_adapted_loss_is_the_documents() -> None:
    flow = build_flow("maf", 2).eval().requires_grad_(False)
    person, everybody = (torch.from_numpy(banana(count, count)).float() for count in (3, 5))
    wanted = 0.0
    for row in person:
        wanted -= float(flow.log_prob(row[None]))
    for row in everybody:
        wanted -= 0.25 * float(flow.log_prob(row[None]))
    assert float(adapted_loss(flow, person, everybody, 0.25)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", FLOWS)
def test_adaptation_makes_a_person_likelier_and_alpha_holds_it_back(fitted: dict[str, Flow], kind: str) -> None:
    population = fitted[kind]
    person, again = (np.array([1.5, 1.0]) + 0.2 * banana(60, seed) for seed in (4, 5))
    everybody = banana(1000, 0)
    before = {name: value.clone() for name, value in population.state_dict().items()}
    settings = replace(ADAPTED, learning_rate=1e-3, epochs=20)
    free, held = (adapt_flow(population, person, everybody, alpha=alpha, settings=settings) for alpha in (0, 0.6))
    assert mean(free, person) > mean(held, person) > mean(population, person)
    assert mean(held, again) > mean(population, again)
    assert mean(free, everybody) < mean(held, everybody)
    assert all(torch.equal(before[name], value) for name, value in population.state_dict().items())


def test_alpha_weighs_both_sums_alike_unless_given(fitted: dict[str, Flow]) -> None:
    population, person, everybody = fitted["glow"], banana(50, 4), banana(500, 0)
    settings = replace(ADAPTED, epochs=2)
    flow, same = (adapt_flow(population, person, everybody, alpha=a, settings=settings) for a in (None, 0.1))
    assert mean(flow, person) == mean(same, person)


def test_adaptation_keeps_the_population_where_other_rows_of_the_person_get_no_likelier(
    fitted: dict[str, Flow],
) -> None:
    population, elsewhere = fitted["maf"], banana(200, 6)
    person = np.array([1.5, 1.0]) + 0.05 * banana(60, 4)
    flow = adapt_flow(population, person, person, held_out=elsewhere, settings=replace(ADAPTED, learning_rate=1e-2))
    assert mean(flow, elsewhere) >= mean(population, elsewhere)


def test_settings_of_the_document() -> None:
    assert (PAPER.learning_rate, PAPER.weight_decay, PAPER.batch) == (1e-4, 1e-5, 100)
    assert FAST.weight_decay == ADAPTED.weight_decay == 1e-5
    for bad in ({"learning_rate": 0}, {"batch": 0}, {"epochs": 0}, {"patience": 0}, {"weight_decay": -1}):
        with pytest.raises(UsageError, match="positive settings"):
            replace(PAPER, **bad)


def test_what_cannot_be_fitted() -> None:
    good = banana(20, 0)
    for bad in (good[0], good[:0], np.where(good > 0, np.nan, good)):
        with pytest.raises(ScoreError, match="finite rows"):
            fit_flow("maf", bad, good)
        with pytest.raises(ScoreError, match="finite rows"):
            fit_flow("maf", good, bad)
    with pytest.raises(ScoreError, match=r"\(N, 2\)"):
        fit_flow("maf", good, np.zeros((5, 3)))
    with pytest.raises(ScoreError, match=r"\(N, 3\)"):
        adapt_flow(build_flow("maf", 3), good, good)
    with pytest.raises(UsageError, match="0 or more"):
        adapt_flow(build_flow("maf", 2), good, good, alpha=-1.0)
    with pytest.raises(TrainingError, match="lower learning rate"):
        fit_flow("realnvp", 1e30 * good, 1e30 * good, settings=replace(QUICK, learning_rate=1e30))
