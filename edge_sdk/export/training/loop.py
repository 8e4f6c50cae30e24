"""The training loop: one process or many, resumable at any step.

All randomness of a step comes from the seed, the step and the process, so that a run that was killed and resumed takes
the very steps it would have taken, and a checkpoint needs no random state.

A run's folder holds ``run.json`` (what was asked for), ``log.jsonl`` (one line a validation), ``curves.png``,
``last.safetensors`` (to resume from) and ``best.safetensors`` (what the exporter takes).
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edge_sdk.errors import DatasetError, DivergenceError, ScoreError, TrainingError, UsageError
from edge_sdk.export.data.cache import PreparedRows, prepared_rows
from edge_sdk.export.data.faces.filters import Filtered
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Labels, joined
from edge_sdk.export.losses.metric import l2
from edge_sdk.export.losses.task import RenderingTask, ValidationMetrics, format_metrics
from edge_sdk.export.networks.memory_format import batch, channels_last
from edge_sdk.export.networks.network import Network
from edge_sdk.export.training import checkpoint, log
from edge_sdk.export.training.hooks import StepTargets, Student
from edge_sdk.export.training.optimization import build_optimizer, learning_rate, numerical_precision
from edge_sdk.export.training.pictures import step_pictures
from edge_sdk.export.training.progress import ProgressDisplay
from edge_sdk.export.training.records import RunConfig, RunRecord
from edge_sdk.export.training.run import TrainingResult, TrainingRun, world_size
from edge_sdk.export.training.writing import writing

VALIDATION_BATCH = 32
MEASURED_ROWS = 600
"""Of training people, at most: what they cost beside the validation people."""


def train(run: TrainingRun, *, quiet: bool = False) -> TrainingResult:
    """Train, or resume, or return at once when the run is complete.

    Under ``torchrun`` each process draws its own batches and the gradients are averaged.

    Raises:
        DatasetError: An image cannot be read, there are no pairs, or nothing can be measured of the validation people.
        TrainingError: Subjects in both sets, a folder of another run, or pretrained weights that do not fit.
        DivergenceError: The loss is not finite, or all samples are alike to the network in the end.
        UsageError: The recipe takes no pretrained weights, or its network has no last layer to replace.
    """
    if shared := set(run.train.subjects) & set(run.validation.subjects):
        raise TrainingError(f"subjects {sorted(shared)[:5]} are in both training and validation data")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        devices="auto" if torch.cuda.is_available() else local,
        num_nodes=world_size() // local,
        precision=numerical_precision(run.preset),
    )
    fabric.launch()
    with writing(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True)
    progress = ProgressDisplay(quiet=quiet or not fabric.is_global_zero)
    with progress:
        return _Loop(run, fabric, progress).run_to_end()


@dataclass(frozen=True)
class BestWeights:
    """The validation whose weights were kept."""

    metrics: ValidationMetrics
    step: int


class _Loop:
    """State of one run in one process."""

    def __init__(self, run: TrainingRun, fabric: Fabric, progress: ProgressDisplay) -> None:
        self.run, self.fabric, self.progress, self.preset = run, fabric, progress, run.preset
        torch.manual_seed(run.seed)
        self.network = network = run.network()
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.preset.average), use_buffers=True)
        optimizer = build_optimizer(self.preset, [p for p in network.parameters() if p.requires_grad])
        self.simulated: Callable[[nn.Module], nn.Module] = _unchanged
        if run.continued:
            self.simulated = run.continued.simulation(run.preset, run.train, run.validation, run.seed)
        self.model, self.optimizer = fabric.setup(channels_last(self.simulated(network)), optimizer)
        self.average = channels_last(self.average.to(fabric.device))
        self.kept = self.average.module
        self.projects = self.preset.project and run.hook is None
        if self.projects and type(network).project is Network.project:
            raise UsageError(f"{type(network).__name__} has no layer of embeddings that the preset could replace")
        self.validated = self.simulated(self.kept)
        learned, self.filtered = self._learned()
        rows, self.held_out = self._prepared(learned)
        self.seen = _whole_people(rows, run.train.subjects, MEASURED_ROWS, run.seed)
        if self.preset.derived:
            rows = self.preset.derived(rows)
        labels = Labels.of(replace(learned, samples=rows.samples))
        self.pictures = step_pictures(rows, labels, self.preset, fabric.device)
        self.own_data = learned.own
        self.task = run.recipe.training_task(self.preset, labels, rows.samples)
        self.best: BestWeights | None = None
        self.step, self.stale, self.seconds = 0, 0, 0.0
        self._resume()
        student = Student(run.folder, run.recipe, self.preset, run.seed, learned)
        self.targets: StepTargets | None = None
        if run.hook:
            self.targets = run.hook.prepare(student, fabric, progress)
        elif isinstance(self.task, RenderingTask):
            self.targets = self.task.rendering(self.pictures.prepared, fabric.device)

    def _learned(self) -> tuple[Dataset, Filtered | None]:
        """All that is trained on: the run's people and the preset's further ones, as its filter leaves them."""
        learned = self.run.train
        if self.preset.extra:
            learned = joined(learned, load(*self.preset.extra, progress=self.progress.report))
        if self.preset.filter is None:
            return learned, None
        filtered = self.preset.filter(learned)
        self.progress.say(filtered.summary)
        return filtered.kept, filtered

    def _prepared(self, learned: Dataset) -> tuple[PreparedRows, PreparedRows]:
        """What is trained and validated on."""
        offset = len(learned.samples)
        bar = self.progress.bar("preparing samples", offset + len(self.run.validation.samples))
        operations = self.preset.preprocessing
        rows = prepared_rows(learned.samples, operations, progress=lambda done, _: bar.update(done))
        held_out = prepared_rows(
            self.run.validation.samples, operations, progress=lambda done, _: bar.update(offset + done)
        )
        bar.finish()
        for sample in (*rows.left_out, *held_out.left_out):
            self.progress.say(f"{sample.path} gives nothing to learn from and is left out")
        return rows, held_out

    def _check_validation(self) -> None:
        """Measure once with fresh weights: people who are too few are known now, not after hundreds of steps."""
        try:
            self._measured(self.held_out)
        except ScoreError as error:
            raise DatasetError(
                f"nothing can be measured of the {len(self.run.validation.subjects)} validation people: {error}; give "
                "more people, or a split with more of them for validation"
            ) from error

    def run_to_end(self) -> TrainingResult:
        if self.best is None:
            self._check_validation()
        label = f"training {self.run.recipe.name} ({self.run.preset_name})"
        bar = self.progress.bar(label, self.preset.steps, self.step)
        patience = self.preset.patience
        losses: list[float] = []
        started = time.monotonic() - self.seconds
        while self.step < self.preset.steps and not (patience is not None and self.stale >= patience):
            losses.append(self._take_step())
            self.step += 1
            known = f"  validation {format_metrics(self.best.metrics)[0]}" if self.best else ""
            bar.update(self.step, f"loss {np.mean(losses[-20:]):.3f}{known}")
            if self.step % self.preset.validate_every == 0 or self.step == self.preset.steps:
                self.seconds = time.monotonic() - started
                self._validate(float(np.mean(losses)))
                losses.clear()
        bar.finish()
        assert self.best, "the last step is validated"
        return TrainingResult(self.run.folder / "best.safetensors", self.step, self.best.metrics, self.seconds)

    def _take_step(self) -> float:
        seed = (self.run.seed, self.step, self.fabric.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        rng = np.random.default_rng(seed)
        indices = self.task.batch(rng)
        target = self.targets(indices, rng) if self.targets else None
        images = self.pictures.shown(indices, target.images if target else None, rng)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.preset, self.step)
        self.model.train()
        loss = self.task.loss(self.model(images), indices, target) + l2(self.network, self.preset.penalty)
        if not torch.isfinite(loss):
            raise DivergenceError(f"the loss is {loss.item()} at step {self.step}; lower the learning rate")
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.network)
        return loss.item()

    @torch.no_grad()
    def _project(self) -> None:
        """Replace the last layer in what is kept; ``last.safetensors`` has the weights as they were learned."""
        network = cast("Network", copy.deepcopy(self.average.module).eval())
        rows, device = self.pictures.prepared, self.fabric.device
        starts = range(0, len(rows), VALIDATION_BATCH)
        try:
            network.project(batch(np.asarray(rows[start : start + VALIDATION_BATCH]), device) for start in starts)
        except ScoreError as error:
            raise DivergenceError(f"the last layer cannot be replaced: {error}") from error
        self.kept = network
        self.validated = self.simulated(network)

    def _validate(self, loss: float) -> None:
        if self.projects and self.step == self.preset.steps:
            self._project()
        metrics = self._measured(self.held_out)
        better = (
            self.preset.keep == "last"
            or self.best is None
            or metrics.selection_metric > self.best.metrics.selection_metric
        )
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best = BestWeights(metrics, self.step)
        if not self.fabric.is_global_zero:
            return
        config = self.run.config().as_dict()
        if better:
            facts = {**config, **metrics.as_dict(), "step": self.step}
            checkpoint.save(self.run.folder / "best.safetensors", _weights(self.kept), facts)
        learned = self._measured_of_training()
        log.append(self.run.folder, self.step, loss, metrics, self.seconds, learned=learned)
        found = "  ".join(format_metrics(metrics))
        beside = f"  training {format_metrics(learned)[0]}" if learned else ""
        self.progress.say(f"step {self.step}/{self.preset.steps}  loss {loss:.3f}  validation {found}{beside}")
        log.draw_curves(self.run.folder)
        tensors = {
            **checkpoint.prefixed("model", self.network.state_dict()),
            **_weights(self.average.module),
            **checkpoint.prefixed("optimizer", checkpoint.pack_optimizer(self.optimizer.optimizer)),
            "averaged": self.average.n_averaged,
            **self.task.state(),
        }
        assert self.best
        best = {**self.best.metrics.as_dict(), "step": self.best.step}
        state = {"step": self.step, "best": best, "stale": self.stale, "seconds": self.seconds}
        checkpoint.save(self.run.folder / "last.safetensors", tensors, {**config, "state": state})

    def _measured(self, rows: PreparedRows) -> ValidationMetrics:
        return self.task.measure(self._outputs(rows), rows.samples, self.validated)

    def _measured_of_training(self) -> ValidationMetrics | None:
        """Of people who are learned from, by the averaged weights; None where nothing can be measured of them."""
        try:
            return self._measured(self.seen)
        except ScoreError:
            return None

    @torch.no_grad()
    def _outputs(self, rows: PreparedRows) -> NDArray[np.floating]:
        self.validated.eval()
        parts = []
        for start in range(0, len(rows.tensors), VALIDATION_BATCH):
            images = batch(np.asarray(rows.tensors[start : start + VALIDATION_BATCH]), self.fabric.device)
            with self.fabric.autocast():
                parts.append(self.task.outputs(self.validated, images))
        return np.concatenate(parts)

    def _resume(self) -> None:
        """Continue from the folder's checkpoint, or write down what this run is."""
        path = self.run.folder / "last.safetensors"
        config = self.run.config()
        if not path.exists():
            if self.fabric.is_global_zero:
                (self.run.folder / log.NAME).unlink(missing_ok=True)
                self._record(config).write(self.run.folder)
            return
        tensors, facts = checkpoint.load(path)
        if different := config.differences(facts):
            raise TrainingError(
                f"{self.run.folder} holds another run (its {', '.join(different)} differ); choose another folder"
            )
        try:
            self._restore(tensors, facts["state"])
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(f"{path} is no checkpoint of this run: {error}; choose another folder") from error
        if self.fabric.is_global_zero:
            log.rewind(self.run.folder, self.step)
        self.progress.say(f"resuming at step {self.step}")

    def _restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        self.network.load_state_dict(checkpoint.section("model", tensors))
        self.average.module.load_state_dict(checkpoint.section("average", tensors))
        self.average.n_averaged.copy_(tensors["averaged"])
        checkpoint.unpack_optimizer(self.optimizer.optimizer, checkpoint.section("optimizer", tensors))
        self.task.restore({name: tensors[name] for name in self.task.state()})
        self.step, self.stale, self.seconds = (state[key] for key in ("step", "stale", "seconds"))
        best = dict(state["best"])
        self.best = BestWeights(step=best.pop("step"), metrics=ValidationMetrics.from_dict(best))

    def _record(self, config: RunConfig) -> RunRecord:
        return RunRecord.of(
            config,
            data=self.run.data,
            own_data=tuple(sorted(self.own_data)),
            left_out=self.filtered.left_out if self.filtered else None,
            patience=self.preset.patience,
            settings=asdict(self.preset),
        )


def _whole_people(rows: PreparedRows, people: Sequence[str], limit: int, seed: int) -> PreparedRows:
    """All rows of some of these people, drawn by the seed, ``limit`` rows at most; of the first however many."""
    owners = np.array([sample.subject for sample in rows.samples])
    kept = np.empty(0, np.int64)
    for index in np.random.default_rng(seed).permutation(len(people)):
        found = np.flatnonzero(owners == people[index])
        if len(kept) and len(kept) + len(found) > limit:
            break
        kept = np.union1d(kept, found)
    return PreparedRows(np.asarray(rows.tensors[kept]), tuple(rows.samples[index] for index in kept))


def _weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return checkpoint.prefixed("average", network.state_dict())


def _unchanged(network: nn.Module) -> nn.Module:
    return network
