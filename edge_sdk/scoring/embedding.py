"""Distance of embeddings (numpy only): higher is more genuine, in [0, 1].

Raw values are rounded to six decimals. A matrix product differs in its last bits with the shape of the batch, and int8
embeddings tie often: without rounding, a score equal to its threshold could be accepted in evaluation and rejected on
the device.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.schema import Name, require
from edge_sdk.scoring.base import Comparison, ComparisonModel, ModelInterface, Range, Rename, Role, Rule, Score, Task
from edge_sdk.scoring.ranking import near_best, without_repeats

if TYPE_CHECKING:
    from typing_extensions import Self

Metric = Literal["euclidean", "cosine"]
Array = npt.NDArray[np.float64]

_COSINE_TOLERANCE = 1e-5
"""How far a cosine of :class:`EmbeddingMatrix` may be from the exact one. In float32, of 128 to 2,048 values, it is
within 5e-7 of it; an exact one whose score is rounded moves by 1e-6 more."""

_SCORE_TOLERANCE = 1e-3
"""The same of a mean or a maximum of scores: the Euclidean score, 1 - sqrt(2 - 2 cos) / 2, changes by up to
sqrt(2 * 5e-7) / 2 = 5e-4 with a cosine, near cos = 1."""

_SAFE = 1e-12, 1e12
"""Largest values of embeddings whose products with a unit vector neither vanish nor overflow in float32."""


class EmbeddingScore(Score, frozen=True, kw_only=True):
    """Base of the scores that compare embeddings: a template holds those of the references."""

    tasks: ClassVar[tuple[Task, ...]] = ("verify",)
    template_kind: ClassVar[str] = "embeddings"

    output: Name

    @property
    def range(self) -> Range:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return 0.0, 1.0

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.output: "embedding"}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        require(interface.has_space, "enrolment needs a space id")
        interface.output(self.output, "embedding")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del files
        return msgspec.structs.replace(self, output=tensors(self.output))

    def embedding(self, interface: ModelInterface) -> str:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del interface
        return self.output

    def checked(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Embeddings ``(N, D)`` as they are: finite, none all zero."""
        if not values.size:
            raise ScoreError("these numbers are no embedding")
        embeddings = values.reshape(len(values), -1)
        largest_values(embeddings)
        return np.asarray(embeddings, np.float32)


class EmbeddingDistance(EmbeddingScore, frozen=True, kw_only=True, tag="embedding_distance"):
    """Distance of L2-normalised embeddings; ``references`` says how scores of several references are combined."""

    metric: Metric
    references: Rule = "mean_score"

    def compare(
        self, reference: npt.NDArray[np.float32], values: npt.NDArray[Any], model: ComparisonModel
    ) -> Comparison:
        """Embeddings ``(N, D)`` with one of ``(1, D)``; the raw score is the mean over the references, or the best."""
        del model
        if len(values) != 1:
            raise ScoreError(f"one embedding is compared, not {len(values)}")
        query = values.reshape(1, -1).astype(np.float32, copy=False)
        if self.references == "mean_embedding":
            reference = mean_embedding(reference).astype(np.float32)
        require_same_length(reference, query)
        unit = normalise(
            np.concatenate([reference, query])
        )  # at once: for a template, calls of numpy are what it costs
        raw, score = unit_scores(unit[:-1], unit[-1:], self.metric)
        if len(raw) == 1:
            return Comparison(score.item(), raw.item())
        combined = float(combine(score, self.references)[0])
        best = float(raw[np.argmax(score), 0]) if self.references == "max_score" else float(raw.mean())
        return Comparison(combined, best)

    def stacked(self, contents: Sequence[npt.NDArray[Any]], model: ComparisonModel) -> "EmbeddingMatrix":
        """One matrix of all embeddings."""
        del model
        if len({one.shape[1] for one in contents}) > 1:
            raise ScoreError("embeddings of different lengths")
        return EmbeddingMatrix(contents, self.metric, self.references)

    @property
    def rule(self) -> Rule:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return self.references

    def matrix(
        self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel | None = None
    ) -> Array:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del model
        return embedding_scores(references, queries, self.metric)[1]

    @property
    def worst(self) -> Comparison:
        """A score of 0, at the far end of the metric."""
        return Comparison(0.0, 2.0 if self.metric == "euclidean" else -1.0)


class EmbeddingMatrix:
    """The references of N people, one below the other, as their templates hold them.

    So that a search is one matrix product, of ``float32``, whose results are divided by the references' lengths.

    Args:
        contents: What each template holds, ``(n, D)`` each.
        metric, rule: Those of the score.
    """

    def __init__(self, contents: Sequence[npt.NDArray[np.float32]], metric: Metric, rule: Rule) -> None:
        self._metric = metric
        self._best = rule == "max_score"
        self._starts = np.cumsum([0, *map(len, contents)])
        self._rows = np.concatenate(contents)
        self._rows.setflags(write=False)  # templates are views of it
        largest = largest_values(self._rows)
        if rule == "mean_embedding" and len(self._rows) > len(contents):
            counts = np.diff(self._starts)[:, np.newaxis]
            means = np.add.reduceat(normalise(self._rows), self._starts[:-1]) / counts
            self._searched = normalise(means.round(12)).astype(np.float32)
        elif largest.min() < _SAFE[0] or largest.max() > _SAFE[1]:
            self._searched = normalise(self._rows).astype(np.float32)
        else:
            self._searched = self._rows
        squares = np.einsum("nd,nd->n", self._searched, self._searched, dtype=np.float64)
        self._inverse_lengths = (1 / np.sqrt(squares)).astype(np.float32)

    def __getitem__(self, person: int) -> npt.NDArray[np.float32]:
        """See :class:`~edge_sdk.scoring.base.Stacked`: embeddings ``(n, D)``, a view."""
        return self._rows[self._starts[person] : self._starts[person + 1]]

    def candidates(self, values: npt.NDArray[Any], count: int) -> list[int]:
        """See :class:`~edge_sdk.scoring.base.Stacked`; of embeddings ``(T, D)``.

        Raises:
            ScoreError: They have another length than the references, or are no embeddings.
        """
        queries = normalise(values).astype(np.float32)
        if queries.shape[1] != self._searched.shape[1]:
            raise ScoreError(
                f"embeddings of {self._searched.shape[1]} and {queries.shape[1]} values cannot be compared"
            )
        cosines = [self._cosines(query) for query in queries]
        if len(cosines) == 1 and len(self._searched) == len(self._starts) - 1:
            found = near_best(cosines[0], count, _COSINE_TOLERANCE)  # which rank as the scores do
        else:
            found = near_best(np.mean([self._scores(each) for each in cosines], axis=0), count, _SCORE_TOLERANCE)
        return without_repeats(found, count, self)

    def _cosines(self, query: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Those of all references that are searched with a query ``(D,)`` of length 1."""
        cosines: npt.NDArray[np.float32] = self._searched @ query
        cosines *= self._inverse_lengths
        return cosines

    def _scores(self, cosines: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Everybody's score of one query, ``(N,)``."""
        within = np.minimum(np.maximum(cosines, -1), 1)
        scores = np.asarray((1 + within) / 2 if self._metric == "cosine" else 1 - np.sqrt(2 - 2 * within) / 2)
        if len(scores) == len(self._starts) - 1:
            return scores
        if self._best:
            return np.asarray(np.maximum.reduceat(scores, self._starts[:-1]))
        return np.asarray(np.add.reduceat(scores, self._starts[:-1]) / np.diff(self._starts), np.float32)


def normalise(embeddings: npt.NDArray[Any]) -> Array:
    """L2-normalise the rows of ``embeddings`` (N, D) to float64; a zero or non-finite row raises ``ScoreError``.

    >>> normalise(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    # Ufuncs, not the functions of numpy and numpy.linalg that call them: these take three times as long for one row.
    rows = np.array(embeddings, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ScoreError(f"embeddings must be (N, D) with N, D > 0, not {rows.shape}")
    rows /= largest_values(rows)  # before squaring, so that tiny and huge rows neither vanish nor overflow
    rows /= np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True))
    return rows


def largest_values(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The largest absolute value of each row of ``(N, D)``, N and D above 0: ``(N, 1)``, finite and above 0.

    Raises:
        ScoreError: A row is not finite, or all zero.
    """
    largest: npt.NDArray[Any] = np.maximum.reduce(np.abs(rows), axis=1, keepdims=True)  # NaN if one of them is
    if not np.isfinite(largest).all():
        raise ScoreError("an embedding is not finite")
    if not largest.all():
        raise ScoreError("an embedding is all zero: it has no direction")
    return largest


def embedding_scores(
    reference: npt.NDArray[Any], query: npt.NDArray[Any], metric: Metric = "euclidean"
) -> tuple[Array, Array]:
    """Compare every reference (N, D) with every query (M, D); return ``raw`` and ``score``, both (N, M) float64.

    Rows are normalised first. ``euclidean``: raw = distance in [0, 2], score = 1 - raw / 2. ``cosine``: raw = cosine
    in [-1, 1], score = (1 + raw) / 2. Zero or non-finite rows, or different D, raise ``ScoreError``.

    >>> raw, score = embedding_scores(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [-1.0, 0.0]]))
    >>> raw, score
    (array([[0., 2.]]), array([[1., 0.]]))
    """
    first, second = normalise(reference), normalise(query)
    require_same_length(first, second)
    return unit_scores(first, second, metric)


def require_same_length(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> None:
    """Raise ``ScoreError`` unless the embeddings (N, D) and (M, D) are of as many values."""
    if first.shape[1:] != second.shape[1:]:
        raise ScoreError(f"embeddings of {first.shape[-1]} and {second.shape[-1]} values cannot be compared")


def unit_scores(first: Array, second: Array, metric: Metric) -> tuple[Array, Array]:
    """:func:`embedding_scores` of embeddings that are normalised already, (N, D) and (M, D)."""
    raw: Array = (first @ second.T).clip(-1.0, 1.0)
    if metric == "cosine":
        raw = raw.round(6)
        return raw, (1.0 + raw) / 2.0
    if metric == "euclidean":
        raw = np.sqrt(2.0 - 2.0 * raw).round(6)
        return raw, 1.0 - raw / 2.0
    raise ScoreError(f"unknown metric {metric!r}")


def mean_embedding(references: npt.NDArray[Any]) -> Array:
    """Average the normalised references (N, D) into one direction (1, D) of length 1; opposite ones raise."""
    return normalise(np.round(normalise(references).mean(axis=0, keepdims=True), 12))


def combine(scores: npt.NDArray[Any], rule: Rule) -> Array:
    """Combine scores of N references with M queries, (N, M), into (M,).

    ``mean_embedding`` acts on the references (:func:`mean_embedding`), so here it takes one row only.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0 or not np.isfinite(values).all():
        raise ScoreError(f"scores must be finite and (N, M) with N > 0, not {values.shape}")
    if rule not in ("mean_score", "max_score", "mean_embedding"):
        raise ScoreError(f"unknown rule {rule!r}")
    if rule == "mean_embedding" and len(values) > 1:
        raise ScoreError("average the references with mean_embedding() before scoring")
    combined: Array = values.max(axis=0) if rule == "max_score" else values.mean(axis=0)
    return combined
