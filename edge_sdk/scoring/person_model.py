"""A small model of each person, fitted to the references at enrolment: how likely is it that the person made a sample?

People differ in how much they vary, and samples in how unusual they are: the same distance from a person's mean is
small for one and large for another. With x a unit embedding, in the space where one person's embeddings vary alike in
all D directions (:class:`~edge_sdk.scoring.background.Background`), the model of n references has

* their mean m (of references that repeat one another, of one);
* ``s``, the variance of one value: the person's own, with one further reference as scattered as those of the training
  people are in the mean, and at most as that of the widest of them;
* ``C = I + sum (x_i - m)(x_i - m)' / (SHAPE s)``, the shape of the scatter: the one that all people share, drawn
  towards the person's own.

A sample x is compared by ``d = (x - m)' C^-1 (x - m) / (D (1 + 1/n))``, its squared distance from the person, and by
``e``, its squared Mahalanobis distance from everybody, both per value::

    log-likelihood ratio = offset + slope (log s / 2 + log e / 2 - log d)

Adding the own scatter is what speaker recognition calls z-norm, and the distance from everybody t-norm (Auckenthaler,
Carey and Lloyd-Thomas 2000); mean and scatter are those of a normal density under a conjugate prior (Murphy 2007,
section 9). Slope and offset are fitted on training people, as logistic regression does. What was measured:
docs/results/signatures.md.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.schema import Name
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.base import DIGITS, Array, Comparison, ComparisonModel, ModelInterface, Rename, Task
from edge_sdk.scoring.embedding import EmbeddingScore, normalise
from edge_sdk.scoring.ranking import near_best, without_repeats

if TYPE_CHECKING:
    from typing_extensions import Self

SHAPE = 100.0
"""References that weigh as much as the shape that all people's scatter shares. From 30 to 300 nothing changes."""

STRANGER = -1.0
"""A reference of which the others' model says less than this takes no part: it may be somebody else's. At most one, the
farthest, and from three references on. Else a forgery among them would widen the scatter, and let others in."""

REPEATED = 0.1
"""Share of the usual squared distance of two samples of a person below which they are one sample. Of 1,056 genuine
signatures of CEDAR the least to another of their writer is 0.15; of some of these scans as JPEG of quality 77 and 95 it
is 0.00 to 0.12, in 95 of 100 below 0.06; of two engines' embeddings of one scan below 0.001 (`deepsign`, int8.onnx)."""

LIMIT = 30.0
"""The logarithm of the ratio counts from -LIMIT to LIMIT; beyond, its logistic is 0 or 1 in eight decimals."""

_LEAST = 1e-12  # of a squared distance: a sample may be the reference itself
_RAW_DIGITS = 6


class PersonModel(EmbeddingScore, frozen=True, kw_only=True, tag="person_model"):
    """Likelihood ratio of a person's model and everybody's; the score is its logistic, in [0, 1].

    A template holds the references' embeddings; the model of them is made when it is compared, in about 0.1 ms.

    Attributes:
        output: Embeddings.
        background: The auxiliary file of everybody.
    """

    fits_references: ClassVar[bool] = True

    background: Name

    @property
    def background_files(self) -> tuple[str, ...]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return (self.background,)

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        super().check(interface, task)
        interface.auxiliary(self.background)

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return msgspec.structs.replace(super().renamed(tensors, files), background=files(self.background))

    def enroll(self, values: npt.NDArray[Any], model: ComparisonModel) -> npt.NDArray[np.float32]:
        """The references' embeddings ``(N, D)``, as a template keeps them."""
        found = self.checked(values)
        self.check_content(found, model)
        return found

    def check_content(self, content: npt.NDArray[np.float32], model: ComparisonModel) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        size = self._everybody(model).mean.size
        if content.shape[1] != size:
            raise ScoreError(f"embeddings of {content.shape[1]} values, the background is of {size}")

    def compare(
        self, reference: npt.NDArray[np.float32], values: npt.NDArray[Any], model: ComparisonModel
    ) -> Comparison:
        """Embeddings ``(N, D)`` with one of ``(1, D)``; the raw score is the logarithm of the ratio."""
        if len(values) != 1:
            raise ScoreError(f"one embedding is compared, not {len(values)}")
        return self.compare_rows(reference, values, model)

    def compare_rows(
        self, reference: npt.NDArray[np.float32], values: npt.NDArray[Any], model: ComparisonModel
    ) -> Comparison:
        """Embeddings ``(N, D)`` with several of one person, ``(T, D)``: the logarithms of their ratios are averaged."""
        ratio = float(self._ratios(reference, values, model).mean())
        return Comparison(round(1 / (1 + math.exp(-ratio)), DIGITS), round(ratio, _RAW_DIGITS))

    def enrolled_scores(self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """See :class:`~edge_sdk.scoring.base.Score`: the model is fitted once."""
        return _logistic(self._ratios(self.enroll(references, model), queries, model))

    def repeats(self, held: npt.NDArray[Any], value: npt.NDArray[Any], model: ComparisonModel) -> bool:
        """See :class:`~edge_sdk.scoring.base.Score`; also one that is nearly the same: see :data:`REPEATED`."""
        everybody = self._everybody(model)
        rows, row = (_within(normalise(one), everybody) for one in (held, value))
        return bool(_repeated(rows, row, everybody).any())

    def stacked(self, contents: Sequence[npt.NDArray[np.float32]], model: ComparisonModel) -> "StackedPeople":
        """All people's means and directions in one matrix."""
        for content in contents:
            self.check_content(content, model)
        return StackedPeople(contents, self._everybody(model))

    def matrix(
        self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel | None = None
    ) -> Array:
        """See :class:`~edge_sdk.scoring.base.Score`; it takes the opened model."""
        if model is None:
            raise self._unable("compares only with the background of an opened model")
        everybody = self._everybody(model)
        samples = _Samples.of(queries, everybody)
        people = _Samples.of(references, everybody).rows
        squares = (people**2).sum(axis=1)[:, np.newaxis] + (samples.rows**2).sum(axis=1) - 2 * people @ samples.rows.T
        level = 0.5 * math.log(everybody.scatter)
        return _logistic(_ratio(everybody, squares / (2 * people.shape[1]), level, samples.unusual))

    @property
    def worst(self) -> Comparison:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return Comparison(0.0, -LIMIT)

    def _ratios(self, reference: npt.NDArray[Any], values: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """Logarithms of the ratios of embeddings ``(T, D)``, each by itself, ``(T,)``."""
        return log_ratios(reference, values, self._everybody(model))

    def _everybody(self, model: ComparisonModel) -> Background:
        if self.background not in model.backgrounds:
            raise ScoreError(f"the score needs the background {self.background}, which was not given")
        return model.backgrounds[self.background]


def log_ratios(references: npt.NDArray[Any], values: npt.NDArray[Any], everybody: Background) -> Array:
    """The logarithms of the likelihood ratios of embeddings ``(T, D)``, each by itself: ``float64 (T,)``.

    Args:
        references: One person's embeddings, ``(n, D)``.

    Raises:
        ScoreError: Embeddings of another length than the background's, or none.
    """
    person, samples = FittedPerson.of(references, everybody), _Samples.of(values, everybody)
    return _ratio(everybody, person.distances(samples.rows), person.level, samples.unusual)


class FittedPerson(NamedTuple):
    """The model of one person, in the space where one person's embeddings vary alike in all directions.

    Attributes:
        mean: Of the references, ``(D,)``.
        directions: ``(n, D)``: the squared lengths along them are what the person's own shape takes off a distance;
            ``(0, D)`` of one reference, which has no shape.
        widening: ``1 + 1/n``: how much farther a sample is from a mean of n than from the true one.
        level: Half the logarithm of the person's variance of one value.
    """

    mean: Array
    directions: Array
    widening: float
    level: float

    @classmethod
    def of(cls, references: npt.NDArray[Any], everybody: Background) -> "FittedPerson":
        """Of embeddings ``(n, D)``, n from 1."""
        unit = normalise(references)
        rows = _within(unit, everybody)
        if len(rows) > 1:
            distinct = ~np.tril(_repeated(rows, rows, everybody), -1).any(axis=1)  # else one would seem not to vary
            unit, rows = unit[distinct], rows[distinct]
        if len(rows) > 2:
            rows = rows[_trusted(unit, rows, everybody)]
        count, dims = rows.shape
        mean = rows.mean(axis=0)
        away = rows - mean
        variance = _variance(float((away**2).sum()) / dims, count, everybody)
        directions = away[:0]
        if count > 1:
            # Woodbury: the inverse of SHAPE s I + away' away, but for its scale, is I less these directions' squares.
            inner = SHAPE * variance * np.eye(count) + away @ away.T
            directions = np.linalg.inv(np.linalg.cholesky(inner)) @ away
        return cls(mean, directions, 1 + 1 / count, 0.5 * math.log(variance))

    def distances(self, rows: Array) -> Array:
        """Squared distances per value of samples ``(T, D)``, ``(T,)``."""
        away = rows - self.mean
        squares = (away**2).sum(axis=1) - ((away @ self.directions.T) ** 2).sum(axis=1)
        found: Array = squares / (rows.shape[1] * self.widening)
        return found


def _variance(squares: float, count: int, everybody: Background) -> float:
    """A person's variance of one value, of the references' squared distances from their mean, per value."""
    return min((squares + everybody.scatter) / count, everybody.widest)


def _repeated(rows: Array, others: Array, everybody: Background) -> npt.NDArray[np.bool_]:
    """Which samples ``(n, D)`` are which of others ``(m, D)``, or nearly: see :data:`REPEATED`; ``(n, m)``."""
    squares = (rows**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1) - 2 * rows @ others.T
    found: npt.NDArray[np.bool_] = squares / rows.shape[1] < 2 * REPEATED * everybody.scatter
    return found


def _trusted(unit: Array, rows: Array, everybody: Background) -> npt.NDArray[np.bool_]:
    """All references ``(n, D)`` but, perhaps, the farthest one: see :data:`STRANGER`. Its own shape is left out."""
    count, dims = rows.shape
    squares = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1) / dims
    farthest = int(squares.argmax())
    distance = squares[farthest] * count / (count - 1)  # from the mean of the others, over 1 + 1/(n - 1)
    variance = _variance(float(squares.sum() - distance), count - 1, everybody)
    unusual = _unusual(unit[farthest : farthest + 1], everybody)
    kept = np.ones(count, np.bool_)
    kept[farthest] = _ratio(everybody, distance, 0.5 * math.log(variance), unusual)[0] >= STRANGER
    return kept


class _Samples(NamedTuple):
    """Samples to compare: where one person's vary alike, ``(T, D)``, and how :func:`_unusual` they are, ``(T,)``."""

    rows: Array
    unusual: Array

    @classmethod
    def of(cls, values: npt.NDArray[Any], everybody: Background) -> "_Samples":
        """Of embeddings ``(T, D)``."""
        unit = normalise(values)
        return cls(_within(unit, everybody), _unusual(unit, everybody))


class StackedPeople:
    """The models of N people, of one background: a search is one matrix product, of ``float32``.

    Args:
        contents: What each template holds, ``(n, D)`` each.
        everybody: The background.
    """

    tolerance = 1e-2
    """Of the logarithm of a ratio, where the distance is at least ``_least``."""

    def __init__(self, contents: Sequence[npt.NDArray[np.float32]], everybody: Background) -> None:
        self._contents = contents
        self._everybody = everybody
        people = [FittedPerson.of(one, everybody) for one in contents]
        self._means = np.stack([one.mean for one in people]).astype(np.float32)
        self._squares = np.einsum("nd,nd->n", self._means, self._means, dtype=np.float64)
        self._widening = np.array([one.widening for one in people])
        self._levels = np.array([one.level for one in people])
        self._shaped = np.flatnonzero([len(one.directions) for one in people])
        lengths = [len(people[i].directions) for i in self._shaped]
        self._starts = np.cumsum([0, *lengths])[:-1]
        if lengths:
            self._directions = np.concatenate([people[i].directions for i in self._shaped]).astype(np.float32)
            along = [people[i].directions @ people[i].mean for i in self._shaped]
            self._along = np.concatenate(along).astype(np.float32)

    def __getitem__(self, person: int) -> npt.NDArray[np.float32]:
        """See :class:`~edge_sdk.scoring.base.Stacked`."""
        return self._contents[person]

    def candidates(self, values: npt.NDArray[Any], count: int) -> list[int]:
        """See :class:`~edge_sdk.scoring.base.Stacked`; of embeddings ``(T, D)``.

        Raises:
            ScoreError: They have another length than the references, or are no embeddings.
        """
        samples = _Samples.of(values, self._everybody)
        ratios, close = np.zeros(len(self._means)), np.zeros(len(self._means), np.bool_)
        for row, unusual in zip(samples.rows, samples.unusual, strict=True):
            # float32 leaves about 1e-7 of the squares that are subtracted: below, a distance means nothing.
            least = 1e-4 * (float(row @ row) + float(self._squares.max())) / len(row)
            distances = self._distances(row)
            close |= distances < least
            ratios += _ratio(self._everybody, np.maximum(distances, least), self._levels, unusual)
        found = near_best(ratios / len(values), count, self.tolerance)
        return without_repeats(sorted({*found, *np.flatnonzero(close).tolist()}), count, self._contents)

    def _distances(self, row: Array) -> Array:
        """As those of :class:`FittedPerson`, of one sample ``(D,)`` from everybody enrolled: ``(N,)``."""
        query = row.astype(np.float32)
        squares = self._squares + float(row @ row) - 2.0 * (self._means @ query)
        if self._shaped.size:
            along = (self._directions @ query - self._along).astype(np.float64)
            squares[self._shaped] -= np.add.reduceat(along**2, self._starts)
        found: Array = squares / (len(row) * self._widening)
        return found


def _within(unit: Array, everybody: Background) -> Array:
    """Unit embeddings ``(N, D)`` where one person's vary alike in all directions."""
    if unit.shape[1] != everybody.mean.size:
        raise ScoreError(f"embeddings of {unit.shape[1]} values, the background is of {everybody.mean.size}")
    found: Array = (unit - everybody.mean) @ everybody.within
    return found


def _unusual(unit: Array, everybody: Background) -> Array:
    """Half the logarithm of the squared distance from everybody, per value, of unit embeddings ``(T, D)``: ``(T,)``."""
    away = (unit - everybody.mean) @ everybody.everybody
    found: Array = 0.5 * np.log(np.maximum((away**2).mean(axis=1), _LEAST))
    return found


def _ratio(everybody: Background, distances: Any, level: Any, unusual: Any) -> Array:
    """The logarithm of the likelihood ratio, within :data:`LIMIT`."""
    ratio = everybody.offset + everybody.slope * (level + unusual - np.log(np.maximum(distances, _LEAST)))
    found: Array = np.clip(ratio, -LIMIT, LIMIT)
    return found


def _logistic(ratio: Array) -> Array:
    """The score of a ratio's logarithm."""
    found: Array = (1 / (1 + np.exp(-ratio))).round(DIGITS)
    return found
