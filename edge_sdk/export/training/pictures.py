"""What a step shows the network: samples changed one by one on the processor, or pictures in batches on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.export.data.augmentation import Augmentation, change_sample
from edge_sdk.export.data.batch_augmentation import BatchViews
from edge_sdk.export.data.cache import Count
from edge_sdk.export.data.cache import prepared as prepare
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.networks.memory_format import batch
from edge_sdk.export.recipes import Preset

Chosen = NDArray[Any] | torch.Tensor | None
"""What a step's target wants shown instead, if anything (:attr:`edge_sdk.export.losses.task.StepTarget.images`)."""


class StepPictures(Protocol):
    """The training set, as steps see it."""

    @property
    def prepared(self) -> NDArray[Any]:
        """All samples as they were prepared, images ``uint8 (N, C, H, W)``."""
        ...

    def views(self, indices: Indices) -> torch.Tensor | None:
        """Views of these samples on the device; None where samples are changed one by one."""
        ...

    def shown(self, indices: Indices, views: torch.Tensor | None, chosen: Chosen, rng: np.random.Generator) -> Any:
        """The network's input ``(B, ...)``: ``chosen``, where that is given, else what is made of the samples."""
        ...


def step_pictures(
    samples: Sequence[Sample], labels: Labels, preset: Preset, device: torch.device, *, progress: Count
) -> StepPictures:
    """Prepare a training set; DatasetError if a sample cannot be read."""
    if preset.views is not None:
        return _InBatches(BatchViews.of(samples, preset.preprocessing, preset.views, device, progress=progress))
    images = prepare(samples, preset.preprocessing, progress=progress)
    return _OneByOne(images, labels, preset.augmentation, device)


@dataclass(frozen=True, eq=False)
class _OneByOne:
    prepared: NDArray[Any]
    labels: Labels
    augmentation: Augmentation | None
    device: torch.device

    def views(self, indices: Indices) -> None:
        del indices

    def shown(self, indices: Indices, views: torch.Tensor | None, chosen: Chosen, rng: np.random.Generator) -> Any:
        assert views is None and not isinstance(chosen, torch.Tensor)
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
    pictures: BatchViews

    @property
    def prepared(self) -> NDArray[Any]:
        return self.pictures.pictures.cpu().numpy()

    def views(self, indices: Indices) -> torch.Tensor:
        return self.pictures(indices)

    def shown(self, indices: Indices, views: torch.Tensor | None, chosen: Chosen, rng: np.random.Generator) -> Any:
        del indices, rng
        images = views if chosen is None else chosen
        assert isinstance(images, torch.Tensor)
        degraded = self.pictures.augmentation.degrade(images)
        return degraded.contiguous(memory_format=torch.channels_last)
