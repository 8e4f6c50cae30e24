"""The row on streams: a frame from its pixels to the decision."""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Any

from comparison.builds import Bench, quantile, spread
from comparison.table import Result, Row

BUNDLE = "liveness"


def video(bench: Bench) -> list[Result]:
    """Films of 640 x 480 pixels; each build decides each film, in turns, with its own defaults."""
    nuaa, lfw = (str(bench.folder(name)) for name in ("nuaa", "lfw"))
    shown = bench.now.ask("films", nuaa=nuaa, lfw=lfw, people=bench.less(20, 3), cache=user_cache())
    for build in bench.builds:
        build.ask("open_stream", name="default", bundle=BUNDLE, options={})
    bench.now.ask("open_stream", name="locator", bundle=BUNDLE, options={"faces": "locator"})
    contestants = [(bench.before, "default"), (bench.now, "default"), (bench.now, "locator")]
    played: list[list[dict[str, Any]]] = [[] for _ in contestants]
    for number, film in enumerate(shown):
        order = list(zip(contestants, played, strict=True))
        for (build, name), kept in order if number % 2 == 0 else reversed(order):
            kept.append(build.ask("play", name=name, frames=film["frames"]))
    times = [[ms for film in films for ms in film["ms"][1:]] for films in played]  # without first frames
    before, now, locator = times
    ratio = statistics.median(now) / statistics.median(before)
    by_locator = statistics.median(locator) / statistics.median(before)
    wrong = [errors(shown, films) for films in played]
    people = len({film["person"] for film in shown})
    one_face = [share_of_frames(films) for films in played]

    def cell(values: list[float]) -> str:
        return f"{spread(values)}, p99 {quantile(values, 0.99):.1f}"

    return [
        Result(
            f"a frame of 640 x 480 pixels to its decision in a stream, ms ({ratio:.3f} of the baseline's)",
            "at most 1/8 of the baseline's (0.125)",
            (cell(before), cell(now)),
            ratio <= 1 / 8,
            series={"before": before, "now": now, "now, locator": locator},
        ),
        Result(
            f'the same with `faces="locator"` here ({by_locator:.3f} of the baseline\'s cascade)',
            "",
            (cell(before), cell(locator)),
        ),
        Result(
            f"films decided wrongly, of {people} people of LFW whom `liveness` has not seen: live / print / screen",
            "no more of any kind",
            (by_kind(wrong[0]), by_kind(wrong[1])),
            all(now <= before for before, now in zip(wrong[0], wrong[1], strict=True)),
            note=f'With `faces="locator"`: {by_kind(wrong[2])}. A live film is wrong unless it is LIVE and never '
            "SPOOF, an attack's if it is ever LIVE.",
        ),
        Result(
            "frames with one face that can be judged, %",
            "no fewer",
            [f"{share:.1f}" for share in one_face[:2]],
            one_face[1] >= one_face[0],
        ),
    ]


def user_cache() -> str:
    """Where edge-sdk keeps what can be made again."""
    return os.environ.get("EDGE_SDK_CACHE") or str(Path.home() / ".cache" / "edge-sdk")


def errors(shown: list[dict[str, Any]], played: list[dict[str, Any]]) -> tuple[int, ...]:
    """Films decided wrongly: live ones, prints, screens."""
    counts = {"live": 0, "print": 0, "screen": 0}
    for film, result in zip(shown, played, strict=True):
        ever = {decision for decision in result["stream"] if decision in {"LIVE", "SPOOF"}}
        counts[film["kind"]] += ever != {"LIVE"} if film["kind"] == "live" else "LIVE" in ever
    return tuple(counts.values())


def by_kind(counts: tuple[int, ...]) -> str:
    """Print them."""
    return " / ".join(map(str, counts))


def share_of_frames(played: list[dict[str, Any]]) -> float:
    """Percent of frames that were LIVE or SPOOF."""
    decisions = [decision for film in played for decision in film["frames"]]
    return 100 * sum(decision in {"LIVE", "SPOOF"} for decision in decisions) / len(decisions)


ROWS = {"video": Row(video)}
