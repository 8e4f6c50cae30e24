"""What a training loop asks of a run's task: the samples of a step, its loss, and what validation measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.data.sampling import Origin
from edge_sdk.scoring.base import Score


class ValidationMetrics(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"bpcer_at_apcer_5": "bpcer_at_apcer_0.05", "live_score": "score"},
):
    """What validation measured; None where the task does not measure it.

    Attributes:
        auroc, eer: Of genuine against impostor comparisons, or of live samples against attacks.
        bpcer_at_apcer_5: BPCER where the APCER of the worst species is 5 %.
        live_score: Mean score of the live samples.
        accuracy: Share of the pairs that are decided rightly.
        validation_loss: Of the pairs.
    """

    validation_loss: float | None = None
    accuracy: float | None = None
    auroc: float | None = None
    eer: float | None = None
    bpcer_at_apcer_5: float | None = None
    live_score: float | None = None

    @property
    def selection_metric(self) -> float:
        """What the best weights have most of.

        Of pairs, minus their loss, or the accuracy; else the AUROC, or the live samples' score without attacks.
        """
        if self.validation_loss is not None:
            return -self.validation_loss
        found = next((one for one in (self.accuracy, self.auroc, self.live_score) if one is not None), None)
        assert found is not None, "a task measures one of them"
        return found

    def as_dict(self) -> dict[str, float]:
        """What was measured by name, for the log, the most important first."""
        plain: dict[str, float] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, values: dict[str, float]) -> ValidationMetrics:
        """The inverse of :meth:`as_dict`."""
        return msgspec.convert(values, cls)


_LABELS = {
    "validation_loss": "loss",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "eer": "EER",
    "bpcer_at_apcer_5": "BPCER@APCER 5 %",
    "live_score": "score",
}


def format_metrics(metrics: ValidationMetrics) -> list[str]:
    """``AUROC 0.9812`` and so on, for people, the most important first."""
    values = {label: getattr(metrics, name) for name, label in _LABELS.items()}
    return [f"{label} {value:.4f}" for label, value in values.items() if value is not None]


class StepTarget(Protocol):
    """What one step learns from beside its labels, such as a teacher's outputs."""

    @property
    def images(self) -> NDArray[Any] | torch.Tensor | None:
        """``(B + U, ...)``: the batch's samples as the step shall show them, then samples without labels.

        A tensor of views, not yet degraded, where the preset changes pictures in batches; an array elsewhere. None
        where the step shows the samples that it has without a hook.
        """
        ...

    def loss(self, made: Any, objective: torch.Tensor) -> torch.Tensor:
        """What the step minimises.

        Args:
            made: What the network, in training mode, made of the samples: embeddings ``(B + U, D)`` or a record.
            objective: The loss of the recipe's objective, of the first B.
        """
        ...


class TrainingTask(Protocol):
    """One run's task."""

    def batch(self, rng: np.random.Generator) -> Indices:
        """Indices of a step's samples, repeats allowed."""
        ...

    def loss(self, made: Any, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        """Scalar loss of what the network, in training mode, made of a step's samples."""
        ...

    def outputs(self, network: Any, images: torch.Tensor) -> NDArray[np.floating]:
        """``(N, ...)``: what :meth:`measure` needs of a batch; the network is in evaluation mode."""
        ...

    def measure(self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        """What validation found.

        Args:
            network: The one that made the outputs, for what compares them.
        """
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """What a resumed run must know beside its step."""
        ...

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """The inverse of :meth:`state`."""
        ...


@runtime_checkable
class RenderingTask(Protocol):
    """A task whose steps show pictures that are rendered anew, with targets of their own."""

    def rendering(
        self, prepared: NDArray[Any], device: torch.device
    ) -> Callable[[Indices, np.random.Generator], StepTarget]:
        """What gives each step its pictures and targets, by its batch and randomness.

        Args:
            prepared: ``uint8 (N, C, H, W)``: the training samples.
            device: Where pictures may be rendered.
        """
        ...


class Objective(Protocol):
    """What training minimises: it makes the task of a run, and says how such a network is distilled."""

    @property
    def distillation(self) -> type[Distillation] | None:
        """The settings of a student with this objective; None where it cannot have a teacher."""
        ...

    @property
    def attacks(self) -> Origin | None:
        """Attacks of another origin are neither learned from nor validated on; None leaves out nothing."""
        ...

    @property
    def without(self) -> tuple[str, ...]:
        """Cameras whose samples are neither learned from nor validated on."""
        ...

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> TrainingTask:
        """The task of a training set.

        Args:
            labels: Of ``samples``.
            score: The recipe's, by which validation measures.
            outputs: The names of the network's outputs that the score needs.
            embedding_size: 0 where there are no embeddings.

        Raises:
            DatasetError: The samples lack what is learned from.
            UsageError: Objective and score do not go together.
        """
        ...


class Distillation(Protocol):
    """Settings of a student: a frozen dataclass whose fields are weights and counts, with a default each.

    A teacher suits where its own objective has the same settings: ``objective.distillation``.
    """

    @property
    def online(self) -> bool:
        """Whether teachers see each step's samples, or are asked once about fixed views of every image."""
        ...

    @property
    def labels(self) -> float:
        """Weight of the recipe's own objective."""
        ...

    @property
    def teacher(self) -> str:
        """What a teacher is, for a message: ``another network that ...``."""
        ...
