"""Rows on what runs for long: the best engine against the processor's limit, tails, memory, and a search."""

from __future__ import annotations

import math
import statistics

from comparison.builds import Bench, RowError, quantile, spread
from comparison.rows_signatures import BUNDLE, fastest, scan
from comparison.table import Result, Row

SIDES = (512, 1024, 2048)
"""Of the products that measure the limit: the best counts."""


def vnni(bench: Bench) -> list[Result]:
    """How near the fastest int8 pass comes to what the processor can do."""
    if bench.instructions != "native":
        raise RowError("the limit is that of VNNI")
    engine, variant = fastest(bench, "int8")
    work = 2 * bench.now.ask("multiply_adds", bundle=BUNDLE)
    for side in SIDES:
        bench.now.ask("open_limit", name=f"limit {side}", side=side)
    for build in bench.builds:
        build.ask("open_pass", name="best", bundle=BUNDLE, scan=scan(bench), engine=engine, variant=variant)
    contestants = [(bench.before, "best"), (bench.now, "best"), *((bench.now, f"limit {side}") for side in SIDES)]
    before, now, *limits = bench.turns(contestants, bench.less(40, 8), 10)
    peak = max(2 * side**3 / statistics.median(taken) for side, taken in zip(SIDES, limits, strict=True))
    shares = [work / statistics.median(taken) / peak for taken in (before, now)]
    return [
        Result(
            f"DeepSign int8 ({engine}, {variant}), share of the VNNI limit",
            "at least 45 %",
            [f"{share:.0%} ({spread(taken)} ms)" for share, taken in zip(shares, (before, now), strict=True)],
            shares[1] >= 0.45,
            series={"before": before, "now": now},
            note=f"The limit is {peak / 1e6:.0f} GOP/s, the best of ONNX Runtime's 8-bit products of "
            f"{', '.join(map(str, SIDES))} rows; a pass of the float model has {work / 2e6:.1f} million multiply-adds.",
        )
    ]


def auto(bench: Bench) -> list[Result]:
    """What ``auto`` takes before any ``tune``, against the fastest of all engines and variants."""
    results = []
    for bundle in ("deepsign", "deepsign_nano", "liveness", "mobilenetv2"):
        cells, excess = [], 0.0
        for build in bench.builds:
            try:
                found = build.ask("tuned", bundle=bundle, seconds=float(bench.less(8, 3)))
            except RowError as error:
                cells.append(str(error))
                continue
            runs = {(engine, variant): ms for engine, variant, ms in found["runs"]}
            taken = tuple(found["auto"])
            if taken not in runs:
                excess = math.inf
                cells.append(f"{' '.join(taken)}, which does not give the golden score here")
                continue
            best = min(runs, key=lambda pair: runs[pair])
            excess = runs[taken] / runs[best] - 1
            cells.append(f"+{excess:.0%} ({' '.join(taken)} {runs[taken]:.2f} ms; {' '.join(best)} {runs[best]:.2f})")
        title = f"`auto` before any `tune` against the fastest, `{bundle}`"
        results.append(Result(title, "within 5 %", cells, excess <= 0.05))
    return results


def tail(bench: Bench) -> list[Result]:
    """The slowest in a thousand calls, by the clock on the wall, while another core is busy."""
    calls, series = bench.less(20_000, 2_000), dict[str, list[float]]()
    cells, ratios = list[str](), list[float]()
    for build in bench.builds:
        build.ask("open_verify", name="tail", bundle=BUNDLE, scan=scan(bench), engine="auto", precision=None)
    with bench.second_core_busy() as busy:
        if not busy:
            raise RowError("needs a second core")
        taken = bench.turns([(build, "tail") for build in bench.builds], 10, calls // 10, wall=True)
    for build, times in zip(bench.builds, taken, strict=True):
        middle, late = quantile(times, 0.5), quantile(times, 0.999)
        ratios.append(late / middle)
        cells.append(f"{ratios[-1]:.2f} ({late:.2f} / {middle:.2f} ms)")
        series["now" if build is bench.now else "before"] = times[:: max(1, len(times) // 2000)]
    title = f"p99.9 / p50 of {calls:,} calls of `verify`, second core loaded"
    return [Result(title, "at most 2", cells, ratios[1] <= 2, series=series)]


def memory(bench: Bench) -> list[Result]:
    """Resident memory, and blocks of Python's allocator, before and after many calls."""
    results, calls = [], bench.less(100_000, 3_000)
    for build in bench.builds:
        build.ask("open_verify", name="memory", bundle="deepsign_nano", scan=scan(bench), engine="auto", precision=None)
    found = [
        build.ask("memory", name="memory", count=count, warm=1_000)
        for build, count in zip(bench.builds, (calls // 5, calls), strict=True)
    ]
    growth = [one["after"] / one["before"] - 1 for one in found]
    counts = f"{calls:,} calls of `verify` (baseline: {calls // 5:,})"
    results.append(
        Result(
            f"growth of resident memory over {counts}",
            "at most 1 %",
            [f"{share:+.2%} of {one['before'] / 2**20:.0f} MiB" for share, one in zip(growth, found, strict=True)],
            growth[1] <= 0.01,
        )
    )
    results.append(
        Result(
            "blocks of Python's allocator that the last third of them leaves",
            "none that grow",
            [f"{one['blocks']:+d}" for one in found],
            found[1]["blocks"] <= 10,
            note="Blocks are counted over the last third of the calls. Runs of the garbage "
            f"collector meanwhile: {found[0]['collections']} in {calls // 5:,} calls, {found[1]['collections']} in "
            f"{calls:,}.",
        )
    )
    return results


def identify(bench: Bench) -> list[Result]:
    """A search among many templates, and numpy's product of the same numbers."""
    people = bench.less(100_000, 10_000)
    facts = bench.now.ask("open_identify", name="search", bundle=BUNDLE, scan=scan(bench), people=people)
    names = ("search", "search matmul", "search whole")
    taken = bench.turns([(bench.now, name) for name in names], bench.less(20, 4), 10)
    search, product, whole = (statistics.median(times) for times in taken)
    what = f"`identify` among {people:,} templates of {facts['values']} values"
    return [
        Result(f"{what}, the search, ms", "at most 5", ("none", spread(taken[0])), search <= 5),
        Result(
            "the same, in products of a matrix and a vector by numpy",
            "at most 1.2",
            ("none", f"{search / product:.2f} ({search:.2f} / {product:.2f} ms)"),
            search / product <= 1.2,
            note=f"The whole call of `identify`, from a decoded scan, takes {whole:.2f} ms.",
        ),
    ]


ROWS = {
    "vnni": Row(vnni, obeys=False),
    "auto": Row(auto, obeys=False),
    "tail": Row(tail),
    "memory": Row(memory, obeys=False),
    "identify": Row(identify, obeys=False),
}
