"""``edge-sdk search``: a small random search of a recipe's hyper-parameters."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import export_extra, print_result, report_progress
from edge_sdk.cli.train import add_run_options, add_split
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.export.training.search import ValueRange

SUMMARY = "Try a recipe with hyper-parameters that are drawn at random, and list the trials."
DETAILS = (
    "Reads the data sets, trains the preset as it is and every draw, each into a run of its own below DIR, and writes "
    "search.json there. Trials are compared on the validation people alone. A search that was interrupted, or that is "
    "asked for more trials, trains only what is missing."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_run_options(parser)
    add_split(parser)
    parser.add_argument("--trials", type=int, default=8, metavar="N", help="draws to train; default: 8")
    ranges = parser.add_argument_group("what is drawn", "Give one at least; the rest stays as in the preset.")
    ranges.add_argument(
        "--optimizer",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "LOW", "HIGH"),
        help="an optimiser, and the learning rates to draw on a logarithmic scale; one of several is drawn first",
    )
    for name, text in (
        ("weight-decay", "the optimiser's weight decay, on a logarithmic scale"),
        ("penalty", "the coefficients of the preset's L2 penalty, on a logarithmic scale"),
        ("dropout", "the network's dropout, evenly"),
    ):
        ranges.add_argument(f"--{name}", nargs=2, type=float, metavar=("LOW", "HIGH"), help=text)


def run(arguments: argparse.Namespace) -> int:
    """Train the trials and print their table."""
    with export_extra():
        from edge_sdk import files
        from edge_sdk.export import recipes
        from edge_sdk.export.data.load import load
        from edge_sdk.export.data.splits import Split
        from edge_sdk.export.training.run import TrainingRun
        from edge_sdk.export.training.search import SearchSpace, ValueRange, search, table
    space = SearchSpace(
        learning_rates={name: ValueRange(_number(low), _number(high)) for name, low, high in arguments.optimizer},
        weight_decay=_range(arguments.weight_decay),
        penalty=_range(arguments.penalty),
        dropout=_range(arguments.dropout, logarithmic=False),
    )
    recipe = recipes.get(arguments.recipe)
    recipe.preset(arguments.preset)
    data = load(*arguments.data)
    split = Split.read(arguments.split) if arguments.split else Split.draw(data, arguments.seed)
    data = data.select(split.everybody)
    shared = TrainingRun(
        recipe=recipe,
        preset_name=arguments.preset,
        folder=arguments.out,
        data=tuple(arguments.data),
        train=data.select(split.train),
        validation=data.select(split.validation),
        seed=arguments.seed,
        steps=arguments.steps,
        tiny=arguments.tiny,
        weights=arguments.weights,
    )
    trials = search(shared, space, arguments.trials, say=report_progress)
    for trial in trials:
        split.write(trial.folder / "split.json")
    path, best = arguments.out / "search.json", trials[0]
    values = {"recipe": recipe.name, "preset": arguments.preset, "trials": [trial.as_dict() for trial in trials]}
    files.write_text(path, json.dumps(values, indent=1) + "\n")
    again = f"edge-sdk train {recipe.name} --preset {arguments.preset} {best.drawn.options}".rstrip()
    print_result(arguments, values, f"{table(trials).plain()}\n\nwritten: {path}\nthe best at another length: {again}")
    return ACCEPTED


def _range(ends: Sequence[float] | None, *, logarithmic: bool = True) -> ValueRange | None:
    from edge_sdk.export.training.search import ValueRange

    if ends is None:
        return None
    low, high = ends
    return ValueRange(low, high, logarithmic)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--optimizer takes a name and two learning rates, not {text}") from None
