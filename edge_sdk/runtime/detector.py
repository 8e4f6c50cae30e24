"""Is this a live capture of a face, or a picture of one? From one frame, or from many over time.

It fails closed: only a frame that is fit to be judged, with exactly one face whose score is finite and at least the
threshold, is LIVE; over a stream, only enough of them (:mod:`edge_sdk.runtime.temporal`).

Two faces are no case for taking the larger one. Who holds a print next to his own face would show a live one to this
detector, and perhaps the print to whoever recognises people. So the decision is UNCERTAIN, the flag ``several_faces``,
until one of them is gone. Whose faces count is the locator's to say: the cascade leaves out small ones.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images, preprocess
from edge_sdk.bundle import Bundle, Trust
from edge_sdk.errors import BundleError, EngineError, ScoreError
from edge_sdk.logs import Log
from edge_sdk.manifest import BonaFidePoint, Image, SpoofPoint, Task
from edge_sdk.preprocess.crop import Box, FaceCrop
from edge_sdk.results import SpoofDecision, SpoofResult, StreamResult, Timings
from edge_sdk.runtime import arrivals, clock, frames
from edge_sdk.runtime import audit as auditing
from edge_sdk.runtime.arguments import check_switches
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.engines import Tensors
from edge_sdk.runtime.faces import Cascade, Rescaled, TakingTurns, Tracker
from edge_sdk.runtime.freeze import Freeze
from edge_sdk.runtime.locator import Locator
from edge_sdk.runtime.session import Session, decides
from edge_sdk.runtime.temporal import Limits, Observation, Rule, TemporalDecision, limits_of, rule_of
from edge_sdk.runtime.tracking import FaceTracking
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

_LOG = Log(__name__)

FLAGS = (*frames.FLAGS, "several_faces", "unfamiliar")

# Where the manifest has no rule of its own: the cascade's box as it is, which lies inside the frame anyway.
CROP = FaceCrop(scale=1.0, overflow="replicate")

BLANK = (480, 640, 3)
"""Of the frame that the cascade is warmed up on."""

AS_CASCADE = 0.9
"""Side of the cascade's box over that of ``face_locator``, whose middle is the same: the median of 381 frames of CFP's
people 001 to 300, by whom the locator was trained. The shipped networks were trained on the cascade's boxes."""


class SpoofDetector(Session[SpoofPoint | BonaFidePoint]):
    """Tells live faces from presentation attacks, with one variant of one bundle on one engine.

    ::

        with SpoofDetector("ganomaly_lite") as detector:
            result = detector.detect("frame.png")
            for result in detector.stream(frames):
                print(result.decision, result.reasons, result.frame.score)

    Pictures are anything that :func:`edge_sdk.images.load` takes. An array is copied before it is looked at, so that a
    camera may write the next frame into it once the call, or the stream's step, is over.

    Threads may share a detector; each has streams of its own.

    Args:
        bundle: Name of a shipped bundle, path of a folder or ``.edge`` file, or an opened bundle.
        engine: As that of :class:`edge_sdk.runtime.verifier.Verifier`.
        precision: As that of the verifier.
        threads: Threads of the engine.
        operating_point: Name of an operating point of the variant; None takes the one of least APCER that accepts at
            least 7 in 10 of the live captures it was measured on, as ``rule`` asks of a live face's frames, or ``eer``.
        faces: ``"cascade"`` finds the face in a full frame with OpenCV's; ``"locator"`` by the shipped bundle
            ``face_locator``, its boxes made as large as the cascade's; ``"cropped"`` says that pictures are crops
            of one face each already; or a locator of one's own, which one thread at a time calls, if it is no
            :class:`~edge_sdk.runtime.locator.Locator`.
        rule: How a stream's scores add up; None is the one that the bundle was tuned for, moved with the threshold in
            use, or :class:`~edge_sdk.runtime.temporal.KOfN` at the threshold where it was tuned for none.
        limits: Gap, cooldown and deadline of a stream; None are the bundle's, or the defaults of
            :class:`~edge_sdk.runtime.temporal.Limits`.
        threshold: As that of the verifier: in place of an operating point, ``"custom"`` in results.
        selftest: As that of the verifier; the golden pictures are crops of faces, whatever ``faces`` is.
        warm_up: As that of the verifier; a locator of one's own is not called.
        audit: As that of the verifier: a line for each call of :meth:`detect`, and for the frames of a :meth:`stream`
            at which the decision changes, a deadline passes or ten seconds are over
            (:class:`~edge_sdk.runtime.audit.AuditLog`: ``every_frame``).
        trust: As that of the verifier.

    Raises:
        BundleError: The bundle cannot be used, or is not one for liveness from one picture; or the golden trial has
            another score.
        OperatingPointError: The variant has no such operating point, or its data could not support it.
        EngineError: The engine refuses the variant (``MissingEngineError`` if none is installed), or OpenCV has no
            cascade. The errors of a locator, where it is to find faces.
    """

    task: ClassVar[Task] = "spoof"
    point_kinds = (SpoofPoint, BonaFidePoint)

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: str = "auto",
        precision: str | None = None,
        operating_point: str | None = None,
        threads: int = 1,
        faces: FaceLocator | Literal["cascade", "locator", "cropped"] = "cascade",
        rule: Rule | None = None,
        limits: Limits | None = None,
        threshold: float | None = None,
        selftest: bool = False,
        warm_up: bool = False,
        audit: auditing.Audit | None = None,
        trust: Trust | None = None,
    ) -> None:
        check_switches(selftest=selftest, warm_up=warm_up)
        opened = Bundle.open(bundle, trust=trust)
        self._crop = _face_crop(opened)
        self._rule = rule
        self._limits = limits or limits_of(opened.manifest)
        with contextlib.ExitStack() as failed:
            self._locate = locator_of(faces, threads, failed, warm_up=warm_up, trust=trust)
            super().__init__(
                opened,
                engine=engine,
                precision=precision,
                operating_point=operating_point,
                threads=threads,
                threshold=threshold,
                audit=audit,
                trust=None,
            )
            self._own_locator = failed.pop_all()
        if selftest:
            self._replay_golden()
        if warm_up:
            self._warm_up()

    @property
    def densities(self) -> Mapping[str, GaussianMixture]:
        """The densities that the bundle's score names, by path."""
        return self._model.densities

    @property
    def rule(self) -> Rule:
        """Of streams that are given none: this detector's, its bundle's, or K of N. Raises as :attr:`threshold`."""
        return rule_of(self.bundle.manifest, self.threshold) if self._rule is None else self._rule

    @property
    def limits(self) -> Limits:
        """Of streams: this detector's, its bundle's, or the defaults."""
        return self._limits

    def close(self) -> None:
        """Free the engines; whatever needs one raises ``EngineError`` afterwards."""
        self._own_locator.close()
        super().close()

    @decides(auditing.detected)
    def detect(self, picture: images.Source) -> SpoofResult:
        """Decide on one picture.

        Returns:
            LIVE or SPOOF by the score of the only face; NO_FACE; or UNCERTAIN with at least one of :data:`FLAGS`.

        Raises:
            InputError: The picture cannot be decoded, an array has transparent pixels, or the locator gave a box
                outside it.
            UsageError: The locator gave no boxes.
            EngineError: The engine failed, or gave numbers that cannot be scored.
        """
        start = time.perf_counter()
        taken = arrivals.taken(picture)
        decoded = time.perf_counter()
        return self._decide(self._find(taken, self._locate), start, decoded)

    def examine(self, picture: images.Source) -> Scored:
        """What one picture shows, before any threshold: for evaluation, and for operating points still to be measured.

        Raises:
            InputError, EngineError: As :meth:`detect`.
        """
        found = self._find(arrivals.taken(picture), self._locate)
        if found.face is None or found.flags:
            return Scored(found.boxes, found.flags, found.face)
        tensors = self._model.run(self._prepared(found.face))
        if self._unfamiliar(tensors):
            return Scored(found.boxes, ("unfamiliar",), found.face)
        return Scored(found.boxes, found.flags, found.face, self._score(tensors), tensors)

    def stream(
        self, pictures: Iterable[arrivals.Arrival], rule: Rule | None = None, *, deadline: float | None = None
    ) -> Iterator[StreamResult]:
        """Decide on the frames of one camera, one result a frame; every call is a stream of its own.

        The cascade looks for a known face near its last place, and in each frame for others in a part of the sizes
        (:mod:`edge_sdk.runtime.tracking`); another locator gets whole frames.

        One thread at a time may take results of a stream; for another one it is a ValueError meanwhile.

        Args:
            pictures: Frames, stamped when they arrive, or ``(time, frame)`` with the camera's time in seconds
                (:mod:`edge_sdk.runtime.sources`). What is damaged, None too, is a frame with the flag ``corrupt``.
            rule: Of this stream; None is the detector's.
            deadline: Seconds within which a face gets a decision, in place of :attr:`limits`' ``deadline_s``. The first
                frame from then on ends an attempt without one: UNCERTAIN, with the reason ``deadline``. Results come
                with frames: a camera that has none should give None meanwhile.

        Raises:
            UsageError: At once, if ``pictures`` are no frames, the rule is none or the deadline no number of seconds
                that a limit may have; at a frame, if it is neither a picture nor ``(time, frame)``, or the locator
                gave no boxes. After this and every other error the stream has ended.
            InputError: A frame of a type, shape or format that no camera's trouble explains, or a file that is not
                there; or the locator gave a box outside the frame.
            EngineError: The engine failed, or gave numbers that cannot be scored.
        """
        limits = self._limits if deadline is None else replace(self._limits, deadline_s=deadline)
        decision = TemporalDecision(self.rule if rule is None else rule, limits)
        return self._stream(arrivals.opened(pictures), decision)

    def _stream(self, pictures: Iterator[arrivals.Arrival], decision: TemporalDecision) -> Iterator[StreamResult]:
        results = self._judged(pictures, decision)
        facts = None if self._trail is None else self._trail.stream()
        while True:
            self._model.check_process()
            try:
                result = next(results, None)
            except Exception as exc:
                self._raised("stream", exc)
                raise
            if result is None:
                return
            self._health.streamed(result.reasons)
            self._decided("stream", result, facts)
            yield result

    def _judged(self, pictures: Iterator[arrivals.Arrival], decision: TemporalDecision) -> Iterator[StreamResult]:
        tracker, freeze = Tracker(gap_s=self._limits.gap_s), Freeze()
        # A class derived from Cascade may search in its own way.
        locate = FaceTracking(self._locate) if type(self._locate) is Cascade else self._locate
        slept, before = 0.0, clock.suspended()
        for arrival in pictures:
            stamp, picture = arrivals.stamped(arrival)
            asleep = clock.suspended()
            if asleep - before > self._limits.gap_s:  # which a camera's clock need not show
                slept, before = slept + asleep - before, asleep
            start = time.perf_counter()
            taken = arrivals.decoded(picture)
            decoded = time.perf_counter()
            found = self._find(taken, locate, freeze)
            result = self._decide(found, start, decoded)
            tracks = tracker.update(stamp + slept, found.boxes)
            track = tracks[0] if len(tracks) == 1 else None
            over_time = decision.update(Observation(stamp + slept, track, result.score, result.quality))
            yield StreamResult(over_time.decision, over_time.reasons, stamp, track, result)

    def _find(self, taken: arrivals.Taken, locate: FaceLocator | None, freeze: Freeze | None = None) -> _FoundFace:
        """Find the face to score; in a stream, ``locate`` and ``freeze`` have seen the frames before."""
        self._model.check_process()  # first: in a fork the search for faces may hang, as an engine may
        image, flags = taken
        if image is None:
            return _FoundFace(flags=flags)
        repeats = freeze.look(image) if freeze else None
        flags = ("frozen",) if repeats and repeats.whole else ()
        gray = preprocess.ToGray()(image)
        flags += frames.assess(gray)
        if flags:
            return _FoundFace(flags=flags)
        start = time.perf_counter()
        if locate is None:
            boxes: tuple[Box, ...] = (Box(0, 0, image.shape[1], image.shape[0]),)
        else:
            boxes = tuple(locate(gray if type(locate) in (Cascade, FaceTracking) else image))
        locate_ms = (time.perf_counter() - start) * 1e3
        if len(boxes) != 1:
            return _FoundFace(boxes, ("several_faces",) if boxes else (), locate_ms=locate_ms)
        face = image if locate is None else self._crop(image, boxes[0])
        flags = ("frozen",) if repeats and repeats.face(boxes[0]) else ()
        unfit = () if face is image else frames.assess(face)
        return _FoundFace(boxes, flags + unfit, face, locate_ms)

    def _decide(self, found: _FoundFace, start: float, decoded: float) -> SpoofResult:
        deciding = self._deciding()
        score, flags = math.nan, found.flags
        decision = SpoofDecision.UNCERTAIN if flags else SpoofDecision.NO_FACE
        ready = inferred = time.perf_counter()
        if found.face is not None and not found.flags:
            samples = self._prepared(found.face)
            ready = time.perf_counter()
            tensors = self._model.run(samples)
            inferred = time.perf_counter()
            score = self._score(tensors)
            if self._unfamiliar(tensors):
                score, flags, decision = math.nan, ("unfamiliar",), SpoofDecision.UNCERTAIN
            else:
                decision = SpoofDecision.LIVE if score >= deciding.value else SpoofDecision.SPOOF
        end = time.perf_counter()
        return SpoofResult(
            decision=decision,
            score=score,
            raw_score=score,
            threshold=deciding.value,
            operating_point=deciding.name,
            quality=flags,
            timings=Timings(
                decode_ms=(decoded - start) * 1e3,
                preprocess_ms=(ready - decoded) * 1e3,
                inference_ms=(inferred - ready) * 1e3,
                postprocess_ms=(end - inferred) * 1e3,
                total_ms=(end - start) * 1e3,
                locate_ms=found.locate_ms,
            ),
            bundle_id=self.bundle.id,
            faces=found.boxes,
        )

    def golden_trial(self, pictures: list[bytes]) -> tuple[float, tuple[str, ...]]:
        """See :class:`~edge_sdk.runtime.session.Session`; the pictures are crops, wherever faces are looked for."""
        crops = [images.load(picture) for picture in pictures]
        if flags := sorted({flag for crop in crops for flag in frames.assess(crop)}):
            raise BundleError(f"a golden picture never reaches the engine: {', '.join(flags)}")
        scores = [self._score(self._model.run(self._prepared(crop))) for crop in crops]
        return sum(scores) / len(scores), ()

    def _prepared(self, face: preprocess.Image) -> NDArray[np.float32]:
        """``(1, C, H, W)``."""
        return preprocess.apply(self.bundle.manifest.preprocessing, face)[np.newaxis]

    def _score(self, tensors: Tensors) -> float:
        try:
            scores = self.bundle.manifest.score.score(tensors, self._model.densities)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave numbers that cannot be scored: {exc}") from exc
        if scores.shape != (1,) or not np.isfinite(scores).all():
            raise EngineError(f"{self.variant.id} gave {scores.size} scores for one picture, or none that is finite")
        return float(scores[0])

    def _unfamiliar(self, tensors: Tensors) -> bool:
        """Whether the face is unlike all that the model was trained on; of tensors that have a score."""
        return bool(self.bundle.manifest.score.unfamiliar(tensors, self._model.densities)[0])


@dataclass(frozen=True, eq=False)
class Scored:
    """What a picture shows, before any threshold.

    Attributes:
        boxes: Of all faces.
        flags: Of :data:`FLAGS`; with any there is no score.
        face: The only face, cut out: what the pre-processing starts from. None unless there is exactly one.
        score: Higher is more likely live; NaN without one.
        tensors: By ``graph.tensor``, the model's inputs and outputs, ``(1, ...)``; empty without a score.
    """

    boxes: tuple[Box, ...]
    flags: tuple[str, ...]
    face: preprocess.Image | None
    score: float = math.nan
    tensors: Tensors = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _FoundFace:
    """The faces of a frame, what is wrong with it, the only face cut out, and how long the search took."""

    boxes: tuple[Box, ...] = ()
    flags: tuple[str, ...] = ()
    face: preprocess.Image | None = None
    locate_ms: float = 0.0


def locator_of(
    faces: FaceLocator | Literal["cascade", "locator", "cropped"],
    threads: int,
    opened: contextlib.ExitStack,
    *,
    warm_up: bool = False,
    trust: Trust | None = None,
) -> FaceLocator | None:
    """What finds faces, as :class:`SpoofDetector` takes it; None of crops. What is opened is closed with ``opened``."""
    _LOG.info("faces: %s", faces if isinstance(faces, str) else type(faces).__name__)
    if faces == "cropped":
        return None
    if faces == "cascade":
        cascade = Cascade()
        if warm_up:
            for locate in (cascade, FaceTracking(cascade)):
                locate(np.zeros(BLANK, np.uint8))
        return cascade
    if faces == "locator":
        return Rescaled(opened.enter_context(Locator(threads=threads, warm_up=warm_up, trust=trust)), AS_CASCADE)
    return faces if isinstance(faces, (Cascade, Locator)) else TakingTurns(faces)


def _face_crop(bundle: Bundle) -> FaceCrop:
    manifest = bundle.manifest
    if manifest.task != "spoof" or not isinstance(manifest.source, Image):
        raise BundleError(f"{bundle.id} does not detect presentation attacks in one picture")
    return manifest.source.face or CROP
