"""The seam between the exporter and a run's task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from edge_sdk import manifest
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.export.formats.artifacts import Graphs, VariantKind
from edge_sdk.manifest import Rate
from edge_sdk.scoring.base import Score, Task
from edge_sdk.tables import Table


@dataclass(frozen=True)
class MeasuredVariant:
    """One artifact with everything that was measured on it."""

    kind: VariantKind
    model: bytes
    points: tuple[manifest.OperatingPoint, ...]
    calibration: manifest.CalibrationProvenance | None = None
    accuracy: tuple[manifest.AccuracyDifference, ...] = ()

    @property
    def threshold(self) -> float:
        """At the equal error rate."""
        supported = (point for point in self.points if not isinstance(point, manifest.UnsupportedPoint))
        return next(point.threshold for point in supported if point.name == "eer")


@dataclass(frozen=True)
class FurtherGraph:
    """A graph behind the one of the samples.

    Attributes:
        name: In the manifest; the score names its outputs with it.
        made: Its file by the kind of variant.
    """

    name: str
    inputs: tuple[manifest.Input, ...]
    outputs: tuple[manifest.Output, ...]
    made: Callable[[VariantKind], bytes]


@dataclass(frozen=True)
class TaskInterface:
    """What the manifest says of a task, whatever the artifact.

    Attributes:
        files: Auxiliary files that the score names, by path.
        further: The graphs behind that of the samples, in their order.
    """

    task: Task
    source: manifest.Source
    outputs: tuple[manifest.Output, ...]
    score: Score
    embedding_space_id: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    further: tuple[FurtherGraph, ...] = ()


class ArtifactEvaluator(Protocol):
    """Scores artifacts on the people of a run's split, each by the engine that serves it."""

    @property
    def graphs(self) -> Graphs:
        """What the artifacts are made of; the float ONNX graph is made when it is needed, behind all checks."""
        ...

    @property
    def unit(self) -> str:
        """What :meth:`distance` is, for people."""
        ...

    def distance(self, kind: VariantKind, model: bytes) -> float:
        """How far int8 takes the outputs of the validation people's pictures from the float ones; 0 is not at all."""
        ...

    def points(self, kind: VariantKind, model: bytes) -> tuple[manifest.OperatingPoint, ...]:
        """Thresholds of the ``thresholds`` people, ``eer`` among them."""
        ...

    def accuracy_difference(
        self, kind: VariantKind, model: bytes, role: str, *thresholds: float
    ) -> manifest.AccuracyDifference:
        """What an artifact costs a group of people against the reference.

        Args:
            thresholds: Of the reference and of the artifact, for the share of equal decisions; or none.
        """
        ...

    def test_tables(self, measured: MeasuredVariant) -> tuple[Table, ...]:
        """What the artifact reached on the test people; the same tables, with other rows, for every artifact."""
        ...

    def golden(self) -> Mapping[str, bytes]:
        """The inputs of the golden trial, as files by path."""
        ...

    def golden_score(self, measured: MeasuredVariant) -> tuple[float, float]:
        """(the score of the golden trial, the tolerance that another processor has)."""
        ...

    def interface(self) -> TaskInterface:
        """What the manifest says."""
        ...


def interval(value: Interval | Rate) -> str:
    """``0.012 [0.004, 0.031]``."""
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
