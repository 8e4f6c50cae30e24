"""Which engine runs which artifact: a fixed order of preference, or what ``edge-sdk tune`` measured on this device.

Nothing is timed here and nothing is tried: a choice that fails to load is an error, never a reason for another choice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, UsageError
from edge_sdk.manifest import Artifact
from edge_sdk.runtime import tuning_store
from edge_sdk.runtime.engines import ENGINES, artifacts, has_device, installed, missing, usable, version

_LOG = logging.getLogger(__name__)

AUTO, ALL = "auto", "all"


@dataclass(frozen=True)
class Choice:
    """An engine, and the artifact of a bundle that it runs."""

    engine: str
    artifact: Artifact


def choose(bundle: Bundle, engine: str = AUTO, precision: str | None = None, threads: int = 1) -> Choice:
    """Choose one engine and one artifact.

    Args:
        bundle: Whose artifacts to choose from.
        engine: Name of an engine, installed or not, or ``"auto"``: what was tuned for this bundle and these threads if
            all that it was measured with is still the same, else the first in the order of preference.
        precision: ``"int8"`` for any int8 artifact, another precision or an artifact's id (``"int8.onnx"``) for exactly
            that; None prefers int8 on any engine to fp32 on any.
        threads: Threads that the engine will be given.

    Raises:
        UsageError: No such engine.
        BundleError: The bundle has no such artifact, or none that the engine runs.
        MissingEngineError: No installed engine runs it.
        EngineError: Only engines run it that this machine is not made for (no GPU, inexact int8).
    """
    if engine != AUTO:
        return candidates(bundle, engine, precision)[0]
    able = candidates(bundle, ALL, precision)
    return _tuned(bundle, able, precision, threads) or able[0]


def candidates(bundle: Bundle, engine: str = ALL, precision: str | None = None) -> tuple[Choice, ...]:
    """Return every choice there is, the preferred first, at least one; ``"all"`` is every engine that is usable here.

    Arguments and errors are those of :func:`choose`.
    """
    if engine == AUTO:
        raise UsageError('"auto" is one engine; "all" names every one that is usable here')
    known = _choices(bundle, list(ENGINES) if engine == ALL else [engine])
    fitting = [choice for choice in known if precision is None or _fits(choice.artifact, precision)]
    if not fitting:
        ids = [artifact.id for artifact in bundle.manifest.artifacts]
        if precision in ids:
            raise BundleError(f"{engine} does not run {precision}; it runs {', '.join(artifacts(engine))}")
        wanted = f"{precision} artifact" if precision else "artifact"
        runner = "any engine" if engine == ALL else f"{engine} (it runs {', '.join(artifacts(engine))})"
        raise BundleError(f"{bundle.id} has no {wanted} for {runner}; it has {', '.join(ids)}")
    found = fitting if engine != ALL else [choice for choice in fitting if usable(choice.engine, choice.artifact.id)]
    if not found:
        names = dict.fromkeys(choice.engine for choice in fitting)
        absent = [name for name in names if has_device(name) and not installed(name)]
        if not absent:
            raise EngineError(
                f"{bundle.id}: this machine lacks the device (a GPU), or exact int8 kernels, for {', '.join(names)}"
            )
        raise missing(*absent)
    # A stable sort: within int8, and within the rest, the order of ENGINES and of each engine's artifacts stays.
    return tuple(sorted(found, key=lambda choice: not choice.artifact.precision.startswith("int8")))


def _tuned(bundle: Bundle, able: tuple[Choice, ...], precision: str | None, threads: int) -> Choice | None:
    """Return the fastest choice of the precision as it was tuned, unless anything has changed since."""
    wanted = {a.id for a in bundle.manifest.artifacts if precision is None or _fits(a, precision)}
    tuned = next((row for row in tuning_store.recall(bundle.id, threads) if row.artifact in wanted), None)
    if tuned is None:
        return None
    found = next((c for c in able if (c.engine, c.artifact.id) == (tuned.engine, tuned.artifact)), None)
    if found and version(found.engine) == tuned.engine_version:
        return found
    _LOG.warning("%s: %s has changed since it was tuned; run: edge-sdk tune", bundle.id, tuned.engine)
    return None


def _choices(bundle: Bundle, engines: list[str]) -> list[Choice]:
    there = {artifact.id: artifact for artifact in bundle.manifest.artifacts}
    return [Choice(name, there[key]) for name in engines for key in artifacts(name) if key in there]


def _fits(artifact: Artifact, precision: str) -> bool:
    return precision in (artifact.id, artifact.precision) or (
        precision == "int8" and artifact.precision.startswith("int8")
    )
