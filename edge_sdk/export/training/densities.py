"""Fitting of normalising flows: everybody's density by maximum likelihood, and a person's adapted from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_sdk.errors import ScoreError, TrainingError, UsageError
from edge_sdk.export.networks.flows import Flow, build_flow
from edge_sdk.export.training.progress import ProgressDisplay


@dataclass(frozen=True)
class FlowSettings:
    """How a flow is fitted.

    Attributes:
        learning_rate, weight_decay: Adam's.
        batch: Rows a step.
        epochs: Passes over the training rows, at most.
        patience: Epochs without a higher likelihood of the held-out rows before fitting stops.
    """

    learning_rate: float
    batch: int
    epochs: int
    patience: int
    weight_decay: float = 1e-5

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or min(self.batch, self.epochs, self.patience) < 1 or self.weight_decay < 0:
            raise UsageError(f"a flow is fitted with positive settings, not {self}")


PAPER = FlowSettings(learning_rate=1e-4, batch=100, epochs=1000, patience=30)
"""Rate and weight decay of document 000, section 4.3; batch and patience of the code that it cites."""
FAST = FlowSettings(learning_rate=1e-3, batch=256, epochs=200, patience=10)
"""Ours: about a tenth of the time."""
ADAPTED = FlowSettings(learning_rate=1e-4, batch=100, epochs=30, patience=5)
"""For a person's density: few steps at the document's rate."""


def fit_flow(
    kind: str,
    rows: NDArray[Any],
    held_out: NDArray[Any],
    *,
    settings: FlowSettings = FAST,
    seed: int = 0,
    progress: ProgressDisplay | None = None,
) -> Flow:
    """Minimise ``-sum log p(x)`` over the rows; the weights of the epoch in which the held-out ones are likeliest.

    The same arguments give the same flow on one machine. It is in evaluation mode.

    Args:
        kind: A name of :data:`~edge_sdk.export.networks.flows.FLOWS`.
        rows: ``(N, D)``, of about unit variance: see :mod:`edge_sdk.export.networks.projection`.
        held_out: ``(M, D)``, of other people.

    Raises:
        ScoreError: Rows that are not finite, none, or of unlike width.
        TrainingError: The likelihood is no longer finite.
        UsageError: An unknown kind, or fewer than 2 dimensions.
    """
    train = _tensor(rows)
    test = _tensor(held_out, train.shape[1])
    flow = build_flow(kind, train.shape[1], seed=seed)
    flow.observe(train)
    generator = torch.Generator().manual_seed(seed)

    def epoch(optimizer: torch.optim.Optimizer) -> None:
        flow.train()
        for batch in _batches(len(train), settings.batch, generator):
            _step(optimizer, -flow.log_prob(train[batch]).mean())
        flow.observe(train)

    return _best(flow, epoch, test, settings, progress=progress, label=f"{kind} density")


def adapt_flow(
    population: Flow,
    person: NDArray[Any],
    everybody: NDArray[Any],
    *,
    alpha: float | None = None,
    held_out: NDArray[Any] | None = None,
    settings: FlowSettings = ADAPTED,
    seed: int = 0,
) -> Flow:
    """A person's density: the population's, trained on with the loss of document 000, section 4.3.

    ``-sum_person log p(x) - alpha sum_everybody log p(x)``. A step estimates it from a batch of each, of equal size.
    Norms keep the population's statistics, so that they do not jump where the data change.

    Args:
        population: Left as it is.
        person, everybody: ``(N, D)`` and ``(M, D)``.
        alpha: The document gives none. None is ``N / M``, with which both sums weigh the same.
        held_out: Other rows of the person's, which choose the epoch; None takes the same rows.

    Raises:
        ScoreError, TrainingError: See :func:`fit_flow`.
        UsageError: A negative alpha.
    """
    own, others = _tensor(person, population.features), _tensor(everybody, population.features)
    share = 1.0 if alpha is None else alpha * len(others) / len(own)
    if not share >= 0:
        raise UsageError(f"the population's weight is 0 or more, not {alpha}")
    flow = copy.deepcopy(population).eval()
    generator = torch.Generator().manual_seed(seed)

    def epoch(optimizer: torch.optim.Optimizer) -> None:
        for batch in _batches(len(own), settings.batch, generator):
            drawn = torch.randint(len(others), (len(batch),), generator=generator)
            _step(optimizer, adapted_loss(flow, own[batch], others[drawn], share) / len(batch))

    test = own if held_out is None else _tensor(held_out, population.features)
    return _best(flow, epoch, test, settings)


def adapted_loss(flow: Flow, person: Tensor, everybody: Tensor, alpha: float) -> Tensor:
    """``-sum_person log p(x) - alpha sum_everybody log p(x)``."""
    return -flow.log_prob(person).sum() - alpha * flow.log_prob(everybody).sum()


def mean_log_prob(flow: Flow, rows: Tensor) -> float:
    """Mean of ``log p(x)`` in evaluation mode."""
    flow.eval()
    with torch.no_grad():
        return float(flow.log_prob(rows).mean())


def _best(
    flow: Flow,
    epoch: Callable[[torch.optim.Optimizer], None],
    held_out: Tensor,
    settings: FlowSettings,
    *,
    progress: ProgressDisplay | None = None,
    label: str = "",
) -> Flow:
    """``flow`` after the epoch in which the held-out rows are likeliest, the start included."""
    optimizer = torch.optim.Adam(flow.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    bar = progress.bar(label, settings.epochs) if progress else None
    best, kept, stale = mean_log_prob(flow, held_out), copy.deepcopy(flow.state_dict()), 0
    for number in range(1, settings.epochs + 1):
        epoch(optimizer)
        found = mean_log_prob(flow, held_out)
        stale = 0 if found > best else stale + 1
        if not stale:
            best, kept = found, copy.deepcopy(flow.state_dict())
        if bar:
            bar.update(number, f"log-likelihood of held-out rows {found:.2f}, best {best:.2f}")
        if stale >= settings.patience:
            break
    if bar:
        bar.finish()
    flow.load_state_dict(kept)
    return flow.eval()


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    if not loss.isfinite():
        raise TrainingError("the likelihood is no longer finite; take a lower learning rate")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of an epoch in a random order; a last batch that is not full is left out, unless it is the only one."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, max(count - size, 0) + 1, size):
        yield order[start : start + size]


def _tensor(rows: NDArray[Any], features: int | None = None) -> Tensor:
    found = torch.from_numpy(np.asarray(rows, np.float32))
    if found.ndim != 2 or not len(found) or not found.isfinite().all() or features not in (None, found.shape[1]):
        raise ScoreError(f"a flow needs finite rows (N, {features or 'D'}), not {tuple(found.shape)}")
    return found
