"""``edge-sdk reproduce``: a table of the DeepSign paper, or one of our own, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_data, add_json, add_seed, export_extra, print_result, report_progress

SUMMARY = "Train and test what a table of the DeepSign paper needs, and print it beside the paper's."
DETAILS = (
    "Reads the data sets, writes trainings and the table into a folder. Finished trainings are not repeated, "
    "interrupted ones are resumed."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="deepsign-table4 (sizes, needs no data), deepsign-table6, deepsign-table7, leave-one-out or "
        "cross-validation",
    )
    add_data(parser, required=False)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for trainings and tables")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="recipes; default: deepsign, mobilenetv2 and signet"
    )
    parser.add_argument("--presets", nargs="+", metavar="NAME", help="default: best; paper for deepsign-table4")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of each training; default: the table's")
    add_seed(parser, "splits and trainings")
    parser.add_argument("--folds", type=int, default=2, metavar="N", help="folds of cross-validation; default: 2")
    parser.add_argument(
        "--cohort",
        type=int,
        metavar="K",
        help="normalise each score by the K nearest signatures of training people; default: scores as they are",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="pretrained weights, for recipes that take such")
    parser.add_argument("--tiny", action="store_true", help="train the recipes' small test versions, to try things out")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the table."""
    with export_extra():
        from edge_sdk.export import recipes
        from edge_sdk.export.reproduction import protocols, tables
        from edge_sdk.export.reproduction.reproduce import ReproductionRequest, reproduce
        from edge_sdk.export.reproduction.sizes import sizes
    models = arguments.models or [name for name in protocols.PAPER_MODELS if name in recipes.names()]
    if arguments.table == protocols.SIZE_TABLE:
        table = tables.size_table(sizes(models, arguments.presets or ["paper"], tiny=arguments.tiny))
    else:
        protocol = protocols.get(arguments.table)
        request = ReproductionRequest(
            data=tuple(arguments.data),
            out=arguments.out,
            models=tuple(models),
            presets=tuple(arguments.presets or ["best"]),
            steps=arguments.steps,
            seed=arguments.seed,
            folds=arguments.folds,
            cohort=arguments.cohort,
            weights=arguments.weights,
            tiny=arguments.tiny,
        )
        rows = reproduce(protocol, request, report_progress)
        table = tables.accuracy_table(protocol, request, rows)
    paths = table.write(arguments.out)
    values = {**table.as_dict(), "files": [str(path) for path in paths]}
    print_result(arguments, values, table.markdown() + "\nwritten: " + ", ".join(map(str, paths)))
    return ACCEPTED
