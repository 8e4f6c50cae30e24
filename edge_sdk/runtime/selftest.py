"""Replay a bundle's golden inputs on the device at hand: does this processor, with this engine, give these scores?"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EdgeSdkError, EngineError, MissingEngineError
from edge_sdk.runtime.engines import check_threads
from edge_sdk.runtime.selection import ALL, AUTO, candidates, choose
from edge_sdk.runtime.tasks import open_session


@dataclass(frozen=True)
class Replay:
    """One variant replayed on one engine (or ``"none"``); ``score`` and ``detail`` say what came of it."""

    variant_id: str
    engine: str
    status: Literal["pass", "fail", "skipped"]
    expected: float
    tolerance: float
    score: float | None = None
    detail: str = ""


def selftest(bundle: str | os.PathLike[str] | Bundle, *, engine: str = AUTO, threads: int = 1) -> tuple[Replay, ...]:
    """Replay the golden trial with every variant that has an expected score.

    Each runs on the engine named, with ``"auto"`` on the one that would be chosen for it, with ``"all"`` on every one
    that is usable here. A variant that none of them runs is skipped; any other error fails it, also an engine that is
    installed and cannot be loaded. See :func:`passed`.

    Raises:
        BundleError: The bundle cannot be opened, or a golden input is damaged.
        UsageError: No such engine, or no sensible number of threads.
    """
    threads = check_threads(threads)
    opened = Bundle.open(bundle)
    golden = opened.manifest.golden
    pictures = [opened.read(entry) for entry in golden.inputs]
    replays: list[Replay] = []
    for variant_id in sorted(golden.scores):
        try:
            engines = _engines(opened, variant_id, engine, threads)
        except (BundleError, EngineError) as exc:
            replays.append(replace(_expected(opened, variant_id, "none"), status="skipped", detail=str(exc)))
        else:
            replays += [replay(opened, variant_id, name, pictures, threads) for name in engines]
    return tuple(replays)


def replay(bundle: Bundle, variant_id: str, engine: str, pictures: list[bytes], threads: int = 1) -> Replay:
    """Replay the golden trial, whose inputs are ``pictures``, with one variant on one engine."""
    start = _expected(bundle, variant_id, engine)
    try:
        with open_session(bundle, engine=engine, variant=variant_id, threads=threads) as session:
            score, flags = session.golden_trial(pictures)
    except MissingEngineError as exc:
        return replace(start, status="skipped", detail=str(exc))
    except EdgeSdkError as exc:
        return replace(start, detail=f"{type(exc).__name__}: {exc}")
    close = abs(score - start.expected) <= start.tolerance
    return replace(start, status="pass" if close else "fail", score=score, detail=", ".join(flags))


def _engines(bundle: Bundle, variant_id: str, engine: str, threads: int) -> list[str]:
    if engine == ALL:
        return [choice.engine for choice in candidates(bundle, ALL, variant_id)]
    return [choose(bundle, engine, variant_id, threads).engine]


def _expected(bundle: Bundle, variant_id: str, engine: str) -> Replay:
    golden = bundle.manifest.golden
    return Replay(variant_id, engine, "fail", golden.scores[variant_id], golden.tolerance[variant_id])


def passed(replays: tuple[Replay, ...]) -> bool:
    """Return whether something passed and nothing failed: a test that replayed nothing is not passed."""
    statuses = {replay.status for replay in replays}
    return "pass" in statuses and "fail" not in statuses
