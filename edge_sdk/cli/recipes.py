"""``edge-sdk recipes``: the models that can be trained."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, export_extra, print_result

if TYPE_CHECKING:
    from edge_sdk.export.recipes import Recipe

SUMMARY = "List the models that `edge-sdk train` can train."
DETAILS = (
    "For each: task, modality, its scores (its own first, the others for `export --score`), and its presets with their "
    "training steps, input size and number of parameters."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read every recipe and print a few lines of each."""
    with export_extra():
        from edge_sdk.export import recipes
    described = [_described(recipes.get(name)) for name in recipes.names()]
    print_result(arguments, {"recipes": described}, "\n\n".join(map(_text, described)))
    return ACCEPTED


def _described(recipe: Recipe) -> dict[str, Any]:

    presets = [
        {
            "name": name,
            "steps": preset.steps,
            "input": list(preset.input_shape),
            "parameters": _parameters(recipe, name),
            "extra_data": list(preset.extra),
        }
        for name, preset in recipe.presets.items()
    ]
    return {
        "name": recipe.name,
        "task": recipe.task,
        "modality": recipe.modality,
        "scores": list(recipe.choices),
        "presets": presets,
    }


def _parameters(recipe: Recipe, preset: str) -> int:
    """Of the network as it is trained; on torch's meta device, which computes and allocates nothing."""
    import torch

    with torch.device("meta"):
        network = recipe.network(**recipe.presets[preset].network)
    return sum(parameter.numel() for parameter in network.parameters())


def _text(recipe: dict[str, Any]) -> str:
    scores = ", ".join(recipe["scores"])
    lines = [f"{recipe['name']}   {recipe['task']}, {recipe['modality']}, scored by {scores}"]
    for preset in recipe["presets"]:
        size = " x ".join(map(str, preset["input"]))
        extra = f"   also on {', '.join(preset['extra_data'])}" if preset["extra_data"] else ""
        lines.append(
            f"  --preset {preset['name']:<16} {preset['steps']:>7} steps   input {size:<14} "
            f"{preset['parameters'] / 1e6:>8.3f} M parameters{extra}"
        )
    return "\n".join(lines)
