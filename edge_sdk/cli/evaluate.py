"""``edge-sdk evaluate``: a bundle's error rates on data sets, as tables, JSON and one HTML page.

What is measured is the bundle's task: people told apart, or live faces told from attacks.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from edge_sdk.errors import DatasetError, MissingToolError, UsageError

SPOOF = ("faces", "frame_rate")
"""Options that only a bundle of task ``spoof`` has."""


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register the command; nothing heavy is imported before it runs."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a bundle on data sets of signatures or faces",
        description="Score every picture once and report error rates at the bundle's thresholds: of pairs for a "
        "verifier, of live faces and attacks for a bundle of task spoof.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="shipped name, folder or .edge file")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="SPEC",
        help="signatures: cedar:PATH, folder:PATH, photo+cedar:PATH, synthetic:20 ...; "
        "faces: nuaa-test:PATH, lfw:PATH, live:PATH, spoof:PATH, print+live:PATH, screen+live:PATH, camera+live:PATH, "
        "crop+print+live:PATH ...",
    )
    parser.add_argument(
        "--subjects-file",
        type=Path,
        metavar="FILE",
        help="only these people: one name a line (cedar/12), or a run's split.json (its test people)",
    )
    parser.add_argument("--engine", default="auto", metavar="NAME")
    parser.add_argument("--precision", metavar="NAME", help="int8, fp32 or an artifact's id; default: int8 if there")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (%(default)s)")
    parser.add_argument(
        "--faces",
        choices=("cropped", "cascade"),
        help="task spoof: pictures are crops of faces (default), or full frames in which OpenCV's cascade searches",
    )
    parser.add_argument(
        "--frame-rate",
        type=float,
        metavar="HZ",
        help="task spoof: frames of a recording a second, for decisions over time (default: 20)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of drawn pairs and resamples (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> int:
    from edge_sdk.bundle import Bundle

    bundle = Bundle.open(arguments.bundle)
    spoof = bundle.manifest.task == "spoof"
    options = {name: value for name in SPOOF if (value := getattr(arguments, name)) is not None}
    if options and not spoof:
        raise UsageError(f"{bundle.id} compares people: --faces and --frame-rate are for bundles of task spoof")
    try:
        from edge_sdk.export.data.load import load
        from edge_sdk.export.training.progress import Progress

        home = f"edge_sdk.export.evaluation.{'spoof' if spoof else 'verification'}"  # alike in what is called here
        evaluation, reports = (importlib.import_module(f"{home}.{name}") for name in ("evaluate", "report"))
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    with Progress(quiet=arguments.json) as progress:
        data = load(*arguments.data, progress=progress.report)
        if arguments.subjects_file:
            data = data.select(_subjects(arguments.subjects_file))
        task = progress.task("scoring", len(data.samples))
        found = evaluation.evaluate(
            bundle,
            data,
            engine=arguments.engine,
            precision=arguments.precision,
            threads=arguments.threads,
            seed=arguments.seed,
            progress=lambda done, _: task.update(done),
            **options,
        )
        task.finish()
    paths = reports.write(found, arguments.out)
    if arguments.json:
        files = {"files": [str(path) for path in paths]}
        print(json.dumps({**found.report.as_dict(), **files}, allow_nan=False))
    else:
        print(reports.text(found.report))
        print("\nwritten: " + ", ".join(map(str, paths)))
    return 0


def _subjects(path: Path) -> list[str]:
    if path.suffix == ".json":
        from edge_sdk.export.data.splits import Split

        return list(Split.read(path).test)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} holds no list of people: {error}") from error
    people = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not people:
        raise DatasetError(f"{path} names nobody")
    return people
