"""Random changes of pre-processed samples: what training and distillation ask of any modality's augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Change = Callable[[Any, np.random.Generator], Any]
"""Makes a changed copy of a sample of the same shape: of an image, ``uint8 (H, W)`` or ``(H, W, 3)`` (255 stands for
1.0), or of a recording, ``float32 (T, C)``."""
SampleKind = Literal["gray images", "colour images", "recordings"]


def sample_kind(shape: Sequence[int]) -> SampleKind:
    """What samples of a network's input shape, ``(C, H, W)`` or ``(T, C)``, are."""
    if len(shape) == 2:
        return "recordings"
    return "gray images" if shape[0] == 1 else "colour images"


def change_sample(change: Change, sample: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """A changed copy of a pre-processed sample as the cache holds it: ``uint8 (C, H, W)`` or ``float32 (T, C)``."""
    kind = sample_kind(sample.shape)
    if kind == "recordings":
        return np.asarray(change(sample, rng), np.float32)
    if kind == "gray images":
        return np.asarray(change(sample[0], rng)[None], np.uint8)
    return np.asarray(np.moveaxis(change(np.ascontiguousarray(np.moveaxis(sample, 0, 2)), rng), 2, 0), np.uint8)


class Augmentation(Protocol):
    """How samples are changed: a frozen dataclass, by whose fields a run and a teacher's outputs are told apart.

    Attributes:
        kinds: The samples that it can change.
    """

    kinds: ClassVar[tuple[SampleKind, ...]]

    def for_person(self, rng: np.random.Generator) -> Change:
        """What changes the images of one person in a step.

        Draws what these images share; each call of the change then draws the rest for one image.
        """
        ...


@dataclass(frozen=True)
class Views:
    """Fixed changes of each image: a view is made anew whenever it is asked for, and is always the same.

    So the outputs of a slow network for a view can be kept, and the image need not be. The draws do not depend on the
    frame: two pipelines' versions of one image are changed alike, as shares of their frames.

    Attributes:
        augmentation: ``None`` leaves every image as it is.
        seed: Another seed, other views.
        count: Views of each image, at least 1; a single one where nothing is changed.
    """

    augmentation: Augmentation | None
    seed: int
    count: int

    def __call__(self, image: NDArray[Any], number: int, person: int, view: int) -> NDArray[Any]:
        """One view of a sample.

        Args:
            image: ``uint8 (C, H, W)`` or ``float32 (T, C)``; not changed.
            number: The sample's own number; no two samples of a person are changed alike.
            person: The person's number; all samples of a person share what is drawn for a person in this view.
            view: 0..count-1.
        """
        if self.augmentation is None:
            return image
        change = self.augmentation.for_person(self._rng(0, person, view))
        return change_sample(change, image, self._rng(1, number, view))

    def _rng(self, kind: int, number: int, view: int) -> np.random.Generator:
        # Five words: numpy pads shorter keys with zeros, and the training's steps have keys of three.
        return np.random.default_rng((0x76696577, self.seed, view, kind, number))
