"""``edge-sdk calibrate``: the thresholds of a bundle, fitted on a user's own people, or to a user's own camera."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
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
from edge_sdk.cli.points import listed
from edge_sdk.cli.signatures import add_sign_key, read_keys, signature_line
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle, SigningKey
    from edge_sdk.calibration.live import LiveCalibrated
    from edge_sdk.calibration.unusable import UnusablePicture
    from edge_sdk.export.packaging.recalibrate import Recalibrated

SUMMARY = "Fit the thresholds of a bundle again, on your own people or to your own camera."
DETAILS = (
    "With --data it scores the pictures of people the model was not trained on, each variant of the bundle by the "
    "engine that runs it here, and writes a bundle whose operating points are all replaced: their thresholds and error "
    "rates are those of these people. Impostors are skilled forgeries where the data has them, else other people; a "
    "bundle for spoof detection needs live faces and attacks. With --live or --camera it reads live pictures of one "
    "camera, of several people, and no attacks, fits the density of a one-class bundle to them, and writes thresholds "
    "that reject a stated share of live pictures (BPCER); this needs no PyTorch. The models stay the same files, so "
    "templates stay valid. A point that the data cannot support has no threshold afterwards. Nothing is written if a "
    "variant cannot be measured here. The bundle's signature does not hold for other thresholds: --sign-key signs what "
    "is written."
)

_PICTURES = 150
_LOOKED_AT = 4  # frames for each wanted picture, before whom nobody may stand
_FEW_PEOPLE = 5


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    add_data(parser, required=False)
    add_subjects_file(parser)
    camera = parser.add_argument_group("live pictures of your own camera, for bundles of task spoof")
    camera.add_argument(
        "--live",
        nargs="+",
        default=[],
        metavar="PATH",
        help="read 50 to 1,000 live pictures: folders of pictures of one person, folders that hold a folder for each "
        "person, or videos of one person each",
    )
    camera.add_argument("--camera", type=int, metavar="N", help="read one live person before camera number N, from 0")
    camera.add_argument(
        "--pictures",
        type=int,
        metavar="N",
        help=f"with --camera: end after so many usable pictures; default: {_PICTURES}",
    )
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
        help="spoof detection: every picture is the crop of one face (cropped, the default with --data), or a full "
        "frame in which OpenCV's cascade (cascade, the default with --live and --camera), or the bundle face_locator "
        "(locator), finds faces",
    )
    add_sign_key(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fit, write, and print the new operating points."""
    from edge_sdk.bundle import Bundle

    _check(arguments)
    keys, bundle = read_keys(arguments.sign_key), Bundle.open(arguments.bundle)
    if arguments.faces and bundle.manifest.task != "spoof":
        raise UsageError(f"{bundle.id} compares people: --faces is for bundles of task spoof")
    return _on_people(arguments, bundle, keys) if arguments.data else _to_camera(arguments, bundle, keys)


def _check(arguments: argparse.Namespace) -> None:
    if bool(arguments.data) + bool(arguments.live) + (arguments.camera is not None) != 1:
        raise UsageError("give what to fit to: --data, --live, or --camera")
    if arguments.subjects_file and not arguments.data:
        raise UsageError("--subjects-file goes with --data")
    if arguments.pictures is not None:
        from edge_sdk.calibration.live_pictures import LEAST, MOST

        if arguments.camera is None:
            raise UsageError("--pictures goes with --camera")
        if not LEAST <= arguments.pictures <= MOST:
            raise UsageError(f"--pictures is {arguments.pictures}; a camera needs {LEAST} to {MOST}")
    if arguments.camera is not None and arguments.camera < 0:
        raise UsageError(f"--camera is {arguments.camera}; cameras are counted from 0")
    if arguments.in_place and arguments.leave_out:
        raise UsageError("--leave-out takes variants away: write a copy with --out")


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in ("engine", "precision", "threads", "leave_out")}
    return given | ({"faces": arguments.faces} if arguments.faces else {})


# --- on people, with impostors or attacks ----------------------------------------------------------------------------


def _on_people(arguments: argparse.Namespace, bundle: Bundle, keys: list[SigningKey]) -> int:
    was_signed = bundle.has_signature
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
            progress=lambda variant, done, total: progress.report(f"scoring with {variant}", done, total),
            sign_with=keys,
            **_settings(arguments),
        )
    _warn_of_default(bundle, found)
    _warn_of_few(found)
    first, provenance = found.fitted[0], found.bundle.manifest.thresholds
    assert provenance is not None, "recalibrate gives one"
    on = f"thresholds fitted on {provenance.data}: {first.subjects} people, {first.impostors}"
    _print(arguments, found, first.unusable, on, was_signed=was_signed)
    return ACCEPTED


def _warn_of_default(bundle: Bundle, found: Recalibrated | LiveCalibrated) -> None:
    before = bundle.manifest.default_point
    if before != found.bundle.manifest.default_point:
        report_progress(
            f"edge-sdk: warning: {before}, the default operating point of {bundle.id}, has no threshold now: the "
            "default goes by the new error rates"
        )


def _warn_of_few(found: Recalibrated) -> None:
    from edge_sdk.manifest import UnsupportedPoint

    for one in found.fitted:
        if all(isinstance(point, UnsupportedPoint) or point.target is None for point in one.points):
            report_progress(
                f"edge-sdk: warning: {one.variant}: the data supports no target error rate, so that the equal error "
                "rate is the only default left: give more people and pictures"
            )


# --- to a camera, by live pictures alone -----------------------------------------------------------------------------


def _to_camera(arguments: argparse.Namespace, bundle: Bundle, keys: list[SigningKey]) -> int:
    from edge_sdk.calibration import live_pictures
    from edge_sdk.calibration.live import calibrate_live
    from edge_sdk.runtime import sources

    if arguments.live:
        pictures, wanted = live_pictures.in_paths(arguments.live), None
        name = ", ".join(Path(path).resolve().name for path in arguments.live)
    else:
        name, wanted = f"camera {arguments.camera}", arguments.pictures or _PICTURES
        seen = live_pictures.of_frames(sources.camera(arguments.camera), "somebody", name)
        pictures = islice(seen, _LOOKED_AT * wanted)
        report_progress(f"edge-sdk: look into {name}, and move a little, until {wanted} pictures are taken")
    was_signed = bundle.has_signature
    found = calibrate_live(
        bundle,
        pictures,
        None if arguments.in_place else arguments.out,
        data=name,
        wanted=wanted,
        sign_with=keys,
        **_settings(arguments),
    )
    _warn_of_default(bundle, found)
    _warn_of_people(found)
    who = "one person" if found.subjects == 1 else f"{found.subjects} people"
    on = f"fitted to {name}: {found.pictures} live pictures of {who}, no attacks: APCER unknown"
    _print(arguments, found, found.unusable, on, was_signed=was_signed)
    return ACCEPTED


def _warn_of_people(found: LiveCalibrated) -> None:
    if found.one_person:
        report_progress(
            "edge-sdk: warning: nearly all pictures are of one person: the thresholds hold for this person alone, and "
            f"others may be rejected; give pictures of {_FEW_PEOPLE} people or more"
        )
    elif found.subjects < _FEW_PEOPLE:
        report_progress(
            f"edge-sdk: warning: {found.subjects} people say little of others; give pictures of {_FEW_PEOPLE} or more"
        )


# --- what was fitted -------------------------------------------------------------------------------------------------


def _print(
    arguments: argparse.Namespace,
    found: Recalibrated | LiveCalibrated,
    unusable: tuple[UnusablePicture, ...],
    fitted_on: str,
    *,
    was_signed: bool,
) -> None:
    import dataclasses

    import msgspec

    from edge_sdk.calibration.unusable import named

    values = {
        "bundle": str(found.bundle.path),
        "id": found.bundle.id,
        "previous_bundle": found.previous_bundle,
        "thresholds": msgspec.to_builtins(found.bundle.manifest.thresholds),
        "variants": [
            {"id": one.variant, "engine": one.engine, "operating_points": msgspec.to_builtins(one.points)}
            for one in found.fitted
        ],
        "unusable": [dataclasses.asdict(one) for one in unusable],
        "left_out": [dataclasses.asdict(one) for one in found.left_out],
        "signed": found.bundle.has_signature,
    }
    lines = [f"{found.bundle.id} in {found.bundle.path}", f"{fitted_on}{named(unusable)}"]
    for one in found.fitted:
        lines += [f"\n{one.variant} on {one.engine}", *listed(found.bundle.manifest, one.points)]
    lines += [f"left out: {one.variant}: {one.reason}" for one in found.left_out]
    lines += filter(None, [signature_line(found.bundle, was_signed=was_signed)])
    print_result(arguments, values, "\n".join(lines))
