"""Are these two the same person? From pictures, or a template and a picture, to one decision.

Everything fails closed: an error is raised and never turned into a result, a picture without a usable signature is
rejected without asking the network, and a score that is not finite is an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images, modalities
from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, ScoreError, TemplateError, UnusableSampleError
from edge_sdk.manifest import EmbeddingDistance, Image, Input, VerifyPoint
from edge_sdk.modalities import Prepared
from edge_sdk.results import Timings, VerifyResult
from edge_sdk.runtime.session import Session
from edge_sdk.runtime.template import Template
from edge_sdk.scoring.embedding import combine, embedding_scores, mean_embedding

# Pictures per call of the engine, where the model's batch is free. Two at once were no faster on ONNX Runtime and took
# 14 MB more (DeepSign, one thread, processor time of a pair: fp32 22.2 ms one by one, 22.8 together; int8 24.8, 24.7).
BATCH = 1

_WORST_RAW = {"euclidean": 2.0, "cosine": -1.0}


class Verifier(Session[VerifyPoint]):
    """Compares pictures of one modality, with one artifact of one bundle on one engine.

    ::

        with Verifier("deepsign") as verifier:
            result = verifier.verify("reference.png", "query.png")
            template = verifier.enroll(["first.png", "second.png"])
            result = verifier.verify(template, frame)

    Pictures are anything that :func:`edge_sdk.images.load` takes.

    Args:
        bundle: Name of a shipped bundle, path of a folder or ``.edge`` file, or an opened bundle.
        engine: Name of an engine, or ``"auto"``: what ``edge-sdk tune`` measured here, else the preferred one of those
            installed (:func:`edge_sdk.runtime.selection.choose`). :attr:`engine` and :attr:`artifact` say what it is.
        precision: ``"int8"`` (any int8 artifact that the engine runs), ``"fp32"``, or exactly one artifact by its id
            (``"int8.onnx"``); None prefers int8.
        operating_point: Name of an operating point of the artifact; None takes the one of least FMR that accepts at
            least half of the genuine pairs it was measured on, or ``eer``.
        threads: Threads of the engine.

    Raises:
        BundleError: The bundle cannot be used, or is not one for verification by embeddings.
        OperatingPointError: The artifact has no such operating point, or its data could not support it.
        EngineError: The engine refuses the artifact; ``MissingEngineError`` if none is installed.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: str = "auto",
        precision: str | None = None,
        operating_point: str | None = None,
        threads: int = 1,
    ) -> None:
        opened = Bundle.open(bundle)
        self._input, self._score = _interface(opened)
        self._modality = modalities.get(opened.manifest.modality)
        super().__init__(
            opened,
            engine=engine,
            precision=precision,
            threads=threads,
            operating_point=operating_point,
            kind=VerifyPoint,
            rejected=lambda point: point.fnmr,
        )
        self._batch = BATCH if isinstance(self._input.shape[0], str) else self._input.shape[0]

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
            TemplateError: The template is of another embedding space or artifact.
            EngineError: The engine failed, or gave numbers that are no embedding.
        """
        point = self.operating_point
        start = time.perf_counter()
        template, sources = None, []
        if isinstance(reference, Template):
            template = self._check(reference)
        else:
            sources = _as_list(reference)
        pictures = [self._modality.decode(source) for source in (*sources, query)]
        decoded = time.perf_counter()
        prepared = [self._modality.prepare(self._input.preprocessing, picture) for picture in pictures]
        ready = time.perf_counter()
        named = tuple(flag for flag in self._modality.flags if any(flag in one.flags for one in prepared))
        if any(one.blocking for one in prepared):
            inferred = ready
            score, raw, accepted = 0.0, _WORST_RAW[self._score.metric], False
        else:
            embeddings = self._run(prepared)
            inferred = time.perf_counter()
            score, raw = self._compare(embeddings[:-1] if template is None else template.embeddings, embeddings[-1:])
            accepted = score >= point.threshold
        end = time.perf_counter()
        return VerifyResult(
            decision=accepted,
            score=score,
            raw_score=raw,
            threshold=point.threshold,
            operating_point=point.name,
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
            UnusableSampleError: A picture has a flag of :data:`edge_sdk.quality.BLOCKING`, or there is no picture.
            InputError: A picture cannot be decoded.
        """
        sources = _as_list(references)
        prepared = [self.prepare(source) for source in sources]
        for number, one in enumerate(prepared, start=1):
            if one.blocking:
                raise UnusableSampleError(f"reference {number} of {len(sources)}: {', '.join(one.flags)}")
        embeddings = self._run(prepared).astype("<f4")
        return Template(
            embedding_space_id=self._space,
            artifact_id=self.artifact.id,
            artifact_sha256=self.artifact.file.sha256,
            bundle_name=self.bundle.manifest.name,
            count=len(embeddings),
            dim=embeddings.shape[1],
            values=embeddings.tobytes(),
        )

    def prepare(self, picture: images.Source) -> Prepared:
        """Decode and pre-process one picture, for :meth:`embed`, and assess it where its modality has quality flags.

        Raises:
            InputError: The picture cannot be decoded.
        """
        return self._modality.prepare(self._input.preprocessing, self._modality.decode(picture))

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

    @property
    def _space(self) -> str:
        space = self.bundle.manifest.embedding_space_id
        assert space is not None, "the manifest requires one for embedding distances"
        return space

    def _check(self, template: Template) -> Template:
        if template.embedding_space_id != self._space:
            raise TemplateError(f"template of {template.bundle_name} is of another embedding space: enroll again")
        if template.artifact_sha256 != self.artifact.file.sha256:
            raise TemplateError(
                f"template was made by {template.artifact_id}, this is {self.artifact.id}: no operating point was "
                f'measured for the mix; enroll again, or open the bundle with precision "{template.artifact_id}"'
            )
        return template

    def _run(self, prepared: Sequence[Prepared]) -> NDArray[np.float32]:
        chunks = []
        for start in range(0, len(prepared), self._batch):
            chunk = np.stack([one.tensor for one in prepared[start : start + self._batch]])
            outputs = self._engine.run({self._input.name: chunk})
            chunks.append(self._embedding(outputs, len(chunk)))
        return np.concatenate(chunks)

    def _embedding(self, outputs: dict[str, NDArray[np.float32]], count: int) -> NDArray[np.float32]:
        name = self._score.output
        if name not in outputs:
            raise EngineError(f"the artifact has no output {name!r}")
        values = outputs[name].reshape(len(outputs[name]), -1)
        if len(values) != count or not np.isfinite(values).all() or not values.any(axis=1).all():
            raise EngineError(f"{self.artifact.id} gave numbers that are no embedding")
        return values

    def _compare(self, references: NDArray[np.float32], query: NDArray[np.float32]) -> tuple[float, float]:
        """Score one query against all references; return score and raw score."""
        rule = self._score.references
        try:
            if rule == "mean_embedding":
                references = mean_embedding(references).astype(np.float32)
            raw, score = embedding_scores(references, query, self._score.metric)
            combined = float(combine(score, rule)[0])
        except ScoreError as exc:
            raise EngineError(f"{self.artifact.id} gave an embedding that cannot be scored: {exc}") from exc
        if not np.isfinite(combined):
            raise EngineError(f"{self.artifact.id} gave a score that is not finite")
        best = float(raw[np.argmax(score), 0]) if rule == "max_score" else float(raw.mean())
        return combined, best


def _interface(bundle: Bundle) -> tuple[Input, EmbeddingDistance]:
    manifest = bundle.manifest
    if not isinstance(manifest.score, EmbeddingDistance) or len(manifest.inputs) != 1:
        raise BundleError(f"{bundle.id} does not verify by the distance of embeddings of one input")
    (tensor,) = manifest.inputs
    if not isinstance(tensor.source, Image):
        raise BundleError(f"{bundle.id} does not take pictures")
    return tensor, manifest.score


def _as_list(sources: Any) -> list[Any]:  # a str is a sequence too, so that types cannot tell one from several
    if not isinstance(sources, (list, tuple)):
        return [sources]
    if not sources:
        raise UnusableSampleError("no picture")
    return list(sources)
