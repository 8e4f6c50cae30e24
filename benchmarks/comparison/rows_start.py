"""Rows on fresh processes: how long until a verification's answer, and how much memory."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from comparison.builds import Bench, Build, Process, spread
from comparison.table import Result, Row

VERIFY = "import sys; from edge_sdk.cli import main; sys.exit(main())"
"""What the command ``edge-sdk`` is."""
RUNTIME = "import numpy, cv2, onnxruntime"


def seconds(processes: list[Process]) -> list[float]:
    return [1e3 * process.seconds for process in processes]


def pictures(bench: Bench, build: Build) -> list[str]:
    """Two golden pictures; afterwards the build has no worker that holds memory or the processor."""
    paths: list[str] = build.ask("write_golden", bundle="deepsign", folder=str(bench.scratch))
    build.fresh()
    return paths[:2]


def start(bench: Bench) -> list[Result]:
    """``verify A B --json`` with ONNX Runtime against the imports of what it needs."""
    files = pictures(bench, bench.now)
    arguments = ["verify", *files, "--json", "--engine", "onnxruntime"]
    commands = [(build, code, given) for build in bench.builds for code, given in ((RUNTIME, []), (VERIFY, arguments))]
    taken = bench.starts(commands, bench.less(25, 4))
    cells, ratios = list[str](), list[float]()
    memory, series = list[list[float]](), dict[str, list[float]]()
    for build, imports, whole in zip(bench.builds, taken[::2], taken[1::2], strict=True):
        ratios.append(statistics.median(seconds(whole)) / statistics.median(seconds(imports)))
        cells.append(f"{ratios[-1]:.2f} ({spread(seconds(whole), 0)} / {spread(seconds(imports), 0)} ms)")
        memory.append([max(one.mib for one in processes) for processes in (whole, imports)])
        series |= {"now" if build is bench.now else "before": seconds(whole)}
    return [
        Result(
            "`verify A B --json`, fresh process, ONNX Runtime, in imports of numpy, OpenCV and ONNX Runtime",
            "at most 1.2",
            cells,
            ratios[1] <= 1.2,
            series=series,
        ),
        Result(
            "its peak memory, MiB (imports alone)",
            "at most 80",
            [f"{whole:.0f} ({alone:.0f})" for whole, alone in memory],
            memory[1][0] <= 80,
        ),
    ]


def imports(bench: Bench) -> list[Result]:
    """What importing the package takes beyond numpy and OpenCV."""
    codes = ["import numpy, cv2", "import numpy, cv2, edge_sdk", "import numpy, cv2; from edge_sdk import Verifier"]
    commands = [(build, code, ()) for build in bench.builds for code in codes]
    taken = [statistics.median(seconds(one)) for one in bench.starts(commands, bench.less(25, 4))]
    results = []
    for position, what in ((1, "`import edge_sdk`"), (2, "`from edge_sdk import Verifier`")):
        before, now = taken[position] - taken[0], taken[3 + position] - taken[3]
        title = f"{what} beyond the imports of numpy and OpenCV, ms"
        results.append(Result(title, "at most 40", (f"{before:.0f}", f"{now:.0f}"), now <= 40))
    return results


def openvino(bench: Bench) -> list[Result]:
    """``verify A B --json`` where OpenVINO is what ``auto`` takes: after ``tune``, and with nothing stored."""
    files = pictures(bench, bench.now)
    for build in bench.builds:
        engine, _ = build.ask("choices", bundle="deepsign", precision="int8")[0]
        build.fresh()
        if engine != "openvino":
            bench.notes.append(f"{build.label}: `auto` takes {engine} here, so OpenVINO is named")
        build.run(VERIFY, "tune", "deepsign", "--seconds", "1", settings=Build.folders(Path(build.scratch, "tuned")))
    arguments = ["verify", *files, "--json", "--engine", "openvino", "--precision", "int8"]
    cold: dict[str, list[float]] = {build.label: [] for build in bench.builds}
    warm: dict[str, list[float]] = {build.label: [] for build in bench.builds}
    for turn in range(bench.less(11, 3) + 1):
        for build in bench.builds:
            empty = Path(build.scratch, "empty")
            shutil.rmtree(empty, ignore_errors=True)
            tuned = Path(build.scratch, "tuned")
            first, second = (build.run(VERIFY, *arguments, settings=Build.folders(one)) for one in (empty, tuned))
            if turn:
                cold[build.label].append(first.seconds)
                warm[build.label].append(second.seconds)
    before, now = bench.before.label, bench.now.label
    return [
        Result(
            "`verify A B --json`, fresh process, OpenVINO int8, after `edge-sdk tune`, s",
            "at most 0.7",
            (spread(warm[before]), spread(warm[now])),
            statistics.median(warm[now]) <= 0.7,
            series={"before": warm[before], "now": warm[now]},
        ),
        Result("the same without `tune`, s", "", (spread(cold[before]), spread(cold[now]))),
    ]


ROWS = {"start": Row(start), "imports": Row(imports, obeys=False), "openvino": Row(openvino, obeys=False)}
