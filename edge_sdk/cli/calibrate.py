"""``edge-sdk calibrate``: the thresholds of a bundle, fitted on a user's own people."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import (
    add_bundle,
    add_data,
    add_engine,
    add_json,
    add_out_bundle,
    add_precision,
    add_subjects_file,
    add_threads,
    export_extra,
    load_data,
    print_result,
    report_progress,
)
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.export.packaging.recalibrate import Recalibrated
    from edge_sdk.manifest import OperatingPoint

SUMMARY = "Fit the thresholds of a bundle again, on your own people."
DETAILS = (
    "Scores the pictures of people the model was not trained on, each variant of the bundle by the engine that runs "
    "it here, and writes a bundle whose operating points are all replaced: their thresholds and error rates are those "
    "of these people. The models stay the same files, so templates stay valid. Impostors are skilled forgeries where "
    "the data has them, else other people; a bundle for spoof detection needs live faces and attacks. A point that "
    "the data cannot support has no threshold afterwards. Nothing is written if a variant cannot be measured here."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    add_data(parser)
    add_subjects_file(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    add_out_bundle(where, required=False)
    where.add_argument("--in-place", action="store_true", help="replace the bundle itself, in one step")
    add_engine(parser)
    add_precision(parser, default="all that the bundle has; the copy keeps only those that are named")
    add_threads(parser)
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="leave variants that no engine runs here out of the copy (with --out); default: stop and name them",
    )
    parser.add_argument(
        "--faces",
        choices=("cropped", "cascade", "locator"),
        help="spoof detection: every picture is the crop of one face (default), or a full frame in which OpenCV's "
        "cascade, or the bundle face_locator, finds faces",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fit, write, and print the new operating points."""
    from edge_sdk.bundle import Bundle

    bundle = Bundle.open(arguments.bundle)
    if arguments.in_place and arguments.leave_out:
        raise UsageError("--leave-out takes variants away: write a copy with --out")
    if arguments.faces and bundle.manifest.task != "spoof":
        raise UsageError(f"{bundle.id} compares people: --faces is for bundles of task spoof")
    with export_extra():
        from edge_sdk.export.data.people import datasets_of
        from edge_sdk.export.packaging.recalibrate import recalibrate
        from edge_sdk.export.training.progress import ProgressDisplay
    with ProgressDisplay(quiet=arguments.json) as progress:
        data = load_data(arguments, bundle, progress)
        if trained := sorted(datasets_of(data.subjects).intersection(bundle.manifest.training.data)):
            report_progress(
                f"edge-sdk: warning: the model was trained on people of {', '.join(trained)}; thresholds fitted on "
                "them promise too much: give people it has not seen (--subjects-file)"
            )
        found = recalibrate(
            bundle,
            data,
            None if arguments.in_place else arguments.out,
            engine=arguments.engine,
            precision=arguments.precision,
            threads=arguments.threads,
            leave_out=arguments.leave_out,
            progress=lambda variant, done, total: progress.report(f"scoring with {variant}", done, total),
            **({"faces": arguments.faces} if arguments.faces else {}),
        )
    _warn_of_few(found)
    print_result(arguments, _values(found), _text(found))
    return ACCEPTED


def _warn_of_few(found: Recalibrated) -> None:
    from edge_sdk.manifest import UnsupportedPoint

    for one in found.fitted:
        if all(isinstance(point, UnsupportedPoint) or point.target is None for point in one.points):
            report_progress(
                f"edge-sdk: warning: {one.variant}: the data supports no target error rate, so that the equal error "
                "rate is the only default left: give more people and pictures"
            )


def _values(found: Recalibrated) -> dict[str, Any]:
    import dataclasses

    import msgspec

    first = found.fitted[0]
    return {
        "bundle": str(found.bundle.path),
        "id": found.bundle.id,
        "previous_bundle": found.previous_bundle,
        "thresholds": msgspec.to_builtins(found.bundle.manifest.thresholds),
        "variants": [
            {"id": one.variant, "engine": one.engine, "operating_points": msgspec.to_builtins(one.points)}
            for one in found.fitted
        ],
        "unusable": [dataclasses.asdict(one) for one in first.unusable],
        "left_out": [dataclasses.asdict(one) for one in found.left_out],
    }


def _text(found: Recalibrated) -> str:
    from edge_sdk.export.evaluation.fitted import named

    first, provenance = found.fitted[0], found.bundle.manifest.thresholds
    assert provenance is not None, "recalibrate gives one"
    lines = [
        f"{found.bundle.id} in {found.bundle.path}",
        f"thresholds fitted on {provenance.data}: {first.subjects} people, {first.impostors}{named(first.unusable)}",
    ]
    for one in found.fitted:
        width = max(len(point.name) for point in one.points)
        lines += [f"\n{one.variant} on {one.engine}", *(_point(point, width) for point in one.points)]
    lines += [f"left out: {one.variant}: {one.reason}" for one in found.left_out]
    return "\n".join(lines)


def _point(point: OperatingPoint, width: int) -> str:
    from edge_sdk.manifest import UnsupportedPoint

    if isinstance(point, UnsupportedPoint):
        return f"  {point.name:<{width}}   no threshold: {point.reason}"
    rates = (
        f"{name} {100 * rate.value:.2f} % [{100 * rate.low:.2f}, {100 * rate.high:.2f}]"
        for name, rate in point.rates.items()
    )
    return f"  {point.name:<{width}}   threshold {point.threshold:#.4g}   {'   '.join(rates)}"
