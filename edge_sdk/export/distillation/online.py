"""Distillation of networks that tell live faces from attacks: the teachers see the samples of every step.

They see the very tensor that the student sees. Nothing of theirs is kept on disk: a reconstruction is as large as its
image, fresh changes of an image teach more than a few fixed ones, and a discriminator has to be at hand anyway, for it
compares what the student makes anew in each step. So student and teachers share one pre-processing.

The terms of the loss are in :mod:`edge_sdk.export.losses.distillation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric

from edge_sdk.export.distillation.teachers import Teacher
from edge_sdk.export.losses.distillation import Autocast
from edge_sdk.export.networks.memory_format import channels_last
from edge_sdk.export.networks.network import Network


class OnlineDistillation(Protocol):
    """Settings whose teachers see each step's samples."""

    @property
    def labels(self) -> float:
        """Weight of the recipe's own objective."""
        ...

    def term(self, teacher: Any, made: Any, autocast: Autocast) -> torch.Tensor:
        """What a student minimises beside its own objective, of one teacher."""
        ...


@dataclass(frozen=True)
class OnlineTarget:
    """The target of every step.

    Attributes:
        teachers: Networks that no step changes.
    """

    settings: OnlineDistillation
    teachers: Sequence[Network]
    autocast: Autocast
    images: None = None

    def loss(self, made: Any, objective: torch.Tensor) -> torch.Tensor:
        terms = [self.settings.term(teacher, made, self.autocast) for teacher in self.teachers]
        return self.settings.labels * objective + torch.stack(terms).mean()


def online_target(settings: OnlineDistillation, teachers: Sequence[Teacher], fabric: Fabric) -> OnlineTarget:
    """Freeze the teachers' weights and batch norms, and have them at hand on the run's device."""
    networks = [teacher.network.eval().requires_grad_(requires_grad=False) for teacher in teachers]
    return OnlineTarget(settings, [channels_last(network.to(fabric.device)) for network in networks], fabric.autocast)
