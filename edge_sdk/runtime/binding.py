"""What a template is bound to: the embedding space, and the variant of the bundle that made it."""

from __future__ import annotations

from typing import Any

from edge_sdk.bundle import Bundle
from edge_sdk.errors import ScoreError, TemplateError
from edge_sdk.manifest import SAMPLE, Variant
from edge_sdk.runtime.template import KINDS, Template, new_id
from edge_sdk.scoring.base import ComparisonModel


class Binding:
    """Makes templates of one variant of one bundle, and refuses those of others.

    Args:
        bundle, variant: Of the session.
        model: The opened variant.
    """

    def __init__(self, bundle: Bundle, variant: Variant, model: ComparisonModel) -> None:
        self._bundle = bundle
        self._variant = variant
        self._model = model
        self._score = bundle.manifest.score
        self._stored = self._score.embedding(bundle.manifest.interface) != SAMPLE
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
        """The template; TemplateError if it is of another kind, embedding space or variant, or none."""
        given: object = template
        if not isinstance(given, Template):
            raise TemplateError(f"a {type(given).__name__} is no template: Template.load(path) reads one of a file")
        if template.kind != self._score.template_kind:
            raise TemplateError(
                f"template of {template.bundle_name} holds {template.kind}, "
                f"the score {self._score.kind} compares {self._score.template_kind}"
            )
        manifest = self._bundle.manifest
        if not self._stored or template.embedding_space_id != manifest.embedding_space_id:
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
            self._score.check_content(template.content, self._model)
        except ScoreError as exc:
            raise TemplateError(
                f"template of {template.bundle_name} was not enrolled with this bundle: {exc}; enroll again"
            ) from exc
        return template
