"""Optimisers, learning-rate schedules and numerical precision by a preset's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal

import torch

from edge_sdk.export.recipes import Preset

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),
    "sgd": partial(torch.optim.SGD, momentum=0.9),
    "nesterov": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


def build_optimizer(preset: Preset, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The preset's optimiser of these parameters, without its learning rate."""
    betas = {"betas": preset.betas} if preset.betas else {}
    return OPTIMIZERS[preset.optimizer](parameters, weight_decay=preset.weight_decay, **betas)


def learning_rate(preset: Preset, step: int) -> float:
    """The rate of a step, 0 to ``preset.steps - 1``."""
    if preset.schedule == "warm_restarts":
        factor = restart_factor(step, preset.period, preset.period_growth)
    else:
        factor = schedule_factor(preset.schedule, step, preset.steps)
    return preset.learning_rate * factor / (1 + preset.decay * step)


def restart_factor(step: int, period: int, growth: int) -> float:
    """``(1 + cos(pi T_cur / T_i)) / 2``: SGDR (Loshchilov and Hutter, 2017), equation 5, with a least rate of 0."""
    while step >= period:
        step, period = step - period, period * growth
    return 0.5 * (1 + math.cos(math.pi * step / period))


def schedule_factor(schedule: str, step: int, steps: int) -> float:
    """The share of the learning rate at a step of ``steps``; see :class:`edge_sdk.export.recipes.Preset`."""
    if schedule == "constant":
        return 1.0
    if schedule == "decay":
        return min(1.0, 2 * (steps - step) / steps)
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def numerical_precision(preset: Preset) -> Literal["32-true", "bf16-mixed"]:
    """Lightning's name of the precision that the run computes in."""
    if preset.precision != "auto":
        return preset.precision
    native = torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if native else "32-true"
