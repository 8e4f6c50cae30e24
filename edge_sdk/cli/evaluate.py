"""``edge-sdk evaluate``: a bundle's error rates on data sets."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import (
    add_bundle,
    add_data,
    add_engine,
    add_json,
    add_precision,
    add_seed,
    add_subjects_file,
    add_threads,
    export_extra,
    load_data,
    print_result,
)
from edge_sdk.errors import UsageError

SUMMARY = "Measure a bundle's error rates on data sets."
DETAILS = (
    "Scores every picture once with the bundle's own runtime, prints error rates with intervals at the bundle's "
    "thresholds, and writes them as JSON and as an HTML report. A bundle for verification compares pairs of pictures; "
    "one for spoof detection decides live faces and attacks."
)

SPOOF = ("faces", "frame_rate")
"""Options that only a bundle of task ``spoof`` has."""


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    add_data(parser)
    add_subjects_file(parser)
    add_engine(parser)
    add_precision(parser)
    add_threads(parser)
    parser.add_argument(
        "--faces",
        choices=("cropped", "cascade"),
        help="spoof detection: every picture is the crop of one face (default), or a full frame that OpenCV's cascade "
        "searches for faces",
    )
    parser.add_argument(
        "--frame-rate",
        type=float,
        metavar="HZ",
        help="spoof detection: frames a second of a recording, for decisions over time; default: 20",
    )
    add_seed(parser, "drawn pairs and bootstrap samples")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("evaluation"),
        metavar="DIR",
        help="folder for the JSON file and the HTML report; default: evaluation",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write the reports."""
    from edge_sdk.bundle import Bundle

    bundle = Bundle.open(arguments.bundle)
    spoof = bundle.manifest.task == "spoof"
    options = {name: value for name in SPOOF if (value := getattr(arguments, name)) is not None}
    if options and not spoof:
        raise UsageError(f"{bundle.id} compares people: --faces and --frame-rate are for bundles of task spoof")
    with export_extra():
        from edge_sdk.export.training.progress import ProgressDisplay

        package = f"edge_sdk.export.evaluation.{'spoof' if spoof else 'verification'}"  # alike in what is called here
        evaluation, reports = (importlib.import_module(f"{package}.{name}") for name in ("evaluate", "report"))
    with ProgressDisplay(quiet=arguments.json) as progress:
        data = load_data(arguments, bundle, progress)
        task = progress.bar("scoring", len(data.samples))
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
    written = "\n\nwritten: " + ", ".join(map(str, paths))
    values = {**found.report.as_dict(), "files": [str(path) for path in paths]}
    print_result(arguments, values, reports.text(found.report) + written)
    return ACCEPTED
