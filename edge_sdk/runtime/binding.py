"""What a template is bound to: the embedding space, and the variant of the bundle that made it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import ScoreError, TemplateError
from edge_sdk.logs import Log
from edge_sdk.manifest import SAMPLE, Variant
from edge_sdk.runtime.gallery import TemplateGallery
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.revocation import RevocationList
from edge_sdk.runtime.template import KINDS, EmbeddingTemplate, Template, new_id

_LOG = Log(__name__)

_UNIT = 1e-2
"""How far from 1 a length is that a network scales embeddings to: half precision leaves 5e-4."""


class Binding:
    """Makes templates of one variant of one bundle, and refuses those of others.

    Args:
        bundle, variant: Of the session.
        model: The opened variant.
        revoked: Which templates to refuse.
    """

    def __init__(self, bundle: Bundle, variant: Variant, model: Model, revoked: RevocationList | None = None) -> None:
        self._bundle = bundle
        self._variant = variant
        self._model = model
        self._revoked = revoked
        self._score = bundle.manifest.score
        self._embedding = self._score.embedding(bundle.manifest.interface)
        self._sha256 = bundle.manifest.variant_sha256(variant.id)

    def template(self, content: Any, count: int) -> Template:
        """A template of what the score enrolled from ``count`` rows."""
        space = self._bundle.manifest.embedding_space_id
        assert space is not None, "the manifest requires one where there are templates"
        return KINDS[self._score.template_kind].of(
            content,
            embedding_space_id=space,
            variant_id=self._variant.id,
            variant_sha256=self._sha256,
            bundle_name=self._bundle.manifest.name,
            count=count,
            template_id=new_id(),
        )

    def check(self, template: Template) -> Template:
        """The template; TemplateError if it is revoked, of another kind, embedding space or variant, or none."""
        try:
            self._check(template)
        except TemplateError as exc:
            _LOG.info("a template is refused: %s", exc)
            raise
        return template

    def warm_up(self) -> None:
        """Find out now what :meth:`check` would ask the network first."""
        if self._score.template_kind == "embeddings" and self._embedding != SAMPLE:
            _ = self._made

    def check_gallery(self, gallery: TemplateGallery) -> None:
        """As :meth:`check` of each, of which one stands for all: they were checked when the gallery was made.

        Raises:
            TemplateError: As :meth:`check`; or one was revoked since.
        """
        if self._revoked is not None:
            self._revoked.check(gallery.template_ids)
        self.check(gallery.example)

    def _check(self, template: Template) -> None:
        given: object = template
        if not isinstance(given, Template):
            raise TemplateError(f"a {type(given).__name__} is no template: Template.load(path) reads one of a file")
        if self._revoked is not None:
            self._revoked.check([template.template_id])
        if template.kind != self._score.template_kind:
            raise TemplateError(
                f"template of {template.bundle_name} holds {template.kind}, "
                f"the score {self._score.kind} compares {self._score.template_kind}"
            )
        manifest = self._bundle.manifest
        if self._embedding == SAMPLE or template.embedding_space_id != manifest.embedding_space_id:
            wanted = "enroll again"
            if template.bundle_name != manifest.name:
                wanted = f"open the bundle {template.bundle_name}, or enroll again with {manifest.name}"
            raise TemplateError(
                f"template of {template.bundle_name} is of another embedding space than {self._bundle.id}: {wanted}"
            )
        if template.variant_sha256 != self._sha256:
            raise TemplateError(
                f"template was made by {template.variant_id}, this is {self._variant.id}: no operating point was "
                f'measured for the mix; enroll again, or open the bundle with precision "{template.variant_id}"'
            )
        try:
            self._check_enrolled(template)
        except ScoreError as exc:
            raise TemplateError(
                f"template of {template.bundle_name} was not enrolled with this bundle: {exc}; enroll again"
            ) from exc

    def _check_enrolled(self, template: Template) -> None:
        """ScoreError if no enrolment with this variant gives such a template."""
        if template.enrolled < self._score.least_enrolled:
            raise ScoreError(f"{template.enrolled} rows, of at least {self._score.least_enrolled}")
        if isinstance(template, EmbeddingTemplate):
            size, scaled = self._made
            if template.dim != size:
                raise ScoreError(f"embeddings of {template.dim} values, its network gives {size}")
            if scaled and not _of_length_1(template.embeddings):
                raise ScoreError("embeddings of another length than 1, to which its network scales them")
        self._score.check_content(template.content, self._model)

    @cached_property
    def _made(self) -> tuple[int, bool]:
        """How many values the network gives, and whether it scales them to length 1, which a manifest does not say.

        Seen on two even samples.
        """
        shape = preprocess.input_shape(self._bundle.manifest.preprocessing)
        samples = np.stack([np.zeros(shape, np.float32), np.ones(shape, np.float32)])
        embeddings = self._model.run(samples)[self._embedding].reshape(len(samples), -1)
        return embeddings.shape[1], _of_length_1(embeddings)


def _of_length_1(rows: NDArray[np.float32]) -> bool:
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    return bool((np.abs(lengths - 1) < _UNIT).all())
