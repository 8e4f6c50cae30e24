"""What a model is: its network, pre-processing, objective and training settings, in one frozen record.

A recipe lives in ``edge_sdk/export/recipes/NAME.py`` as ``RECIPE`` and is found by its module's name. The training
loop, the exporter and the CLI know no model by name.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import nn

from edge_sdk import modalities
from edge_sdk.errors import UsageError
from edge_sdk.export.data.augmentation import Augmentation, sample_kind
from edge_sdk.export.data.batch_augmentation import BatchAugmentation
from edge_sdk.export.data.faces.filters import Filter
from edge_sdk.export.data.gait.derived import DerivedWalkers
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.losses.task import Objective, TrainingTask
from edge_sdk.export.networks.likelihood import LikelihoodSettings
from edge_sdk.export.networks.network import Network
from edge_sdk.manifest import EmbeddingDistance, PersonModel, Precision, Source
from edge_sdk.preprocess import Operation, input_shape
from edge_sdk.preprocess.align import FaceCut
from edge_sdk.scoring.base import Role, Score, Task


@dataclass(frozen=True)
class Preset:
    """How to train a recipe.

    Attributes:
        objective: What is minimised; it makes the run's task and says how a student is distilled.
        augmentation: How samples are changed, one by one.
        views: How pictures are changed in batches on the device that trains, instead.
        extra: Data sets that are trained on beside the user's, such as ``synthetic:60``: further people where people
            are few. Nothing is measured on them.
        filter: What is left out of all that is trained on, and of nothing that is measured on.
        derived: Makes further people, to tell apart in training, of the rows of those who are learned from.
        optimizer: ``rmsprop`` keeps 0.9 of its mean square a step, as Keras does; ``sgd`` has a momentum of 0.9, and
            ``nesterov`` is the same with Nesterov's look ahead.
        betas: Adam's and AdamW's decays of the mean gradient and its square; ``None`` is torch's 0.9 and 0.999.
        weight_decay: The optimiser's own, on all parameters.
        penalty: L2 in the loss, by parameter; see :func:`edge_sdk.export.losses.metric.l2`.
        schedule: ``constant`` learning rate; ``one_cycle``: linear warm-up over the first tenth of the steps, then a
            cosine to a hundredth of the rate; ``decay``: constant for half of the steps, then linear to 0; or
            ``warm_restarts``: a cosine to 0 in each period ("SGDR", Loshchilov and Hutter, 2017, equation 5).
        period: Steps of the first period of ``warm_restarts``.
        period_growth: By which each of its periods is longer than the one before.
        decay: Keras' ``decay`` d: beside the schedule, the rate of step t, counted from 0, is divided by 1 + d t.
        average: Decay per step of the exponential moving average of the weights; 0 takes the weights as they are.
        keep: The weights for export: those of the ``best`` validation (its AUROC, or the live images' mean score where
            there is no attack), or the ``last``, which is less a matter of
            luck where the validation people are few and the schedule ends at a rate near 0.
        validate_every: Steps between two validations.
        patience: Validations without improvement before training stops; ``None`` never.
        project: After the last step, replace the last layer by principal components of what it is given for all samples
            that are trained on (:meth:`edge_sdk.export.networks.network.Network.project`). Not that of a student, which
            learns its teachers' embeddings.
        precision: ``auto`` is bfloat16 where the processor computes it natively, else float32.
    """

    preprocessing: tuple[Operation, ...]
    objective: Objective
    steps: int
    learning_rate: float
    network: Mapping[str, float | str] = field(default_factory=dict)
    augmentation: Augmentation | None = None
    views: BatchAugmentation | None = None
    extra: tuple[str, ...] = ()
    filter: Filter | None = None
    derived: DerivedWalkers | None = None
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "nesterov"] = "adamw"
    betas: tuple[float, float] | None = None
    weight_decay: float = 0.0
    penalty: Mapping[str, float] = field(default_factory=dict)
    schedule: Literal["constant", "one_cycle", "decay", "warm_restarts"] = "constant"
    period: int = 0
    period_growth: int = 1
    decay: float = 0.0
    average: float = 0.0
    keep: Literal["best", "last"] = "best"
    validate_every: int = 200
    patience: int | None = None
    project: bool = False
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0:
            raise UsageError(
                f"a preset needs steps and a positive learning rate, not {self.steps}, {self.learning_rate}"
            )
        if self.betas is not None and self.optimizer not in ("adam", "adamw"):
            raise UsageError(f"betas are Adam's; {self.optimizer} has none")
        if self.project and (self.keep != "last" or self.patience is not None):
            raise UsageError("a last layer is replaced after the last step: keep the last weights, without patience")
        if not 0 <= self.decay < math.inf:
            raise UsageError(f"a rate decays by at least 0 a step, not by {self.decay}")
        restarts = self.schedule == "warm_restarts"
        if (self.period < 1 or self.period_growth < 1) if restarts else (self.period, self.period_growth) != (0, 1):
            raise UsageError(
                "warm restarts, and no other schedule, have a period of at least one step, which grows by a whole "
                f"factor; not {self.schedule}, {self.period}, {self.period_growth}"
            )
        kind = sample_kind(self.input_shape)
        if self.views is not None and (self.augmentation is not None or kind == "recordings"):
            raise UsageError("pictures are changed one by one or in batches, not both; recordings only one by one")
        if self.augmentation is not None and kind not in self.augmentation.kinds:
            raise UsageError(
                f"{type(self.augmentation).__name__} changes {' and '.join(self.augmentation.kinds)}, and this "
                f"pre-processing gives {kind}: leave the augmentation out, or take another"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(C, H, W)`` or ``(T, C)`` of what the pre-processing ends with."""
        return input_shape(self.preprocessing)


EMBEDDING_SCORES: Mapping[str, Score] = {
    "person_model": PersonModel(output="embedding", background="background.bin"),
    "embedding_distance": EmbeddingDistance(output="embedding", metric="euclidean", references="mean_score"),
}
"""How embeddings of signatures are compared, by the name in ``edge-sdk export --score``, the first by default."""

PARITY: Mapping[Precision, float] = {"fp32": 1e-5, "int8": 0.02, "int8-io": 0.02, "int8-sym": 0.02}
"""Cosine distance to the network; a recipe may allow up to five times as much."""


@dataclass(frozen=True)
class Recipe:
    """One model.

    Attributes:
        task: ``verify``: are two samples of one person; ``spoof``: is a sample live; or
            ``locate``: where are the faces.
        modality: A name of :data:`edge_sdk.modalities.MODALITIES`.
        network: Builds the network from a preset's ``network`` options. It takes ``(N, C, H, W)`` in [0, 1], or
            ``(N, T, C)`` of recordings.
        tiny: The same topology with a few thousand parameters, for tests.
        embedding_size: D; 0 where there are no embeddings.
        branch: What the network gives of one sample where the score is of a second graph, which compares two of them:
            the network's ``comparison()``, whose output is ``head.logit``. Empty where the score needs one graph.
        scores: What a run can be scored by, by name, ``score`` first; empty where there is no choice.
        latents: The network's output that holds the latents; empty where it has none.
        shows_latents: Whether a device computes the latents also where the score does not need them, for people who
            look at them.
        modes: How many Gaussians a density of live pictures' latents or features may have, of which the validation
            people's live pictures choose; None takes those of section 3.7 of the thesis.
        budget: Largest rise of the EER that int8 may cost, as a share (0.005 is half a percentage point).
        attack_budget: The same of the BPCER at an APCER of 5 %, which takes its place where there are attacks enough.
        face: How a face is cut out of a frame, or aligned, so that it looks like those trained on; None takes the
            detector's :data:`~edge_sdk.runtime.detector.CROP`.
        likelihood: What is fitted on the network's features where the score is a likelihood ratio; else None.
        parity: Largest cosine distance to the network that an exported artifact may show, by artifact (``int8.onnx``)
            where it differs from :data:`PARITY`, with the reason beside it.
    """

    name: str
    task: Task
    modality: str
    network: Callable[..., Network]
    tiny: Callable[..., Network]
    score: Score
    presets: Mapping[str, Preset]
    embedding_size: int = 0
    branch: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    latents: str = ""
    shows_latents: bool = False
    modes: tuple[int, ...] | None = None
    budget: float = 0.005
    attack_budget: float = 0.01
    face: FaceCut | None = None
    likelihood: LikelihoodSettings | None = None
    parity: Mapping[str, float] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the network's outputs of one sample that a device computes."""
        return (self.branch,) if self.branch else tuple(self.output_roles)

    @property
    def output_roles(self) -> Mapping[str, Role]:
        """What the outputs mean that the score of one sample is computed from, and the latents where they are shown."""
        shown: Mapping[str, Role] = {self.latents: "latent"} if self.shows_latents else {}
        return {**self.score.roles, **shown}

    @property
    def choices(self) -> Mapping[str, Score]:
        """By name, what a run can be scored by; its own score is the first."""
        return self.scores or {self.score.kind: self.score}

    def named_score(self, name: str) -> Score:
        """One of :attr:`choices`; UsageError for another name."""
        if name not in self.choices:
            raise UsageError(f'{self.name} has no score "{name}"; it has {", ".join(self.choices)}')
        return self.choices[name]

    def showing_latents(self) -> Recipe:
        """The recipe with the latents among the outputs; UsageError where the network has none."""
        if not self.latents:
            raise UsageError(f"{self.name} has no latents that a bundle could give")
        return replace(self, shows_latents=True)

    def source(self, preset: Preset, face: FaceCut | None = None) -> Source:
        """What a manifest says of the samples.

        Args:
            face: How a face is cut out of a frame where the recipe does not say.
        """
        return modalities.get(self.modality).source(preset.preprocessing, self.face or face)

    def inference_model(self, network: Network) -> nn.Module:
        """The layers of ``network`` that the score needs, from the sample to :attr:`outputs`."""
        return network.inference_model(self.outputs)

    def training_task(self, preset: Preset, labels: Labels, samples: Sequence[Sample]) -> TrainingTask:
        """What a training loop minimises and measures on a training set.

        Args:
            labels: Of ``samples``.

        Raises:
            DatasetError: The samples lack what is learned from.
            UsageError: Objective and score do not go together.
        """
        try:
            return preset.objective.task(
                labels, samples, score=self.score, outputs=self.outputs, embedding_size=self.embedding_size
            )
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from error

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
