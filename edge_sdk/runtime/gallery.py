"""The enrolled people among whom one is searched (1:N, ISO/IEC 19795-1), and what a false match rate means for many.

A threshold that lets one impostor comparison in a hundred pass is passed by somebody, sooner or later, when each probe
is compared with a thousand people. :func:`expected_fpir` says how often, if comparisons were independent. They are
not: some people resemble many others. So the rate of an application is to be measured, on people like its own and with
as many of them enrolled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import TemplateError, UsageError
from edge_sdk.runtime.template import Template
from edge_sdk.scoring.base import Comparison, ComparisonModel, Score, Stacked

_ID_BYTES = 16
_NO_ID = "00" * _ID_BYTES

Compare = Callable[[Any, NDArray[np.float32]], Comparison]
"""The exact score of a sample, ``(K, ...)``, against what a template holds."""


class TemplateGallery:
    """Named templates of one variant of a bundle, made ready once and searched often.

    Templates of embeddings are copied into one ``float32`` matrix, so that a search is one matrix product: 128 values
    of 100,000 people take 51 MB, and the templates are needed no longer. Densities lie in one, too
    (:mod:`edge_sdk.scoring.densities.stacked_mixtures`).
    :meth:`edge_sdk.runtime.verifier.Verifier.gallery` makes a gallery and checks the templates.

    Attributes:
        names: Those that results give.
        fewest_references: The least number of references that one of the templates was made of.

    Args:
        templates: By the name that results give.
        score: That of the bundle.
        model: The opened model that the score compares with, where it needs one.

    Raises:
        UsageError: No templates.
        TemplateError: Templates of several variants or embedding spaces, or of embeddings of several lengths.
    """

    def __init__(self, templates: Mapping[str, Template], score: Score, model: ComparisonModel) -> None:
        if not templates:
            raise UsageError("a gallery needs at least one template")
        self.names = tuple(templates)
        bindings = {(one.embedding_space_id, one.variant_sha256, one.kind) for one in templates.values()}
        if len(bindings) > 1:
            raise TemplateError("a gallery holds templates of one variant and one embedding space: enroll again")
        (self._example, *_) = templates.values()
        self._places = {name: place for place, name in enumerate(self.names)}
        self._counts = np.array([one.count for one in templates.values()])
        self.fewest_references = int(self._counts.min())
        contents = [one.content for one in templates.values()]
        try:
            self._ids = b"".join(bytes.fromhex(one.template_id or _NO_ID) for one in templates.values())
            self._stacked = score.stacked(contents, model)
        except ValueError as exc:
            raise TemplateError(f"templates cannot be searched together: {exc}") from exc
        self._contents: Stacked | list[Any] = contents if self._stacked is None else self._stacked

    def __len__(self) -> int:
        """How many people are enrolled."""
        return len(self.names)

    @property
    def example(self) -> Template:
        """One of the templates: what it is bound to holds for all."""
        return self._example

    def references_of(self, name: str) -> int:
        """How many references this person's template was made of."""
        return int(self._counts[self._places[name]])

    def template_id_of(self, name: str) -> str:
        """The id of this person's template, empty of one without."""
        start = self._places[name] * _ID_BYTES
        found = self._ids[start : start + _ID_BYTES].hex()
        return "" if found == _NO_ID else found

    @cached_property
    def template_ids(self) -> frozenset[str]:
        """Those of all templates, an empty one where one has none."""
        return frozenset(map(self.template_id_of, self.names))

    def best(self, values: NDArray[np.float32], count: int, compare: Compare) -> list[tuple[str, Comparison]]:
        """The candidate list: the ``count`` people of the highest scores, the best first, equals in their order.

        Stacked templates say who may be among them; their scores are those of ``compare``, which decides.

        Args:
            values: The probe's rows ``(K, ...)``, whose scores are averaged.
            count: Length of the list, from 1.
            compare: See :data:`Compare`.
        """
        chosen: Sequence[int] = range(len(self))
        if self._stacked is not None and count < len(self):
            chosen = self._stacked.candidates(values, count)
        found = [(self.names[i], compare(self._contents[i], values)) for i in chosen]
        return sorted(found, key=lambda pair: -pair[1].score)[:count]


def expected_fpir(fmr: float, enrolled: int) -> float:
    """The false-positive identification rate (FPIR) if comparisons were independent: ``1 - (1 - fmr) ** enrolled``.

    Args:
        fmr: False match rate of one comparison at the threshold, in [0, 1].
        enrolled: How many people are enrolled, from 1.

    Raises:
        UsageError: No such rate or number.

    >>> round(expected_fpir(0.001, 100), 4)
    0.0952
    """
    if not (0 <= fmr <= 1 and enrolled >= 1):
        raise UsageError(f"fmr is {fmr}, enrolled {enrolled}; they must be in [0, 1] and at least 1")
    return 1.0 if fmr == 1 else -math.expm1(enrolled * math.log1p(-fmr))
