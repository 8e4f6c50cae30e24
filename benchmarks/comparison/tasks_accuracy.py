"""Tasks on real people: the scores that a build gives, and what two builds' scores of the same trials come to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from comparison.tasks import task
from edge_sdk import SpoofDetector, Verifier
from edge_sdk.errors import UnusableSampleError


@task
def verification_trials(data: str, people: int, references: int, strangers: int) -> list[dict[str, Any]]:
    """For each person: pictures to enrol, and queries by the person, by a forger, or by strangers."""
    from edge_sdk.export.data.load import load

    by_person: dict[str, list[Any]] = defaultdict(list)
    for sample in load(data).samples:
        by_person[sample.subject].append(sample)
    rng = np.random.default_rng(0)
    able = [name for name, own in sorted(by_person.items()) if sum(one.genuine for one in own) > references]
    chosen = sorted(str(name) for name in rng.permutation(able)[:people])
    genuine = {name: [str(one.path) for one in by_person[name] if one.genuine] for name in chosen}
    trials = []
    for name in chosen:
        forged = [str(one.path) for one in by_person[name] if not one.genuine]
        others = [path for other in chosen if other != name for path in genuine[other]]
        drawn = [others[k] for k in rng.permutation(len(others))[:strangers]]
        own = genuine[name]
        queries = [*((path, True) for path in own[references:]), *((path, False) for path in (*forged, *drawn))]
        trials.append({"person": name, "references": own[:references], "queries": queries})
    return trials


@task
def presentations(data: str, every: int) -> list[dict[str, Any]]:
    """Pictures of faces and of attacks: one in so many of each person."""
    from edge_sdk.export.data.load import load

    samples = load(data).samples[::every]
    return [{"path": str(one.path), "person": one.subject, "live": one.genuine} for one in samples]


@task
def verification_scores(
    bundle: str, engine: str, precision: str, trials: Sequence[dict[str, Any]], options: dict[str, Any]
) -> dict[str, Any]:
    """The score and decision of each query against its person's template, by the build itself."""
    scores: list[float | None] = []
    decisions: list[bool] = []
    with Verifier(bundle, engine=engine, precision=precision, operating_point="eer", **options) as verifier:
        for trial in trials:
            try:
                template = verifier.enroll(trial["references"])
            except UnusableSampleError:
                scores += [None] * len(trial["queries"])
                decisions += [False] * len(trial["queries"])
                continue
            for path, _ in trial["queries"]:
                result = verifier.verify(template, path)
                scores.append(result.score)
                decisions.append(result.decision)
        return {"scores": scores, "decisions": decisions, "threshold": verifier.threshold}


@task
def presentation_scores(
    bundle: str, engine: str, precision: str, pictures: Sequence[dict[str, Any]], options: dict[str, Any]
) -> dict[str, Any]:
    """The score and decision of each picture of one face."""
    scores: list[float | None] = []
    decisions: list[bool] = []
    with SpoofDetector(bundle, engine=engine, precision=precision, faces="cropped", **options) as detector:
        for picture in pictures:
            result = detector.detect(picture["path"])
            scores.append(None if math.isnan(result.score) else result.score)
            decisions.append(result.decision.name == "LIVE")
        return {"scores": scores, "decisions": decisions, "threshold": detector.threshold}


@task
def differences(
    before: dict[str, Any], now: dict[str, Any], mated: Sequence[bool], people: Sequence[str], metric: str
) -> dict[str, Any]:
    """The guardrail's statistics between two builds on the same comparisons."""
    from edge_sdk.calibration import guardrail
    from edge_sdk.calibration.metrics.verification import ScoreSet, eer

    both = [k for k, pair in enumerate(zip(before["scores"], now["scores"], strict=True)) if None not in pair]
    flags, subjects = np.asarray(mated)[both], np.asarray(people)[both]
    first, second = (
        ScoreSet(np.asarray(one["scores"], dtype=object)[both].astype(float), flags, subjects) for one in (before, now)
    )
    found = guardrail.compare(first, second, data="the same comparisons", metric=metric)
    return {
        "comparisons": len(before["scores"]),
        "scored_by_one_only": len(
            [1 for pair in zip(before["scores"], now["scores"], strict=True) if pair.count(None) == 1]
        ),
        "most": float(np.abs(first.scores - second.scores).max()),
        "changed": int(np.count_nonzero(np.asarray(before["decisions"]) != np.asarray(now["decisions"]))),
        "eer": [float(eer(one).eer) for one in (first, second)],
        "delta": found.delta,
        "upper90": found.upper90,
    }
