"""Leave out images that would make it harder to learn what a live face looks like (anti-spoofing thesis, section 3.2).

The thesis filters what it trains on, never what it tests on; so does a preset with a :class:`Filter`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edge_sdk.errors import DatasetError, InputError, UsageError
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.preprocess import ToGray


class Filtered(NamedTuple):
    """What a filter keeps, and how many images it left out for which reason."""

    kept: Dataset
    turned: int
    """Heads turned away."""
    uneven: int
    """Images darker or brighter than the rest of their recording."""

    @property
    def left_out(self) -> dict[str, int]:
        """How many images, by the reason."""
        return {"turned": self.turned, "uneven": self.uneven}

    @property
    def summary(self) -> str:
        """The same in words."""
        lost = self.turned + self.uneven
        return (
            f"left out {lost} of {lost + len(self.kept.samples)} training images: {self.turned} heads turned away, "
            f"{self.uneven} darker or brighter than the rest of their recording"
        )


@dataclass(frozen=True)
class Filter:
    """The thesis' filters in its order: heads, then the brightness of what is left.

    Live images and attacks are filtered alike. The thesis filtered live ones alone, and what it then told apart was in
    part the difference that this had made (section 4.1.2).

    It valued uniformity over size because it had plenty: 557,000 images were left of 5.9 million. Our own presets
    filter nothing: turned heads and changing light are live, too, and of the 1,742 live images of NUAA's training list
    the filter of brightness alone would take 235.

    Attributes:
        pose: Limit of :func:`frontal` in degrees; None keeps every head.
        brightness: Reach of :func:`evenly_lit`; None keeps every brightness.
    """

    pose: float | None = 10.0
    brightness: float | None = 1.0

    def __call__(self, dataset: Dataset) -> Filtered:
        """Raises as :func:`frontal` and :func:`evenly_lit` do."""
        facing = dataset if self.pose is None else frontal(dataset, self.pose)
        kept = facing if self.brightness is None else evenly_lit(facing, self.brightness)
        images = [len(one.samples) for one in (dataset, facing, kept)]
        return Filtered(kept, images[0] - images[1], images[1] - images[2])


def frontal(dataset: Dataset, limit: float = 10.0) -> Dataset:
    """The faces that look into the camera: turned by at most ``limit`` degrees about each axis (table 3.1).

    Faces of unknown pose stay.

    Raises:
        UsageError: ``limit`` is not positive.
        DatasetError: nobody looks into the camera.
    """
    if not limit > 0:
        raise UsageError(f"the limit of a head's pose must be positive, not {limit} degrees")
    kept = [s for s in dataset.samples if s.pose is None or all(abs(angle) <= limit for angle in s.pose)]
    if not kept:
        raise DatasetError(f"{dataset.name}: no head is turned by at most {limit:g} degrees about each axis")
    return replace(dataset, samples=tuple(kept))


def evenly_lit(dataset: Dataset, reach: float = 1.0) -> Dataset:
    """The images about as bright as the others of their recording; those of no recording stay.

    An image's brightness is the mean of its gray levels. "Outside of 1 IQR" (section 3.2.2) is read as below the first
    quartile, or above the third, by more than ``reach`` times the distance between the two: that takes 4 % of normally
    distributed levels and fits the 7 % the thesis lost, while one IQR round the median would take 18 %. Quartiles are
    interpolated linearly. Of up to three images in a recording all stay.

    Raises:
        UsageError: ``reach`` is negative.
        DatasetError: an image cannot be read; the message names it.
    """
    if not reach >= 0:
        raise UsageError(f"the reach must not be negative, not {reach}")
    recordings: dict[tuple[str | None, ...], list[Sample]] = {}
    for sample in dataset.samples:
        if sample.session is not None:
            recording = sample.dataset, sample.subject, sample.attack, sample.session
            recordings.setdefault(recording, []).append(sample)
    dropped: set[Sample] = set()
    for frames in recordings.values():
        levels = np.array([_brightness(frame) for frame in frames])
        first, third = np.quantile(levels, [0.25, 0.75])
        margin = reach * (third - first)
        outside = (levels < first - margin) | (levels > third + margin)
        dropped.update(frame for frame, out in zip(frames, outside, strict=True) if out)
    return replace(dataset, samples=tuple(sample for sample in dataset.samples if sample not in dropped))


def _brightness(sample: Sample) -> float:
    """The mean gray level, 0 to 255."""
    try:
        return float(ToGray()(sample.read()).mean())
    except InputError as error:
        raise DatasetError(f"{sample.path}: {error}; remove it or fetch it again") from error
