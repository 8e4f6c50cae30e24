"""``edge-sdk train``: weights of a recipe."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_data, add_json, add_same_people, add_seed, export_extra, print_result
from edge_sdk.errors import UsageError

if TYPE_CHECKING:
    from edge_sdk.export.data.splits import Split
    from edge_sdk.export.training.hooks import TrainingHook

SUMMARY = "Train a recipe on data sets, or resume an interrupted run."
DETAILS = (
    "Reads pictures of the data sets and writes a run: a folder with the weights, the settings and the split of "
    "people. `edge-sdk export` makes a bundle of it. A run that was interrupted is resumed by the same command."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_training_options(parser)


def add_training_options(parser: Parser) -> None:
    """What :func:`train` takes."""
    add_run_options(parser)
    people = parser.add_mutually_exclusive_group()
    add_split(people)
    people.add_argument(
        "--fold",
        type=_fold,
        metavar="K/N",
        help="leave out part K of N of all people, who become the run's test people (see `export --folds`)",
    )
    parser.add_argument(
        "--published-folds",
        nargs="+",
        default=[],
        metavar="SPEC",
        help="with --fold: keep the folds of these published lists of pairs whole, such as cfp-ff:PATH, and deal them "
        "to the N parts in order; people in none of them train",
    )
    add_same_people(parser, "with --fold: ")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="RUN", help="with --qat: the finished run to continue"
    )
    parser.add_argument(
        "--qat",
        action="store_true",
        help="quantisation-aware training: continue RUN with int8 simulated; its split is the default",
    )
    changed = parser.add_argument_group("hyper-parameters in place of the preset's")
    for name, kind, metavar, text in (
        ("optimizer", str, "NAME", "adam, adamw, rmsprop, sgd (momentum 0.9) or nesterov"),
        ("learning-rate", float, "RATE", "the schedule's highest"),
        ("weight-decay", float, "SHARE", "the optimiser's own, on all parameters"),
        ("penalty", float, "COEFFICIENT", "every coefficient of the preset's L2 penalty"),
        ("dropout", float, "SHARE", "the network's rate of dropout, where it has one"),
    ):
        changed.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)


def add_run_options(parser: Parser) -> None:
    """What any training needs to know, and a search of several."""
    parser.add_argument("recipe", help="the model to train (see `edge-sdk recipes`), for example deepsign")
    parser.add_argument("--preset", default="best", help="training settings of the recipe; default: best")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    add_seed(parser, "the split, the weights and the order of pictures")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="length of the training in optimiser steps instead of the preset's; its schedule ends with it. "
        "With --qat: steps with int8 simulated",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="pretrained weights to start from, such as torchvision's mobilenet_v2",
    )
    parser.add_argument("--tiny", action="store_true", help="train the recipe's small test version, to try things out")
    add_json(parser)


def add_split(parser: argparse._ActionsContainer) -> None:
    """``--split FILE``."""
    parser.add_argument(
        "--split",
        type=Path,
        metavar="FILE",
        help="JSON file with the people of each role (train, validation, thresholds, guardrail, test); "
        "default: drawn by the seed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    return train(arguments, lambda _split: None)


def train(arguments: argparse.Namespace, hook: Callable[[Split], TrainingHook | None]) -> int:
    """Train, with what else is to be learned for a split of people, or None, and print where the run is."""
    with export_extra():
        from edge_sdk.export import recipes
        from edge_sdk.export.data.load import load
        from edge_sdk.export.data.pair_lists import load_pairs
        from edge_sdk.export.data.same_people import SamePeople
        from edge_sdk.export.data.splits import DIFFERENT_PEOPLE, Split
        from edge_sdk.export.losses.task import format_metrics
        from edge_sdk.export.qat.run import QuantisationAware
        from edge_sdk.export.training.hyperparameters import Hyperparameters
        from edge_sdk.export.training.loop import train as train_run
        from edge_sdk.export.training.progress import ProgressDisplay
        from edge_sdk.export.training.run import TrainingRun
    source, steps = arguments.source, arguments.steps
    if (source is None) == arguments.qat:
        raise UsageError("--from RUN and --qat go together: a finished run is continued with int8 simulated")
    if not arguments.fold and (arguments.published_folds or arguments.same_people):
        raise UsageError("--published-folds and --same-people say how --fold K/N deals people, which is missing")
    given = {name: getattr(arguments, name) for name in Hyperparameters.__struct_fields__}
    hyperparameters = Hyperparameters.of(given)
    recipe = recipes.get(arguments.recipe)
    recipe.preset(arguments.preset)  # a wrong name is known before data sets are drawn
    with ProgressDisplay(quiet=process_rank() > 0) as progress:
        data = load(*arguments.data, progress=progress.report)
    split = Split.read(arguments.split) if arguments.split else None
    if arguments.fold:
        number, count = arguments.fold
        same = SamePeople.read(arguments.same_people) if arguments.same_people else DIFFERENT_PEOPLE
        if arguments.published_folds:
            published = [load_pairs(spec) for spec in arguments.published_folds]
            split = Split.draw_published_fold(data, number, count, arguments.seed, published, same=same)
        else:
            split = Split.draw_fold(data, number, count, arguments.seed, same=same)
    qat = QuantisationAware.read(source, split, **({} if steps is None else {"steps": steps})) if source else None
    split = qat.split if qat else split or Split.draw(data, arguments.seed)
    data = data.select(split.everybody)  # now, for the export would miss them only after the training
    result = train_run(
        TrainingRun(
            recipe=recipe,
            preset_name=arguments.preset,
            folder=arguments.out,
            data=tuple(arguments.data),
            train=data.select(split.train),
            validation=data.select(split.validation),
            seed=arguments.seed,
            steps=steps,
            tiny=arguments.tiny,
            hook=hook(split),
            weights=arguments.weights,
            continued=qat,
            hyperparameters=hyperparameters,
        )
    )
    if process_rank() > 0:
        return ACCEPTED
    split.write(arguments.out / "split.json")
    values = {"run": str(arguments.out), "steps": result.steps, **result.metrics.as_dict(), "seconds": result.seconds}
    found = format_metrics(result.metrics)[0]
    lines = (
        f"{result.steps} steps in {result.seconds / 60:.1f} minutes; validation {found}",
        f"next: edge-sdk export {arguments.out} --out {arguments.recipe}.edge",
    )
    print_result(arguments, values, "\n".join(lines))
    return ACCEPTED


def _fold(text: str) -> tuple[int, int]:
    """``1/2`` as numbers."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected K/N such as 1/2, not {text}")
    return int(number), int(count)


def process_rank() -> int:
    """Which of ``torchrun``'s processes this is; the first one prints for all."""
    return int(os.environ.get("RANK", "0"))
