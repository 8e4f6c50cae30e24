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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle, SigningKey
from edge_sdk.calibration import live_pictures, rewriting
from edge_sdk.calibration.live_fit import CameraFit, VariantOutputs, is_one_person
from edge_sdk.calibration.live_pictures import LivePicture
from edge_sdk.calibration.rewriting import CountByVariant, LeftOut, Measurable, Rewritten
from edge_sdk.calibration.thresholds import bona_fide_points
from edge_sdk.calibration.unusable import UnusablePicture
from edge_sdk.errors import UsageError
from edge_sdk.manifest import Golden, OperatingPoint, ThresholdProvenance
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.detector import SpoofDetector
from edge_sdk.runtime.selection import AUTO, Choice

ALONE = "live pictures alone, no attacks"
"""What the provenance says in place of impostors."""

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
    sign_with: Sequence[SigningKey] = (),
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
        sign_with: Keys that sign what is written; without any it has no signature.

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
        opened,
        destination,
        engine=engine,
        precision=precision,
        threads=threads,
        leave_out=leave_out,
        sign_with=sign_with,
    )
    choice = _reference(found)
    with SpoofDetector(
        opened, engine=choice.engine, precision=choice.variant.id, threads=threads, faces=faces
    ) as detector:
        used = live_pictures.cut_out(detector, pictures, same_size=faces != "cropped", wanted=wanted)
    reference = VariantOutputs.of(opened, choice, used, threads, progress)
    fit = CameraFit.of(opened.manifest.score, reference, used.people)
    subjects = len(set(used.people.tolist()))
    data = data.encode("utf-8", "backslashreplace").decode()  # a folder's name may hold bytes that are no text
    who = f"{data}, {subjects} {'person' if subjects == 1 else 'people'}, {len(used.faces)} pictures"
    points, golden = dict[str, tuple[OperatingPoint, ...]](), opened.manifest.golden
    scores, tolerance = dict[str, float](), dict[str, float]()
    for one in found.choices:
        variant = one.variant.id
        outputs = reference if one is choice else VariantOutputs.of(opened, one, used, threads, progress)
        points[variant] = bona_fide_points(fit.held_out(outputs), used.people, data=who)
        if variant in golden.scores:
            scores[variant], coarser = fit.golden(outputs)
            tolerance[variant] = golden.tolerance[variant] * coarser
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
        golden=Golden(inputs=golden.inputs, scores=scores, tolerance=tolerance) if scores and fit.changed else None,
        files={path: fit.densities[path].encode() for path in fit.replaced},
    )
    return LiveCalibrated(
        bundle=rewriting.rewrite(opened, changes, destination, sign_with),
        previous_bundle=opened.id,
        pictures=len(used.faces),
        subjects=subjects,
        one_person=is_one_person(used.people),
        unusable=used.unusable,
        fitted=tuple(LiveFitted(one.variant.id, one.engine, points[one.variant.id]) for one in found.choices),
        left_out=found.left_out,
    )


def _reference(found: Measurable) -> Choice:
    """The variant whose outputs densities are fitted to: a float one where there is one."""
    return min(found.choices, key=lambda choice: choice.variant.precision != "fp32")
