"""A small random search of hyper-parameters, as the DeepSign paper's section 5.1 and its future work propose.

Each trial is a run like any other, judged by its validation people; test people are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.errors import DivergenceError, UsageError
from edge_sdk.export.losses.task import ValidationMetrics
from edge_sdk.export.training.hyperparameters import UNCHANGED, Hyperparameters, Optimizer
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.tables import Table


@dataclass(frozen=True)
class ValueRange:
    """Both ends of what is drawn, on a logarithmic scale or evenly.

    Raises:
        UsageError: They are not in order, or not what the scale has.
    """

    low: float
    high: float
    logarithmic: bool = True

    def __post_init__(self) -> None:
        positive = self.low > 0 if self.logarithmic else self.low >= 0
        if not (positive and self.low <= self.high < np.inf):
            scale = "a logarithmic scale above 0" if self.logarithmic else "a scale"
            raise UsageError(f"nothing can be drawn from {scale} between {self.low:g} and {self.high:g}")

    def draw(self, rng: np.random.Generator) -> float:
        """Of three digits, which a command line repeats exactly."""
        ends = np.array([self.low, self.high])
        drawn = np.exp(rng.uniform(*np.log(ends))) if self.logarithmic else rng.uniform(*ends)
        return float(f"{drawn:.3g}")


@dataclass(frozen=True)
class SearchSpace:
    """What a random search draws; what it does not hold stays as in the preset.

    Attributes:
        learning_rates: By optimiser, of which one is drawn first: they need rates of different size.
        weight_decay, penalty, dropout: As of :class:`~edge_sdk.export.training.hyperparameters.Hyperparameters`. The
            paper draws its L2 penalty from a logarithmic scale of 0.0001 to 0.01 and dropout evenly from 0 to 0.4.
    """

    learning_rates: Mapping[Optimizer, ValueRange] = field(default_factory=dict)
    weight_decay: ValueRange | None = None
    penalty: ValueRange | None = None
    dropout: ValueRange | None = None

    def __post_init__(self) -> None:
        if not (self.learning_rates or self.weight_decay or self.penalty or self.dropout):
            raise UsageError("there is nothing to draw: give the range of at least one setting")

    def draw(self, seed: int, number: int) -> Hyperparameters:
        """Of one trial, the same however many there are; trial 0 is the preset as it is."""
        if number == 0:
            return UNCHANGED
        rng = np.random.default_rng((seed, number))
        drawn: dict[str, Any] = {}
        if self.learning_rates:
            optimizers = sorted(self.learning_rates)
            drawn["optimizer"] = optimizers[rng.integers(len(optimizers))]
            drawn["learning_rate"] = self.learning_rates[drawn["optimizer"]].draw(rng)
        for name in ("weight_decay", "penalty", "dropout"):
            span: ValueRange | None = getattr(self, name)
            if span is not None:
                drawn[name] = span.draw(rng)
        return Hyperparameters.of(drawn)


@dataclass(frozen=True)
class Trial:
    """One draw, and what came of it.

    Attributes:
        metrics: Of the weights that were kept; None where the training diverged.
    """

    number: int
    drawn: Hyperparameters
    folder: Path
    steps: int = 0
    seconds: float = 0.0
    metrics: ValidationMetrics | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "trial": self.number,
            "settings": self.drawn.as_dict(),
            "run": str(self.folder),
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "validation": self.metrics.as_dict() if self.metrics else None,
        }


def search(
    run: TrainingRun, space: SearchSpace, trials: int, *, say: Callable[[str], None] = print, quiet: bool = False
) -> tuple[Trial, ...]:
    """Train the preset as it is, and ``trials`` draws, each in ``trial-NN`` of the run's folder; the best one first.

    A trial's settings follow from the run's seed and the trial's number alone: a search that was interrupted goes on,
    and one that is asked for more trials repeats none. A loss that is not finite ends its trial, not the search.

    Args:
        run: What all trials share: recipe, preset, people, seed and steps.

    Raises:
        UsageError: No trial, or settings that the recipe does not have.
        DatasetError, TrainingError: As :func:`edge_sdk.export.training.loop.train`.
    """
    if trials < 1:
        raise UsageError(f"a search takes at least one trial, not {trials}")
    drawn = [space.draw(run.seed, number) for number in range(trials + 1)]
    runs = [  # all of them are checked before the first is trained
        replace(run, folder=run.folder / f"trial-{number:02}", hyperparameters=one) for number, one in enumerate(drawn)
    ]
    found = []
    for number, one in enumerate(runs):
        trial = Trial(number, one.hyperparameters, one.folder)
        say(f"trial {number} of {trials}: {str(one.hyperparameters) or 'the preset as it is'}")
        try:
            result = train(one, quiet=quiet)
        except DivergenceError as error:
            say(f"trial {number}: {error}")
            found.append(trial)
        else:
            found.append(replace(trial, steps=result.steps, seconds=result.seconds, metrics=result.metrics))
    return tuple(sorted(found, key=_rank))


def table(trials: Sequence[Trial]) -> Table:
    """A row for each trial: its settings, and what validation measured."""
    settings = [
        name for name in Hyperparameters.__struct_fields__ if any(name in one.drawn.as_dict() for one in trials)
    ]
    measured = list(next((one.metrics.as_dict() for one in trials if one.metrics), {}))
    rows = []
    for one in trials:
        drawn, metrics = one.drawn.as_dict(), one.metrics.as_dict() if one.metrics else {}
        cells = [f"{value:g}" if isinstance(value := drawn.get(name, ""), float) else value for name in settings]
        rows.append(
            (
                str(one.number),
                *cells,
                *(f"{metrics[name]:.4f}" if name in metrics else "diverged" for name in measured),
                str(one.steps),
                f"{one.seconds / 60:.1f}",
            )
        )
    head = ("trial", *(name.replace("_", " ") for name in settings), *measured, "steps", "minutes")
    return Table(head, rows, text=("optimizer",), note="Validation people, best first; trial 0 is the preset as it is.")


def _rank(trial: Trial) -> tuple[bool, float, int]:
    return trial.metrics is None, -(trial.metrics.selection_metric if trial.metrics else 0.0), trial.number
