"""``train``, ``export`` and ``demo``: what runs on a workstation, with the ``export`` extra."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from edge_sdk.errors import MissingToolError


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register the commands; nothing heavy is imported before one of them runs."""
    train = subparsers.add_parser("train", help="train a recipe, or resume a run that was interrupted")
    train.add_argument("recipe", help="for example deepsign")
    train.add_argument("--preset", default="best")
    train.add_argument(
        "--data", nargs="+", required=True, metavar="SPEC", help="cedar:PATH, folder:PATH, synthetic:48 ..."
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--split", type=Path, metavar="FILE", help="people by use (JSON); default: drawn by the seed")
    train.add_argument("--steps", type=int, help="stop after so many optimiser steps")
    train.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="pretrained weights to start from, such as torchvision's mobilenet_v2",
    )
    train.add_argument("--tiny", action="store_true", help="the recipe's miniature, to try things out")
    train.add_argument("--json", action="store_true")
    train.set_defaults(handler=_train)

    export = subparsers.add_parser(
        "export", help="make a bundle of a trained run: float and int8, thresholds, guardrail"
    )
    export.add_argument("run", type=Path, help="the run's folder")
    export.add_argument("--out", type=Path, required=True, help="folder, or a file ending in .edge")
    export.add_argument(
        "--formats",
        default="onnx",
        metavar="LIST",
        help="of onnx, tflite, tensorrt, or single artifacts such as int8.tflite, separated by commas (%(default)s)",
    )
    export.add_argument("--name", help="the bundle's name; default: the recipe's")
    export.add_argument("--version", default="1.0.0")
    export.add_argument(
        "--report-only", action="store_true", help="write the bundle even if the guardrail does not pass"
    )
    export.add_argument("--json", action="store_true")
    export.set_defaults(handler=_export)

    demo = subparsers.add_parser("demo", help="the whole path on synthetic signatures, in a few minutes")
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR")
    demo.set_defaults(handler=_demo)


def _train(arguments: argparse.Namespace) -> int:
    try:
        from edge_sdk.export import recipe, training
        from edge_sdk.export.datasets import load
        from edge_sdk.export.splits import Split
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    data = load(*arguments.data)
    split = Split.read(arguments.split) if arguments.split else Split.draw(data, arguments.seed)
    outcome = training.train(
        training.Run(
            recipe=recipe.get(arguments.recipe),
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
    )
    if int(os.environ.get("RANK", "0")) > 0:  # torchrun's other processes
        return 0
    split.write(arguments.out / "split.json")
    if arguments.json:
        facts = {"steps": outcome.steps, "auroc": outcome.auroc, "eer": outcome.eer, "seconds": outcome.seconds}
        print(json.dumps({"run": str(arguments.out), **facts}))
    else:
        print(f"{outcome.steps} steps in {outcome.seconds / 60:.1f} minutes; validation AUROC {outcome.auroc:.4f}")
        print(f"next: edge-sdk export {arguments.out} --out {arguments.recipe}.edge")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    try:
        from edge_sdk.export.exporting import export
    except ImportError as error:
        raise MissingToolError(error.name or "a package", "export") from error
    bundle = export(
        arguments.run,
        arguments.out,
        formats=arguments.formats.split(","),
        name=arguments.name,
        version=arguments.version,
        enforce=not arguments.report_only,
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
