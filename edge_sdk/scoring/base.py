"""What every score is: a record of the manifest that also does its arithmetic (numpy only).

A score of task ``spoof`` or ``locate`` gives one number a sample (:meth:`Score.score`); one of task ``verify`` compares
a sample with what a template holds (:meth:`Score.compare`). All are oriented *higher = more genuine*, or *more surely a
face*, and depend on nothing but the sample: a threshold means the same for every one.

To add a score: one file beside this one, with its struct, and a line in the union of :mod:`edge_sdk.manifest.scores`
(or in :data:`edge_sdk.scoring.fusion.Single`, if it can be fused).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.schema import Dimension, Strict
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Tensors = Mapping[str, npt.NDArray[Any]]
Task = Literal["verify", "spoof", "locate"]
Role = Literal[
    "embedding", "reconstruction", "latent", "log_variance", "features", "logit", "log_likelihood", "geometry"
]
Rule = Literal["mean_score", "max_score", "mean_embedding"]
Rename = Callable[[str], str]
Range = tuple[float, float]
"""The lowest and the highest score that can come; either may be infinite."""

DIGITS = 8
"""Scores are rounded. A matrix product differs in its last bits with the shape of the batch, and int8 outputs tie
often: without rounding, a score equal to its threshold could be accepted in evaluation and rejected on the device."""


class Comparison(msgspec.Struct, frozen=True):
    """``score``: higher = more genuine; ``raw``: the same in the model's own unit (a distance, a log-likelihood)."""

    score: float
    raw: float


class ModelInterface(Protocol):
    """What a score may ask of a manifest when it checks itself; every refusal is a ``ManifestError``."""

    @property
    def has_space(self) -> bool:
        """Whether the embedding space has an id, so that templates can be bound to it."""

    def output(self, name: str, *roles: Role) -> tuple[Dimension, ...]:
        """The shape of the output ``graph.output``, which has one of these roles."""

    def input(self, name: str) -> tuple[Dimension, ...]:
        """The shape of the input ``graph.input``."""

    def role(self, name: str) -> Role:
        """What the numbers of an output mean."""

    def reference_feed(self, name: str) -> str | None:
        """What feeds the reference input behind the output ``name``: ``"sample"`` or ``graph.output``; or None."""

    def auxiliary(self, path: str) -> None:
        """Refuse a path that is no auxiliary file."""


class ComparisonModel(Protocol):
    """What a score may ask of an opened model when it compares."""

    @property
    def densities(self) -> Mapping[str, GaussianMixture]:
        """The densities that the score names, by path."""

    @property
    def backgrounds(self) -> Mapping[str, Background]:
        """The backgrounds that the score names, by path."""

    def pair(self, references: npt.NDArray[Any], queries: npt.NDArray[Any]) -> Tensors:
        """What the graph with two inputs makes of N references and N queries, by ``graph.output``."""


class Stacked(Protocol):
    """What many people's templates hold, in one, in their order."""

    def __getitem__(self, person: int) -> Any:
        """What the template of one of them holds."""

    def candidates(self, values: npt.NDArray[Any], count: int) -> Sequence[int]:
        """Those among whom the ``count`` best for rows ``(T, ...)`` are, by the scores of :meth:`Score.compare_rows`.

        Of equal scores the first ones count. They are ascending, and few more than ``count`` unless scores tie.
        """


class Score(Strict, frozen=True, kw_only=True, tag_field="kind"):
    """Base of the scores.

    Attributes:
        tasks: Which tasks it can serve.
        template_kind: What a template holds for it; empty for a score that compares nobody.
        by_graph: Whether a graph compares each pair, so that :meth:`matrix` has no answer and :meth:`pairs` is asked.
        fits_references: Whether a model is fitted to all references together, so that scores of each by itself do not
            combine to that of all by a :attr:`rule`, and :meth:`enrolled_scores` is asked.
    """

    tasks: ClassVar[tuple[Task, ...]] = ()
    template_kind: ClassVar[str] = ""
    by_graph: ClassVar[bool] = False
    fits_references: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """The tag in the manifest."""
        return str(self.__struct_config__.tag)

    @property
    def range(self) -> Range:
        """The scores that can come: a threshold at the lower end or below accepts everything."""
        return -math.inf, math.inf

    @property
    def least_enrolled(self) -> int:
        """The fewest rows that a template is made of."""
        return 1

    @property
    def members(self) -> tuple[Score, ...]:
        """The scores that this one is made of; of a single one, itself."""
        return (self,)

    @property
    def described(self) -> str:
        """The kind, and those of the scores that it is made of, for people."""
        parts = ", ".join(one.kind for one in self.members if one is not self)
        return f"{self.kind} of {parts}" if parts else self.kind

    @property
    def one_class(self) -> bool:
        """Whether it says how like live samples a sample is, and knows no attack: it holds for their camera."""
        return False

    @property
    def roles(self) -> Mapping[str, Role]:
        """The outputs that it is computed from, each once, and what their numbers mean."""
        raise self._unable("is computed from nothing")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that it is computed from, each once."""
        return tuple(self.roles)

    @property
    def density_outputs(self) -> Mapping[str, str]:
        """By the path of each auxiliary density, the output whose values it is a density of."""
        return {}

    @property
    def background_files(self) -> tuple[str, ...]:
        """The paths of the auxiliary backgrounds."""
        return ()

    def check(self, interface: ModelInterface, task: Task) -> None:
        """Refuse (``ManifestError``) a model that does not give what the score needs."""
        raise self._unable(f"has no check against {interface} for {task}")

    def renamed(self, tensors: Rename, files: Rename = str) -> Self:
        """The same score of tensors and auxiliary files of other names."""
        raise self._unable(f"cannot be renamed by {tensors} and {files}")

    def in_log_odds(self) -> Self:
        """The same score with a probability replaced by the logarithm of its odds; of any other score, itself."""
        return self

    def score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture] | None = None) -> Array:
        """Score samples (tasks ``spoof`` and ``locate``).

        Args:
            tensors: By name, the model's inputs (pre-processed) and outputs that the score names, ``(N, ...)`` each.
            densities: By path, the auxiliary densities.

        Returns:
            ``float64 (N,)``, rounded to eight decimals.

        Raises:
            ScoreError: A tensor or density is missing, of a wrong shape or not finite; or it is another kind of score.
        """
        rounded: Array = self._score(tensors, densities or {}).round(DIGITS)
        return rounded

    def unfamiliar(self, tensors: Tensors, densities: Mapping[str, GaussianMixture] | None = None) -> Mask:
        """Which samples are unlike all that was trained on, ``(N,)``: their score decides nothing.

        Args:
            tensors, densities: As for :meth:`score`.

        Raises:
            ScoreError: As for :meth:`score`.
        """
        del densities
        return np.zeros(len(rows(tensors, self.outputs[0])), np.bool_)

    def level(self, densities: Mapping[str, GaussianMixture]) -> float:
        """What a sample of the score's own density scores in the mean; 0 of a score that has none."""
        del densities
        return 0.0

    def refitted(
        self, tensors: Tensors, densities: Mapping[str, GaussianMixture]
    ) -> tuple[Self, dict[str, GaussianMixture]]:
        """The score, and its densities by path, fitted to live captures of one camera.

        Args:
            tensors, densities: As for :meth:`score`, of captures of that camera.

        Raises:
            ScoreError: As for :meth:`score`, or of fewer than two captures.
        """
        found = {path: densities[path].replaced(rows(tensors, name)) for path, name in self.density_outputs.items()}
        return self, found

    def embedding(self, interface: ModelInterface) -> str:
        """The name of what a comparison needs of a sample: ``graph.output``, or ``"sample"`` for the sample itself."""
        raise self._unable(f"compares nobody, with no embedding of {interface}")

    def checked(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The :meth:`embedding` of samples, ``(N, ...)``, if they can be compared; else ScoreError."""
        if values.size == 0 or not np.isfinite(values).all():
            raise ScoreError(f"values {values.shape} to compare are none, or not finite")
        return np.asarray(values, np.float32)

    def enroll(self, values: npt.NDArray[Any], model: ComparisonModel) -> Any:
        """What a template holds of the references' :meth:`embedding`, ``(N, ...)``.

        Raises:
            ScoreError: The values cannot be compared.
            UsageError: A template of this kind is not made on the device.
        """
        del model
        return self.checked(values)

    def compare(self, reference: Any, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """Compare a sample with what a template holds (task ``verify``).

        Args:
            reference: As :meth:`enroll` gives it.
            values: The query's :meth:`embedding`, ``(1, ...)``; ``(T, ...)`` of a sample of T windows.
            model: Where densities, and a graph with two inputs, are.

        Raises:
            ScoreError: These cannot be compared, or give no finite number.
        """
        raise self._unable(f"compares nobody: not {reference} with {values.shape} by {model}")

    def compare_rows(self, reference: Any, values: npt.NDArray[Any], model: ComparisonModel) -> Comparison:
        """Compare several rows of one person: frames, or cycles of a walk; the mean of their scores.

        Args:
            reference, model: As for :meth:`compare`.
            values: The rows' :meth:`embedding`, ``(T, ...)``, T from 1.

        Raises:
            ScoreError: As :meth:`compare`.
        """
        each = [self.compare(reference, values[i : i + 1], model) for i in range(len(values))]
        if len(each) == 1:
            return each[0]
        score, raw = (np.mean(numbers) for numbers in zip(*map(msgspec.structs.astuple, each), strict=True))
        return Comparison(round(float(score), DIGITS), round(float(raw), DIGITS))

    def enrolled_scores(self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """Enrol one person's references together and compare each query by itself, for evaluation: ``float64 (M,)``.

        Args:
            references, queries: Their :meth:`embedding`, ``(N, ...)`` and ``(M, ...)``.
            model: As for :meth:`compare`.

        Raises:
            ScoreError: These cannot be compared.
        """
        enrolled = self.enroll(references, model)
        return np.array([self.compare(enrolled, query[None], model).score for query in queries])

    def repeats(self, held: npt.NDArray[Any], value: npt.NDArray[Any], model: ComparisonModel) -> bool:
        """Whether a sample is one that a template holds, and no further one of its person.

        Args:
            held, value: Their :meth:`embedding`, ``(N, ...)`` and ``(1, ...)``.
            model: As for :meth:`compare`.
        """
        del model
        return bool((held == value).all(axis=1).any())

    def check_content(self, content: Any, model: ComparisonModel) -> None:
        """Refuse (ScoreError) what a template holds if no enrolment with this model could have given it."""

    def pairs(self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel) -> Array:
        """The score of each reference, by itself, with the query in its place: ``float64 (P,)``.

        Args:
            references, queries: Their :meth:`embedding`, ``(P, ...)`` each.
            model: As for :meth:`compare`.

        Raises:
            ScoreError: These cannot be compared.
        """
        both = zip(references, queries, strict=True)
        return np.array([self.compare(self.enroll(a[None], model), b[None], model).score for a, b in both])

    def stacked(self, contents: Sequence[Any], model: ComparisonModel) -> Stacked | None:
        """What many templates hold, made ready to be scored at once; None where each is compared by itself.

        Args:
            contents: As :meth:`enroll` gives them, one a person.
            model: As for :meth:`compare`.

        Raises:
            ScoreError: These cannot be compared with one sample.
        """
        del contents, model
        return None

    @property
    def rule(self) -> Rule:
        """How scores of several references are combined."""
        return "mean_score"

    def matrix(
        self, references: npt.NDArray[Any], queries: npt.NDArray[Any], model: ComparisonModel | None = None
    ) -> Array:
        """Every reference by itself compared with every query, for evaluation: ``float64 (N, M)``.

        Args:
            references, queries: Their :meth:`embedding`, ``(N, ...)`` and ``(M, ...)``.
            model: As for :meth:`compare`; None for scores that compare without one.

        Raises:
            ScoreError: These cannot be compared, or not without an opened model.
        """
        opened: Any = _Unopened(self.kind) if model is None else model
        enrolled = [self.enroll(one[None], opened) for one in references]
        return np.array([[self.compare(one, query[None], opened).score for query in queries] for one in enrolled])

    @property
    def worst(self) -> Comparison:
        """What a sample gets that cannot be compared at all: the least score that there is."""
        return Comparison(-np.inf, -np.inf)

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        raise self._unable(f"compares people; it is no score of one sample ({len(tensors)}, {len(densities)} given)")

    def _unable(self, what: str) -> ScoreError:
        return ScoreError(f"the score {self.kind} {what}")


class _Unopened:
    """In place of an opened model, for scores that compare without one."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> NoReturn:
        raise ScoreError(f"the score {self._kind} compares only with an opened model, pair by pair")


def rows(tensors: Tensors, name: str) -> Array:
    """A tensor as ``float64 (N, D)``, finite; else ScoreError."""
    if name not in tensors:
        raise ScoreError(f"the score needs {name}, which is not among {', '.join(sorted(tensors)) or 'no tensors'}")
    tensor = np.asarray(tensors[name], np.float64)
    if tensor.ndim < 2 or tensor.size == 0:
        raise ScoreError(f"{name} must hold a row an image, not {tensor.shape}")
    if not np.isfinite(tensor).all():
        raise ScoreError(f"{name} is not finite")
    return tensor.reshape(len(tensor), -1)


def both_rows(tensors: Tensors, first: str, second: str) -> tuple[Array, Array]:
    """Two tensors of the same shape, ``float64 (N, D)`` each; else ScoreError."""
    a, b = rows(tensors, first), rows(tensors, second)
    if a.shape != b.shape:
        raise ScoreError(f"{first} {a.shape} and {second} {b.shape} cannot be compared")
    return a, b


def difference(tensors: Tensors, first: str, second: str) -> Array:
    """One tensor minus another of the same shape, ``float64 (N, D)``; else ScoreError."""
    a, b = both_rows(tensors, first, second)
    return a - b
