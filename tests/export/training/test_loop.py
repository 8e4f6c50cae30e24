"""Training: resumable after a kill at any point, reproducible, on one process and on two."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.verification import auroc, concatenate
from edge_sdk.errors import DatasetError, DivergenceError, ScoreError, TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.export.data.splits import Split, split_subjects
from edge_sdk.export.losses.task import ValidationMetrics
from edge_sdk.export.losses.tasks import EmbeddingTask
from edge_sdk.export.networks.projection import principal_layer
from edge_sdk.export.recipes.deepsign import DeepSign
from edge_sdk.export.training import checkpoint, loop, progress
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.records import RunRecord
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.preprocess import INK, apply

from ..interruption import train_until

TRAIN = [sys.executable, "-m", "edge_sdk", "train", "deepsign", "--preset", "quick", "--tiny", "--data", "synthetic:18"]


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    """Nine steps of a miniature, validated every third."""
    base = recipes.get("deepsign")
    chosen = replace(base, presets={"quick": replace(base.preset("quick"), validate_every=3)})
    data = load("synthetic:6")
    first, second = split_subjects(data, (0.5, 0.5))
    return TrainingRun(chosen, "quick", tmp_path / "run", data.select(first), data.select(second), steps=9, tiny=True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.section("model", checkpoint.load(folder / "last.safetensors")[0])


@pytest.mark.usefixtures("curves")
def test_an_interrupted_run_takes_the_steps_it_would_have_taken(run: TrainingRun, tmp_path: Path) -> None:
    train(run, quiet=True)
    halved = replace(run, folder=tmp_path / "halved")
    train_until(halved, 6)
    outcome = train(halved, quiet=True)
    assert outcome.steps == 9
    whole, resumed = weights(run.folder), weights(halved.folder)
    assert all(torch.allclose(whole[name].float(), resumed[name].float(), atol=1e-6) for name in whole)
    steps = [json.loads(line)["step"] for line in (halved.folder / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6, 9]
    assert (halved.folder / "curves.png").stat().st_size > 1000


def test_the_log_holds_what_is_measured_of_training_people_beside_the_validation_people(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[set[str]] = []

    def noting(self: EmbeddingTask, outputs: Any, samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        measured.append({sample.subject for sample in samples})
        return ValidationMetrics(auroc=0.75 if measured[-1] <= set(run.train.subjects) else 0.5)

    monkeypatch.setattr(EmbeddingTask, "measure", noting)
    further = replace(run.preset, extra=("synthetic:4@9",))
    train(replace(run, steps=3, recipe=replace(run.recipe, presets={"quick": further})), quiet=True)
    assert measured[-2:] == [set(run.validation.subjects), set(run.train.subjects)]  # nobody of the further people
    line = json.loads((run.folder / "log.jsonl").read_text())
    assert (line["auroc"], line["train_auroc"]) == (0.5, 0.75)


def test_a_part_of_many_training_people_is_measured_always_the_same(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Sequence[Sample]] = []
    measure = EmbeddingTask.measure

    def noting(self: EmbeddingTask, outputs: Any, samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        measured.append(samples)
        return measure(self, outputs, samples, network)

    monkeypatch.setattr(EmbeddingTask, "measure", noting)
    monkeypatch.setattr(loop, "MEASURED_ROWS", 45)  # two of three people, 20 rows each
    train(replace(run, steps=6), quiet=True)
    train(replace(run, folder=run.folder.with_name("again"), steps=3), quiet=True)
    parts = [rows for rows in measured if {one.subject for one in rows} <= set(run.train.subjects)]
    assert parts == [parts[0]] * 3
    assert len(parts[0]) == 40


def test_training_people_of_whom_nothing_can_be_measured_are_left_out_of_the_log(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = EmbeddingTask.measure

    def failing(self: EmbeddingTask, outputs: Any, samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        if samples[0].subject in run.train.subjects:
            raise ScoreError("no mated comparison")
        return measure(self, outputs, samples, network)

    monkeypatch.setattr(EmbeddingTask, "measure", failing)
    train(replace(run, steps=3), quiet=True)
    line = json.loads((run.folder / "log.jsonl").read_text())
    assert "auroc" in line
    assert "train_auroc" not in line


def test_a_last_layer_is_replaced_in_the_kept_weights_and_learned_on_with_more_steps(
    run: TrainingRun, tmp_path: Path
) -> None:
    learned = replace(run.preset, keep="last")
    projected = replace(run, recipe=replace(run.recipe, presets={"quick": replace(learned, project=True)}))
    train(projected, quiet=True)
    plain = replace(run, folder=tmp_path / "plain", recipe=replace(run.recipe, presets={"quick": learned}))
    train(plain, quiet=True)
    kept, last, without = (
        checkpoint.section("average", checkpoint.load(path)[0])
        for path in (
            projected.folder / "best.safetensors",
            projected.folder / "last.safetensors",
            plain.folder / "best.safetensors",
        )
    )
    assert not kept["embedding.bias"].any()
    assert without["embedding.bias"].any()
    for name, value in without.items():
        assert torch.equal(last[name], value), name  # what more steps start from
        assert name.startswith("embedding.") or torch.equal(kept[name], value), name
    lines = [
        [json.loads(line)["auroc"] for line in (one.folder / "log.jsonl").read_text().splitlines()]
        for one in (projected, plain)
    ]
    assert lines[0][:2] == lines[1][:2]
    assert lines[0][2] != lines[1][2]  # measured as it is kept


def test_a_run_whose_network_cannot_tell_anybody_apart_in_the_end_diverges(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapsed(self: DeepSign, batches: Iterable[torch.Tensor]) -> None:
        self.embedding = principal_layer(self.embedding, np.ones((4, self.embedding.in_features)))

    monkeypatch.setattr(DeepSign, "project", collapsed)
    chosen = replace(run.recipe, presets={"quick": replace(run.preset, keep="last", project=True)})
    with pytest.raises(DivergenceError, match="has not learned to tell people apart"):
        train(replace(run, recipe=chosen, steps=3), quiet=True)


def test_a_network_without_a_layer_to_replace_is_refused_before_the_first_step(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(DeepSign, "project")
    chosen = replace(run.recipe, presets={"quick": replace(run.preset, keep="last", project=True)})
    with pytest.raises(UsageError, match="no layer of embeddings"):
        train(replace(run, recipe=chosen), quiet=True)
    assert not (run.folder / "last.safetensors").exists()


def test_nobody_is_compared_across_data_sets_when_a_run_is_measured(run: TrainingRun) -> None:
    samples = [replace(sample, dataset=f"set-{k % 2}") for k, sample in enumerate(run.validation.samples)]
    task = run.recipe.training_task(run.preset, Labels.of(run.train), run.train.samples)
    outputs = np.random.default_rng(0).normal(size=(len(samples), 128))
    outputs[1::2] += 100  # nothing of one set is near anything of the other
    expected = [
        verification_scores(
            outputs[k::2], [one.subject for one in samples[k::2]], [one.genuine for one in samples[k::2]]
        )
        for k in (0, 1)
    ]
    assert task.measure(outputs, samples).auroc == pytest.approx(auroc(concatenate(expected)))


def test_a_complete_run_is_not_trained_again(run: TrainingRun) -> None:
    train(run, quiet=True)
    before = (run.folder / "last.safetensors").stat().st_mtime_ns
    train(run, quiet=True)
    assert (run.folder / "last.safetensors").stat().st_mtime_ns == before


def test_a_folder_of_another_run_is_refused(run: TrainingRun) -> None:
    train(replace(run, steps=3), quiet=True)
    with pytest.raises(TrainingError, match="seed"):
        train(replace(run, steps=3, seed=1), quiet=True)
    unchanged = replace(run.preset, augmentation=None)
    with pytest.raises(TrainingError, match="its settings_digest differ"):
        train(replace(run, steps=3, recipe=replace(run.recipe, presets={"quick": unchanged})), quiet=True)


def test_progress_shows_no_validation_before_there_is_one(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0)
    train(replace(run, steps=4))
    bars = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training")]
    assert ["AUROC" in line for line in bars] == [False, False, False, True]


def test_work_that_tells_of_itself_is_shown_in_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0)
    with progress.ProgressDisplay() as shown:
        for what, done in (("rendering print+lfw", 1), ("rendering print+lfw", 2), ("drawing synthetic", 2)):
            shown.report(what, done, 2)
    assert capsys.readouterr().err.splitlines() == [
        "rendering print+lfw: 1/2",
        "rendering print+lfw: 2/2",
        "drawing synthetic: 2/2",
    ]
    with progress.ProgressDisplay(quiet=True) as silent:
        silent.report("rendering print+lfw", 1, 2)
    assert capsys.readouterr().err == ""


def test_people_in_both_sets_are_refused(run: TrainingRun) -> None:
    with pytest.raises(TrainingError, match="both"):
        train(replace(run, validation=run.train), quiet=True)


def test_validation_people_who_are_too_few_are_known_before_the_first_step(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person with forgeries can be measured; one without leaves nobody to be told from."""
    alone = run.validation.select(run.validation.subjects[:1])
    assert train(replace(run, validation=alone, steps=1, folder=run.folder / "skilled"), quiet=True).steps == 1
    genuine = replace(alone, samples=tuple(sample for sample in alone.samples if sample.genuine))
    monkeypatch.setattr(loop._Loop, "_take_step", lambda _: pytest.fail("a step was taken"))
    with pytest.raises(DatasetError, match=r"nothing can be measured of the 1 validation people: .*give more people"):
        train(replace(run, validation=genuine), quiet=True)


def test_signets_training_ends_with_the_first_validation_that_is_not_more_accurate(
    run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 3.2 of the DeepSign paper; the AUROC, which goes on rising, does not count."""
    paper = recipes.get("signet").preset("paper")
    assert (paper.patience, paper.validate_every, paper.steps) == (1, round(28_116 / 128), 3 * round(28_116 / 128))
    found = iter([(0.5, 0.5), (0.70, 0.71), (0.75, 0.72), (0.74, 0.90), (0.99, 0.99)])  # the first of fresh weights

    def measure(_task: object, _outputs: object, samples: Sequence[Sample], _network: object) -> ValidationMetrics:
        if samples[0].subject in run.train.subjects:
            return ValidationMetrics(accuracy=1.0, auroc=1.0)
        accuracy, auroc = next(found)
        return ValidationMetrics(accuracy=accuracy, auroc=auroc, eer=0.3)

    monkeypatch.setattr(EmbeddingTask, "measure", measure)
    preset = replace(run.preset, objective=replace(paper.objective, pairs=4), patience=1, validate_every=2)
    result = train(replace(run, recipe=replace(run.recipe, presets={"quick": preset})), quiet=True)
    assert (result.steps, result.metrics.accuracy) == (6, 0.75)
    assert checkpoint.load(result.checkpoint)[1]["step"] == 4


@pytest.mark.parametrize("steps", [5, 14])
def test_the_run_sets_the_length_and_the_schedule_ends_with_it(
    run: TrainingRun, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shorter than the preset (12), and longer: the rates of the optimiser are those of a preset of that length."""
    preset = replace(run.recipe.preset("quick"), steps=12)
    run = replace(run, recipe=replace(run.recipe, presets={"quick": preset}), steps=steps)
    rates: list[float] = []
    take_step = loop._Loop._take_step

    def noting(self: loop._Loop) -> float:
        loss = take_step(self)
        rates.append(self.optimizer.param_groups[0]["lr"])
        return loss

    monkeypatch.setattr(loop._Loop, "_take_step", noting)
    result = train(run, quiet=True)
    assert result.steps == len(rates) == steps
    warm = max(1, steps // 10)
    cosine = [0.01 + 0.99 * (1 + math.cos(math.pi * (k - warm) / (steps - warm))) / 2 for k in range(warm, steps)]
    assert rates == pytest.approx([preset.learning_rate * share for share in [1.0] * warm + cosine])
    assert RunRecord.read(run.folder).steps == steps
    with pytest.raises(TrainingError, match="steps"):
        train(replace(run, steps=steps + 1), quiet=True)


def test_a_record_of_another_version_is_a_clear_error(run: TrainingRun) -> None:
    train(replace(run, steps=3), quiet=True)
    path = run.folder / "run.json"
    record = RunRecord.read(run.folder)
    assert (record.steps, record.train, record.own_data) == (3, run.train.subjects, ())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mood": "good"}))
    with pytest.raises(TrainingError, match="mood"):
        RunRecord.read(run.folder)
    path.write_bytes(b"\xff")
    with pytest.raises(TrainingError, match="this version"):
        RunRecord.read(run.folder)


def test_no_steps_is_wrong_usage(run: TrainingRun) -> None:
    with pytest.raises(UsageError, match="at least one"):
        replace(run, steps=0)


def test_the_last_weights_are_kept_if_the_preset_says_so(run: TrainingRun) -> None:
    preset = replace(run.preset, keep="last", patience=1)
    outcome = train(replace(run, recipe=replace(run.recipe, presets={"quick": preset})), quiet=True)
    assert outcome.steps == 9
    kept, facts = checkpoint.load(outcome.checkpoint)
    last, _ = checkpoint.load(run.folder / "last.safetensors")
    assert facts["step"] == 9
    assert all(torch.equal(value, last[name]) for name, value in kept.items())


def test_extra_people_are_trained_on_and_not_measured(run: TrainingRun) -> None:
    preset = replace(run.preset, extra=("synthetic:2@5",))
    more = replace(run, folder=run.folder.with_name("more"), recipe=replace(run.recipe, presets={"quick": preset}))
    train(replace(run, steps=3), quiet=True)
    train(replace(more, steps=3), quiet=True)
    plain, with_extra = (checkpoint.load(r.folder / "last.safetensors")[0]["bank"] for r in (run, more))
    assert len(with_extra) - len(plain) == len(load("synthetic:2@5").samples)
    described = json.loads((more.folder / "run.json").read_text())
    assert described["train"] == list(run.train.subjects)


def test_early_stopping(run: TrainingRun) -> None:
    stuck = replace(run.preset, patience=1, learning_rate=1e-12, average=0.0)
    outcome = train(replace(run, recipe=replace(run.recipe, presets={"quick": stuck}), steps=60), quiet=True)
    assert outcome.steps < 60


def test_a_damaged_checkpoint_is_a_clear_error(run: TrainingRun) -> None:
    train(replace(run, steps=3), quiet=True)
    path = run.folder / "last.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"last\.safetensors"):
        train(replace(run, steps=3), quiet=True)


def full_disk(monkeypatch: pytest.MonkeyPatch, name: str, after: int = 0) -> None:
    """Let the disk be full when a file of this name is written, but for the first ``after`` times."""
    written: list[Path] = []
    real = Path.replace

    def replace_(self: Path, target: Path) -> Path:
        if target.name == name:
            written.append(target)
            if len(written) > after:
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace_)


@pytest.mark.parametrize("name", ["last.safetensors", "log.jsonl", "run.json"])
def test_a_full_disk_is_one_error_and_the_same_command_goes_on(
    run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    preset = replace(run.preset, validate_every=2, keep="last")
    run = replace(run, recipe=replace(run.recipe, presets={"quick": preset}), steps=4)
    train(replace(run, folder=tmp_path / "whole"), quiet=True)
    with monkeypatch.context() as patched:
        full_disk(patched, name, after=0 if name == "run.json" else 1)
        with pytest.raises(TrainingError, match=rf"{name} cannot be written: .*No space left on device") as caught:
            train(run, quiet=True)
    assert str(run.folder) in str(caught.value)
    assert not list(run.folder.glob(".*.new-*"))
    if name != "run.json":
        _, facts = checkpoint.load(run.folder / "last.safetensors")
        assert facts["state"]["step"] == 2
    assert train(run, quiet=True).steps == 4
    for file in ("last.safetensors", "best.safetensors"):
        found, wanted = checkpoint.load(run.folder / file)[0], checkpoint.load(tmp_path / "whole" / file)[0]
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert noted(run.folder) == noted(tmp_path / "whole") == [2, 4]


def noted(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "left",
    ['{"step": 2, "loss": 1.0}\n{"step": 4, "lo', '[]\n\n4\n{"step": 1}\n' + "\x00" * 9],
)
def test_what_a_killed_process_noted_too_much_is_left_out(run: TrainingRun, left: str) -> None:
    preset = replace(run.preset, validate_every=2)
    run = replace(run, recipe=replace(run.recipe, presets={"quick": preset}), steps=4)
    real = checkpoint.save

    def killed(path: Path, *rest: object) -> None:
        if path.name == "last.safetensors" and path.exists():
            raise KeyboardInterrupt
        real(path, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(run, quiet=True)
    assert noted(run.folder) == [2, 4]  # and the checkpoint is of step 2
    with (run.folder / "log.jsonl").open("a") as file:
        file.write(left)
    train(run, quiet=True)
    assert noted(run.folder) == [2, 4]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a path")
@pytest.mark.parametrize("name", ["last.safetensors", "log.jsonl"])
def test_a_pipe_in_the_folder_is_not_waited_for(run: TrainingRun, name: str) -> None:
    run = replace(run, steps=1)
    train(run, quiet=True)
    (run.folder / name).unlink()
    os.mkfifo(run.folder / name)
    with pytest.raises(TrainingError, match=f"{name} is no .* is a pipe, not a file"):
        train(run, quiet=True)


@pytest.mark.parametrize("damage", ["state", "tensors"])
def test_a_checkpoint_that_lacks_something_is_a_clear_error(run: TrainingRun, damage: str) -> None:
    run = replace(run, steps=1)
    train(run, quiet=True)
    path = run.folder / "last.safetensors"
    tensors, facts = checkpoint.load(path)
    if damage == "state":
        checkpoint.save(path, tensors, {**facts, "state": {"step": 1}})
    else:
        checkpoint.save(path, {name: tensors[name] for name in tensors if name != "averaged"}, facts)
    with pytest.raises(TrainingError, match=r"last\.safetensors is no checkpoint of this run"):
        train(run, quiet=True)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_checkpoints_have_the_permissions_of_any_file_and_keep_them(tmp_path: Path) -> None:
    """safetensors 0.8 would make them their owner's alone, each time."""
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, {"a": torch.ones(2)}, {})
    (tmp_path / "ordinary").touch()
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    path.chmod(0o664)
    checkpoint.save(path, {"a": torch.zeros(2)}, {"step": 1})
    assert path.stat().st_mode & 0o777 == 0o664
    tensors, facts = checkpoint.load(path)
    assert (tensors["a"].tolist(), facts) == ([0, 0], {"step": 1})


@pytest.mark.slow
def test_kill_9_then_the_same_command_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*TRAIN, "--out", str(folder), "--steps", "40", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "last.safetensors").exists():
        assert process.poll() is None, "training ended before its first checkpoint"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "resuming at step 20" in done.stderr
    assert json.loads(done.stdout)["steps"] == 40
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert steps == [20, 40]
    assert Split.read(folder / "split.json").test


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *TRAIN[1:]]
    command = [*torchrun, "--out", str(folder), "--steps", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len((folder / "log.jsonl").read_text().splitlines()) == 1  # one process writes
    assert checkpoint.load(folder / "last.safetensors")[1]["world_size"] == 2


def test_splits_share_nobody_and_survive_a_file(tmp_path: Path) -> None:
    data = load("synthetic:20")
    split = Split.draw(data, seed=3)
    groups = [set(getattr(split, role)) for role in split.__struct_fields__]
    assert sum(map(len, groups)) == 20
    assert set().union(*groups) == set(data.subjects)
    split.write(tmp_path / "split.json")
    assert Split.read(tmp_path / "split.json") == split == Split.draw(data, seed=3)
    overlapping = {role: getattr(split, role) for role in split.__struct_fields__} | {"test": split.train[:1]}
    with pytest.raises(DatasetError, match="two roles"):
        Split(**overlapping)
    with pytest.raises(DatasetError, match="no split"):
        Split.read(tmp_path / "none.json")


def test_augmentation_is_seeded_and_keeps_the_signature() -> None:
    image = np.rint(apply(INK, SyntheticWriter(1).genuine(0))[0] * 255).astype(np.uint8)
    before = image.copy()
    changed = [SignatureAugmentation()(image, np.random.default_rng(seed)) for seed in range(20)]
    assert np.array_equal(image, before)
    assert np.array_equal(changed[0], SignatureAugmentation()(image, np.random.default_rng(0)))
    assert all(not np.array_equal(one, image) for one in changed)
    assert all(0.4 < one.mean() / image.mean() < 2 for one in changed)
