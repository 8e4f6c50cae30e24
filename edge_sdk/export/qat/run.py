"""Quantisation-aware training: a finished run is continued with int8 simulated, where calibration alone costs too much.

The weights go on from those that the run kept, with its objective and at a share of its learning rate. The ranges of
activations are chosen once, from those weights, by the exporter's own rule: the method of least error on the validation
people. What comes out is a run like any other, in float: the exporter calibrates and quantises it as it does others.

What is simulated is ``int8.onnx``. TFLite rounds on the same grids; the symmetric artifact has coarser ones.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edge_sdk.calibration.quantization.activation_statistics import collect_statistics
from edge_sdk.calibration.quantization.methods import choose_method
from edge_sdk.calibration.quantization.onnx_int8 import OnnxQuantizer
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.formats.float_onnx import to_onnx_and_torch
from edge_sdk.export.formats.inference import embed
from edge_sdk.export.networks.network import Network
from edge_sdk.export.qat.fake_quant import FakeQuantized, simulate
from edge_sdk.export.recipes import Preset
from edge_sdk.export.training.finished import (
    KeptWeights,
    Learned,
    calibration_images,
    require_embeddings,
    require_finished,
)
from edge_sdk.export.training.records import ContinuationRecord, RunRecord


@dataclass(frozen=True)
class QuantisationAware:
    """A finished run to continue, and how.

    Attributes:
        finished: The finished run's ``run.json``.
        network: With the weights that it kept.
        weights: SHA-256 of the file that they come from.
        before: Optimiser steps behind them.
        learned: Everyone they were learned from.
        split: The people of the new run.
        steps: Optimiser steps with int8 simulated.
        rate: Share of the preset's learning rate.
    """

    finished: RunRecord
    network: Network
    weights: str
    before: int
    learned: Learned
    split: Split
    steps: int
    rate: float

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.rate <= 1:
            raise UsageError(
                f"quantisation-aware training takes at least one step, at a share in (0, 1] of the learning rate; "
                f"not {self.steps}, {self.rate}"
            )
        for role, known in self.split.measuring(self.learned.people).items():
            raise TrainingError(
                f"the run to continue has learned from {', '.join(known[:5])}, who are {role} people of this split; "
                "give the split that it was trained with"
            )
        if chosen_on := sorted(set(self.finished.validation).intersection(self.split.train)):
            raise TrainingError(
                f"the weights to continue were chosen on {', '.join(chosen_on[:5])}, who are training people of this "
                "split; give the split that they were trained with"
            )

    @classmethod
    def read(cls, run: Path, split: Split | None = None, *, steps: int = 300, rate: float = 0.05) -> QuantisationAware:
        """Read the folder of a finished run, whose split is the default.

        Raises:
            TrainingError: There is no run, or it is unfinished; or people of the split have the wrong part in it.
            DatasetError: No split is given, and the run's folder holds none.
            UsageError: Its recipe is unknown or does not compare embeddings; or no steps, or a rate out of range.
        """
        record = RunRecord.read(run)
        kept = KeptWeights.read(run, record)
        require_embeddings(kept.recipe)
        require_finished(run, record)
        return cls(
            finished=record,
            network=kept.network,
            weights=hashlib.sha256((run / "best.safetensors").read_bytes()).hexdigest(),
            before=kept.step + record.steps_before,
            learned=Learned.of(record, kept.pretrained_on),
            split=split or Split.read(run / "split.json"),
            steps=steps,
            rate=rate,
        )

    def require(self, recipe: str, preset: str, *, tiny: bool) -> None:
        """Raises UsageError unless the finished run is of this recipe and preset."""
        wanted = {"recipe": recipe, "preset": preset, "tiny": tiny}
        found = {key: getattr(self.finished, key) for key in wanted}
        if different := [f"{key} {found[key]}" for key in wanted if found[key] != wanted[key]]:
            raise UsageError(f"the run to continue has {', '.join(different)}: name the same, or another run")

    def preset(self, preset: Preset) -> Preset:
        """As the recipe's, for these steps; in float32, for bfloat16 rounds as coarsely as int8 does.

        The last layer stays what it became in training with int8 simulated.
        """
        return replace(
            preset,
            steps=self.steps,
            learning_rate=self.rate * preset.learning_rate,
            validate_every=min(preset.validate_every, self.steps),
            patience=None,
            project=False,
            precision="32-true",
        )

    def record(self) -> ContinuationRecord:
        """Settings, and what was continued."""
        return ContinuationRecord(
            steps=self.steps,
            rate=self.rate,
            weights=self.weights,
            before=self.before,
            people=tuple(sorted(self.learned.people)),
            own_data=tuple(sorted(self.learned.own_data)),
            teachers=self.finished.teachers,
        )

    def start(self) -> Network:
        """A network with the weights to start from."""
        return copy.deepcopy(self.network)

    def simulation(
        self, preset: Preset, train: Dataset, validation: Dataset, seed: int
    ) -> Callable[[nn.Module], FakeQuantized]:
        """What gives a network of this run, whatever its weights, the forward pass of int8.

        Raises DatasetError if an image of ``train`` or ``validation`` cannot be read.
        """
        model, program = to_onnx_and_torch(self.network, preset.input_shape)
        held_out = prepared(validation.samples, preset.preprocessing)
        expected = embed(model, held_out)

        def error(int8: bytes) -> float:
            return float(1 - (embed(int8, held_out) * expected).sum(axis=1).mean())

        int8, _ = choose_method(
            OnnxQuantizer(collect_statistics(model, calibration_images(train, preset, seed))), error
        )
        graph = simulate(program, int8)
        return lambda network: FakeQuantized(network, graph)
