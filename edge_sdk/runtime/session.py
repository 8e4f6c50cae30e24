"""One artifact of one bundle, open on one engine, with the operating point that decides: what every task needs."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic

from edge_sdk.bundle import Bundle
from edge_sdk.errors import OperatingPointError
from edge_sdk.manifest import Rate
from edge_sdk.runtime.engines import load_engine
from edge_sdk.runtime.operating_point import Point, choose_point
from edge_sdk.runtime.selection import choose

if TYPE_CHECKING:
    from typing_extensions import Self


class Session(Generic[Point]):
    """Base of what an application opens.

    Attributes:
        bundle: The opened bundle.
        engine: The name of the engine that runs.
        artifact: What it runs.

    Args:
        engine, precision, threads: Those of :class:`edge_sdk.runtime.verifier.Verifier`.
        operating_point, kind, rejected: Those of :func:`edge_sdk.runtime.operating_point.choose_point`.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: str,
        precision: str | None,
        threads: int,
        operating_point: str | None,
        kind: type[Point],
        rejected: Callable[[Point], Rate],
    ) -> None:
        choice = choose(bundle, engine, precision, threads)
        self.bundle, self.engine, self.artifact = bundle, choice.engine, choice.artifact
        self._point: Point | None = choose_point(choice.artifact, operating_point, kind, rejected)
        model = bundle.read_artifact(choice.artifact.id)
        self._engine = load_engine(choice.engine, model, choice.artifact.format, threads=threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the engine; whatever needs it raises ``EngineError`` afterwards."""
        self._engine.close()

    @property
    def operating_point(self) -> Point:
        """The operating point in use; ``OperatingPointError`` if the artifact has none yet."""
        if self._point is None:
            raise OperatingPointError(
                f"{self.bundle.id} {self.artifact.id} has no operating point to choose by default"
            )
        return self._point

    @property
    def threshold(self) -> float:
        """A sample is accepted, or live, iff its score is at least this."""
        return self.operating_point.threshold
