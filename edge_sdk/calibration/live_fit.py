"""A score fitted to live faces of one camera, by what the variants of a bundle make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.calibration.live_pictures import LiveFaces
from edge_sdk.calibration.rewriting import CountByVariant
from edge_sdk.errors import EngineError, ScoreError
from edge_sdk.manifest import SAMPLE, AnyScore
from edge_sdk.runtime.engines import Tensors
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.selection import Choice
from edge_sdk.scoring.base import DIGITS, Array
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

_PARTS = 5
"""Of the pictures of one person, each scored under a density of the others."""

_OTHERS = 20
"""Pictures of other people that a density needs to be one of them."""

Densities = Mapping[str, GaussianMixture]


@dataclass(frozen=True, eq=False)
class VariantOutputs:
    """What one variant makes of the live faces, ``(N, ...)`` by tensor, and of the golden pictures.

    Attributes:
        densities: The bundle's own, by path.
    """

    live: Tensors
    golden: Tensors
    densities: Densities

    @classmethod
    def of(
        cls, bundle: Bundle, choice: Choice, used: LiveFaces, threads: int, progress: CountByVariant | None
    ) -> VariantOutputs:
        """Run the variant on each face.

        Raises:
            EngineError: It fails.
        """
        model = Model(bundle, choice, threads=threads)
        try:

            def made(face: images.Image) -> Tensors:
                return model.run(preprocess.apply(bundle.manifest.preprocessing, face)[np.newaxis])

            live = []
            for number, face in enumerate(used.faces, start=1):
                live.append(made(face))
                if progress is not None:
                    progress(choice.variant.id, number, len(used.faces))
            golden = [made(images.load(bundle.read(entry))) for entry in bundle.manifest.golden.inputs]
        finally:
            model.close()
        return cls(_stacked(live), _stacked(golden), model.densities)


@dataclass(frozen=True, eq=False)
class CameraFit:
    """The score fitted to the camera, and the fits that lack some of the pictures.

    Attributes:
        before: The score as the bundle had it.
        score: As it is now.
        densities: All that it names, by path.
        replaced: The paths of those that were fitted again.
        without: Each with the pictures ``(N,)`` that it lacks.
    """

    before: AnyScore
    score: AnyScore
    densities: Densities
    replaced: tuple[str, ...]
    without: tuple[tuple[NDArray[np.bool_], AnyScore, Densities], ...]

    @classmethod
    def of(cls, before: AnyScore, outputs: VariantOutputs, people: NDArray[np.str_]) -> CameraFit:
        """Fit a bundle's score to the outputs of its reference variant, for faces of people ``(N,)``."""

        def refitted(chosen: NDArray[np.bool_]) -> tuple[AnyScore, Densities]:
            tensors = {name: values[chosen] for name, values in outputs.live.items()}
            score, found = before.refitted(tensors, outputs.densities)
            replaced.update(found)
            return score, {**outputs.densities, **found}

        replaced = set[str]()
        score, densities = refitted(np.ones(len(people), np.bool_))
        left_out = list(_left_out(people)) if replaced else []
        without = tuple((one, *refitted(~one)) for one in left_out)
        return cls(before, score, densities, tuple(sorted(replaced)), without)

    def held_out(self, outputs: VariantOutputs) -> Array:
        """``(N,)`` scores of a variant, each by the fit that lacks the picture, where there are densities."""
        found = _scored(self.score, outputs.live, self.densities)
        for chosen, score, densities in self.without:
            tensors = {name: values[chosen] for name, values in outputs.live.items()}
            found[chosen] = _scored(score, tensors, densities)
        return found

    @property
    def changed(self) -> bool:
        """Whether pictures score otherwise than before."""
        return bool(self.replaced) or self.score != self.before

    def golden(self, outputs: VariantOutputs) -> tuple[float, float]:
        """The score of a variant's golden pictures, and how many times as far as before rounding may move it."""
        score = float(_scored(self.score, outputs.golden, self.densities).mean())
        before = _sensitivity(self.before, outputs.golden, outputs.densities)
        after = _sensitivity(self.score, outputs.golden, self.densities)
        return score, max(1.0, after / before)


def is_one_person(people: NDArray[np.str_]) -> bool:
    """Whether there is one, or nearly nothing of the others."""
    return bool(people.size - np.unique(people, return_counts=True)[1].max() < _OTHERS)


def _left_out(people: NDArray[np.str_]) -> Iterator[NDArray[np.bool_]]:
    """One person's pictures at a time; of one person a part of them that are one behind the other."""
    groups = np.arange(people.size) * _PARTS // people.size if is_one_person(people) else people
    for group in np.unique(groups):
        yield groups == group


def _sensitivity(score: AnyScore, tensors: Tensors, densities: Densities) -> float:
    """How far the mean score moves where the outputs move by a little: another processor rounds differently."""
    rng = np.random.default_rng(0)
    moved = {name: values + 1e-3 * values.std() * rng.standard_normal(values.shape) for name, values in tensors.items()}
    apart = _scored(score, moved, densities) - _scored(score, tensors, densities)
    return max(float(np.abs(apart).mean()), 10.0**-DIGITS)


def _scored(score: AnyScore, tensors: Tensors, densities: Densities) -> Array:
    try:
        return score.score(tensors, densities)
    except ScoreError as error:
        raise EngineError(f"a variant gave numbers that cannot be scored: {error}") from error


def _stacked(each: list[Tensors]) -> Tensors:
    """All but the sample, which graphs have as inputs of their own and no score names."""
    names = each[0].keys() - {SAMPLE} if each else ()
    return {name: np.concatenate([one[name] for one in each]) for name in names}
