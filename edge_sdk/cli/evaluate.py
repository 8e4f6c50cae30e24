"""``edge-sdk evaluate``: a bundle's error rates on data sets."""

from __future__ import annotations

import argparse
import importlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import (
    add_bundles,
    add_data,
    add_engine,
    add_json,
    add_pairs,
    add_precision,
    add_same_people,
    add_seed,
    add_subjects_file,
    add_threads,
    export_extra,
    load_data,
    print_result,
)
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.export.data.same_people import SamePeople
    from edge_sdk.export.evaluation.verification.knowledge import Knowledge

SUMMARY = "Measure a bundle's error rates on data sets."
DETAILS = (
    "Scores every picture once with the bundle's own runtime, prints error rates with intervals at the bundle's "
    "thresholds, and writes them as JSON and as an HTML report. A bundle for verification compares pairs of pictures; "
    "one for spoof detection decides live faces and attacks; one that "
    "locates faces searches pictures of which is known where faces are. Published pairs are decided fold by fold, with "
    "thresholds chosen on other folds."
)

FACES = {"spoof": ("cropped", "cascade", "locator"), "verify": ("aligned", "locator")}
"""How pictures may show faces, by task."""


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundles(parser)
    add_data(parser, required=False)
    add_pairs(parser)
    add_subjects_file(parser)
    add_engine(parser)
    add_precision(parser)
    add_threads(parser)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="verification: threads that decode and pre-process the next pictures while the engine runs; 1 is enough "
        "for most bundles; default: none",
    )
    parser.add_argument(
        "--faces",
        choices=sorted({choice for choices in FACES.values() for choice in choices}),
        help="spoof detection: every picture is the crop of one face (cropped, the default), or a full frame that "
        "OpenCV's cascade (cascade) or the bundle face_locator (locator) searches; verification: the locator finds the "
        "face in every picture, and it is cut out as the bundle says (locator), or every picture is that cut already "
        "(aligned); default: aligned for data that are cut out so by a prefix, else locator",
    )
    parser.add_argument(
        "--frame-rate",
        type=float,
        metavar="HZ",
        help="spoof detection: frames a second of a recording, for decisions over time; default: 20",
    )
    parser.add_argument(
        "--leave-one-out",
        action="store_true",
        help="spoof detection by a density of live faces: fit it, for each person, to the live faces of all others of "
        "the same data set, as `calibrate --live` would; prints no rates at thresholds, for those of the "
        "bundle are not of this density",
    )
    parser.add_argument(
        "--runs",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN",
        help="verification: the run that each bundle was exported from, in the same order; only people who are new "
        "to it are measured, and of pairs whole folds of them, so that several bundles share a list",
    )
    add_same_people(parser, "with --runs: ")
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
    if bool(arguments.data) == bool(arguments.pairs):
        raise UsageError("give what to measure on: either --data, or --pairs")
    if arguments.pairs:
        return _decide_pairs(arguments)
    from edge_sdk.bundle import Bundle

    if len(arguments.bundle) > 1 or len(arguments.runs) > 1:
        raise UsageError("several bundles are for --pairs")
    if arguments.same_people and not arguments.runs:
        raise UsageError("--same-people goes with --runs")
    bundle = Bundle.open(arguments.bundle[0])
    task = bundle.manifest.task
    _check_task(arguments, bundle)
    if arguments.workers is not None and arguments.workers < 0:
        raise UsageError(f"--workers is {arguments.workers}; it must be at least 0")
    given = {name: getattr(arguments, name) for name in ("faces", "frame_rate", "leave_one_out", "workers")}
    options: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, False)}
    _check_faces(bundle, arguments.faces)
    if arguments.runs:
        options["known"] = _knowledge(arguments, bundle)
    with export_extra():
        from edge_sdk.export.evaluation import PACKAGES
        from edge_sdk.export.training.progress import ProgressDisplay

        package = f"edge_sdk.export.evaluation.{PACKAGES[task]}"  # alike in what is called here
        evaluation, reports = (importlib.import_module(f"{package}.{name}") for name in ("evaluate", "report"))
    with ProgressDisplay(quiet=arguments.json) as progress:
        data = load_data(arguments, bundle, progress)
        bar = progress.bar("scoring", len(data.samples))
        found = evaluation.evaluate(
            bundle, data, progress=lambda done, _: bar.update(done), **_settings(arguments), **options
        )
        bar.finish()
    return _show(arguments, reports, found)


def _check_task(arguments: argparse.Namespace, bundle: Bundle) -> None:
    """UsageError for an option that is for bundles of another task."""
    for name, task in (("frame_rate", "spoof"), ("leave_one_out", "spoof"), ("workers", "verify"), ("runs", "verify")):
        value = getattr(arguments, name)
        given = value is not None and value is not False and value != []  # 0 is given, too
        if given and bundle.manifest.task != task:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{bundle.id} is for task {bundle.manifest.task}: {option} is for bundles of task {task}")


def _knowledge(arguments: argparse.Namespace, bundle: Bundle) -> Knowledge:
    with export_extra():
        from edge_sdk.export.evaluation.verification.knowledge import Knowledge
    return Knowledge.read(arguments.runs[0], bundle, _same_people(arguments))


def _same_people(arguments: argparse.Namespace) -> SamePeople:
    from edge_sdk.export.data.same_people import SamePeople

    return SamePeople.read(arguments.same_people) if arguments.same_people else SamePeople()


def _decide_pairs(arguments: argparse.Namespace) -> int:
    from edge_sdk.bundle import Bundle

    of_data = arguments.frame_rate, arguments.workers, arguments.subjects_file, arguments.leave_one_out or None
    if any(value is not None for value in of_data):
        raise UsageError("--frame-rate, --workers, --subjects-file and --leave-one-out are for --data")
    bundles = [Bundle.open(bundle) for bundle in arguments.bundle]
    for bundle in bundles:
        if bundle.manifest.task != "verify":
            raise UsageError(f"{bundle.id} is for task {bundle.manifest.task}: pairs are compared by those for verify")
        _check_faces(bundle, arguments.faces)
    with export_extra():
        from edge_sdk.export.data.pair_lists import load_pairs
        from edge_sdk.export.evaluation.verification import pair_report
        from edge_sdk.export.evaluation.verification.pairs import evaluate_pairs
        from edge_sdk.export.training.progress import ProgressDisplay
    with ProgressDisplay(quiet=arguments.json) as progress:
        lists = [load_pairs(spec, progress.report) for spec in arguments.pairs]
        found = evaluate_pairs(
            bundles,
            lists,
            faces=arguments.faces,
            runs=arguments.runs,
            same=_same_people(arguments),
            progress=partial(progress.report, "scoring"),
            **_settings(arguments),
        )
    return _show(arguments, pair_report, found)


def _check_faces(bundle: Bundle, faces: str | None) -> None:
    choices = FACES.get(bundle.manifest.task, ())
    if faces is not None and faces not in choices:
        allowed = " or ".join(choices) or "of no use"
        raise UsageError(f"{bundle.id} is for task {bundle.manifest.task}: --faces is {allowed} there, not {faces}")


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("engine", "precision", "threads", "seed")}


def _show(arguments: argparse.Namespace, reports: Any, found: Any) -> int:
    paths = reports.write(found, arguments.out)
    written = "\n\nwritten: " + ", ".join(map(str, paths))
    values = {**found.report.as_dict(), "files": [str(path) for path in paths]}
    print_result(arguments, values, reports.text(found.report) + written)
    return ACCEPTED
