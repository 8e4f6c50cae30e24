"""Random changes of pre-processed images: what training and distillation ask of any modality's augmentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge_sdk.preprocess import Image

Change = Callable[[Image, np.random.Generator], Image]
"""Makes a changed copy of an image, ``uint8 (H, W)``, whose frame it keeps; 255 stands for 1.0."""


class Augmentation(Protocol):
    """How images are changed: a frozen dataclass, by whose fields a run and a teacher's answers are told apart."""

    def for_person(self, rng: np.random.Generator) -> Change:
        """What changes the images of one person in a step.

        Draws what these images share; each call of the change then draws the rest for one image.
        """
        ...


@dataclass(frozen=True)
class Views:
    """Fixed changes of each image: a view is made anew whenever it is asked for, and is always the same.

    So what a slow network says of a view can be kept, and the picture need not be. The draws do not depend on the
    frame: two pipelines' pictures of one image are changed alike, as shares of their frames.

    Attributes:
        augmentation: ``None`` leaves every image as it is.
        seed: Another seed, other views.
        count: Views of each image, at least 1; a single one where nothing is changed.
    """

    augmentation: Augmentation | None
    seed: int
    count: int

    def __call__(self, image: Image, number: int, writer: int, view: int) -> Image:
        """One view of an image.

        Args:
            image: ``uint8 (H, W)``; not changed.
            number: The image's own number; no two images of a writer are changed alike.
            writer: Its writer's number; all images of a writer share what is drawn for a person in this view.
            view: 0..count-1.
        """
        if self.augmentation is None:
            return image
        change = self.augmentation.for_person(self._rng(0, writer, view))
        return change(image, self._rng(1, number, view))

    def _rng(self, kind: int, number: int, view: int) -> np.random.Generator:
        # Five words: numpy pads shorter keys with zeros, and the training's steps have keys of three.
        return np.random.default_rng((0x76696577, self.seed, view, kind, number))
