"""``edge-sdk reproduce``: a table of the DeepSign paper, or one of our own, in one command."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge_sdk.errors import MissingToolError


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register the command; nothing heavy is imported before it runs."""
    parser = subparsers.add_parser(
        "reproduce",
        help="train and test what a table needs, and print it beside the paper's",
        description="Finished trainings are not repeated, interrupted ones are resumed.",
    )
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="deepsign-table4 (sizes), deepsign-table6, deepsign-table7, leave-one-out, cross-validation",
    )
    parser.add_argument(
        "--data", nargs="+", default=[], metavar="SPEC", help="cedar:PATH, sigcomp2011:PATH, bhsig260:PATH ..."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for trainings and tables")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help="recipes; default: deepsign, mobilenetv2 and signet, if there"
    )
    parser.add_argument("--presets", nargs="+", metavar="NAME", help="default: best; paper for deepsign-table4")
    parser.add_argument("--steps", type=int, metavar="N", help="of each training; default: the table's")
    parser.add_argument("--seed", type=int, default=0, help="of splits and trainings (%(default)s)")
    parser.add_argument("--folds", type=int, default=2, metavar="N", help="of cross-validation (%(default)s)")
    parser.add_argument(
        "--cohort", type=int, metavar="K", help="normalise scores by the K nearest signatures of training people"
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="pretrained weights, for recipes that take such")
    parser.add_argument("--tiny", action="store_true", help="the recipes' miniatures, to try things out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_reproduce)


def _reproduce(arguments: argparse.Namespace) -> int:
    try:
        from edge_sdk.export import recipes
        from edge_sdk.export.reproduction import protocols, tables
        from edge_sdk.export.reproduction.reproduce import Request, reproduce
        from edge_sdk.export.reproduction.sizes import sizes
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    models = arguments.models or [name for name in protocols.PAPER_MODELS if name in recipes.names()]
    if arguments.table == protocols.SIZE_TABLE:
        table = tables.size_table(sizes(models, arguments.presets or ["paper"], tiny=arguments.tiny))
    else:
        protocol = protocols.get(arguments.table)
        request = Request(
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
        rows = reproduce(protocol, request, lambda line: print(line, file=sys.stderr, flush=True))
        table = tables.accuracy_table(protocol, request, rows)
    paths = table.write(arguments.out)
    if arguments.json:
        print(json.dumps({**table.as_dict(), "files": [str(path) for path in paths]}, allow_nan=False))
    else:
        print(table.markdown())
        print("written: " + ", ".join(map(str, paths)))
    return 0
