"""Are these two the same person? From pictures, or a template and a picture, to one decision.

Everything fails closed: an error is raised and never turned into a result, a picture without a usable signature is
rejected without asking the network, and a score that is not finite is an error.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, ScoreError, TemplateError, UnusableSampleError, UsageError
from edge_sdk.manifest import SAMPLE, Task, VerifyPoint
from edge_sdk.modalities import Prepared
from edge_sdk.results import Timings, VerifyResult
from edge_sdk.runtime.session import Session
from edge_sdk.runtime.template import KINDS, Template
from edge_sdk.scoring.base import Comparison


class Verifier(Session[VerifyPoint]):
    """Compares pictures of one modality, with one variant of one bundle on one engine.

    ::

        with Verifier("deepsign") as verifier:
            result = verifier.verify("reference.png", "query.png")
            template = verifier.enroll(["first.png", "second.png"])
            result = verifier.verify(template, frame)

    Pictures are anything that :func:`edge_sdk.images.load` takes.

    Args:
        bundle: Name of a shipped bundle, path of a folder or ``.edge`` file, or an opened bundle.
        engine: Name of an engine, or ``"auto"``: what ``edge-sdk tune`` measured here, else the preferred one of those
            installed (:func:`edge_sdk.runtime.selection.choose`). :attr:`engine` and :attr:`variant` say what it is.
        precision: ``"int8"`` (any int8 variant that the engine runs), ``"fp32"``, or exactly one variant by its id
            (``"int8.onnx"``); None prefers int8.
        operating_point: Name of an operating point of the variant; None takes the one of least FMR that accepts at
            least half of the genuine pairs it was measured on, or ``eer``.
        threads: Threads of the engine, from 1 to :data:`edge_sdk.runtime.engines.MAX_THREADS`.
        threshold: A threshold of your own in place of an operating point: a score that can come, but not the lowest.
            No error rate was measured at it; results call it ``"custom"``.
        selftest: Whether to replay the bundle's golden trial first, for the time of one :meth:`verify`. It finds a
            model, pre-processing or score other than the exported ones, whatever the hashes say, and an engine that
            computes wrongly; not another threshold.

    Raises:
        BundleError: The bundle cannot be used, or is not one for verification; or the golden trial has another score.
        OperatingPointError: The variant has no such operating point, or its data could not support it.
        EngineError: The engine refuses the variant; ``MissingEngineError`` if none is installed, ``BrokenEngineError``
            if it is, but cannot be loaded.
        UsageError: Both an operating point and a threshold, a threshold that every score reaches or none, or no
            sensible number of threads.
    """

    task: ClassVar[Task] = "verify"
    point_kind = VerifyPoint

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: str = "auto",
        precision: str | None = None,
        operating_point: str | None = None,
        threads: int = 1,
        threshold: float | None = None,
        selftest: bool = False,
    ) -> None:
        super().__init__(
            bundle,
            engine=engine,
            precision=precision,
            operating_point=operating_point,
            threads=threads,
            threshold=threshold,
        )
        self._score = self.bundle.manifest.score
        self._embedding = self._score.embedding(self.bundle.manifest.interface)
        if selftest:
            self._replay_golden()

    def verify(
        self, reference: images.Source | Template | Sequence[images.Source], query: images.Source
    ) -> VerifyResult:
        """Decide whether ``query`` is by the person of ``reference``.

        Args:
            reference: One picture, several in a list or tuple, or a template.
            query: One picture.

        Returns:
            The result, with the quality flags of all pictures together. With a flag of
            :data:`edge_sdk.quality.BLOCKING` the decision is False, the score 0 and the raw score the worst.

        Raises:
            InputError: A picture cannot be decoded.
            TemplateError: The template is of another kind, embedding space or variant.
            EngineError: The engine failed, or gave numbers that are no embedding.
        """
        self._model.check_process()
        deciding = self._deciding()
        start = time.perf_counter()
        template, sources = None, []
        if isinstance(reference, Template):
            template = self._check(reference)
        else:
            sources = _as_list(reference)
        pictures = [self._modality.decode(source) for source in (*sources, query)]
        decoded = time.perf_counter()
        prepared = [self._prepare(picture) for picture in pictures]
        ready = time.perf_counter()
        named = tuple(flag for flag in self._modality.flags if any(flag in one.flags for one in prepared))
        if any(one.blocking for one in prepared):
            inferred = ready
            compared, accepted = self._score.worst, False
        else:
            values = self._run(prepared)
            inferred = time.perf_counter()
            compared = self._compare(values[:-1] if template is None else template, values[-1:])
            accepted = compared.score >= deciding.value
        end = time.perf_counter()
        return VerifyResult(
            decision=accepted,
            score=compared.score,
            raw_score=compared.raw,
            threshold=deciding.value,
            operating_point=deciding.name,
            quality=named,
            timings=Timings(
                decode_ms=(decoded - start) * 1e3,
                preprocess_ms=(ready - decoded) * 1e3,
                inference_ms=(inferred - ready) * 1e3,
                postprocess_ms=(end - inferred) * 1e3,
                total_ms=(end - start) * 1e3,
            ),
            bundle_id=self.bundle.id,
        )

    def enroll(self, references: images.Source | Sequence[images.Source]) -> Template:
        """Make a template of one person's references, so that later calls of :meth:`verify` embed the query only.

        Raises:
            UsageError: The model compares pictures themselves, so that there is nothing to keep but them.
            UnusableSampleError: A picture has a flag of :data:`edge_sdk.quality.BLOCKING`, or there is no picture.
            InputError: A picture cannot be decoded.
        """
        if self._embedding == SAMPLE:
            raise UsageError(f"{self.bundle.id} compares pictures themselves: keep the references, not a template")
        sources = _as_list(references)
        prepared = [self.prepare(source) for source in sources]
        for number, (source, one) in enumerate(zip(sources, prepared, strict=True), start=1):
            if one.blocking:
                name = f" ({os.fspath(source)})" if isinstance(source, (str, os.PathLike)) else ""
                raise UnusableSampleError(
                    f"reference {number} of {len(sources)}{name}: {', '.join(one.flags)}; enroll another picture"
                )
        kind = KINDS[self._score.template_kind]
        return kind.of(
            self._score.enroll(self._run(prepared), self._model),
            embedding_space_id=self._space,
            variant_id=self.variant.id,
            variant_sha256=self._variant_sha256,
            bundle_name=self.bundle.manifest.name,
            count=len(sources),
        )

    def _golden_score(self, pictures: list[bytes]) -> float:
        return self.verify(pictures[:-1], pictures[-1]).score

    def prepare(self, picture: images.Source) -> Prepared:
        """Decode and pre-process one picture, for :meth:`embed`, and assess it where its modality has quality flags.

        Raises:
            InputError: The picture cannot be decoded.
        """
        self._model.check_process()
        return self._prepare(self._modality.decode(picture))

    def embed(self, pictures: images.Source | Prepared | Sequence[images.Source | Prepared]) -> NDArray[np.float32]:
        """Embed pictures, whatever their quality: for evaluation and for those who know what they do.

        Args:
            pictures: One picture or several; what :meth:`prepare` gave is not prepared again.

        Returns:
            The engine's output, ``float32 (N, D)``: finite, no row all zero, not yet normalised.
        """
        # One at a time: a data set does not fit into memory.
        each = (one if isinstance(one, Prepared) else self.prepare(one) for one in _as_list(pictures))
        return np.concatenate([self._run([prepared]) for prepared in each])

    def compare(self, references: NDArray[np.float32], query: NDArray[np.float32]) -> Comparison:
        """Compare one query ``(1, D)`` with references ``(N, D)``, as :meth:`embed` gives them: for evaluation.

        Raises:
            EngineError: They cannot be compared, or the engine failed.
        """
        return self._compare(references, query)

    @property
    def _space(self) -> str:
        space = self.bundle.manifest.embedding_space_id
        assert space is not None, "the manifest requires one where there are templates"
        return space

    @property
    def _variant_sha256(self) -> str:
        return self.bundle.manifest.variant_sha256(self.variant.id)

    def _check(self, template: Template) -> Template:
        if template.kind != self._score.template_kind:
            raise TemplateError(
                f"template of {template.bundle_name} holds {template.kind}, "
                f"the score {self._score.kind} compares {self._score.template_kind}"
            )
        if self._embedding == SAMPLE or template.embedding_space_id != self._space:
            raise TemplateError(f"template of {template.bundle_name} is of another embedding space: enroll again")
        if template.variant_sha256 != self._variant_sha256:
            raise TemplateError(
                f"template was made by {template.variant_id}, this is {self.variant.id}: no operating point was "
                f'measured for the mix; enroll again, or open the bundle with precision "{template.variant_id}"'
            )
        return template

    def _prepare(self, raw: Any) -> Prepared:
        manifest = self.bundle.manifest
        return self._modality.prepare(manifest.preprocessing, raw, manifest.source)

    def _run(self, prepared: Sequence[Prepared]) -> NDArray[np.float32]:
        """What a comparison needs of each picture, ``(N, ...)``."""
        samples = np.stack([one.tensor for one in prepared])
        values = samples if self._embedding == SAMPLE else self._model.run(samples)[self._embedding]
        try:
            return self._score.checked(values)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave numbers that are no embedding: {exc}") from exc

    def _compare(self, reference: Template | NDArray[np.float32], query: NDArray[np.float32]) -> Comparison:
        """Compare one query with all references."""
        try:
            content: Any = (
                reference.content if isinstance(reference, Template) else self._score.enroll(reference, self._model)
            )
            compared = self._score.compare(content, query, self._model)
        except ScoreError as exc:
            raise EngineError(f"{self.variant.id} gave an embedding that cannot be scored: {exc}") from exc
        if not math.isfinite(compared.score):
            raise EngineError(f"{self.variant.id} gave a score that is not finite")
        return compared


def _as_list(sources: Any) -> list[Any]:  # a str is a sequence too, so that types cannot tell one from several
    if not isinstance(sources, (list, tuple)):
        return [sources]
    if not sources:
        raise UnusableSampleError("no picture")
    return list(sources)
