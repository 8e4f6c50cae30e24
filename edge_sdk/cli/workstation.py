"""``train``, ``distill``, ``export`` and ``demo``: what runs on a workstation, with the ``export`` extra."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import MissingToolError, UsageError

if TYPE_CHECKING:
    from edge_sdk.export.data.splits import Split
    from edge_sdk.export.training.hooks import Guide
    from edge_sdk.export.training.progress import Progress

SETTINGS = ("labels", "relation", "embedding", "views", "reconstruction", "features", "soft", "temperature")
"""Of a distillation; which of them a student has depends on its task."""


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register the commands; nothing heavy is imported before one of them runs."""
    train = subparsers.add_parser("train", help="train a recipe, or resume a run that was interrupted")
    _add_run(train)
    train.set_defaults(handler=_train)

    distill = subparsers.add_parser("distill", help="train a recipe to see what trained runs see, or resume")
    _add_run(distill)
    distill.add_argument(
        "--teacher", nargs="+", type=Path, required=True, metavar="RUN", help="folders of trained runs, of any recipe"
    )
    distill.add_argument(
        "--unlabeled", nargs="+", default=[], metavar="SPEC", help="more pictures, as for --data or any folder of them"
    )
    settings = distill.add_argument_group("what counts how much (defaults: edge_sdk.export.distillation.hook.Method)")
    settings.add_argument("--labels", type=float, metavar="WEIGHT", help="of the recipe's own objective")
    settings.add_argument("--relation", type=float, metavar="WEIGHT", help="of the teacher's similarities")
    settings.add_argument("--embedding", type=float, metavar="WEIGHT", help="of the teacher's embeddings")
    settings.add_argument("--views", type=int, metavar="N", help="augmented versions of each picture that are shown")
    settings.add_argument("--unlabeled-batch", type=int, metavar="N", help="unlabeled pictures in a step")
    settings.add_argument("--reconstruction", type=float, metavar="WEIGHT", help="of the teacher's reconstructions")
    settings.add_argument("--features", type=float, metavar="WEIGHT", help="of what its discriminator sees in them")
    settings.add_argument("--soft", type=float, metavar="WEIGHT", help="of the teacher's verdicts on live or attack")
    settings.add_argument("--temperature", type=float, metavar="T", help="that these verdicts are softened by")
    distill.set_defaults(handler=_distill)

    export = subparsers.add_parser(
        "export", help="make a bundle of a trained run: float and int8, thresholds, guardrail"
    )
    export.add_argument(
        "run", nargs="+", type=Path, help="the run's folder; several of liveness recipes make one model of them"
    )
    export.add_argument(
        "--fusion",
        choices=("sum", "lowest"),
        default="sum",
        help="of several runs: the weighted sum of their scores, or their lowest, of experts of different attacks "
        "(%(default)s)",
    )
    export.add_argument("--out", type=Path, required=True, help="folder, or a file ending in .edge")
    export.add_argument(
        "--formats",
        default="onnx",
        metavar="LIST",
        help="of onnx, tflite, tensorrt, or single artifacts such as int8.tflite, separated by commas (%(default)s)",
    )
    export.add_argument("--name", help="the bundle's name; default: the recipe's")
    export.add_argument("--version", default="1.0.0")
    unless_passing = export.add_mutually_exclusive_group()
    unless_passing.add_argument(
        "--leave-out", action="store_true", help="leave out artifacts that do not pass the guardrail, and say so"
    )
    unless_passing.add_argument(
        "--report-only", action="store_true", help="write the bundle even if the guardrail does not pass"
    )
    export.add_argument("--json", action="store_true")
    export.set_defaults(handler=_export)

    demo = subparsers.add_parser("demo", help="the whole path on synthetic signatures, in a few minutes")
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    demo.set_defaults(handler=_demo)


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The arguments of a training run."""
    parser.add_argument("recipe", help="for example deepsign")
    parser.add_argument("--preset", default="best")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="SPEC",
        help="signatures: cedar:PATH, folder:PATH, photo+cedar:PATH, synthetic:48 ...; "
        "faces: nuaa-train:PATH, lfw:PATH, live:PATH, spoof:PATH, print+live:PATH, screen+live:PATH, camera+live:PATH, "
        "crop+print+live:PATH ...",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", type=Path, metavar="FILE", help="people by use (JSON); default: drawn by the seed")
    parser.add_argument("--steps", type=int, help="stop after so many optimiser steps; with --qat: take so many")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="pretrained weights to start from, such as torchvision's mobilenet_v2",
    )
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="RUN", help="with --qat: a finished run to go on from"
    )
    parser.add_argument(
        "--qat", action="store_true", help="train for int8, which is simulated; RUN's split is the default"
    )
    parser.add_argument("--tiny", action="store_true", help="the recipe's miniature, to try things out")
    parser.add_argument("--json", action="store_true")


def _train(arguments: argparse.Namespace) -> int:
    return _run(arguments, lambda _split: None)


def _distill(arguments: argparse.Namespace) -> int:
    try:
        from edge_sdk.export import recipes
        from edge_sdk.export.data.load import load_unlabeled
        from edge_sdk.export.distillation.hook import Teaching, method
        from edge_sdk.export.distillation.teachers import Teacher
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    given = {name: getattr(arguments, name) for name in SETTINGS} | {"unlabeled": arguments.unlabeled_batch}
    student = recipes.get(arguments.recipe)
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = method(student, student.preset(arguments.preset), chosen)
    teachers = tuple(Teacher.read(run) for run in arguments.teacher)
    with _progress() as progress:
        unlabeled = load_unlabeled(*arguments.unlabeled, progress=progress.report) if arguments.unlabeled else None
    return _run(arguments, lambda split: Teaching(teachers, split, settings, unlabeled))


def _run(arguments: argparse.Namespace, guide: Callable[[Split], Guide | None]) -> int:
    """Train, with the guide that fits the people's split."""
    try:
        from edge_sdk.export import recipes
        from edge_sdk.export.data.load import load
        from edge_sdk.export.data.splits import Split
        from edge_sdk.export.qat.run import QuantisationAware
        from edge_sdk.export.training import loop
        from edge_sdk.export.training.run import Run
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    source, steps = arguments.source, arguments.steps
    if (source is None) == arguments.qat:
        raise UsageError("--from RUN and --qat go together: a finished run is continued with int8 simulated")
    with _progress() as progress:
        data = load(*arguments.data, progress=progress.report)
    split = Split.read(arguments.split) if arguments.split else None
    qat = QuantisationAware.read(source, split, **({} if steps is None else {"steps": steps})) if source else None
    split = qat.split if qat else split or Split.draw(data, arguments.seed)
    data = data.select(split.everybody)  # now, for the export would miss them only after the training
    outcome = loop.train(
        Run(
            recipe=recipes.get(arguments.recipe),
            preset_name=arguments.preset,
            folder=arguments.out,
            data=tuple(arguments.data),
            train=data.select(split.train),
            validation=data.select(split.validation),
            seed=arguments.seed,
            steps=steps,
            tiny=arguments.tiny,
            guide=guide(split),
            weights=arguments.weights,
            qat=qat,
        )
    )
    if _rank() > 0:
        return 0
    split.write(arguments.out / "split.json")
    if arguments.json:
        facts = {"steps": outcome.steps, **outcome.measured, "seconds": outcome.seconds}
        print(json.dumps({"run": str(arguments.out), **facts}))
    else:
        found = loop.told(outcome.measured)[0]
        print(f"{outcome.steps} steps in {outcome.seconds / 60:.1f} minutes; validation {found}")
        print(f"next: edge-sdk export {arguments.out} --out {arguments.recipe}.edge")
    return 0


def _progress() -> Progress:
    """Of what precedes a training."""
    from edge_sdk.export.training.progress import Progress

    return Progress(quiet=_rank() > 0)


def _rank() -> int:
    """Which of ``torchrun``'s processes this is; the first speaks for all."""
    return int(os.environ.get("RANK", "0"))


def _export(arguments: argparse.Namespace) -> int:
    try:
        from edge_sdk.export.packaging.build import export
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    bundle = export(
        arguments.run,
        arguments.out,
        formats=arguments.formats.split(","),
        name=arguments.name,
        version=arguments.version,
        enforce=not arguments.report_only,
        leave_out=arguments.leave_out,
        rule=arguments.fusion,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if arguments.json:
        print(json.dumps({"bundle": str(bundle.path), "id": bundle.id}))
    else:
        print(f"{bundle.id} in {bundle.path}")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from edge_sdk.export.demo import demo
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    demo(arguments.out, lambda line: print(line, flush=True))
    return 0
