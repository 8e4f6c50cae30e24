"""``edge-sdk verify``: are these the same person?"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import itertools
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from edge_sdk.cli import walks
from edge_sdk.cli.command import ACCEPTED, REJECTED, Parser
from edge_sdk.cli.options import (
    VERIFY_BUNDLE,
    add_audit,
    add_bundle_option,
    add_engine,
    add_json,
    add_precision,
    add_template_key,
    add_threads,
    add_threshold,
    check_apart,
    print_result,
)
from edge_sdk.cli.output import printable
from edge_sdk.cli.points import deciding
from edge_sdk.errors import TemplateError, UsageError
from edge_sdk.logs import Log

if TYPE_CHECKING:
    from edge_sdk.runtime import Template, Verifier
    from edge_sdk.runtime.acquisition import Sample

_LOG = Log(__name__)

_OF_TEMPLATES = {"key": "--key", "plain": "--plain", "template_id": "--template-id", "revoked": "--revoked"}
"""Options that say that the reference is a template."""

SUMMARY = "Decide whether two pictures, or two walks, are of the same person."
DETAILS = (
    "Reads one or more reference pictures, or one template that `edge-sdk enroll` wrote, and compares the last "
    "picture with them. A video stands for its best frames. With a bundle of gait the samples are CSV files of walks; "
    "- is one that is read from standard input as it goes on. With --key, --plain, --template-id or --revoked the "
    "reference must be a template. Exit code 0: accepted, 1: rejected."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "reference", nargs="+", help="pictures, or walks, of one person, or one template that `edge-sdk enroll` wrote"
    )
    parser.add_argument("query", help="the picture, or walk, to compare with them")
    add_template_key(parser)
    parser.add_argument(
        "--template-id",
        metavar="ID",
        help="refuse a template with another id than this, such as another person's; `edge-sdk inspect` shows the id",
    )
    add_verifier_options(parser)
    add_threshold(
        parser,
        "the bundle's threshold to use, such as fmr_1e-2 (`edge-sdk inspect` lists them), measured with as many "
        "references as there are; default: the one that the bundle names",
    )


def add_verifier_options(parser: Parser) -> None:
    """What :func:`open_verifier` takes."""
    add_bundle_option(parser, VERIFY_BUNDLE)
    add_precision(parser)
    add_engine(parser)
    add_threads(parser)
    parser.add_argument(
        "--faces",
        choices=("locator", "aligned"),
        default="locator",
        help="locator: find the face in the whole picture, where the bundle asks for it; aligned: every picture is cut "
        "out and aligned already (default: locator)",
    )
    parser.add_argument(
        "--revoked", metavar="FILE", help="list of templates to refuse, which `edge-sdk revoke` writes; default: none"
    )
    walks.add_cycles(parser)
    add_audit(parser)
    add_json(parser)


def samples(
    verifier: Verifier, arguments: argparse.Namespace, paths: Sequence[str], *, enrolling: bool = False
) -> list[Sample]:
    """The samples that are named; a walk on standard input is read at once.

    Raises:
        UsageError: Two of them are the same, or one is named as samples of other bundles are.
    """
    for path in paths:
        _check_ending(verifier, path)
    _check_distinct(paths)
    return [
        walks.read(verifier, arguments.cycles, enrolling=enrolling) if path == walks.STDIN else sample(path)
        for path in paths
    ]


def _check_ending(verifier: Verifier, path: str) -> None:
    """UsageError for a name that ends as samples of other bundles do, a walk for a bundle of signatures perhaps."""
    from edge_sdk import modalities

    ending, manifest = PurePath(path).suffix.lower(), verifier.bundle.manifest
    others = [one.name for one in modalities.MODALITIES.values() if ending in one.suffixes]
    if others and manifest.modality not in others:
        raise UsageError(
            f"{path}: {verifier.bundle.id} takes samples of {manifest.modality}; name a bundle of "
            f"{' or '.join(others)} with --bundle"
        )


def _check_distinct(paths: Sequence[str]) -> None:
    """UsageError for a sample that is given twice: the threshold goes by how many references there are."""
    for one, other in itertools.combinations([path for path in paths if path != walks.STDIN], 2):
        with contextlib.suppress(OSError):  # whoever reads them says what is wrong
            if filecmp.cmp(one, other, shallow=False):
                raise UsageError(
                    f"{printable(other)} is the same sample as {printable(one)}: give each once, for the threshold "
                    "goes by how many there are"
                )


def sample(path: str) -> Sample:
    """The frames of a video, or the path of what is none."""
    from edge_sdk.runtime import sources
    from edge_sdk.runtime.shots import Shots

    try:
        return Shots(path) if sources.is_video(sources.head_of(path)) else path
    except OSError:  # whoever reads the picture says what is wrong
        return path


def open_verifier(
    arguments: argparse.Namespace, operating_point: str | None = None, threshold: float | None = None
) -> Verifier:
    """Open the verifier that the arguments ask for."""
    from edge_sdk.runtime import Verifier

    if arguments.audit is not None:
        check_apart(arguments.audit, the_list_of_revoked_templates=[arguments.revoked])
    return Verifier(
        arguments.bundle,
        engine=arguments.engine,
        precision=arguments.precision,
        operating_point=operating_point,
        threshold=threshold,
        threads=arguments.threads,
        faces=arguments.faces,
        revoked=arguments.revoked,
        audit=arguments.audit,
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare and print the decision."""
    from edge_sdk.runtime import Template

    query = arguments.query
    if arguments.reference[1:] and (path := next(filter(Template.is_at, arguments.reference), None)):
        raise TemplateError(f"{path} is a template: it stands for all references and takes none beside it")
    if Template.is_at(query):
        raise TemplateError(f"{query} is a template: name it first, and last the picture to compare with it")
    with open_verifier(arguments, arguments.operating_point, arguments.threshold) as verifier:
        walks.check([*arguments.reference, query], arguments.cycles)
        with verifier.preparing("verify"):
            template = _template(arguments)
        reference = template or samples(verifier, arguments, arguments.reference, enrolling=True)
        result = verifier.verify(reference, *samples(verifier, arguments, [query]))
    decision, named = "ACCEPTED" if result else "REJECTED", deciding(verifier.bundle.manifest, result)
    lines = [
        f"{decision}   score {result.score:.4f}, accepted from {result.threshold:.4f} ({named})",
        *([f"quality: {', '.join(result.quality)}"] if result.quality else []),
        f"{result.bundle_id}, {verifier.variant.id} on {verifier.engine}, {result.timings.total_ms:.1f} ms",
    ]
    more = {
        "variant_id": verifier.variant.id,
        "engine": verifier.engine,
        "template_id": (template.template_id or None) if template else None,
    }
    print_result(arguments, result.as_dict() | more, "\n".join(lines))
    return ACCEPTED if result else REJECTED


def _template(arguments: argparse.Namespace) -> Template | None:
    """The template that the reference is; None of pictures and walks, where no option speaks of a template."""
    from edge_sdk.runtime import Template

    first = arguments.reference[0]
    if Template.is_at(first):
        return Template.load(first, key=arguments.key, plain=arguments.plain, template_id=arguments.template_id)
    _check_no_template_expected(arguments)
    return None


def _check_no_template_expected(arguments: argparse.Namespace) -> None:
    """TemplateError where an option speaks of a template: whoever may write one's file could put a picture there."""
    for name, option in _OF_TEMPLATES.items():
        if getattr(arguments, name) not in (None, False):
            raise TemplateError(
                f"{arguments.reference[0]} is no template that can be read, and {option} says that it is one: to "
                f"compare pictures or walks leave {option} out"
            )
    for path in arguments.reference:
        if PurePath(path).suffix.lower() == ".template":
            _LOG.warning("%s is no template, whatever its name says: it counts as a picture (--key refuses it)", path)
