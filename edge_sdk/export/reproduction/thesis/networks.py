"""Networks of the anti-spoofing thesis' trainings, and what they make of pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk import preprocess
from edge_sdk.calibration.metrics.verification import Floats
from edge_sdk.export import recipes
from edge_sdk.export.data import cache
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.formats.float_onnx import INPUT
from edge_sdk.export.networks.autoencoder import LATENT, Autoencoder
from edge_sdk.export.networks.memory_format import batch, channels_last
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.reproduction.thesis.experiments import Experiment, Say, ThesisPictures, ThesisRequest, evenly
from edge_sdk.export.training import checkpoint, loop
from edge_sdk.export.training.run import TrainingRun

WATCHED = 64
"""Pictures of new people that a training prints a score of. They decide nothing."""
CHECKPOINT_STEPS = 100
_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class ThesisNetwork:
    """A trained network with its settings, in evaluation mode.

    Attributes:
        weights: Their file.
    """

    recipe: Recipe
    preset: Preset
    network: Autoencoder
    weights: Path

    @torch.no_grad()
    def outputs(self, samples: Sequence[Sample], names: Sequence[str]) -> Iterator[dict[str, NDArray[np.float32]]]:
        """The input and the outputs of these names, ``(B, ...)`` each, of some samples after the other."""
        rows = cache.prepared(samples, self.preset.preprocessing)
        for start in range(0, len(rows), _AT_ONCE):
            images = batch(np.asarray(rows[start : start + _AT_ONCE]), torch.device("cpu"))
            made = (images, *self.network.outputs(images, names))
            yield {name: tensor.numpy() for name, tensor in zip((INPUT, *names), made, strict=True)}


@dataclass(frozen=True, eq=False)
class MeasuredPictures:
    """What a network makes of the tested pictures.

    Attributes:
        losses: Minus the recipe's scores of these names, ``(N,)`` each.
        latents: ``(N, D)``.
    """

    losses: Mapping[str, Floats]
    latents: Floats


def train(
    experiment: Experiment,
    pictures: ThesisPictures,
    request: ThesisRequest,
    say: Say,
    *,
    name: str = "",
    change: Callable[[Preset], Preset] = lambda preset: preset,
) -> ThesisNetwork:
    """Train a network, or go on with it, unless that is done.

    Args:
        name: Of the training where it is not the experiment itself, but with its settings changed.
        change: Of these settings.

    Raises:
        TrainingError: ``out`` holds another training of this name.
    """
    printed = experiment.settings
    steps = request.steps or experiment.steps
    preset = change(
        replace(
            printed,
            steps=steps,
            learning_rate=printed.learning_rate / request.width,
            network={"width": request.width},
            keep="last",
            patience=None,
            validate_every=min(steps, CHECKPOINT_STEPS),
        )
    )
    label = name or experiment.name
    say(f"{label}: training on {len(pictures.learned.samples)} pictures of {len(pictures.learned.subjects)} people")
    new_live = [sample for sample, new in zip(pictures.tested, pictures.new, strict=True) if new and sample.genuine]
    run = TrainingRun(
        recipe=replace(recipes.get(experiment.recipe), presets={experiment.preset: preset}),
        preset_name=experiment.preset,
        folder=request.out / "runs" / f"thesis-{label}-{steps}",
        train=pictures.learned,
        validation=Dataset("watched", tuple(evenly(new_live, WATCHED))),
        data=tuple(sorted(request.data)),
        seed=request.seed,
        tiny=request.tiny,
    )
    result = loop.train(run)
    network = run.network()
    checkpoint.load_network(result.checkpoint, network)
    assert isinstance(network, Autoencoder), "the experiments' recipes are of no other"
    return ThesisNetwork(run.recipe, preset, channels_last(network.eval()), result.checkpoint)


def measure(trained: ThesisNetwork, pictures: ThesisPictures, scores: Sequence[str], out: Path) -> MeasuredPictures:
    """Losses and latents of the tested pictures; kept in ``out``, and measured once for the same weights and pictures.

    Args:
        scores: Names of the recipe's.
    """
    structs = {name: trained.recipe.named_score(name) for name in scores}
    facts = [cache.key(pictures.tested, preprocess.digest(trained.preset.preprocessing)), *map(str, structs.values())]
    key = hashlib.sha256(trained.weights.read_bytes() + "".join(facts).encode()).hexdigest()
    path = out / "measured" / f"{trained.weights.parent.name}-{key[:16]}.npy"
    found = cache.stored(path)
    if found is None or found.shape[0] != len(pictures.tested):
        names = tuple(dict.fromkeys([LATENT, *(output for score in structs.values() for output in score.outputs)]))
        parts = [
            np.column_stack([*(-score.score(tensors) for score in structs.values()), tensors[LATENT]])
            for tensors in trained.outputs(pictures.tested, names)
        ]
        found = np.concatenate(parts).astype(np.float64)
        cache.store(path, found)
    columns = np.asarray(found)
    count = len(structs)
    return MeasuredPictures(dict(zip(structs, columns[:, :count].T, strict=True)), columns[:, count:])
