"""A liveness evaluation's pictures as HTML: reconstructions, the way to the network, and the worst mistakes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.evaluation.html import file_thumbnail, short_name, thumbnail
from edge_sdk.export.evaluation.spoof.evaluate import Evaluation, Mistake
from edge_sdk.export.evaluation.spoof.scored import Example
from edge_sdk.export.evaluation.verification import samples
from edge_sdk.manifest import SAMPLE, Manifest
from edge_sdk.preprocess import Image

FULL = 0.5
"""The difference, of pixels in [0, 1], that is drawn in the brightest colour."""
_SIDE, _MISTAKE = 128, 160  # pixels on a thumbnail's longer side


def reconstructions(evaluation: Evaluation) -> Iterable[str]:
    """What the network took, what it made of it, and the difference; nothing for a network that reconstructs nothing.

    Figures 4.11 to 4.15 of the anti-spoofing thesis, with the difference beside.
    """
    names = _reconstruction(evaluation.manifest)
    if names is None:
        return
    yield "<h2>Reconstructions</h2>"
    yield (
        "<p class=muted>The network's input, its reconstruction, and their absolute difference, from black (none) to "
        f"yellow ({FULL} of white or more). One picture of each of the first people.</p>"
    )
    for (data, attack), examples in _by_class(evaluation.examples):
        yield f"<h3>{escape(data)}, {escape(attack or 'live')}</h3>"
        yield f"<div class=faces>{''.join(_triple(example, *names) for example in examples)}</div>"


def stages(evaluation: Evaluation) -> Iterable[str]:
    """Of each data set's live faces and species the first example, after each operation."""
    firsts = {example.sample: example.face for _, (example, *_) in _by_class(evaluation.examples)}
    return samples.stages(evaluation.manifest.preprocessing, list(firsts), firsts.__getitem__)


def mistakes(evaluation: Evaluation) -> Iterable[str]:
    """The pictures on the wrong side of the default threshold; nothing where the bundle has none."""
    report = evaluation.report
    if report.threshold is None:
        return
    kinds = sorted({kind for data in report.data for kind in data.attacks})
    titles: dict[str | None, str] = {None: "Live faces that were rejected"}
    titles |= {kind: f"Attacks that passed as live: {kind}" for kind in kinds}
    for attack, title in titles.items():
        own = [mistake for mistake in report.mistakes if mistake.attack == attack]
        yield f"<h2>{escape(title)}</h2>"
        if not own:
            yield "<p class=muted>None.</p>"
            continue
        yield (
            f"<p class=muted>Furthest from the threshold {report.threshold:.4g} ({escape(str(report.operating_point))})"
            " first, by data set; each of another person.</p>"
        )
        yield f"<div class=faces>{''.join(map(_mistake, own))}</div>"


def _reconstruction(manifest: Manifest) -> tuple[str, str] | None:
    """Input and reconstruction by name."""
    return next(((SAMPLE, made) for made in manifest.outputs("reconstruction")), None)


def _by_class(examples: Sequence[Example]) -> Iterable[tuple[tuple[str, str], list[Example]]]:
    """Examples of each data set and species, live first; they come in this order."""
    groups = itertools.groupby(examples, key=lambda example: (example.sample.dataset, example.sample.attack or ""))
    return ((key, list(group)) for key, group in groups)


def _triple(example: Example, image: str, made: str) -> str:
    taken = example.tensors[image][0, 0]
    given = example.tensors[made].reshape(taken.shape)
    difference = cv2.applyColorMap(_gray(np.abs(taken - given) / FULL), cv2.COLORMAP_INFERNO)
    shown = ((_gray(taken), "input"), (_gray(given), "reconstruction"), (difference, "difference"))
    parts = "".join(thumbnail(np.asarray(picture, np.uint8), _SIDE, name) for picture, name in shown)
    return f"<figure>{parts}<figcaption>{_caption(example.score, example.sample.path.as_posix())}</figcaption></figure>"


def _mistake(mistake: Mistake) -> str:
    return (
        f"<figure>{file_thumbnail(mistake.path, _MISTAKE)}<figcaption>"
        f"{_caption(mistake.score, mistake.path)}<br>{escape(mistake.data)}</figcaption></figure>"
    )


def _caption(score: float, path: str) -> str:
    return f"score {score:.4g}<br>{escape(short_name(path))}"


def _gray(picture: NDArray[np.floating]) -> Image:
    """A picture of [0, 1] as ``uint8``; what lies outside is clipped."""
    return np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
