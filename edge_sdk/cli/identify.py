"""``edge-sdk identify``: who of the enrolled people is it, if any?"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from edge_sdk.cli import walks
from edge_sdk.cli.command import ACCEPTED, REJECTED, Parser
from edge_sdk.cli.options import add_template_key, add_threshold, print_result
from edge_sdk.cli.output import printable
from edge_sdk.cli.points import deciding
from edge_sdk.cli.verify import add_verifier_options, open_verifier, samples
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.results import IdentifyResult
    from edge_sdk.runtime import Verifier

SUMMARY = "Search a person among enrolled ones, who need not be among them (1:N)."
DETAILS = (
    "Compares a picture, video or walk with every template that `edge-sdk enroll` wrote, and lists the best. Exit code "
    "0: somebody is identified, 1: nobody. With many templates choose a strict operating point: each of them may match "
    "wrongly."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("probe", metavar="PROBE", help="the picture, video or walk of the person to search")
    parser.add_argument("templates", nargs="+", metavar="TEMPLATE", help="a template of each enrolled person")
    parser.add_argument("--count", type=int, default=5, metavar="N", help="how many candidates to list; default: 5")
    add_template_key(parser)
    add_verifier_options(parser)
    add_threshold(
        parser,
        "the bundle's threshold to use, such as fmr_1e-4 (`edge-sdk inspect` lists them); default: as that of "
        "`edge-sdk verify`, for one comparison",
    )


def run(arguments: argparse.Namespace) -> int:
    """Search and print the candidates."""
    from edge_sdk.runtime import Template, template_keys

    if twice := [path for path, count in Counter(arguments.templates).items() if count > 1]:
        raise UsageError(f"templates named twice: {', '.join(twice)}")
    with open_verifier(arguments, arguments.operating_point, arguments.threshold) as verifier:
        with verifier.preparing("identify"):
            key = template_keys.chosen(arguments.key, plain=arguments.plain)  # read once
            templates = {path: Template.load(path, key=key, plain=arguments.plain) for path in arguments.templates}
        walks.check([arguments.probe], arguments.cycles)
        (probe,) = samples(verifier, arguments, [arguments.probe])
        result = verifier.identify(probe, templates, count=arguments.count)
    decision = f"IDENTIFIED {printable(result.identity)}" if result else "NOT IDENTIFIED"
    named = deciding(verifier.bundle.manifest, result)
    lines = [
        f"{decision}   accepted from {result.threshold:.4f} ({named}), {result.enrolled} enrolled",
        *(f"{one.score:8.4f}  {printable(one.name)}" for one in result.candidates),
        *([f"quality: {', '.join(result.quality)}"] if result.quality else []),
        *_expectation(verifier, result),
        f"{result.bundle_id}, {verifier.variant.id} on {verifier.engine}, {result.timings.total_ms:.1f} ms",
    ]
    print_result(arguments, result.as_dict(), "\n".join(lines))
    return ACCEPTED if result else REJECTED


def _expectation(verifier: Verifier, result: IdentifyResult) -> list[str]:
    """What the operating point's FMR means for so many people; nothing is known of a threshold of one's own."""
    from edge_sdk.runtime.gallery import expected_fpir

    if result.references is None:
        return []
    fmr, enrolled = verifier.operating_point_for(result.references).fmr.value, result.enrolled
    rate = f"expected FPIR {expected_fpir(fmr, enrolled):.2%}: an FMR of {fmr:.2%} for each of {enrolled}"
    return [f"{rate}, if they were independent; measure it on people of your own"]
