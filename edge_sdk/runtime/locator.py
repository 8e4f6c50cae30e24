"""Where are the faces of a picture, and their eyes, nose and mouth?"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images, preprocess
from edge_sdk.bundle import Bundle, Trust
from edge_sdk.errors import BundleError, EngineError, ScoreError, UsageError
from edge_sdk.manifest import FaceBoxes, LocatePoint, Task
from edge_sdk.preprocess.crop import Box, LocatedFace
from edge_sdk.preprocess.general import Placement
from edge_sdk.results import LocateResult, Timings
from edge_sdk.runtime.arguments import check_switches
from edge_sdk.runtime.engines import Tensors
from edge_sdk.runtime.session import Session, decides
from edge_sdk.scoring.face_boxes import Candidates

NESTED = 0.8
"""Share of the smaller of two boxes in the other from which both show one face."""

SMALLEST = 0.2
"""As the cascade's: whose faces count, see :class:`edge_sdk.runtime.faces.CascadeSettings`."""


class Locator(Session[LocatePoint]):
    """Finds the faces of pictures, with one variant of one bundle on one engine.

    ::

        with Locator() as locator:
            for face in locator.locate("frame.png"):
                print(face.left, face.top, face.width, face.height, face.confidence, face.points)

    A locator is itself a function of a picture, :class:`edge_sdk.runtime.cut.FaceLocator`: ``SpoofDetector(...,
    faces=locator)``. Threads may share it.

    Args:
        bundle: Name of a shipped bundle, path of a folder or ``.edge`` file, or an opened bundle.
        engine: As that of :class:`edge_sdk.runtime.verifier.Verifier`.
        precision: As that of the verifier.
        operating_point: Name of an operating point of the variant; None takes the one of fewest false boxes that misses
            at most 1 in 10 of the faces it was measured on, or ``eer``.
        threads: As that of the verifier.
        threshold: As that of the verifier: the least confidence of a face, in place of an operating point.
        smallest: The longer side of the smallest face that counts, as a share of the picture's shorter side, in [0, 1].
        selftest, warm_up, trust: As those of the verifier.

    Raises:
        BundleError: The bundle cannot be used, or does not locate faces; or the golden trial has another score.
        OperatingPointError: The variant has no such operating point, or its data could not support it.
        EngineError: The engine refuses the variant; ``MissingEngineError`` if none is installed.
        UsageError: As the verifier, or ``smallest`` is not in [0, 1].
    """

    task: ClassVar[Task] = "locate"
    point_kinds = (LocatePoint,)

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle = "face_locator",
        *,
        engine: str = "auto",
        precision: str | None = None,
        operating_point: str | None = None,
        threads: int = 1,
        threshold: float | None = None,
        smallest: float = SMALLEST,
        selftest: bool = False,
        warm_up: bool = False,
        trust: Trust | None = None,
    ) -> None:
        check_switches(selftest=selftest, warm_up=warm_up)
        if not 0 <= smallest <= 1:
            raise UsageError(f"smallest is {smallest}; it is a share of the picture's shorter side, in [0, 1]")
        super().__init__(
            bundle,
            engine=engine,
            precision=precision,
            operating_point=operating_point,
            threads=threads,
            threshold=threshold,
            trust=trust,
        )
        self._smallest = smallest
        self._score, self._fit = _decoding(self.bundle)
        if selftest:
            self._replay_golden()
        if warm_up:
            self._warm_up()

    def locate(self, picture: images.Source) -> tuple[LocatedFace, ...]:
        """Find the faces of one picture.

        Args:
            picture: Anything that :func:`edge_sdk.images.load` takes; an array is left as it is.

        Returns:
            The faces, the largest first; their boxes lie inside the picture, points may lie outside.

        Raises:
            InputError: The picture cannot be decoded.
            EngineError: The engine failed, or gave numbers that are no faces.
        """
        return self.find(picture).faces

    def __call__(self, image: images.Image) -> tuple[LocatedFace, ...]:
        """As :meth:`locate`, of an image that is decoded already; see :class:`~edge_sdk.runtime.cut.FaceLocator`."""
        return self._faces(self._run(image), image, self.threshold)

    @decides()
    def find(self, picture: images.Source) -> LocateResult:
        """As :meth:`locate`, with the highest confidence in the picture, the threshold and the time that it took."""
        deciding = self._deciding()
        start = time.perf_counter()
        image = images.load(picture)
        decoded = time.perf_counter()
        sample = self._prepared(image)
        ready = time.perf_counter()
        tensors = self._model.run(sample)
        inferred = time.perf_counter()
        faces = self._faces(tensors, image, deciding.value)
        score = self._surest(tensors)
        end = time.perf_counter()
        return LocateResult(
            decision=bool(faces),
            score=score,
            raw_score=score,
            threshold=deciding.value,
            operating_point=deciding.name,
            quality=(),
            timings=Timings(
                decode_ms=(decoded - start) * 1e3,
                preprocess_ms=(ready - decoded) * 1e3,
                inference_ms=(inferred - ready) * 1e3,
                postprocess_ms=(end - inferred) * 1e3,
                total_ms=(end - start) * 1e3,
            ),
            bundle_id=self.bundle.id,
            faces=faces,
        )

    def candidates(self, picture: images.Source, threshold: float) -> tuple[LocatedFace, ...]:
        """The faces of any size from any threshold on: for evaluation, and for thresholds still to be fitted.

        Raises:
            InputError, EngineError: As :meth:`locate`.
        """
        image = images.load(picture)
        return self._located(self._run(image), image, threshold)

    def _run(self, image: images.Image) -> Tensors:
        return self._model.run(self._prepared(image))

    def _prepared(self, image: images.Image) -> NDArray[np.float32]:
        """``(1, C, H, W)``."""
        return preprocess.apply(self.bundle.manifest.preprocessing, image)[np.newaxis]

    def _faces(self, tensors: Tensors, image: images.Image, threshold: float) -> tuple[LocatedFace, ...]:
        """Those that count."""
        least = self._smallest * min(image.shape[:2])
        return tuple(face for face in self._located(tensors, image, threshold) if max(face.width, face.height) >= least)

    def _located(self, tensors: Tensors, image: images.Image, threshold: float) -> tuple[LocatedFace, ...]:
        try:
            found = self._score.candidates(tensors, threshold)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave numbers that are no faces: {exc}") from exc
        height, width = image.shape[:2]
        return seen_once(located(found, self._fit.place(height, width), height, width))

    def _surest(self, tensors: Tensors) -> float:
        return float(self._score.score(tensors)[0])

    def golden_trial(self, pictures: list[bytes]) -> tuple[float, tuple[str, ...]]:
        """See :class:`~edge_sdk.runtime.session.Session`."""
        scores = [golden_score(self._score, self._run(images.load(picture)), self._fit) for picture in pictures]
        return sum(scores) / len(scores), ()


def located(found: Candidates, place: Placement, height: int, width: int) -> tuple[LocatedFace, ...]:
    """Candidates in the pixels of the picture that lies so in the network's input, the largest first.

    Edges are rounded to whole pixels and cut off at the picture's border; a face whose middle lies outside is none.
    """
    edges = place.back(found.boxes.reshape(-1, 2, 2))
    points = place.back(found.points)
    limits = np.array([width, height])
    middles = edges.mean(axis=1)
    edges = np.clip(np.rint(edges), 0, limits).astype(int)
    inside = ((middles >= 0) & (middles < limits) & (edges[:, 1] > edges[:, 0])).all(axis=1)
    faces = [
        LocatedFace(
            left=int(edges[i, 0, 0]),
            top=int(edges[i, 0, 1]),
            width=int(edges[i, 1, 0] - edges[i, 0, 0]),
            height=int(edges[i, 1, 1] - edges[i, 0, 1]),
            points=tuple((float(x), float(y)) for x, y in points[i]),
            confidence=float(found.confidences[i]),
        )
        for i in np.flatnonzero(inside)
    ]
    return tuple(sorted(faces, key=lambda face: (-face.area, face.left, face.top)))


def seen_once(faces: Sequence[LocatedFace]) -> tuple[LocatedFace, ...]:
    """Without those of which :data:`NESTED` lies within a surer one; the order stays.

    Grids of different strides see one face at two sizes, the smaller box within the larger. They overlap too little
    (intersection over union) to be suppressed as one, and would count as two people.
    """
    kept: list[LocatedFace] = []
    for face in sorted(faces, key=lambda face: -face.confidence):
        if all(min(face.area, other.area) * NESTED > _common(face, other) for other in kept):
            kept.append(face)
    return tuple(face for face in faces if any(face is one for one in kept))


def _common(first: Box, second: Box) -> int:
    """Pixels in both."""
    width = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    height = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    return max(0, width) * max(0, height)


def golden_score(score: FaceBoxes, tensors: Tensors, fit: preprocess.Fit) -> float:
    """The golden score of one picture: the mean of the surest face's confidence, edges and points, each in [0, 1].

    Edges and points are shares of the network's input, so that a box or point that moves changes the score.
    """
    found = score.candidates(tensors, 0.0)
    if not found.confidences.size:
        raise EngineError("the golden picture has no cell with a box")
    shares = np.concatenate([found.boxes[0].reshape(2, 2), found.points[0]]) / (fit.width, fit.height)
    return float(np.append(shares.clip(0, 1), found.confidences[0]).mean())


def _decoding(bundle: Bundle) -> tuple[FaceBoxes, preprocess.Fit]:
    """How the outputs become faces, and how pictures were placed in the network's input."""
    manifest = bundle.manifest
    moving = [step for step in manifest.preprocessing if isinstance(step, (*preprocess.GEOMETRY, preprocess.LimitSize))]
    match manifest.score, moving:
        case FaceBoxes() as score, [preprocess.Fit() as fit] if score.levels[0].size(manifest.interface) == (
            fit.height,
            fit.width,
        ):
            return score, fit
    raise BundleError(
        f"{bundle.id} does not locate faces in pictures that its pre-processing places, with one fit, in the frame "
        "that its outputs cover"
    )
