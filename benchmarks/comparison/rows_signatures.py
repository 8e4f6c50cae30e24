"""Rows on signatures: pre-processing, verification, and an evaluation."""

from __future__ import annotations

import statistics
from pathlib import Path

from comparison.builds import Bench, RowError, quantile, spread
from comparison.table import Result, Row

BUNDLE = "deepsign"


def scans(bench: Bench) -> list[str]:
    """CEDAR's pictures, about 600 x 380 pixels."""
    found = sorted(map(str, bench.folder("cedar").rglob("*.png")))
    return found[: bench.less(len(found), 100)]


def scan(bench: Bench) -> str:
    """A picture of the size that the row is about, (380 +- 30) x (600 +- 60) pixels."""
    for path in scans(bench):
        header = Path(path).read_bytes()[16:24]  # PNG's first chunk
        width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")
        if abs(width - 600) <= 60 and abs(height - 380) <= 30:
            return path
    raise RowError("no scan of about 600 x 380 pixels in cedar")


def ink(bench: Bench) -> list[Result]:
    """Pre-processing of one scan, and whether all scans come out alike."""
    picture = scan(bench)
    for build in bench.builds:
        build.ask("open_ink", name="ink", scan=picture)
    before, now = bench.turns([(build, "ink") for build in bench.builds], bench.less(60, 10), 20)
    ratio = statistics.median(now) / statistics.median(before)
    every = scans(bench)
    first, second = (build.ask("ink_digests", scans=every) for build in bench.builds)
    differing = sum(a != b for a, b in zip(first, second, strict=True))
    return [
        Result(
            f"`INK` of a scan of 600 x 380 pixels, ms ({ratio:.2f} of the baseline's)",
            "at most 0.5 of the baseline's",
            (spread(before), spread(now)),
            ratio <= 0.5,
            series={"before": before, "now": now},
        ),
        Result(
            f"pictures that `INK` makes otherwise than the baseline, of {len(every)}",
            "none",
            ("", str(differing)),
            differing == 0,
        ),
    ]


def verify(bench: Bench) -> list[Result]:
    """A template against a decoded scan, in bare passes of the same build."""
    results = []
    for label, limit, engine, precision in (
        ("ONNX Runtime fp32", 1.15, "onnxruntime", "fp32.onnx"),
        ("fastest int8", 1.3, *fastest(bench, "int8")),
    ):
        cells, series = list[str](), dict[str, list[float]]()
        for build in bench.builds:
            name = f"verify {precision} {engine}"
            facts = build.ask(
                "open_verify", name=name, bundle=BUNDLE, scan=scan(bench), engine=engine, precision=precision
            )
            if facts["quality"]:
                raise RowError(f"the scan has flags: {facts['quality']}")
        contestants = [(build, part) for build in bench.builds for part in (name, f"{name} pass")]
        taken = bench.turns(contestants, bench.less(60, 10), 20)
        ratios = []
        for build, whole, alone in zip(bench.builds, taken[::2], taken[1::2], strict=True):
            ratios.append(statistics.median(whole) / statistics.median(alone))
            cells.append(f"{ratios[-1]:.2f} ({spread(whole)} / {spread(alone)} ms)")
            series |= {"now" if build is bench.now else "before": whole}
        title = f"`verify` with a template, {label} ({engine}, {precision}), in bare passes"
        results.append(Result(title, f"at most {limit}", cells, ratios[1] <= limit, series=series))
    return results


def fastest(bench: Bench, precision: str) -> tuple[str, str]:
    """The engine and variant of a precision whose pass is the shortest in this build."""
    picture, found = scan(bench), []
    for engine, variant in bench.now.ask("choices", bundle=BUNDLE, precision=precision):
        name = f"{engine} {variant} alone"
        try:
            bench.now.ask("open_pass", name=name, bundle=BUNDLE, scan=picture, engine=engine, variant=variant)
            found.append((statistics.median(bench.now.ask("time_calls", name=name, count=30)), engine, variant))
        except RowError as error:
            bench.notes.append(f"{engine} {variant}: {error}")
    if not found:
        raise RowError(f"nothing runs {precision}")
    return min(found)[1:]


def evaluate(bench: Bench) -> list[Result]:
    """All pairs of CEDAR's pictures, in forward passes of as many pictures."""
    data, precision = f"cedar:{bench.folder('cedar')}", "fp32.onnx"
    cells, ratios = list[str](), list[float]()
    for build in bench.builds:
        taken = build.ask("evaluate_pictures", bundle=BUNDLE, data=data, engine="onnxruntime", precision=precision)
        name = "evaluate pass"
        build.ask("open_pass", name=name, bundle=BUNDLE, scan=scan(bench), engine="onnxruntime", variant=precision)
        passes = taken["pictures"] * quantile(build.ask("time_calls", name=name, count=300), 0.5) / 1e3
        ratios.append(taken["seconds"] / passes)
        cells.append(f"{ratios[-1]:.2f} ({taken['seconds']:.1f} / {passes:.1f} s)")
    what = f"`evaluate` of {taken['pictures']} pictures of CEDAR, all pairs, in forward passes alone"
    return [Result(what, "at most 1.3", cells, ratios[1] <= 1.3)]


ROWS = {
    "ink": Row(ink, obeys=False),
    "verify": Row(verify),
    "evaluate": Row(evaluate),
}
