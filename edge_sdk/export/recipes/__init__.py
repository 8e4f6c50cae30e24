"""What a model is: its network, pre-processing, objective and training settings, in one frozen record.

A recipe lives in ``edge_sdk/export/recipes/NAME.py`` as ``RECIPE`` and is found by its module's name. The training
loop, the exporter and the CLI know no model by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.data.augmentation import Augmentation
from edge_sdk.export.data.faces.filters import Filter
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.losses.metric import Objective
from edge_sdk.export.losses.one_class import OneClass
from edge_sdk.export.networks.autoencoder import Autoencoder, InferenceModel
from edge_sdk.export.networks.classifier import BinaryClassifier
from edge_sdk.manifest import AnyScore, Precision
from edge_sdk.preprocess import Fit, Operation, Resize
from edge_sdk.preprocess.crop import FaceCrop


@dataclass(frozen=True)
class Preset:
    """How to train a recipe.

    Attributes:
        objective: Of embeddings; :class:`~edge_sdk.export.losses.one_class.OneClass` for a network of live images; or
            :class:`~edge_sdk.export.losses.classification.AttackClassification`.
        extra: Data sets that are trained on beside the user's, such as ``synthetic:60``: further people where people
            are few. Nothing is measured on them.
        filter: What is left out of all that is trained on, and of nothing that is measured on.
        optimizer: ``rmsprop`` keeps 0.9 of its mean square a step, as Keras does.
        betas: Adam's and AdamW's decays of the mean gradient and its square; ``None`` is torch's 0.9 and 0.999.
        weight_decay: The optimiser's own, on all parameters.
        penalty: L2 in the loss, by parameter; see :func:`edge_sdk.export.losses.metric.l2`.
        schedule: ``constant`` learning rate; ``one_cycle``: linear warm-up over the first tenth of the steps, then a
            cosine to a hundredth of the rate; or ``decay``: constant for half of the steps, then linear to 0.
        average: Decay per step of the exponential moving average of the weights; 0 takes the weights as they are.
        keep: The weights for export: those of the ``best`` validation (its AUROC, or the live images' mean score where
            there is no attack), or the ``last``, which is less a matter of
            luck where the validation people are few and the schedule ends at a rate near 0.
        validate_every: Steps between two validations.
        patience: Validations without improvement before training stops; ``None`` never.
        precision: ``auto`` is bfloat16 where the processor computes it natively, else float32.
    """

    preprocessing: tuple[Operation, ...]
    objective: Objective | OneClass | AttackClassification
    steps: int
    learning_rate: float
    network: Mapping[str, float] = field(default_factory=dict)
    augmentation: Augmentation | None = None
    extra: tuple[str, ...] = ()
    filter: Filter | None = None
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adamw"
    betas: tuple[float, float] | None = None
    weight_decay: float = 0.0
    penalty: Mapping[str, float] = field(default_factory=dict)
    schedule: Literal["constant", "one_cycle", "decay"] = "constant"
    average: float = 0.0
    keep: Literal["best", "last"] = "best"
    validate_every: int = 200
    patience: int | None = None
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0:
            raise UsageError(
                f"a preset needs steps and a positive learning rate, not {self.steps}, {self.learning_rate}"
            )
        if self.betas is not None and self.optimizer == "rmsprop":
            raise UsageError("betas are Adam's; rmsprop has none")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """``(1, height, width)`` of what the pre-processing ends with."""
        frames = [step for step in self.preprocessing if isinstance(step, Fit | Resize)]
        if not frames:
            raise UsageError("the pre-processing does not end with a frame of fixed size")
        return 1, frames[-1].height, frames[-1].width


PARITY: Mapping[Precision, float] = {"fp32": 1e-5, "int8": 0.02, "int8-io": 0.02, "int8-sym": 0.02}
"""Cosine distance to the network; a recipe may allow up to five times as much."""


@dataclass(frozen=True)
class Recipe:
    """One model.

    Attributes:
        network: Builds the network from a preset's ``network`` options; maps ``(N, 1, H, W)`` in [0, 1] to unit
            embeddings ``(N, D)``, or is an :class:`~edge_sdk.export.networks.autoencoder.Autoencoder` or a
            :class:`~edge_sdk.export.networks.classifier.BinaryClassifier`.
        tiny: The same topology with a few thousand parameters, for tests.
        embedding_size: D; 0 where there are no embeddings.
        budget: Largest rise of the EER that int8 may cost, as a share (0.005 is half a percentage point).
        attack_budget: The same of the BPCER at an APCER of 5 %, which takes its place where there are attacks enough.
        face: How a face is cut out of a frame so that it looks like those trained on; None takes the detector's
            :data:`~edge_sdk.runtime.detector.CROP`.
        parity: Largest cosine distance to the network that an exported artifact may show, by artifact (``int8.onnx``)
            where it differs from :data:`PARITY`, with the reason beside it.
    """

    name: str
    modality: Literal["signature", "face", "gait"]
    network: Callable[..., nn.Module]
    tiny: Callable[..., nn.Module]
    score: AnyScore
    presets: Mapping[str, Preset]
    embedding_size: int = 0
    budget: float = 0.005
    attack_budget: float = 0.01
    face: FaceCrop | None = None
    parity: Mapping[str, float] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the network's outputs that a device computes."""
        return self.score.outputs

    def inference_model(self, network: nn.Module) -> nn.Module:
        """The layers of ``network`` that the score needs, from the image to :attr:`outputs`."""
        if isinstance(network, Autoencoder):
            return InferenceModel(network, self.outputs)
        return network.on_device() if isinstance(network, BinaryClassifier) else network

    def preset(self, name: str) -> Preset:
        """Raises UsageError for an unknown preset."""
        if name not in self.presets:
            raise UsageError(f'{self.name} has no preset "{name}"; choose from {", ".join(self.presets)}')
        return self.presets[name]


def names() -> tuple[str, ...]:
    """The recipes there are."""
    from edge_sdk.export import recipes

    return tuple(sorted(module.name for module in pkgutil.iter_modules(recipes.__path__)))


def get(name: str) -> Recipe:
    """Find a recipe by name. Raises UsageError if there is none."""
    if name not in names():
        raise UsageError(f'no recipe "{name}"; choose from {", ".join(names())}')
    recipe = importlib.import_module(f"edge_sdk.export.recipes.{name}").RECIPE
    assert isinstance(recipe, Recipe)
    return recipe
