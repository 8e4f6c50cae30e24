"""Replay a bundle's golden inputs on the device at hand: does this processor, with this engine, give these scores?"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EdgeSdkError, MissingEngineError
from edge_sdk.runtime.engines import formats
from edge_sdk.runtime.verifier import Verifier


@dataclass(frozen=True)
class Replay:
    """One artifact replayed; ``score`` and ``detail`` say what came of it."""

    artifact_id: str
    status: Literal["pass", "fail", "skipped"]
    expected: float
    tolerance: float
    score: float | None = None
    detail: str = ""


def selftest(bundle: str | os.PathLike[str] | Bundle, *, engine: str = "auto", threads: int = 1) -> tuple[Replay, ...]:
    """Replay the golden trial with every artifact that has an expected score.

    An artifact in a format that no installed engine runs is skipped; any other error fails it. See :func:`passed`.

    Raises:
        BundleError: The bundle cannot be opened, or a golden input is damaged.
    """
    opened = Bundle.open(bundle)
    golden = opened.manifest.golden
    pictures = [opened.read(entry) for entry in golden.inputs]
    return tuple(_replay(opened, artifact_id, pictures, engine, threads) for artifact_id in sorted(golden.scores))


def _replay(bundle: Bundle, artifact_id: str, pictures: list[bytes], engine: str, threads: int) -> Replay:
    golden = bundle.manifest.golden
    replay = Replay(artifact_id, "fail", golden.scores[artifact_id], golden.tolerance[artifact_id])
    if bundle.manifest.artifact(artifact_id).format not in formats(engine):
        return replace(replay, status="skipped", detail=f"{engine}: no engine for this format")
    try:
        with Verifier(bundle, engine=engine, precision=artifact_id, threads=threads) as verifier:
            result = verifier.verify(pictures[:-1], pictures[-1])
    except MissingEngineError as exc:
        return replace(replay, status="skipped", detail=str(exc))
    except EdgeSdkError as exc:
        return replace(replay, detail=f"{type(exc).__name__}: {exc}")
    close = abs(result.score - replay.expected) <= replay.tolerance
    return replace(replay, status="pass" if close else "fail", score=result.score, detail=", ".join(result.quality))


def passed(replays: tuple[Replay, ...]) -> bool:
    """Return whether something passed and nothing failed: a test that replayed nothing is not passed."""
    statuses = {replay.status for replay in replays}
    return "pass" in statuses and "fail" not in statuses
