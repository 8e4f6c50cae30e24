"""``edge-sdk distill``: weights of a recipe that also learns from trained runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import Parser
from edge_sdk.cli.options import export_extra
from edge_sdk.cli.train import add_training_options, process_rank, train

SUMMARY = "Train a recipe (the student) that also learns from trained runs (its teachers)."
DETAILS = (
    "Reads the teachers' runs and the data sets, and writes a run as `edge-sdk train` does. Beside the recipe's own "
    "loss the student learns to give the outputs that the teachers give."
)

SETTINGS = (
    *("labels", "relation", "embedding", "views", "reconstruction", "features", "soft", "temperature", "mixed"),
    "geometry",
)
"""Of a distillation; which of them a student has depends on its task."""


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_training_options(parser)
    parser.add_argument(
        "--teacher",
        nargs="+",
        type=Path,
        required=True,
        metavar="TEACHER",
        help="folders of trained runs, of any recipe; or files of published face networks",
    )
    parser.add_argument(
        "--unlabeled",
        nargs="+",
        default=[],
        metavar="SPEC",
        help="more pictures to imitate the teachers on, without labels: a data set as for --data, or any folder",
    )
    settings = parser.add_argument_group(
        "settings of the distillation", "Defaults: the student's preset, else edge_sdk.export.losses.distillation."
    )
    for name, kind, metavar, text in (
        ("labels", float, "WEIGHT", "of the recipe's own loss"),
        ("relation", float, "WEIGHT", "of the difference between the student's and the teacher's similarities"),
        ("embedding", float, "WEIGHT", "of the distance to the teacher's embeddings"),
        ("views", int, "N", "fixed augmented versions of each picture that the teachers are asked about"),
        ("mixed", float, "SHARE", "mixtures of two pictures in a step, as a share of the pictures"),
        ("unlabeled-batch", int, "N", "unlabeled pictures in a step"),
        ("reconstruction", float, "WEIGHT", "of the distance to the teacher's reconstructions"),
        ("features", float, "WEIGHT", "of the distance between their features in the teacher's discriminator"),
        ("soft", float, "WEIGHT", "of the teacher's probabilities of live and attack"),
        ("temperature", float, "T", "temperature that softens these probabilities"),
        ("geometry", float, "WEIGHT", "of the difference between where both put the rows of a step"),
    ):
        settings.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)


def run(arguments: argparse.Namespace) -> int:
    """Train the student."""
    with export_extra():
        from edge_sdk.export import recipes
        from edge_sdk.export.data.load import load_unlabeled
        from edge_sdk.export.distillation.hook import DistillationHook, distillation_settings
        from edge_sdk.export.distillation.published import PublishedTeacher
        from edge_sdk.export.distillation.teachers import AnyTeacher, Teacher
        from edge_sdk.export.training.progress import ProgressDisplay
    given = {name: getattr(arguments, name) for name in SETTINGS} | {"unlabeled": arguments.unlabeled_batch}
    student = recipes.get(arguments.recipe)
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = distillation_settings(student, student.preset(arguments.preset), chosen)
    teachers: tuple[AnyTeacher, ...] = tuple(
        PublishedTeacher.read(path) if path.is_file() else Teacher.read(path) for path in arguments.teacher
    )
    with ProgressDisplay(quiet=process_rank() > 0) as progress:
        unlabeled = (
            load_unlabeled(*arguments.unlabeled, modality=student.modality, progress=progress.report)
            if arguments.unlabeled
            else None
        )
    return train(arguments, lambda split: DistillationHook(teachers, split, settings, unlabeled))
