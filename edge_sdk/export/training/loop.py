"""The training loop: one process or many, resumable at any step.

All randomness of a step comes from the seed, the step and the process, so that a run that was killed and resumed takes
the very steps it would have taken, and a checkpoint needs no random state.

A run's folder holds ``run.json`` (what was asked for), ``log.jsonl`` (one line a validation), ``curves.png``,
``last.safetensors`` (to resume from) and ``best.safetensors`` (what the exporter takes).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edge_sdk import files
from edge_sdk.errors import TrainingError
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Labels, joined
from edge_sdk.export.losses.metric import l2
from edge_sdk.export.networks.memory_format import batch, channels_last
from edge_sdk.export.recipes import Preset
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.progress import Progress
from edge_sdk.export.training.run import Outcome, Run, _world_size
from edge_sdk.export.training.tasks import BPCER, task

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),
}


def train(run: Run, *, quiet: bool = False) -> Outcome:
    """Train, or resume, or return at once when the run is complete.

    Under ``torchrun`` each process draws its own batches and the gradients are averaged.

    Raises:
        DatasetError: An image cannot be read, or there are no pairs.
        TrainingError: Subjects in both sets, a folder of another run, pretrained weights that do not fit, or a loss
            that is not finite.
        UsageError: The recipe takes no pretrained weights.
    """
    if shared := set(run.train.subjects) & set(run.validation.subjects):
        raise TrainingError(f"subjects {sorted(shared)[:5]} are in both training and validation data")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        devices="auto" if torch.cuda.is_available() else local,
        num_nodes=_world_size() // local,
        precision=_precision(run.preset),  # type: ignore[arg-type]  # a literal, checked by the preset
    )
    fabric.launch()
    run.folder.mkdir(parents=True, exist_ok=True)
    progress = Progress(quiet=quiet or not fabric.is_global_zero)
    with progress:
        return _Loop(run, fabric, progress).run_to_end()


class _Loop:
    """State of one run in one process."""

    def __init__(self, run: Run, fabric: Fabric, progress: Progress) -> None:
        self.run, self.fabric, self.progress, self.preset = run, fabric, progress, run.preset
        torch.manual_seed(run.seed)
        self.network = network = run.network()
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.preset.average), use_buffers=True)
        trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        betas = {"betas": self.preset.betas} if self.preset.betas else {}
        optimizer = OPTIMIZERS[self.preset.optimizer](trainable, weight_decay=self.preset.weight_decay, **betas)
        view = run.qat.simulation(run.preset, run.train, run.validation, run.seed) if run.qat else _as_it_is
        self.model, self.optimizer = fabric.setup(channels_last(view(network)), optimizer)
        self.average = channels_last(self.average.to(fabric.device))
        self.judged = view(self.average.module)
        operations = self.preset.preprocessing
        learned = (
            joined(run.train, load(*self.preset.extra, progress=progress.report)) if self.preset.extra else run.train
        )
        self.filtered = self.preset.filter(learned) if self.preset.filter else None
        if self.filtered:
            learned = self.filtered.kept
            progress.say(self.filtered.told)
        offset = len(learned.samples)
        bar = progress.task("preparing images", offset + len(run.validation.samples))
        self.images = prepared(learned.samples, operations, progress=lambda done, _: bar.update(done))
        self.held_out = prepared(run.validation.samples, operations, progress=lambda done, _: bar.update(offset + done))
        bar.finish()
        self.roster = roster(learned)
        self.task = task(run.recipe, self.preset, self.roster, learned.samples)
        self.best: dict[str, float] = {}
        self.step, self.stale, self.seconds = 0, 0, 0.0
        self._resume()
        self.lessons = run.guide.prepare(run, learned, fabric, progress) if run.guide else None

    def run_to_end(self) -> Outcome:
        bar = self.progress.task(f"training {self.run.recipe.name} ({self.run.preset_name})", self.run.total, self.step)
        patience = self.preset.patience
        losses: list[float] = []
        started = time.monotonic() - self.seconds
        while self.step < self.run.total and not (patience is not None and self.stale >= patience):
            losses.append(self._take_step())
            self.step += 1
            known = f"  validation {told(self.best)[0]}" if self.best else ""
            bar.update(self.step, f"loss {np.mean(losses[-20:]):.3f}{known}")
            if self.step % self.preset.validate_every == 0 or self.step == self.run.total:
                self.seconds = time.monotonic() - started
                self._validate(float(np.mean(losses)))
                losses.clear()
        bar.finish()
        best = self.run.folder / "best.safetensors"
        measured = {name: value for name, value in self.best.items() if name != "step"}
        return Outcome(best, self.step, measured, self.seconds)

    def _take_step(self) -> float:
        seed = (self.run.seed, self.step, self.fabric.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        rng = np.random.default_rng(seed)
        indices = self.task.batch(rng)
        lesson = self.lessons(indices, rng) if self.lessons else None
        shown = lesson.images if lesson else None
        images = batch(self._augmented(indices, rng) if shown is None else shown, self.fabric.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.preset.learning_rate * _factor(self.preset.schedule, self.step, self.preset.steps)
        self.model.train()
        loss = self.task.loss(self.model(images), indices, lesson) + l2(self.network, self.preset.penalty)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()} at step {self.step}; lower the learning rate")
        self.fabric.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.network)
        return loss.item()

    def _augmented(self, indices: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
        images = np.asarray(self.images[indices])
        augment = self.preset.augmentation
        if augment is None:
            return images
        subjects = self.roster.subject[indices]
        change = {subject: augment.for_person(rng) for subject in dict.fromkeys(subjects.tolist())}
        return np.stack([change[who](image, rng) for image, who in zip(images, subjects.tolist(), strict=True)])

    def _validate(self, loss: float) -> None:
        record = self.task.measure(self._answers(), self.run.validation.samples)
        better = self.preset.keep == "last" or not self.best or _merit(record) > _merit(self.best)
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best = {**record, "step": self.step}
        if not self.fabric.is_global_zero:
            return
        if better:
            checkpoint.save(self.run.folder / "best.safetensors", self._weights(), {**self.run.facts(), **self.best})
        line = {"step": self.step, "loss": loss, **record, "seconds": round(self.seconds, 1)}
        with (self.run.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.progress.say(f"step {self.step}/{self.run.total}  loss {loss:.3f}  validation {'  '.join(told(record))}")
        draw_curves(self.run.folder)
        tensors = {
            **checkpoint.prefixed("model", self.network.state_dict()),
            **self._weights(),
            **checkpoint.prefixed("optimizer", checkpoint.pack_optimizer(self.optimizer.optimizer)),
            "averaged": self.average.n_averaged,
            **self.task.state(),
        }
        state = {"step": self.step, "best": self.best, "stale": self.stale, "seconds": self.seconds}
        checkpoint.save(self.run.folder / "last.safetensors", tensors, {**self.run.facts(), "state": state})

    def _weights(self) -> dict[str, torch.Tensor]:
        return checkpoint.prefixed("average", self.average.module.state_dict())

    @torch.no_grad()
    def _answers(self) -> NDArray[np.floating]:
        self.judged.eval()
        parts = []
        for start in range(0, len(self.held_out), 32):
            images = batch(np.asarray(self.held_out[start : start + 32]), self.fabric.device)
            with self.fabric.autocast():
                parts.append(self.task.answer(self.judged, images))
        return np.concatenate(parts)

    def _resume(self) -> None:
        """Continue from the folder's checkpoint, or write down what this run is."""
        path = self.run.folder / "last.safetensors"
        if not path.exists():
            if self.fabric.is_global_zero:
                (self.run.folder / "log.jsonl").unlink(missing_ok=True)
                described = {
                    **self.run.facts(),
                    "data": self.run.data,
                    "steps": self.run.total,
                    "left_out": self.filtered.left_out if self.filtered else None,
                    "settings": asdict(self.preset),
                }
                files.write_text(self.run.folder / "run.json", json.dumps(described, indent=2, default=str) + "\n")
            return
        tensors, facts = checkpoint.load(path)
        state = facts.pop("state")
        if different := [key for key, value in self.run.facts().items() if facts.get(key) != value]:
            raise TrainingError(
                f"{self.run.folder} holds another run (its {', '.join(different)} differ); choose another folder"
            )
        self.network.load_state_dict(checkpoint.section("model", tensors))
        self.average.module.load_state_dict(checkpoint.section("average", tensors))
        self.average.n_averaged.copy_(tensors["averaged"])
        checkpoint.unpack_optimizer(self.optimizer.optimizer, checkpoint.section("optimizer", tensors))
        self.task.restore({name: tensors[name] for name in self.task.state()})
        self.step, self.best, self.stale, self.seconds = (state[key] for key in ("step", "best", "stale", "seconds"))
        self.progress.say(f"resuming at step {self.step}")


def roster(dataset: Dataset) -> Labels:
    """Number a data set's subjects in the order of their names."""
    number = {subject: index for index, subject in enumerate(dataset.subjects)}
    return Labels(
        np.array([number[sample.subject] for sample in dataset.samples], np.int64),
        np.array([sample.genuine for sample in dataset.samples], np.bool_),
    )


def draw_curves(folder: Path) -> None:
    """Draw ``curves.png`` from ``log.jsonl``."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    figure = Figure(figsize=(8, 3), layout="constrained")
    measured = [name for name in lines[0] if name not in ("step", "loss", "seconds")]
    for axes, names in zip(figure.subplots(1, 2), (["loss"], measured), strict=True):
        for name in names:
            axes.plot([line["step"] for line in lines], [line[name] for line in lines], marker=".", label=name)
        axes.set_xlabel("step")
        axes.legend()
        axes.grid(alpha=0.3)
    with files.atomic_write(folder / "curves.png") as file:
        figure.savefig(file, dpi=100, format="png")


def _as_it_is(network: nn.Module) -> nn.Module:
    return network


def _merit(record: Mapping[str, float]) -> float:
    """What the best weights have most of; see :class:`edge_sdk.export.training.tasks.Task`."""
    return next(iter(record.values()))


def told(record: Mapping[str, float]) -> list[str]:
    """What validation found, in words, the most important first."""
    names = {"auroc": "AUROC", "eer": "EER", BPCER: "BPCER@APCER 5 %", "score": "score"}
    return [f"{names[name]} {value:.4f}" for name, value in record.items() if name in names]


def _factor(schedule: str, step: int, steps: int) -> float:
    if schedule == "constant":
        return 1.0
    if schedule == "decay":
        return min(1.0, 2 * (steps - step) / steps)
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _precision(preset: Preset) -> str:
    if preset.precision != "auto":
        return preset.precision
    native = torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if native else "32-true"
