"""What a step shows the network: samples changed one by one on the processor, or pictures in batches on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.export.data.augmentation import Augmentation, change_sample
from edge_sdk.export.data.batch_augmentation import BatchAugmentation, BatchViews
from edge_sdk.export.data.cache import PreparedRows
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.networks.memory_format import batch
from edge_sdk.export.recipes import Preset
from edge_sdk.preprocess import Operation

Chosen = NDArray[Any] | torch.Tensor | None
"""What a step's target wants shown instead, if anything (:attr:`edge_sdk.export.losses.task.StepTarget.images`)."""


class StepPictures(Protocol):
    """The training set, as steps see it."""

    @property
    def prepared(self) -> NDArray[Any]:
        """All samples as a device prepares them, images ``uint8 (N, C, H, W)``."""
        ...

    def shown(self, indices: Indices, chosen: Chosen, rng: np.random.Generator) -> Any:
        """The network's input ``(B, ...)``: made of ``chosen``, where that is given, else of the samples."""
        ...


def step_pictures(rows: PreparedRows, labels: Labels, preset: Preset, device: torch.device) -> StepPictures:
    """Of a training set.

    Args:
        labels: Of the rows.
    """
    if preset.views is not None:
        return _InBatches(rows.tensors, rows.samples, preset.preprocessing, preset.views, device)
    return _OneByOne(rows.tensors, labels, preset.augmentation, device)


@dataclass(frozen=True, eq=False)
class _OneByOne:
    prepared: NDArray[Any]
    labels: Labels
    augmentation: Augmentation | None
    device: torch.device

    def shown(self, indices: Indices, chosen: Chosen, rng: np.random.Generator) -> Any:
        assert not isinstance(chosen, torch.Tensor)
        return batch(self._changed(indices, rng) if chosen is None else chosen, self.device)

    def _changed(self, indices: Indices, rng: np.random.Generator) -> NDArray[Any]:
        images = np.asarray(self.prepared[indices])
        if self.augmentation is None:
            return images
        subjects = self.labels.subject[indices]
        change = {subject: self.augmentation.for_person(rng) for subject in dict.fromkeys(subjects.tolist())}
        return np.stack(
            [change_sample(change[who], image, rng) for image, who in zip(images, subjects.tolist(), strict=True)]
        )


@dataclass(frozen=True, eq=False)
class _InBatches:
    prepared: NDArray[Any]
    samples: Sequence[Sample]
    preprocessing: Sequence[Operation]
    augmentation: BatchAugmentation
    device: torch.device

    def shown(self, indices: Indices, chosen: Chosen, rng: np.random.Generator) -> Any:
        del rng  # torch's own randomness was seeded by the step
        views = self._views(indices) if chosen is None else chosen
        assert isinstance(views, torch.Tensor)
        return self.augmentation.degrade(views).contiguous(memory_format=torch.channels_last)

    @cached_property
    def _views(self) -> BatchViews:
        """Not before they are asked for: a teacher's targets have pictures of their own."""
        return BatchViews.of(self.samples, self.preprocessing, self.augmentation, self.device)
