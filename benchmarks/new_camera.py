"""What live pictures of a new camera give a bundle: error rates before and after ``edge-sdk calibrate --live``.

    python benchmarks/new_camera.py BUNDLE --data nuaa-train:PATH --by-day
    python benchmarks/new_camera.py BUNDLE --data cfp-frontal:PATH print+cfp-frontal:PATH screen+cfp-frontal:PATH
        [--subjects-file FILE] [--cameras half blur ...] [--folds 2] [--pictures 200] [--precision fp32.onnx]

The pictures are crops of faces. Those of one data set are taken to be of one camera; ``--by-day`` takes NUAA's days,
which the names of its recordings end in, apart. ``--cameras`` turns all pictures, live ones and attacks, into those of
made-up cameras that are worse in one way.

The people of a camera are dealt into folds. The bundle is fitted to live pictures of the people outside a fold, at most
``--pictures`` of them, evenly spaced, and tested on the live pictures and the attacks of those in it: everybody is
tested once, by a bundle that has never seen them. Scores of several fits are compared as they lie above or below the
threshold bpcer_1e-1 of their own. Intervals are 95 % by bootstrap over people.

"BPCER at the shipped APCER" is that at the threshold, read off the test people, where the APCER is what the bundle has
at its own threshold before it is fitted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk import SpoofDetector, images
from edge_sdk.bundle import Bundle
from edge_sdk.calibration.live import calibrate_live
from edge_sdk.calibration.live_pictures import LivePicture
from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.thresholds import rate
from edge_sdk.cli.options import read_subjects
from edge_sdk.errors import DatasetError, InputError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.artifact_protocol import interval
from edge_sdk.images import Image
from edge_sdk.manifest import BonaFidePoint, Rate
from edge_sdk.preprocess import ToGray
from edge_sdk.tables import Table

APCER = 0.05
SHIPPED = "shipped"
HEAD = ("camera", "threshold", "live, attacks", "AUROC", "BPCER at APCER 5 %", "BPCER at the shipped APCER", "APCER",
        "BPCER")  # fmt: skip


def _half(picture: Image) -> Image:
    height, width = picture.shape
    small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _noisy(picture: Image) -> Image:
    noise = np.random.default_rng(picture.size + int(picture.sum())).normal(0, 10, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _compressed(picture: Image) -> Image:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


CAMERAS: Mapping[str, Callable[[Image], Image]] = {
    "as-it-is": lambda picture: picture,
    "half": _half,  # of the pixels on each side
    "blur": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8),
    "noise": _noisy,
    "jpeg": _compressed,
    "bright": lambda picture: np.clip(1.7 * picture.astype(np.float64) + 20, 0, 255).astype(np.uint8),
}


@dataclass(frozen=True)
class Settings:
    """How a bundle is fitted and tested."""

    folds: int
    pictures: int
    precision: str
    seed: int


@dataclass(frozen=True)
class Camera:
    """The pictures of one camera, or of one made-up one."""

    name: str
    samples: tuple[Sample, ...]
    change: Callable[[Image], Image]

    def read(self, sample: Sample) -> Image:
        """``uint8 (H, W)``."""
        return self.change(ToGray()(images.load(sample.path)))


@dataclass(frozen=True, eq=False)
class Decided:
    """Scores of presentations, and the threshold that each is compared with."""

    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    samples: tuple[Sample, ...]

    @property
    def attack_scores(self) -> AttackScores:
        """How far above its threshold each score is: live from 0 on."""
        kinds = [None if one.genuine else one.attack for one in self.samples]
        return AttackScores(self.scores - self.thresholds, kinds, [one.subject for one in self.samples])


def joined(parts: Sequence[Decided]) -> Decided:
    return Decided(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.thresholds for part in parts]),
        tuple(sample for part in parts for sample in part.samples),
    )


def cameras(data: Dataset, by_day: bool, changes: Sequence[str]) -> Iterator[Camera]:
    groups: dict[str, list[Sample]] = {}
    for sample in data.samples:
        day = f" day {(sample.session or '').rpartition('_')[2]}" if by_day else ""
        groups.setdefault(sample.subject.partition("/")[0] + day, []).append(sample)
    for name, samples in sorted(groups.items()):
        for change in changes:
            suffix = "" if change == "as-it-is" else f", {change}"
            yield Camera(f"{name}{suffix}", tuple(samples), CAMERAS[change])


def decided(bundle: Bundle, camera: Camera, samples: Sequence[Sample], settings: Settings) -> dict[str, Decided]:
    """By each of the bundle's thresholds; pictures without a score are left out."""
    scores, kept = list[float](), list[Sample]()
    with SpoofDetector(bundle, precision=settings.precision, faces="cropped") as detector:
        for sample in samples:
            try:
                found = detector.examine(camera.read(sample))
            except InputError:
                continue
            if np.isfinite(found.score):
                scores.append(found.score)
                kept.append(sample)
        points = {p.name: p.threshold for p in detector.variant.operating_points if isinstance(p, BonaFidePoint)}
        points = points or {SHIPPED: detector.threshold}
    return {
        name: Decided(np.array(scores), np.full(len(scores), threshold), tuple(kept))
        for name, threshold in points.items()
    }


def fitted(bundle: Bundle, camera: Camera, people: Collection[str], settings: Settings, out: Path) -> Bundle:
    live = [sample for sample in camera.samples if sample.genuine and sample.subject in people]
    chosen = [live[k] for k in np.unique(np.linspace(0, len(live) - 1, settings.pictures).round().astype(int))]
    taken = (LivePicture(one.subject, str(one.path), camera.read(one)) for one in chosen)
    found = calibrate_live(bundle, taken, out, data=camera.name, precision=settings.precision, faces="cropped")
    return found.bundle


def row(name: str, fit: str, found: Decided, shipped_apcer: float) -> tuple[str, ...]:
    scores = found.attack_scores
    ranks = presentation_attack.bootstrap(
        scores,
        [
            lambda curves: curves.pooled.auroc(),
            lambda curves: curves.bpcer_at_apcer(APCER),
            lambda curves: curves.bpcer_at_apcer(shipped_apcer),
        ],
    )
    passed, people = scores.presented.scores >= 0, scores.presented.subjects
    live, *attacks = scores.classes()
    apcer = max((rate(passed[kind], people[kind]) for kind in attacks), key=lambda one: one.value)
    bpcer = rate(~passed[live], people[live])
    counts = f"{np.count_nonzero(live)}, {np.count_nonzero(~live)}"
    measured: tuple[Interval | Rate, ...] = (*ranks, apcer, bpcer)
    return name, fit, counts, *map(interval, measured)


def compared(bundle: Bundle, camera: Camera, settings: Settings) -> dict[str, Decided]:
    """The same presentations by the bundle before, and by each threshold of the fitted one."""
    live = sorted({sample.subject for sample in camera.samples if sample.genuine})
    others = sorted({sample.subject for sample in camera.samples} - set(live))
    if len(live) < 2 * settings.folds:
        raise DatasetError(f"{camera.name}: {len(live)} people with live pictures are too few")
    dealt = [live[k] for k in np.random.default_rng(settings.seed).permutation(len(live)).tolist()] + others
    parts = defaultdict[str, list[Decided]](list)
    for fold in range(settings.folds):
        tested = set(dealt[fold :: settings.folds])
        samples = [sample for sample in camera.samples if sample.subject in tested]
        with tempfile.TemporaryDirectory() as folder:
            mine = fitted(bundle, camera, set(live) - tested, settings, Path(folder, "fitted.edge"))
            for one in (bundle, mine):
                for point, found in decided(one, camera, samples, settings).items():
                    parts[point].append(found)
    return {point: joined(found) for point, found in parts.items() if len(found) == settings.folds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="+")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--subjects-file", type=Path, metavar="FILE")
    parser.add_argument("--by-day", action="store_true")
    parser.add_argument("--cameras", nargs="+", choices=sorted(CAMERAS), default=["as-it-is"])
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--precision", default="fp32.onnx")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = load(*arguments.data)
    if arguments.subjects_file:
        data = data.select(read_subjects(arguments.subjects_file))
    settings = Settings(arguments.folds, arguments.pictures, arguments.precision, arguments.seed)
    for name in arguments.bundle:
        bundle, rows = Bundle.open(name), list[tuple[str, ...]]()
        for camera in cameras(data, arguments.by_day, arguments.cameras):
            try:
                found = compared(bundle, camera, settings)
            except DatasetError as error:
                print(f"left out: {error}", flush=True)
                continue
            shipped = presentation_attack.rates(found[SHIPPED].attack_scores, 0.0).apcer
            rows += [row(camera.name, point, decisions, shipped) for point, decisions in found.items()]
        note = f"{bundle.id}, {settings.precision}, {settings.folds} folds of people, fitted to {settings.pictures}"
        print(Table(HEAD, rows, text=HEAD[:3], note=note).markdown(), flush=True)


if __name__ == "__main__":
    main()
