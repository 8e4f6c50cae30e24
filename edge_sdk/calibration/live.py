"""A bundle for spoof detection fitted to one's own camera, from live pictures alone; numpy and an engine, no torch.

What is fitted again is cheap: the density of a one-class score, to what the network makes of these pictures, and the
thresholds, each at the share of live pictures that it may reject (BPCER). The networks stay the same bytes. Nothing is
learned of attacks, so no APCER can be stated; measure it (``edge-sdk evaluate``).

A density fits the very pictures it was fitted to better than any others, and above all better than other people's. So
each picture is scored under a density without its person, and of one person without the fifth of the pictures that it
belongs to, in their order; the thresholds are those of these scores. Of one person they hold for that person alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images, preprocess
from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle
from edge_sdk.calibration import live_pictures, rewriting
from edge_sdk.calibration.live_pictures import LiveFaces, LivePicture
from edge_sdk.calibration.rewriting import LeftOut, Measurable, Rewritten
from edge_sdk.calibration.thresholds import bona_fide_points
from edge_sdk.calibration.unusable import UnusablePicture
from edge_sdk.errors import EngineError, ScoreError, UsageError
from edge_sdk.manifest import AnyScore, Golden, OperatingPoint, ThresholdProvenance
from edge_sdk.runtime.detector import SpoofDetector
from edge_sdk.runtime.engines import Tensors
from edge_sdk.runtime.faces import FaceLocator
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.selection import AUTO, Choice
from edge_sdk.scoring.base import DIGITS, Array
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

ALONE = "live pictures alone, no attacks"
"""What the provenance says in place of impostors."""

_PARTS = 5
"""Of the pictures of one person, each scored under a density of the others."""

_OTHERS = 20
"""Pictures of other people that a density needs to be one of them."""

Densities = Mapping[str, GaussianMixture]
CountByVariant = Callable[[str, int, int], None]
Faces = FaceLocator | Literal["cascade", "locator", "cropped"]


@dataclass(frozen=True)
class LiveFitted:
    """The operating points of one variant, by the engine that served it."""

    variant: str
    engine: str
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True)
class LiveCalibrated:
    """The bundle as it was written, and what was fitted.

    Attributes:
        pictures, subjects: Usable pictures, and people in them.
        one_person: Whether nearly all are of one, for whom alone the thresholds hold.
        unusable: Pictures that took no part.
    """

    bundle: Bundle
    previous_bundle: str
    pictures: int
    subjects: int
    one_person: bool
    unusable: tuple[UnusablePicture, ...]
    fitted: tuple[LiveFitted, ...]
    left_out: tuple[LeftOut, ...]


def calibrate_live(
    bundle: str | os.PathLike[str] | Bundle,
    pictures: Iterable[LivePicture],
    destination: Path | None = None,
    *,
    data: str = "live pictures",
    engine: str = AUTO,
    precision: str | None = None,
    threads: int = 1,
    leave_out: bool = False,
    faces: Faces = "cascade",
    wanted: int | None = None,
    progress: CountByVariant | None = None,
) -> LiveCalibrated:
    """Fit a bundle to live pictures of one camera, and write it as a copy, or in its own place.

    Args:
        pictures: 50 to 1,000 usable ones, of several people; :mod:`edge_sdk.calibration.live_pictures` reads them.
        destination: Folder, or a file ending in ``.edge``; None replaces the bundle itself, atomically.
        data: What the manifest calls the pictures.
        engine, precision, leave_out: As for :func:`edge_sdk.calibration.rewriting.measurable`.
        faces: As for :class:`edge_sdk.runtime.detector.SpoofDetector`.
        wanted: Usable pictures after which no further one is taken; None takes all.
        progress: Called with a variant, how many pictures it has scored, and all of them.

    Raises:
        UsageError: The bundle is not for spoof detection, or cannot be written so.
        DatasetError: Pictures that are too few, the same again and again, of several sizes, or with attacks among them.
        ScoreError: All pictures score the same.
        BundleError, EngineError: The bundle cannot be used, or not here. Nothing is written then.
    """
    opened = Bundle.open(bundle)
    if opened.manifest.task != "spoof":
        raise UsageError(f"{opened.id} is for task {opened.manifest.task}: live pictures fit bundles of task spoof")
    found = rewriting.measurable(
        opened, destination, engine=engine, precision=precision, threads=threads, leave_out=leave_out
    )
    choice = _reference(found)
    with SpoofDetector(
        opened, engine=choice.engine, precision=choice.variant.id, threads=threads, faces=faces
    ) as detector:
        used = live_pictures.cut_out(detector, pictures, same_size=faces != "cropped", wanted=wanted)
    reports = {one.variant.id: _Outputs.of(opened, one, used, threads, progress) for one in found.choices}
    fit = _CameraFit.of(opened, reports[choice.variant.id], used)
    subjects = len(set(used.people.tolist()))
    who = f"{data}, {subjects} {'person' if subjects == 1 else 'people'}, {len(used.faces)} pictures"
    points = {
        variant: bona_fide_points(fit.held_out(outputs), used.people, data=who) for variant, outputs in reports.items()
    }
    provenance = ThresholdProvenance(
        data=data,
        impostors=ALONE,
        subjects=subjects,
        unusable=len(used.unusable),
        previous_bundle=opened.id,
        version=__version__,
        pictures=len(used.faces),
        digest=used.digest,
        densities=fit.replaced,
    )
    changes = Rewritten(
        points,
        provenance,
        score=fit.score,
        golden=_golden(opened, fit, reports) if fit.replaced or fit.score != opened.manifest.score else None,
        files={path: fit.densities[path].encode() for path in fit.replaced},
    )
    return LiveCalibrated(
        bundle=rewriting.rewrite(opened, changes, destination),
        previous_bundle=opened.id,
        pictures=len(used.faces),
        subjects=subjects,
        one_person=_is_one_person(used.people),
        unusable=used.unusable,
        fitted=tuple(LiveFitted(one.variant.id, one.engine, points[one.variant.id]) for one in found.choices),
        left_out=found.left_out,
    )


def _reference(found: Measurable) -> Choice:
    """The variant whose outputs densities are fitted to: a float one where there is one."""
    return min(found.choices, key=lambda choice: choice.variant.precision != "fp32")


@dataclass(frozen=True, eq=False)
class _Outputs:
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
    ) -> _Outputs:
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
class _CameraFit:
    """The score fitted to the camera, and the fits that lack some of the pictures.

    Attributes:
        score: With what its parts are weighed by.
        densities: All that it names, by path.
        replaced: The paths of those that were fitted again.
        without: Each with the pictures ``(N,)`` that it lacks.
    """

    score: AnyScore
    densities: Densities
    replaced: tuple[str, ...]
    without: tuple[tuple[NDArray[np.bool_], AnyScore, Densities], ...]

    @classmethod
    def of(cls, bundle: Bundle, outputs: _Outputs, used: LiveFaces) -> _CameraFit:
        def refitted(chosen: NDArray[np.bool_]) -> tuple[AnyScore, Densities]:
            tensors = {name: values[chosen] for name, values in outputs.live.items()}
            score, found = bundle.manifest.score.refitted(tensors, outputs.densities)
            replaced.update(found)
            return score, {**outputs.densities, **found}

        replaced = set[str]()
        score, densities = refitted(np.ones(len(used.people), np.bool_))
        left_out = list(_left_out(used.people)) if replaced else []
        without = tuple((one, *refitted(~one)) for one in left_out)
        return cls(score, densities, tuple(sorted(replaced)), without)

    def held_out(self, outputs: _Outputs) -> Array:
        """``(N,)`` scores of a variant, each by the fit that lacks the picture, where there are densities."""
        found = _scored(self.score, outputs.live, self.densities)
        for chosen, score, densities in self.without:
            tensors = {name: values[chosen] for name, values in outputs.live.items()}
            found[chosen] = _scored(score, tensors, densities)
        return found


def _is_one_person(people: NDArray[np.str_]) -> bool:
    """Whether there is one, or nearly nothing of the others."""
    return bool(people.size - np.unique(people, return_counts=True)[1].max() < _OTHERS)


def _left_out(people: NDArray[np.str_]) -> Iterator[NDArray[np.bool_]]:
    """One person's pictures at a time; of one person a part of them that are one behind the other."""
    groups = np.arange(people.size) * _PARTS // people.size if _is_one_person(people) else people
    for group in np.unique(groups):
        yield groups == group


def _golden(bundle: Bundle, fit: _CameraFit, reports: Mapping[str, _Outputs]) -> Golden | None:
    """The golden trial by the new score."""
    golden, scores, tolerance = bundle.manifest.golden, {}, {}
    for variant, outputs in reports.items():
        if variant in golden.scores:
            scores[variant] = float(_scored(fit.score, outputs.golden, fit.densities).mean())
            before = _sensitivity(bundle.manifest.score, outputs.golden, outputs.densities)
            after = _sensitivity(fit.score, outputs.golden, fit.densities)
            tolerance[variant] = golden.tolerance[variant] * max(1.0, after / before)
    return Golden(inputs=golden.inputs, scores=scores, tolerance=tolerance) if scores else None


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
    return {name: np.concatenate([one[name] for one in each]) for name in each[0]} if each else {}
