"""A classifier's logit: of one sample (live or attack), or of a pair (same person or not)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.schema import MAX_ELEMENTS, Name, require
from edge_sdk.scoring.base import (
    DIGITS,
    Array,
    Comparison,
    ComparisonModel,
    ModelInterface,
    Range,
    Rename,
    Role,
    Score,
    Task,
    Tensors,
    rows,
)
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self


class DecisionHead(Score, frozen=True, kw_only=True, tag="decision_head"):
    """Probability of "genuine" from a logit output; for ``softmax``, class ``genuine_index`` of the last axis.

    For ``identity`` the logit itself, the logarithm of the odds.

    For task ``verify`` the graph of the output takes a pair, and the score of a sample is the mean over the references
    of ``(head(reference, query) + head(query, reference)) / 2``: who comes first has no say.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("verify", "spoof")
    template_kind: ClassVar[str] = "embeddings"
    by_graph: ClassVar[bool] = True

    output: Name
    activation: Literal["sigmoid", "softmax", "identity"]
    genuine_index: Annotated[int, msgspec.Meta(ge=0, le=MAX_ELEMENTS)] = 0

    @property
    def range(self) -> Range:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return super().range if self.activation == "identity" else (0.0, 1.0)

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.output: "logit"}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        shape = interface.output(self.output, "logit")
        classes = shape[-1] if len(shape) > 1 else 1
        if self.activation != "softmax":
            require(classes == 1 and self.genuine_index == 0, f"{self.activation} needs one logit, not {shape}")
        else:
            fits = isinstance(classes, int) and classes > 1 and 0 <= self.genuine_index < classes
            require(fits, f"class {self.genuine_index} of a softmax over {shape}")
        feed = interface.reference_feed(self.output)
        require(
            (feed is not None) == (task == "verify"), "a head has a reference input for task verify, and only there"
        )
        require(feed in (None, "sample") or interface.has_space, "enrolment needs a space id")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del files
        return msgspec.structs.replace(self, output=tensors(self.output))

    def in_log_odds(self) -> "Self":
        """A sigmoid's logit; a softmax stays as it is."""
        return msgspec.structs.replace(self, activation="identity") if self.activation == "sigmoid" else self

    def embedding(self, interface: ModelInterface) -> str:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return interface.reference_feed(self.output) or super().embedding(interface)

    def compare(
        self, reference: npt.NDArray[np.float32], values: npt.NDArray[Any], model: ComparisonModel
    ) -> Comparison:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        if reference.shape[1:] != values.shape[1:] or len(values) != 1:
            raise ScoreError(f"references {reference.shape} and a query {values.shape} cannot be compared")
        score = float(np.mean(self._both_orders(reference, np.repeat(values, len(reference), axis=0), model)))
        return Comparison(round(score, DIGITS), round(score, DIGITS))

    def pairs(self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        scores: Array = self._both_orders(self.checked(references), queries, model).round(DIGITS)
        return scores

    @property
    def worst(self) -> Comparison:
        """A probability of 0, or minus infinity for odds."""
        return super().worst if self.activation == "identity" else Comparison(0.0, 0.0)

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        del densities
        return self._genuine(rows(tensors, self.output))

    def _both_orders(self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """The mean of ``head(reference, query)`` and ``head(query, reference)`` of each pair, ``(P,)``."""
        queries = self.checked(queries)
        orders = [model.pair(references, queries), model.pair(queries, references)]
        found: Array = np.mean([self._genuine(rows(self._pairs(tensors), self.output)) for tensors in orders], axis=0)
        return found

    def _pairs(self, tensors: Tensors) -> Tensors:
        """A logit a pair may come without an axis of its own."""
        found = tensors.get(self.output)
        return tensors if found is None or found.ndim != 1 else {self.output: found[:, None]}

    def _genuine(self, logits: Array) -> Array:
        """Of logits ``(N, C)``: C is above ``genuine_index`` for a softmax, else 1."""
        classes = logits.shape[1]
        if self.activation != "softmax":
            if classes != 1:
                raise ScoreError(f"a {self.activation} takes one logit a sample, {self.output} has {classes}")
            if self.activation == "identity":
                return logits[:, 0]
            logits = np.hstack([logits, np.zeros_like(logits)])  # 1 / (1 + exp(-x)) = exp(x) / (exp(x) + exp(0))
        elif self.genuine_index >= classes:
            raise ScoreError(f"{self.output} has {classes} classes, none of index {self.genuine_index}")
        found: Array = np.exp(logits[:, self.genuine_index] - np.logaddexp.reduce(logits, axis=1))
        return found
