"""What several commands share: arguments, and how their result is printed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.cli import output
from edge_sdk.cli.command import Parser
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.extras import needs_extra

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.export.data.samples import Dataset
    from edge_sdk.export.training.progress import ProgressDisplay

VERIFY_BUNDLE, SPOOF_BUNDLE, LOCATE_BUNDLE = "deepsign", "liveness", "face_locator"
"""Shipped bundles that commands take where none is named."""

MAX_LIST_BYTES = 64 * 2**20

BUNDLE = "a shipped bundle's name (see `edge-sdk bundles`), a folder, or a .edge file"
"""What a bundle may be, for help texts."""


# --- arguments -------------------------------------------------------------------------------------------------------


def add_bundle(parser: Parser, default: str | None = None) -> None:
    """``BUNDLE``, which may be left out where there is a default."""
    if default is None:
        parser.add_argument("bundle", metavar="BUNDLE", help=BUNDLE)
    else:
        parser.add_argument(
            "bundle", nargs="?", default=default, metavar="BUNDLE", help=f"{BUNDLE}; default: {default}"
        )


def add_bundle_option(parser: Parser, default: str) -> None:
    """``--bundle BUNDLE``, where positions are for inputs."""
    parser.add_argument("--bundle", default=default, metavar="BUNDLE", help=f"{BUNDLE}; default: {default}")


def add_bundles(parser: Parser) -> None:
    """``BUNDLE...``, one or several."""
    parser.add_argument("bundle", nargs="+", metavar="BUNDLE", help=BUNDLE)


def add_pairs(parser: Parser) -> None:
    """``--pairs SPEC...``; the end of the help lists the kinds of lists."""
    parser.add_argument(
        "--pairs",
        nargs="+",
        default=[],
        metavar="SPEC",
        help="published lists of pairs to decide, each as KIND:PATH, in place of --data; the kinds are listed below",
    )
    parser.add_section("published pairs", _pair_lists)


def add_same_people(parser: argparse._ActionsContainer, when: str) -> None:
    """``--same-people FILE``."""
    parser.add_argument(
        "--same-people",
        type=Path,
        metavar="FILE",
        help=f"{when}CSV file, a line for each person who is in several data sets, with all names "
        "(lfw/George_Clooney,cfp/012); nobody tests under one of them who trains under another",
    )


def add_out_bundle(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    """``--out BUNDLE``."""
    parser.add_argument(
        "--out",
        type=Path,
        required=required,
        metavar="BUNDLE",
        help="the bundle to write: one file if it ends in .edge, else a folder; one that is there is replaced",
    )


def add_engine(parser: Parser, *, all_engines: bool = False) -> None:
    """``--engine NAME``."""
    more = ", or all: every engine that is installed" if all_engines else ""
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help=f"inference engine, such as onnxruntime{more}; default: auto, the best one that is installed",
    )


def add_precision(parser: Parser, default: str = "int8 if the bundle has it") -> None:
    """``--precision NAME``."""
    parser.add_argument(
        "--precision",
        metavar="NAME",
        help=f"which variant of the bundle: int8, fp32, or exactly one such as int8.onnx; default: {default}",
    )


def add_threads(parser: Parser) -> None:
    """``--threads N``."""
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine; default: 1")


def add_thread_counts(parser: Parser) -> None:
    """``--threads N,N``: several counts, each of which is measured."""
    parser.add_argument(
        "--threads",
        type=_counts,
        default=(1,),
        metavar="N,N",
        help="threads of the engine, one number or several separated by commas, each of which is measured; default: 1",
    )


def add_faces(parser: argparse._ActionsContainer, default: str | None = "cascade") -> None:
    """``--faces NAME``, of a spoof bundle."""
    parser.add_argument(
        "--faces",
        choices=("cascade", "locator", "cropped"),
        default=default,
        help="cascade: find the face in the whole frame by OpenCV's; locator: by the bundle face_locator; cropped: "
        "every picture is the crop of one face (default: cascade)",
    )


def add_template_key(parser: Parser) -> None:
    """``--key NAME`` or ``--plain``."""
    protection = parser.add_mutually_exclusive_group()
    protection.add_argument(
        "--key",
        metavar="NAME",
        help="the key of encrypted templates: a file that its owner alone may read, or keyring:SERVICE/NAME for the "
        "system's key store; default: what the environment variable EDGE_SDK_TEMPLATE_KEY names",
    )
    protection.add_argument(
        "--plain",
        action="store_true",
        help="templates that are not encrypted: who can read one has the embeddings, who can write it can make another",
    )


def add_json(parser: Parser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_audit(parser: Parser) -> None:
    """``--audit FILE``."""
    parser.add_argument(
        "--audit",
        metavar="FILE",
        help="append one JSON line a decision to this file (docs/audit.md): no picture, no template, no name; a "
        "decision that cannot be written is an error",
    )


def add_data(parser: Parser, *, required: bool = True) -> None:
    """``--data SPEC...``; the end of the help lists the kinds of data sets."""
    parser.add_argument(
        "--data",
        nargs="+",
        required=required,
        default=[],
        metavar="SPEC",
        help="data sets to read, each as KIND:PATH; the kinds are listed below",
    )
    parser.add_section("data sets", _data_sets)
    parser.add_section("made of other data sets", _rendered_sets)


def add_threshold(parser: Parser, point_help: str) -> None:
    """``--operating-point NAME``, or ``--threshold SCORE`` in its place."""
    deciding = parser.add_mutually_exclusive_group()
    deciding.add_argument("--operating-point", metavar="NAME", help=point_help)
    deciding.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="a threshold of your own in place of the bundle's; no error rate was measured at it",
    )


def add_subjects_file(parser: Parser) -> None:
    """``--subjects-file FILE``, for :func:`load_data`."""
    parser.add_argument(
        "--subjects-file",
        type=Path,
        metavar="FILE",
        help="use only these people of the data: one name a line (cedar/12), or a run's split.json (its test people)",
    )


def add_seed(parser: Parser, of: str) -> None:
    """``--seed N``."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"seed of {of}; default: 0")


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(word) for word in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one number from 1 on, or several separated by commas")
    return counts


def check_apart(written: str, **others: Iterable[str | None]) -> None:
    """UsageError where a file to write is another one that the command names, which would be lost.

    Args:
        written: The file.
        others: The paths of other files, by what they are ("the_key"); None is passed over.
    """
    for what, paths in others.items():
        if any(path is not None and _is_same_file(written, path) for path in paths):
            raise UsageError(f"{output.printable(written)} is {what.replace('_', ' ')}: name another file to write")


def _is_same_file(one: str, other: str) -> bool:
    try:
        same_name = os.path.realpath(one) == os.path.realpath(other)
        return same_name or Path(one).samefile(other)  # also by a hard link, or where case does not count
    except (OSError, ValueError):  # there is none, or no file can have this name
        return False


# --- data sets -------------------------------------------------------------------------------------------------------


def _data_sets() -> Iterable[tuple[str, str]]:
    from edge_sdk.export.data import catalogue

    yield from ((row.specification, f"{row.modality}: {row.description}") for row in catalogue.rows())


def _rendered_sets() -> Iterable[tuple[str, str]]:
    from edge_sdk.export.data import catalogue

    yield from ((f"{name}KIND:PATH", f"{modality}: {text}") for name, modality, text in catalogue.prefixes())


def _pair_lists() -> Iterable[tuple[str, str]]:
    from edge_sdk.export.data import pair_lists

    yield from ((f"{name}:PATH", description) for name, description in pair_lists.rows())


def load_data(arguments: argparse.Namespace, bundle: Bundle, progress: ProgressDisplay) -> Dataset:
    """Read ``--data``, of the people in ``--subjects-file`` if there is one; UsageError unless the bundle takes it."""
    from edge_sdk.export.data.load import load

    subjects = read_subjects(arguments.subjects_file) if arguments.subjects_file else None
    data = load(*arguments.data, progress=progress.report, subjects=subjects)
    expected = bundle.manifest.modality
    if others := sorted({sample.modality for sample in data.samples} - {expected}):
        raise UsageError(f"{bundle.id} takes samples of the modality {expected}; {data.name} holds {', '.join(others)}")
    return data


def read_subjects(path: Path) -> list[str]:
    """Names of people, one a line; of a run's ``split.json`` its test people. DatasetError if there are none."""
    from edge_sdk import files

    if path.suffix == ".json":
        from edge_sdk.export.data.splits import Split

        return list(Split.read(path).test)
    try:
        lines = files.read_bytes(path, MAX_LIST_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} holds no list of people: {error}") from error
    people = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not people:
        raise DatasetError(f"{path} names nobody")
    return people


def export_extra() -> AbstractContextManager[None]:
    """For imports that need the ``export`` extra; see :func:`edge_sdk.extras.needs_extra`."""
    return needs_extra("export")


# --- results ---------------------------------------------------------------------------------------------------------


def print_result(arguments: argparse.Namespace, values: dict[str, Any], text: str) -> None:
    """Print the values as JSON where ``--json`` was given, else the text."""
    if arguments.json:
        output.show_json(values)
    else:
        output.show(text)


def quiet_decoders() -> None:
    """Keep FFmpeg's and OpenCV's own messages back; what comes of them is an error or a flag."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def warn_of_opencv() -> None:
    """Say on standard error which OpenCV package to keep, where several are installed."""
    from edge_sdk import opencv

    if advice := opencv.advice():
        report_progress(f"edge-sdk: warning: {advice}")


def report_progress(line: str) -> None:
    """A line on standard error, which leaves standard output to the result."""
    output.say(line)
