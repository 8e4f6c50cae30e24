"""``edge-sdk export``: a bundle of a trained run."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, add_out_bundle, export_extra, print_result, report_progress
from edge_sdk.cli.signatures import add_sign_key, read_keys, signature_line

SUMMARY = "Make a bundle of a trained run: float and int8, each with thresholds."
DETAILS = (
    "Reads the run's folder and its data sets, converts and quantises the network, fits the thresholds of each "
    "variant, and writes the bundle. It stops if int8 costs more accuracy than the recipe allows (the guardrail)."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "run", nargs="+", type=Path, help="the run's folder; several of liveness recipes make one model of them"
    )
    parser.add_argument(
        "--score",
        nargs="+",
        default=[],
        metavar="NAME",
        help="score by this instead of the recipe's own score, of one run; several names become one score by --fusion "
        "(`edge-sdk recipes` lists them)",
    )
    parser.add_argument(
        "--latents",
        action="store_true",
        help="write the latents into the bundle as an output beside the score's, for `edge-sdk evaluate` to draw",
    )
    parser.add_argument(
        "--fusion",
        choices=("sum", "lowest"),
        default="sum",
        help="how several runs, or several scores, become one score: their weighted sum, or the lowest of them "
        "(default: sum)",
    )
    parser.add_argument(
        "--abstain",
        type=float,
        metavar="SHARE",
        help="with --fusion lowest and several runs: each run's score is left out for pictures that are less like its "
        "training than all but SHARE (such as 0.01) of the validation people's, and a picture unlike all of theirs is "
        "UNCERTAIN; default: never",
    )
    parser.add_argument(
        "--folds",
        nargs="+",
        type=Path,
        default=[],
        metavar="RUN",
        help="runs of the same recipe, preset and data (see `train --fold`): the guardrail judges int8 on their test "
        "people",
    )
    parser.add_argument(
        "--folds-decide",
        action="store_true",
        help="with --folds: thresholds, their error rates and the tables of the test people are by the folds' test "
        "people, too; default: only where the run's split has fewer than 5 people for thresholds",
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        default=[],
        metavar="SPEC",
        help="a one-class bundle: data sets of cameras that it has not learned, such as nuaa-train-day1:PATH; it says "
        "how well it tells attacks there, as it is and with its density fitted to that camera's live faces",
    )
    add_out_bundle(parser)
    parser.add_argument(
        "--formats",
        default="onnx",
        metavar="LIST",
        help="onnx, tflite, tensorrt, or single variants such as int8.tflite, separated by commas; default: onnx",
    )
    parser.add_argument("--name", help="name of the bundle; default: the recipe's")
    parser.add_argument("--version", default="1.0.0", help="version of the bundle; default: 1.0.0")
    guardrail = parser.add_mutually_exclusive_group()
    guardrail.add_argument(
        "--leave-out", action="store_true", help="leave out variants that fail the guardrail, and name them"
    )
    guardrail.add_argument(
        "--report-only", action="store_true", help="write the bundle even if the guardrail fails; the bundle says so"
    )
    add_sign_key(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the bundle."""
    with export_extra():
        from edge_sdk.export.packaging.build import export
    keys = read_keys(arguments.sign_key)
    bundle = export(
        arguments.run,
        arguments.out,
        formats=arguments.formats.split(","),
        name=arguments.name,
        version=arguments.version,
        enforce=not arguments.report_only,
        leave_out=arguments.leave_out,
        scores=arguments.score,
        latents=arguments.latents,
        rule=arguments.fusion,
        abstain=arguments.abstain,
        folds=arguments.folds,
        folds_decide=arguments.folds_decide,
        cameras=arguments.cameras,
        sign_with=keys,
        say=report_progress,
    )
    values = {"bundle": str(bundle.path), "id": bundle.id, "signed": bundle.has_signature}
    lines = [f"{bundle.id} in {bundle.path}", *filter(None, [signature_line(bundle)])]
    print_result(arguments, values, "\n".join(lines))
    return ACCEPTED
