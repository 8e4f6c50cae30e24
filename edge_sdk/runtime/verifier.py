"""Are these two the same person? From pictures, or a template and a picture, to one decision.

Everything fails closed: an error is raised and never turned into a result, a picture without a usable signature is
rejected without asking the network, and a score that is not finite is an error.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.bundle import Bundle, Trust
from edge_sdk.errors import (
    EngineError,
    RejectedSampleError,
    ScoreError,
    TemplateError,
    UnusableSampleError,
    UsageError,
)
from edge_sdk.manifest import SAMPLE, Task, VerifyPoint
from edge_sdk.modalities import Prepared
from edge_sdk.modalities.walks import MOST, WalkStream
from edge_sdk.preprocess import GaitCycles
from edge_sdk.results import Candidate, IdentifyResult, VerifyResult
from edge_sdk.runtime import audit as auditing
from edge_sdk.runtime import cutting, revocation
from edge_sdk.runtime.acquisition import Acquisition, Sample, as_list
from edge_sdk.runtime.arguments import check_switches, is_whole
from edge_sdk.runtime.binding import Binding
from edge_sdk.runtime.cut import Cutter
from edge_sdk.runtime.gallery import TemplateGallery
from edge_sdk.runtime.operating_point import ActiveThreshold
from edge_sdk.runtime.revocation import Revoked
from edge_sdk.runtime.session import Session, decides
from edge_sdk.runtime.stopwatch import Stopwatch
from edge_sdk.runtime.template import Template
from edge_sdk.runtime.updating import joining_threshold
from edge_sdk.scoring.base import Comparison


class Verifier(Session[VerifyPoint]):
    """Compares pictures of one modality, with one variant of one bundle on one engine.

    ::

        with Verifier("deepsign") as verifier:
            result = verifier.verify("reference.png", "query.png")
            template = verifier.enroll(["first.png", "second.png"])
            result = verifier.verify(template, frame)
            template = verifier.update(template, "third.png")
            result = verifier.verify(template, Shots("clip.mp4"))
            result = verifier.identify(frame, {"anna": template, "ben": other})

    Pictures are anything that :func:`edge_sdk.images.load` takes. Where the bundle's manifest says how a face is cut
    out of a frame, it is found, assessed (:mod:`edge_sdk.runtime.face_quality`) and cut out before the pre-processing.

    Args:
        bundle: Name of a shipped bundle, path of a folder or ``.edge`` file, or an opened bundle.
        engine: Name of an engine, or ``"auto"``: what ``edge-sdk tune`` measured here, else the preferred one of those
            installed (:func:`edge_sdk.runtime.selection.choose`). :attr:`engine` and :attr:`variant` say what it is.
        precision: ``"int8"`` (any int8 variant that the engine runs), ``"fp32"``, or exactly one variant by its id
            (``"int8.onnx"``); None prefers int8.
        operating_point: Name of an operating point of the variant; None takes the manifest's ``default_point``, or
            where it has none the one of least FMR that accepts at least half of the genuine pairs it was measured on,
            or ``eer``. Of the points of that name that one decides which was measured with as many references as there
            are: :meth:`operating_point_for`.
        threads: Threads of the engine, from 1 to :data:`edge_sdk.runtime.engines.MAX_THREADS`.
        threshold: A threshold of your own in place of an operating point: a score that can come, but not the lowest.
            No error rate was measured at it; results call it ``"custom"``.
        faces: How faces are found, where the manifest says how they are cut out of frames. ``"locator"``: by the
            shipped bundle ``face_locator``. ``"aligned"``: not at all, pictures are cut out (and aligned) already. Or a
            locator of one's own, which one thread at a time calls if it is no
            :class:`~edge_sdk.runtime.locator.Locator`; to be aligned, faces need their five points
            (:class:`edge_sdk.preprocess.crop.LocatedFace`).
        selftest: Whether to replay the bundle's golden trial first, for the time of one :meth:`verify`. It finds a
            model, pre-processing or score other than the exported ones, whatever the hashes say, and an engine that
            computes wrongly; not another threshold. The golden pictures are cut out already, whatever ``faces`` is.
        warm_up: Whether to run the graphs, pre-processing, score and locator once before the constructor returns, so
            that the first call takes as long as later ones: memory is touched and code loaded by then. No result of it
            is kept. Takes the time of a :meth:`verify`.
        audit: The path of a file that gets one JSON line for each call of :meth:`verify`, :meth:`identify`,
            :meth:`compare`, :meth:`enroll` and :meth:`update` before it returns, or an
            :class:`~edge_sdk.runtime.audit.AuditLog`, which several sessions may share. A line that cannot be written
            is a ``StorageError`` in place of the result.
        trust: Whose signature the bundle needs, and how old it may be; None takes what this device was set to
            (:func:`edge_sdk.bundle.trust.default_trust`), and of an opened bundle what it was opened with.
        revoked: Which templates to refuse: a list, or its file (:mod:`edge_sdk.runtime.revocation`), which is read
            again when it changes. A template without an id is refused, too. None refuses none.

    Raises:
        BundleError: The bundle cannot be used, or is not one for verification; or the golden trial has another score;
            ``SignatureError`` or ``RollbackError`` if it is not trusted here.
        OperatingPointError: The variant has no such operating point, or its data could not support it.
        EngineError: The engine refuses the variant; ``MissingEngineError`` if none is installed, ``BrokenEngineError``
            if it is, but cannot be loaded.
        StorageError: The list of revoked templates is not there, is none, or others can write it.
        UsageError: Both an operating point and a threshold, a threshold that every score reaches or none, or no
            sensible number of threads.
    """

    task: ClassVar[Task] = "verify"
    point_kinds = (VerifyPoint,)

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: str = "auto",
        precision: str | None = None,
        operating_point: str | None = None,
        threads: int = 1,
        threshold: float | None = None,
        faces: cutting.Faces = "locator",
        selftest: bool = False,
        warm_up: bool = False,
        audit: auditing.Audit | None = None,
        trust: Trust | None = None,
        revoked: Revoked | None = None,
    ) -> None:
        check_switches(selftest=selftest, warm_up=warm_up)
        revocations = revocation.of(revoked)
        super().__init__(
            bundle,
            engine=engine,
            precision=precision,
            operating_point=operating_point,
            threads=threads,
            threshold=threshold,
            audit=audit,
            trust=trust,
        )
        self._cutter: Cutter = cutting.Nothing()
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            self._cutter = cutting.of(self.bundle.manifest.source, faces, threads, warm_up=warm_up, trust=trust)
            failed.pop_all()
        self._acquisition = Acquisition(self.bundle, self._modality, self._cutter)
        self._score = self.bundle.manifest.score
        self._embedding = self._score.embedding(self.bundle.manifest.interface)
        self._binding = Binding(self.bundle, self.variant, self._model, revocations)
        if selftest:
            self._replay_golden()
        if warm_up:
            self._warm_up()
            self._binding.warm_up()

    def close(self) -> None:
        """See :class:`~edge_sdk.runtime.session.Session`; a locator that the verifier opened is freed, too."""
        super().close()
        self._cutter.close()

    @decides(auditing.verified)
    def verify(self, reference: Sample | Template | Sequence[Sample], query: Sample | Sequence[Sample]) -> VerifyResult:
        """Decide whether ``query`` is by the person of ``reference``.

        Args:
            reference: One picture, several in a list or tuple, a template, or :class:`~edge_sdk.runtime.shots.Shots`.
            query: One picture, or frames of one person: ``Shots``, or a list of pictures, which stands for
                ``Shots(list)``. The raw scores of the best frames are averaged.

        For a bundle of gait a walk stands in place of a picture: the path of a CSV file, a
        :class:`~edge_sdk.sensors.Recording`, or a :meth:`walk` that goes on. All cycles of one or several walks count.

        Returns:
            The result, with the quality flags of all pictures that count. With a flag that blocks, or frames of which
            none can be used, the decision is False, the score 0 and the raw score the worst.

        Raises:
            InputError: A picture cannot be decoded.
            TemplateError: The template is of another kind, embedding space or variant.
            EngineError: The engine failed, or gave numbers that are no embedding.
        """
        self._deciding()  # without a threshold nothing is decoded
        watch = Stopwatch()
        template, references = None, list[Prepared]()
        if isinstance(reference, Template):
            template = self._binding.check(reference)
            deciding = self._deciding(template.count)
        else:
            references = self._acquisition.references(reference, watch)
            deciding = self._deciding(_rows(references))
        queries = self._acquisition.query(query, watch)
        prepared = [*references, *queries]
        if any(one.blocking for one in prepared):
            compared, accepted = self._score.worst, False
        else:
            values = self._run(prepared)
            watch.lap("inference")
            known = self._enough(references) if template is None else 0
            enrolled = self._enrolled(values[:known]) if template is None else template.content
            compared = self._compare(enrolled, values[known:])
            accepted = compared.score >= deciding.value
        watch.lap("postprocess")
        return VerifyResult(
            decision=accepted,
            score=compared.score,
            raw_score=compared.raw,
            threshold=deciding.value,
            operating_point=deciding.name,
            quality=self._acquisition.flags(prepared),
            timings=watch.timings(),
            bundle_id=self.bundle.id,
            references=deciding.references,
        )

    @decides(auditing.identified)
    def identify(
        self,
        probe: Sample | Sequence[Sample],
        templates: TemplateGallery | Mapping[str, Template],
        *,
        count: int = 5,
    ) -> IdentifyResult:
        """Search a person among the enrolled ones, who need not be among them (open set, ISO/IEC 19795-1).

        The best candidate is identified if its score reaches the threshold, which is that of one comparison with as
        many references as this candidate's template was made of. With N people enrolled somebody reaches it wrongly
        about ``1 - (1 - FMR) ** N`` of the time (:func:`edge_sdk.runtime.gallery.expected_fpir`).
        Choose an operating point of an FMR well below 1 / N, and measure the false-positive identification rate (FPIR)
        on people like your own.

        Args:
            probe: As the query of :meth:`verify`.
            templates: Whom to search among: a gallery, which is made once and searched often, or templates by name.
            count: How many candidates to return, from 1.

        Returns:
            The result. With a quality flag that blocks, nobody is identified and there are no candidates.

        Raises:
            InputError, TemplateError, EngineError: As :meth:`verify`.
            UsageError: No templates by name, or ``count`` is no whole number from 1.
        """
        if not is_whole(count) or count < 1:
            raise UsageError(f"count is {count!r}; it must be a whole number, at least 1")
        self._deciding()
        gallery = templates if isinstance(templates, TemplateGallery) else self.gallery(templates)
        self._binding.check_gallery(gallery)
        watch = Stopwatch()
        prepared = self._acquisition.query(probe, watch)
        candidates: tuple[Candidate, ...] = ()
        best, identity, deciding = self._score.worst, None, self._deciding(gallery.fewest_references)
        if not any(one.blocking for one in prepared):
            values = self._run(prepared)
            watch.lap("inference")
            found = self._best(gallery, values, count)
            candidates = tuple(Candidate(name, one.score, one.raw) for name, one in found)
            (name, best), *_ = found
            deciding = self._deciding(gallery.references_of(name))
            identity = name if best.score >= deciding.value else None
        watch.lap("postprocess")
        return IdentifyResult(
            decision=identity is not None,
            score=best.score,
            raw_score=best.raw,
            threshold=deciding.value,
            operating_point=deciding.name,
            quality=self._acquisition.flags(prepared),
            timings=watch.timings(),
            bundle_id=self.bundle.id,
            identity=identity,
            candidates=candidates,
            enrolled=len(gallery),
            references=deciding.references,
        )

    def operating_point_for(self, references: int) -> VerifyPoint:
        """The point that decides about a template of so many references, or rows such as gait cycles.

        It is the one that was measured with as many, or the most below; where all were measured with more, the one of
        the fewest. Results say which (``references``).

        Raises:
            UsageError: ``references`` is no whole number from 1.
            OperatingPointError: As :attr:`operating_point`.
        """
        if not is_whole(references) or references < 1:
            raise UsageError(f"references is {references!r}; it must be a whole number, at least 1")
        return self._point(references)

    def gallery(self, templates: Mapping[str, Template]) -> TemplateGallery:
        """Make templates ready to be searched by :meth:`identify`, once for many searches.

        Raises:
            TemplateError: One is of another kind, embedding space or variant, or none.
            UsageError: There are none, or they have no names, or one that is no text.
        """
        given: object = templates
        if not isinstance(given, Mapping):
            raise UsageError(
                f"templates are searched by name, this is a {type(given).__name__}: "
                'pass {"anna": template, "ben": other}, or what gallery() gave'
            )
        for name, template in templates.items():
            called: object = name
            if not isinstance(called, str):
                raise UsageError(f"a template is named by text, not by {called!r}: write str(...) of it")
            try:
                self._binding.check(template)
            except TemplateError as exc:
                raise type(exc)(f"{name}: {exc}") from exc
        return TemplateGallery(templates, self._score, self._model)

    @decides(auditing.enrolled)
    def enroll(self, references: Sample | Sequence[Sample]) -> Template:
        """Make a template of one person's references, so that later calls of :meth:`verify` embed the query only.

        Args:
            references: Pictures, each of which must be fit to be enrolled, or
                :class:`~edge_sdk.runtime.shots.Shots`, of which the best are enrolled.

        Raises:
            UsageError: The model compares pictures themselves, so that there is nothing to keep but them.
            UnusableSampleError: A picture has a flag that blocks or must not be enrolled, or there is no picture; walks
                of fewer cycles than the bundle's thresholds hold for.
            InputError: A picture cannot be decoded.
        """
        if self._embedding == SAMPLE:
            raise UsageError(f"{self.bundle.id} compares pictures themselves: keep the references, not a template")
        prepared = self._acquisition.to_enroll(references)
        self._enough(prepared)
        values = self._run(prepared)
        return self._binding.template(self._enrolled(values), len(values))

    @decides(auditing.updated)
    def update(self, template: Template, samples: Sample | Sequence[Sample]) -> Template:
        """Add further genuine samples to a template; their pictures are not kept. The given template stays as it is.

        A sample must be fit to be enrolled. The template as it is must accept it, and so must its enrolment alone, by
        the rule of :mod:`edge_sdk.runtime.updating`; of several samples all must, or nothing is added. What was
        enrolled stays; of what was added the newest is kept (:meth:`edge_sdk.runtime.template.Template.updated`).

        Args:
            template: Of this bundle and variant, of a kind that keeps the references.
            samples: As the references of :meth:`enroll`.

        Raises:
            RejectedSampleError: A sample is not accepted, or is in the template already, or nearly.
            UnusableSampleError, InputError: As :meth:`enroll`.
            TemplateError: As :meth:`verify`; or the template keeps no references, so that nothing can be added.
            OperatingPointError: The variant has no threshold that is strict enough.
        """
        known = self._binding.check(template).embeddings
        joining = joining_threshold(self.variant, self._deciding(template.count), template.count)
        deciding = self._deciding(template.enrolled)
        values = self._run(self._acquisition.to_enroll(samples))
        enrolled = self._enrolled(known[: template.enrolled])
        for k in range(len(values)):
            row, before = values[k : k + 1], np.concatenate([known, values[:k]])
            if self._score.repeats(before, row, self._model):
                raise RejectedSampleError(f"{_nth(k, values)} is in the template already: take another one")
            self._require(template.content, row, joining, f"{_nth(k, values)} is not accepted surely enough to join it")
            self._require(
                enrolled, row, deciding, f"{_nth(k, values)} is too far from the enrolment, without later samples"
            )
        return template.updated(values, self._enrolled)

    def walk(self, *, enrolling: bool = False, wanted: int | None = None, most: int | None = MOST) -> WalkStream:
        """An empty walk, which takes rows of an accelerometer as they come, for :meth:`verify` and its like.

        Args:
            enrolling: Whether a person is to be enrolled from it; else it is to be compared.
            wanted: How many cycles are enough; None for the fewest that the bundle's thresholds hold for.
            most: How many cycles it keeps, the newest ones; None for all.

        Raises:
            UsageError: The bundle takes no walks, or needs more cycles than ``wanted``.
        """
        match self.bundle.manifest.preprocessing:
            case (GaitCycles() as step,):
                least = max(step.least, self._score.least_enrolled if enrolling else 1)
            case _:
                raise UsageError(f"{self.bundle.id} takes no walks")
        if wanted is not None and wanted < least:
            raise UsageError(f"{wanted} cycles are wanted, {self.bundle.id} needs at least {least}")
        return WalkStream(step, wanted=wanted or least, most=most)

    def golden_trial(self, pictures: list[bytes]) -> tuple[float, tuple[str, ...]]:
        """See :class:`~edge_sdk.runtime.session.Session`; pictures of faces are aligned, wherever others come from."""
        cut_out = Acquisition(self.bundle, self._modality, cutting.of(self.bundle.manifest.source, "aligned"))
        prepared = [cut_out.prepare(cut_out.decode(picture)) for picture in pictures]
        named = cut_out.flags(prepared)
        if any(one.blocking for one in prepared):
            return self._score.worst.score, named
        values, asked = self._run(prepared), len(prepared[-1].rows)
        return self._compare(self._enrolled(values[:-asked]), values[-asked:]).score, named

    def prepare(self, picture: images.Source) -> Prepared:
        """Decode one picture, cut out its face, pre-process, and assess it where there are quality flags: for `embed`.

        Raises:
            InputError: The picture cannot be decoded.
        """
        self._model.check_process()
        return self._acquisition.prepare(self._acquisition.decode(picture))

    def embed(self, pictures: images.Source | Prepared | Sequence[images.Source | Prepared]) -> NDArray[np.float32]:
        """Embed pictures, whatever their quality: for evaluation and for those who know what they do.

        Args:
            pictures: One picture or several; what :meth:`prepare` gave is not prepared again.

        Returns:
            The engine's output, ``float32 (N, D)``: finite, no row all zero, not yet normalised; a row a picture, or
            a cycle of a walk.

        Raises:
            UnusableSampleError: There is nothing to embed, such as no face, or no picture.
        """
        # One at a time: a data set does not fit into memory.
        each = (one if isinstance(one, Prepared) else self.prepare(one) for one in as_list(pictures))
        return np.concatenate([self._run([prepared]) for prepared in each])

    @decides(auditing.compared)
    def compare(self, references: Template | NDArray[np.float32], query: NDArray[np.float32]) -> Comparison:
        """Compare embeddings, as :meth:`embed` gives them, with a template or with others, which are enrolled first.

        There is no decision: nothing of the pictures' quality is known here. The score is that of :meth:`verify`.

        Args:
            references: A template, or embeddings of one person, ``(N, D)``.
            query: Embeddings of one person, ``(T, D)``; of several the raw scores are averaged.

        Returns:
            ``score``: higher is more genuine; ``raw``: the same in the model's own unit (a distance, a log-likelihood
            ratio).

        Raises:
            TemplateError: The template is of another kind, embedding space or variant.
            UsageError: The arrays are no embeddings, or cannot be compared with each other.
            EngineError: The engine failed, where the model compares pairs, or the score is not finite.
        """
        try:
            if isinstance(references, Template):
                enrolled = self._binding.check(references).content
            else:
                enrolled = self._score.enroll(self._embeddings(references), self._model)
            return self._scored(enrolled, self._embeddings(query))
        except ScoreError as exc:
            raise UsageError(f"these embeddings cannot be compared: {exc}") from exc

    def compare_pairs(self, references: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compare each reference by itself with the query in its place, ``(P, D)`` both, for evaluation: ``(P,)``.

        Raises:
            EngineError: They cannot be compared, or the engine failed.
        """
        try:
            return self._score.pairs(references, queries, self._model)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave an embedding that cannot be scored: {exc}") from exc

    def _run(self, prepared: Sequence[Prepared]) -> NDArray[np.float32]:
        """What a comparison needs of each row: of a picture, or of each cycle of a walk, ``(N, ...)``."""
        if not all(one.tensor.size for one in prepared):
            flags = ", ".join(self._acquisition.flags(prepared))
            raise UnusableSampleError(f"there is nothing to look at in a sample: {flags}")
        samples = prepared[0].rows if len(prepared) == 1 else np.concatenate([one.rows for one in prepared])
        values = samples if self._embedding == SAMPLE else self._model.run(samples)[self._embedding]
        try:
            return self._score.checked(values)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave numbers that are no embedding: {exc}") from exc

    def _enough(self, references: Sequence[Prepared]) -> int:
        """How many rows there are to enrol; UnusableSampleError if they are too few."""
        count, least = _rows(references), self._score.least_enrolled
        if count < least:
            raise UnusableSampleError(f"{count} cycles to enrol, {least} are needed: record a longer walk, or another")
        return count

    def _enrolled(self, values: NDArray[np.float32]) -> Any:
        """What a template of the references would hold."""
        try:
            return self._score.enroll(values, self._model)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave an embedding that cannot be enrolled: {exc}") from exc

    def _require(self, enrolled: Any, row: NDArray[np.float32], needed: ActiveThreshold, refusal: str) -> None:
        """RejectedSampleError unless the score of a row reaches the threshold."""
        score = self._compare(enrolled, row).score
        if not score >= needed.value:
            raise RejectedSampleError(f"{refusal}: score {score:.4f}, needed {needed.value:.4f} ({needed.name})")

    def _best(self, gallery: TemplateGallery, values: NDArray[np.float32], count: int) -> list[tuple[str, Comparison]]:
        """The candidate list."""
        try:
            return gallery.best(values, count, self._compare)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave an embedding that cannot be scored: {exc}") from exc

    def _compare(self, enrolled: Any, queries: NDArray[np.float32]) -> Comparison:
        """Compare what a template holds with one query, or with several of one person: the mean of their raw scores."""
        try:
            return self._scored(enrolled, queries)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave an embedding that cannot be scored: {exc}") from exc

    def _scored(self, enrolled: Any, queries: NDArray[np.float32]) -> Comparison:
        """:meth:`_compare`, whose ScoreError is not yet anybody's fault."""
        compared = self._score.compare_rows(enrolled, queries, self._model)
        if not math.isfinite(compared.score):
            raise EngineError(f"{self.variant.id} gave a score that is not finite")
        return compared

    def _embeddings(self, values: object) -> NDArray[np.float32]:
        """The application's array, if it may be what :meth:`embed` gave; UsageError or ScoreError if it cannot be."""
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.ndim >= 2:
            return self._score.checked(values)
        what = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
        raise UsageError(f"embeddings are rows of floats, (N, D), as embed() gives them, not {what}")


def _rows(references: Sequence[Prepared]) -> int:
    """How many rows references are enrolled as."""
    return sum(len(one.rows) for one in references)


def _nth(k: int, values: NDArray[np.float32]) -> str:
    """How an error calls one of the samples."""
    return "the sample" if len(values) == 1 else f"sample {k + 1} of {len(values)}"
