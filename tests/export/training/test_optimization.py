"""Optimisers and rates against their formulas, step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.training.optimization import build_optimizer, learning_rate

PRESET = replace(recipes.get("deepsign").preset("paper"), optimizer="sgd", learning_rate=0.1)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov"])
def test_momentum_is_nine_tenths(optimizer: str) -> None:
    weight = torch.nn.Parameter(torch.tensor(1.0))
    built = build_optimizer(replace(PRESET, optimizer=optimizer, weight_decay=0.01), [weight])
    expected, velocity = 1.0, 0.0
    for gradient in (0.5, -0.2, 0.3):
        weight.grad = torch.tensor(gradient)
        for group in built.param_groups:
            group["lr"] = PRESET.learning_rate
        built.step()
        slope = gradient + 0.01 * expected
        velocity = 0.9 * velocity + slope
        expected -= 0.1 * (slope + 0.9 * velocity if optimizer == "nesterov" else velocity)
        assert weight.item() == pytest.approx(expected, rel=1e-6)


def test_the_rate_decays_as_keras_decays_it() -> None:
    preset = replace(PRESET, decay=0.5)
    assert [learning_rate(preset, step) for step in range(4)] == pytest.approx([0.1, 0.1 / 1.5, 0.05, 0.04])
    assert learning_rate(replace(preset, decay=0.0), 3) == 0.1
    halved = replace(preset, schedule="decay", steps=4)
    assert learning_rate(halved, 3) == pytest.approx(0.5 * 0.04)  # beside the schedule


@pytest.mark.parametrize("decay", [-1e-6, float("nan"), float("inf")])
def test_a_rate_does_not_grow(decay: float) -> None:
    with pytest.raises(UsageError, match="at least 0"):
        replace(PRESET, decay=decay)


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd", "nesterov"])
def test_betas_are_adams(optimizer: str) -> None:
    with pytest.raises(UsageError, match=f"Adam's; {optimizer} has none"):
        replace(PRESET, optimizer=optimizer, betas=(0.9, 0.99))


def test_warm_restarts_begin_again_after_each_longer_period() -> None:
    preset = replace(PRESET, schedule="warm_restarts", period=2, period_growth=2, steps=14)
    half = [0.5 * (1 + math.cos(math.pi * done / length)) for length in (2, 4, 8) for done in range(length)]
    assert [learning_rate(preset, step) for step in range(14)] == pytest.approx([0.1 * one for one in half])
    alike = replace(preset, period_growth=1)
    assert [learning_rate(alike, step) for step in range(6)] == pytest.approx([0.1, 0.05] * 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "warm_restarts"},
        {"period": 5},
        {"schedule": "warm_restarts", "period": 5, "period_growth": 0},
        {"period_growth": 2},
        {"period": -1},
    ],
)
def test_a_period_is_that_of_warm_restarts(changes: dict) -> None:
    with pytest.raises(UsageError, match="a period of at least one step"):
        replace(PRESET, **changes)
