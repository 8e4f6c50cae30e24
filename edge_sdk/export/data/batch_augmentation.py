"""Random changes of pictures in batches, on the device that trains: what is too slow one picture at a time.

All randomness is torch's own, which the training loop seeds by the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from edge_sdk import preprocess
from edge_sdk.export.data.cache import Count, prepared, uncounted
from edge_sdk.export.data.samples import Indices, Sample


class BatchAugmentation(Protocol):
    """How pictures are changed: a frozen dataclass, by whose fields a run is told from others.

    A view is what everybody sees, a teacher as well; what is done to it after that a student alone sees, who is to say
    of a bad picture what the teacher says of the good one.

    Attributes:
        border: Pixels that a view may show beyond each side of what a device sees.
    """

    @property
    def border(self) -> int:
        """See above."""
        ...

    def view(self, pictures: torch.Tensor) -> torch.Tensor:
        """Another view of each picture.

        Args:
            pictures: ``uint8 (B, C, H + 2 border, W + 2 border)``.

        Returns:
            ``float32 (B, C, H, W)`` in [0, 1].
        """
        ...

    def degrade(self, views: torch.Tensor) -> torch.Tensor:
        """What a worse camera would have made of views ``(B, C, H, W)``: a changed copy, in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class BatchViews:
    """The pictures of a training set on the device, and how they are changed.

    Attributes:
        pictures: ``uint8 (N, C, H + 2 border, W + 2 border)``.
    """

    pictures: torch.Tensor
    augmentation: BatchAugmentation

    @classmethod
    def of(
        cls,
        samples: Sequence[Sample],
        operations: Sequence[preprocess.Operation],
        augmentation: BatchAugmentation,
        device: torch.device,
        *,
        progress: Count = uncounted,
    ) -> BatchViews:
        """Prepare samples, each with its surroundings; where it comes without, its border is repeated.

        Args:
            operations: As a device prepares them; the surroundings are prepared alike, in a larger frame.
            progress: Called with the number of pictures done and in all.

        Raises:
            DatasetError: A sample cannot be read.
        """
        channels, height, width = preprocess.input_shape(operations)
        border = augmentation.border
        larger = height + 2 * border, width + 2 * border
        pictures = np.empty((len(samples), channels, *larger), np.uint8)
        wide = np.array([sample.surroundings is not None for sample in samples])
        for chosen, frame in ((wide, larger), (~wide, (height, width))):
            if chosen.any():
                some = [_widest(sample) for sample, wanted in zip(samples, chosen, strict=True) if wanted]
                found = prepared(some, preprocess.framed(operations, *frame), progress=progress)
                missing = (larger[0] - frame[0]) // 2
                pictures[chosen] = np.pad(found, ((0, 0), (0, 0), (missing, missing), (missing, missing)), mode="edge")
        return cls(torch.from_numpy(pictures).to(device), augmentation)

    def __call__(self, indices: Indices) -> torch.Tensor:
        """A new view of each of these pictures, ``float32 (B, C, H, W)`` in [0, 1]."""
        return self.augmentation.view(self.pictures[torch.from_numpy(indices).to(self.pictures.device)])


def _widest(sample: Sample) -> Sample:
    return sample if sample.surroundings is None else replace(sample, path=sample.surroundings)
