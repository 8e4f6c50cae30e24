"""One variant of one bundle, open on one engine, with the threshold that decides: what every task needs."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from numbers import Real
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, cast

import numpy as np

from edge_sdk import modalities, preprocess
from edge_sdk.bundle import Bundle, Trust
from edge_sdk.errors import BundleError, EngineError, OperatingPointError, StorageError, UsageError
from edge_sdk.logs import Log
from edge_sdk.manifest import Task
from edge_sdk.runtime import audit as auditing
from edge_sdk.runtime.engines import check_threads
from edge_sdk.runtime.health import Health, SessionStatus
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.operating_point import CUSTOM, ActiveThreshold, Point, choose_points, point_for
from edge_sdk.runtime.selection import choose
from edge_sdk.scoring.base import Comparison, Range

if TYPE_CHECKING:
    from typing_extensions import Self

_LOG = Log(__name__)

Decides = TypeVar("Decides", bound="Session[Any]")
Given = ParamSpec("Given")
Decided = TypeVar("Decided")
Method = Callable[Concatenate[Decides, Given], Decided]


def decides(
    facts: Callable[..., auditing.Facts] | None = None,
) -> Callable[[Method[Decides, Given, Decided]], Method[Decides, Given, Decided]]:
    """Make a decorator of a session's method: its calls are counted, and audited under its name.

    In a fork the method is not called.

    Args:
        facts: Of its result and its arguments, for the audit; None of a method that decides nothing about a person.
    """

    def decorate(method: Method[Decides, Given, Decided]) -> Method[Decides, Given, Decided]:
        event = cast("auditing.Event", method.__name__)

        @functools.wraps(method)
        def decide(self: Decides, /, *args: Given.args, **kwargs: Given.kwargs) -> Decided:
            self._model.check_process()
            try:
                result = method(self, *args, **kwargs)
            except Exception as exc:
                self._raised(event, exc, *args, **kwargs)
                raise
            self._decided(event, result, facts and (lambda found: facts(found, *args, **kwargs)))
            return result

        return decide

    return decorate


class Session(Generic[Point]):
    """Base of what an application opens, for the process that opens it.

    Threads may share one. A process forked from this one may not: there everything raises ``EngineError``, and
    :meth:`close` lets go.

    Attributes:
        bundle: The opened bundle.
        engine: The name of the engine that runs.
        variant: What it runs.

    Args:
        bundle, engine, precision, operating_point, threads, threshold, trust, audit: Those of
            :class:`edge_sdk.runtime.verifier.Verifier`.
    """

    task: ClassVar[Task]
    point_kinds: tuple[type[Point], ...]

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        *,
        engine: str,
        precision: str | None,
        operating_point: str | None,
        threads: int,
        threshold: float | None,
        trust: Trust | None,
        audit: auditing.Audit | None = None,
    ) -> None:
        threads = check_threads(threads)
        self.bundle = Bundle.open(bundle, trust=trust)
        if self.bundle.manifest.task != self.task:
            raise BundleError(f"{self.bundle.id} is for task {self.bundle.manifest.task}, not {self.task}")
        try:
            self._modality = modalities.get(self.bundle.manifest.modality)
        except UsageError as exc:
            raise BundleError(f"{self.bundle.id}: {exc}") from exc
        if threshold is not None and operating_point is not None:
            raise UsageError("a threshold replaces the operating point: give one of them")
        own = None
        if threshold is not None:
            own = ActiveThreshold(CUSTOM, _decisive(threshold, self.bundle.manifest.score.range))
        choice = choose(self.bundle, engine, precision, threads)
        self.engine, self.variant = choice.engine, choice.variant
        self._threshold = own
        self._points: tuple[Point, ...] = ()
        if self._threshold is None:
            wanted = self.bundle.manifest.default_point if operating_point is None else operating_point
            self._points = choose_points(self.variant, wanted, *self.point_kinds)
        self._id, self._closed, self._health = os.urandom(16).hex(), False, Health()
        self._trail: auditing.Trail | None = None
        with contextlib.ExitStack() as failed:
            if audit is not None:
                self._trail = auditing.Trail(audit, self._id, self.bundle, self.variant, self.engine)
                failed.callback(self._trail.close)
            self._model = Model(self.bundle, choice, threads=threads)
            failed.pop_all()
        _LOG.info(
            "%s: %s runs on %s, threads %d; %s decides",
            self.bundle.id,
            self.variant.id,
            self.engine,
            threads,
            self._points[0].name if self._points else "no operating point" if own is None else "an own threshold",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _replay_golden(self) -> None:
        """Close, and raise, unless the bundle's golden trial has its score here."""
        golden, variant = self.bundle.manifest.golden, self.variant.id
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            if variant not in golden.scores:
                raise BundleError(f"{self.bundle.id} has no golden trial for {variant}: open it without selftest")
            score, _ = self.golden_trial([self.bundle.read(entry) for entry in golden.inputs])
            if not abs(score - golden.scores[variant]) <= golden.tolerance[variant]:
                raise BundleError(
                    f"the golden trial of {self.bundle.id} scores {score:.6g} with {variant} on {self.engine}, not "
                    f"{golden.scores[variant]:.6g}: the bundle was changed, or this device computes it wrongly"
                )
            failed.pop_all()
        _LOG.info("%s: the golden trial has its score here", self.bundle.id)

    def _warm_up(self) -> None:
        """Run once, on the golden trial, all that a call runs, so that the first call takes as long as later ones.

        Of a bundle without one, the graphs alone, on a blank sample. Nothing is remembered. Closes where it raises.
        """
        manifest = self.bundle.manifest
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            if manifest.golden.inputs:
                self.golden_trial([self.bundle.read(entry) for entry in manifest.golden.inputs])
            else:
                self._model.run_every_graph(np.zeros((1, *preprocess.input_shape(manifest.preprocessing)), np.float32))
            failed.pop_all()

    @abstractmethod
    def golden_trial(self, pictures: list[bytes]) -> tuple[float, tuple[str, ...]]:
        """The score of the golden trial, as :class:`edge_sdk.manifest.Golden` has it, and flags of its pictures.

        Raises:
            BundleError: A picture never reaches the engine.
        """

    @contextlib.contextmanager
    def preparing(self, event: auditing.Event) -> Iterator[None]:
        """What goes before a call, such as loading its template: an error of it is counted and audited as the call's.

        ::

            with verifier.preparing("verify"):
                template = Template.load("anna.template", key="device.key", template_id=known)
        """
        try:
            yield
        except Exception as error:
            self._raised(event, error)
            raise

    def close(self) -> None:
        """Free the engine; whatever needs it raises ``EngineError`` afterwards."""
        self._closed = True
        self._model.close()
        if self._trail is not None:
            self._trail.close()

    def status(self) -> SessionStatus:
        """How this session is: healthy, degraded or failed, and why. It asks no engine and never waits for a call."""
        return self._health.status(self._id, closed=self._closed, forked=self._is_forked())

    def _is_forked(self) -> bool:
        try:
            self._model.check_process()
        except EngineError:
            return True
        return False

    def _decided(
        self, event: auditing.Event, result: Decided, facts: Callable[[Decided], auditing.Facts | None] | None
    ) -> None:
        """Audit a result and count it; StorageError if it cannot be audited."""
        if facts is not None:
            try:
                self._write(event, lambda: facts(result))
            except StorageError as exc:
                self._health.raised(exc)
                raise
        timings = getattr(getattr(result, "frame", result), "timings", None)  # of a stream's frame
        ran = timings.inference_ms > 0 if timings is not None else not isinstance(result, Comparison)
        self._health.decided(engine_ran=ran)

    def _raised(self, event: auditing.Event, error: Exception, *given: object, **named: object) -> None:
        """Count a call that raised, and audit it; not of a session that is closed, whose log is, too."""
        if self._closed:
            return
        self._health.raised(error)
        self._write(event, lambda: auditing.failed(error, *given, **named))

    def _write(self, event: auditing.Event, facts: Callable[[], auditing.Facts | None]) -> None:
        """Write a line of what came of a call, unless that is None; StorageError if it cannot be made or written."""
        if self._trail is None:
            return
        try:
            found = facts()
            if found is None:
                return
            self._trail.write(event, found)
        except Exception as exc:
            self._health.audited(written=False)
            if isinstance(exc, StorageError):
                raise
            raise StorageError(
                f"no audit line can be made of a call of {event}: {type(exc).__name__}; nothing is decided without it"
            ) from exc
        self._health.audited(written=True)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled or copied: open the bundle in each process")

    @property
    def operating_point(self) -> Point:
        """The point in use, of comparisons with one reference or the fewest that there are.

        Raises:
            OperatingPointError: The variant has none yet, or a threshold replaces it.
        """
        return self._point(1)

    @property
    def threshold(self) -> float:
        """A sample is accepted, or live, iff its score is at least this; as :attr:`operating_point` has it."""
        return self._deciding().value

    def _point(self, references: int) -> Point:
        if not self._points:
            why = "was opened with a threshold" if self._threshold else "has no operating point to choose by default"
            raise OperatingPointError(f"{self.bundle.id} {self.variant.id} {why}")
        return point_for(self._points, references)

    def _deciding(self, references: int = 1) -> ActiveThreshold:
        """The threshold for an enrolment of so many references, from 1."""
        if self._threshold is not None:
            return self._threshold
        point = self._point(references)
        return ActiveThreshold(point.name, point.threshold, point.references)


def _decisive(threshold: object, scores: Range) -> float:
    """The threshold as a number that some scores reach and others do not; no truth value, for True would pass as 1."""
    if isinstance(threshold, (bool, np.bool_)) or not isinstance(threshold, Real):
        raise UsageError(f"the threshold is {threshold!r}; it must be a number")
    try:
        number = float(threshold)
    except OverflowError:  # an int beyond all floats
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"the threshold is {number}; it must be finite")
    low, high = scores
    if not low < number <= high:
        what = "accepts everything" if number <= low else "rejects everything"
        raise UsageError(f"a threshold of {number:g} {what}: scores of this bundle lie between {low:g} and {high:g}")
    return number
