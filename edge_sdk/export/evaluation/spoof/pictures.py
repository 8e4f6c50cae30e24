"""Pictures of a liveness evaluation: reconstructions, the way to the network, and the worst mistakes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.evaluation import pictures
from edge_sdk.export.evaluation.html import CaptionedPictures, file_thumbnail, short_name, thumbnail
from edge_sdk.export.evaluation.pictures import PictureGroup, Stages
from edge_sdk.export.evaluation.spoof.evaluate import Mistake, SpoofEvaluation
from edge_sdk.export.evaluation.spoof.samples import ExampleSample
from edge_sdk.manifest import SAMPLE, Manifest
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image

FULL_DIFFERENCE = 0.5
"""The difference, of pixels in [0, 1], that is drawn in the brightest colour."""
_SIDE, _MISTAKE = 128, 160  # pixels on a thumbnail's longer side


def reconstructions(evaluation: SpoofEvaluation) -> list[PictureGroup] | None:
    """What the network took, what it made of it, and the difference; None for a network that reconstructs nothing.

    Figures 4.11 to 4.15 of the anti-spoofing thesis, with the difference beside.
    """
    names = _reconstruction(evaluation.manifest)
    if names is None:
        return None
    return [
        PictureGroup(f"{data}, {attack or 'live'}", [_triple(example, *names) for example in examples])
        for (data, attack), examples in _by_class(evaluation.examples)
    ]


def stages(evaluation: SpoofEvaluation) -> Stages:
    """Of each data set's live faces and species the first example, after each operation."""
    firsts = {example.sample: example.face for _, (example, *_) in _by_class(evaluation.examples)}
    return pictures.stages(evaluation.manifest.preprocessing, list(firsts), firsts.__getitem__)


def mistakes(evaluation: SpoofEvaluation) -> list[PictureGroup]:
    """The pictures on the wrong side of the default threshold; nothing where the bundle has none."""
    report = evaluation.report
    if report.threshold is None:
        return []
    kinds = sorted({kind for data in report.data for kind in data.attacks})
    titles: dict[str | None, str] = {None: "Live faces that were rejected"}
    titles |= {kind: f"Attacks that passed as live: {kind}" for kind in kinds}
    note = (
        f"Furthest from the threshold {report.threshold:.4g} ({report.operating_point}) first, by data set; each of "
        "another person."
    )
    return [
        PictureGroup(title, [_mistake(mistake) for mistake in report.mistakes if mistake.attack == attack], note)
        for attack, title in titles.items()
    ]


def _reconstruction(manifest: Manifest) -> tuple[str, str] | None:
    """Input and reconstruction by name."""
    return next(((SAMPLE, made) for made in manifest.outputs("reconstruction")), None)


def _by_class(examples: Sequence[ExampleSample]) -> Iterable[tuple[tuple[str, str], list[ExampleSample]]]:
    """Examples of each data set and species, live first; they come in this order."""
    groups = itertools.groupby(examples, key=lambda example: (example.sample.dataset, example.sample.attack or ""))
    return ((key, list(group)) for key, group in groups)


def _triple(example: ExampleSample, image: str, made: str) -> CaptionedPictures:
    taken = example.tensors[image][0, 0]
    given = example.tensors[made].reshape(taken.shape)
    difference = cv2.applyColorMap(_gray(np.abs(taken - given) / FULL_DIFFERENCE), cv2.COLORMAP_INFERNO)
    shown = ((_gray(taken), "input"), (_gray(given), "reconstruction"), (difference, "difference"))
    parts = [thumbnail(np.asarray(picture, np.uint8), _SIDE, name) for picture, name in shown]
    return CaptionedPictures(parts, _caption(example.score, example.sample.path.as_posix()))


def _mistake(mistake: Mistake) -> CaptionedPictures:
    caption = (*_caption(mistake.score, mistake.path), mistake.data)
    return CaptionedPictures([file_thumbnail(mistake.path, _MISTAKE)], caption)


def _caption(score: float, path: str) -> tuple[str, str]:
    return f"score {score:.4g}", short_name(path)


def _gray(picture: NDArray[np.floating]) -> Image:
    """A picture of [0, 1] as ``uint8``; what lies outside is clipped."""
    return np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
