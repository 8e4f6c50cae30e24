"""This build beside another one, in one run on one machine, one thread: time, memory and accuracy, as ratios.

    python benchmarks/compare.py --baseline PYTHON [--only ROW ...] [--quick] [--instructions native avx2]
        [--json FILE] [--write docs/results/speed.md]

PYTHON is the interpreter of an environment that holds the other build. The one of the table was made so:

    git worktree add ../baseline 364b221
    python3.11 -m venv ../baseline/.venv
    ../baseline/.venv/bin/python -m pip install --no-deps -r ../baseline/requirements/export.lock
    ../baseline/.venv/bin/python -m pip install --no-deps openvino==2026.4.1 openvino-telemetry==2025.2.0
    ../baseline/.venv/bin/python -m pip install --no-deps ai-edge-litert==2.3.0
    ../baseline/.venv/bin/python -m pip install --no-deps --no-build-isolation ../baseline

and ``--python`` is that of this build, with the same packages (``export.lock`` and the engines); without it, the
interpreter at hand. Install it as a wheel, too: an editable installation starts more slowly.

Each build has a worker process on the same core, and both take turns in blocks of calls. With ``--json``, rows that the
file holds already are not measured again, so that a run that was interrupted goes on; delete the file to start afresh.
A row that fails is reported, and the others go on. ``--write`` writes the page, which takes what
``python benchmarks/peers.py --json FILE`` kept of other libraries (``--peers FILE``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import peers
from comparison import page, rows_accuracy, rows_faces, rows_runtime, rows_signatures, rows_start
from comparison.builds import INSTRUCTIONS, Bench, Build, RowError
from comparison.table import Row

ROWS: Mapping[str, Row] = {
    **rows_signatures.ROWS,
    **rows_faces.ROWS,
    **rows_start.ROWS,
    **rows_runtime.ROWS,
    **rows_accuracy.ROWS,
}
TITLES = {"native": "The processor as it is", "avx2": "As on a processor without VNNI"}
FIRST = ("start", "imports", "openvino")
"""Fresh processes come before any worker takes memory or the file cache."""
ABOUT = "from edge_sdk.runtime import device; print(device.instruction_set() + ', ' + device.processor())"


def measured(arguments: argparse.Namespace, instructions: str, scratch: Path, found: dict[str, Any]) -> None:
    """Measure the rows that are wanted and not known yet, into the set ``instructions`` of ``found``."""
    settings = INSTRUCTIONS[instructions]
    folders = [scratch / f"{instructions}-{name}" for name in ("baseline", "build")]
    for folder in folders:
        folder.mkdir()
    before = Build(arguments.name, arguments.baseline, None, settings, folders[0])
    now = Build("this build", arguments.python, arguments.path, settings, folders[1])
    bench = Bench(before, now, arguments.data.resolve(), scratch, arguments.quick, instructions)
    one = found["sets"].setdefault(instructions, {"title": TITLES[instructions], "rows": {}, "failed": []})
    one["failed"] = []
    found["machine"] = found.get("machine") or now.run(ABOUT).printed.strip()
    known = dict(one["rows"])
    wanted = [name for name in sorted(ROWS, key=lambda name: name not in FIRST) if name in arguments.only]
    try:
        versions = [build.ask("about") for build in bench.builds]
        found["versions"] = described(*versions)
        for name in wanted:
            if name in known or (instructions != "native" and not ROWS[name].obeys):
                continue
            start = time.perf_counter()
            for build in bench.builds:
                build.fresh()
            try:
                known[name] = [result.as_dict() for result in ROWS[name].measure(bench)]
            except (RowError, OSError, ValueError) as error:
                one["failed"].append(f"{name}: {error}")
            print(f"{instructions} {name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
            one["rows"] = {key: known[key] for key in ROWS if key in known}
            if arguments.json:
                arguments.json.write_text(json.dumps(found), encoding="utf-8")
    finally:
        for build in bench.builds:
            build.fresh()
        for note in bench.notes:
            print(note, file=sys.stderr)


def described(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Versions of what both run with, and where the baseline has another."""
    other = {name: version for name, version in before.items() if now.get(name) != version}
    text = ", ".join(f"{name} {version}" for name, version in now.items())
    return text + (f" (baseline: {', '.join(f'{name} {version}' for name, version in other.items())})" if other else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", required=True, metavar="PYTHON", help="interpreter that has the other build")
    parser.add_argument("--name", default="364b221", help="what the table calls the other build")
    parser.add_argument("--python", default=sys.executable, help="interpreter that has this build")
    parser.add_argument(
        "--path", metavar="DIR", help="a checkout to take this build from, in place of what is installed"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("EDGE_SDK_DATA", "../shared/data")),
        metavar="DIR",
        help="folder with the data sets cedar, lfw, nuaa and gait_nexus",
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--instructions", nargs="+", choices=list(INSTRUCTIONS), default=["native"], metavar="SET")
    parser.add_argument("--quick", action="store_true", help="measure less: to see whether it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the rows there, and take those that are there")
    parser.add_argument("--peers", type=Path, metavar="FILE", help="what peers.py kept of other libraries")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page of results, and its plots beside it")
    arguments = parser.parse_args()
    arguments.baseline, arguments.python = (str(Path(one).absolute()) for one in (arguments.baseline, arguments.python))
    if arguments.path:
        arguments.path = str(Path(arguments.path).resolve())
    found: dict[str, Any] = {"sets": {}}
    if arguments.json and arguments.json.exists():
        found = json.loads(arguments.json.read_text(encoding="utf-8"))
    found |= {
        "baseline": arguments.name,
        "date": datetime.now(tz=timezone.utc).date().isoformat(),
        "command": command(arguments),
    }
    with tempfile.TemporaryDirectory() as scratch:
        for instructions in arguments.instructions:
            measured(arguments, instructions, Path(scratch), found)
    for one in found["sets"].values():
        print(f"\n{one['title']}: {found['machine']}; {found['versions']}\n")
        print("\n".join(page.table(one["rows"], arguments.name)))
        for text in one["failed"]:
            print(f"- not measured: {text}")
    if arguments.write:
        others = json.loads(arguments.peers.read_text(encoding="utf-8")) if arguments.peers else None
        page.write(arguments.write, found, list(peers.lines(others)) if others else [])


def command(arguments: argparse.Namespace) -> str:
    """What makes the page, without where things lie on this machine."""
    parts = ["python benchmarks/compare.py --baseline PYTHON --instructions", *arguments.instructions]
    parts += ["--quick"] if arguments.quick else []
    parts += ["--peers peers.json"] if arguments.peers else []
    return " ".join([*parts, "--write docs/results/speed.md"])


if __name__ == "__main__":
    main()
