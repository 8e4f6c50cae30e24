"""Quantisation-aware training: that it starts and resumes, where its runs say they come from, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_sdk.cli import main
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.splits import Split, split_subjects
from edge_sdk.export.distillation.teachers import Teacher
from edge_sdk.export.qat.run import QuantisationAware
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun

from ..interruption import train_until

EMBEDDING = [name for name in recipes.names() if recipes.get(name).embedding_size]
DATA = load("synthetic:6")
TRAIN, VALIDATION = split_subjects(DATA, (0.5, 0.5))
SPLIT = Split(TRAIN, VALIDATION, (), (), ())


def run_of(name: str, preset: str, folder: Path, **changes: Any) -> TrainingRun:
    people = DATA.select(TRAIN), DATA.select(VALIDATION)
    return TrainingRun(recipes.get(name), preset, folder, *people, ("synthetic:6",), tiny=True, **changes)


def continued(run: TrainingRun, folder: Path, **settings: Any) -> TrainingRun:
    return replace(run, folder=folder, steps=None, continued=QuantisationAware.read(run.folder, SPLIT, **settings))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    """A miniature that was trained for a few steps."""
    run = run_of("deepsign", "quick", tmp_path_factory.mktemp("finished") / "run", steps=12)
    train(run, quiet=True)
    SPLIT.write(run.folder / "split.json")
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDING)
def test_every_recipe_goes_on_for_two_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = recipes.get(name)
    alone = replace(chosen.preset("best"), extra=())  # made-up people take a minute to draw
    chosen = replace(chosen, presets={"best": alone})
    monkeypatch.setattr(recipes, "get", lambda _: chosen)
    first = run_of(name, "best", tmp_path / "first", steps=1)
    train(first, quiet=True)
    second = continued(first, tmp_path / "second", steps=2)
    before = {key: value.clone() for key, value in second.network().state_dict().items()}
    outcome = train(second, quiet=True)
    assert outcome.steps == 2
    network = first.network()
    checkpoint.load_network(outcome.checkpoint, network)  # plain float weights of the same network
    parameters = dict(network.named_parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]) != (key in parameters), key


def test_a_last_layer_that_was_replaced_is_trained_on_and_not_replaced_again(finished: TrainingRun) -> None:
    best = recipes.get("deepsign").preset("best")
    assert best.project
    assert not QuantisationAware.read(finished.folder, SPLIT).preset(best).project


@pytest.mark.slow
def test_an_interrupted_run_takes_the_steps_it_would_have_taken(finished: TrainingRun, tmp_path: Path) -> None:
    base = finished.recipe
    often = replace(base, presets={"quick": replace(base.preset("quick"), validate_every=2)})
    whole = continued(replace(finished, recipe=often), tmp_path / "whole", steps=4)
    train(whole, quiet=True)
    halved = replace(whole, folder=tmp_path / "halved")
    train_until(halved, 2)
    assert train(halved, quiet=True).steps == 4
    one, other = (checkpoint.load(run.folder / "last.safetensors")[0] for run in (whole, halved))
    assert all(torch.allclose(one[name].float(), other[name].float(), atol=1e-6) for name in one)
    with pytest.raises(TrainingError, match="quantisation_aware differ"):
        train(continued(finished, halved.folder, steps=5), quiet=True)


def test_what_comes_out_says_where_it_comes_from(finished: TrainingRun, tmp_path: Path) -> None:
    run = continued(finished, tmp_path / "second", steps=3)
    train(run, quiet=True)
    SPLIT.write(run.folder / "split.json")
    trained = FinishedRun.read(run.folder)
    assert (trained.steps, trained.quantisation_aware) == (15, 3)
    assert (FinishedRun.read(finished.folder).steps, FinishedRun.read(finished.folder).quantisation_aware) == (12, 0)
    again = continued(run, tmp_path / "third", steps=2)
    assert again.config().quantisation_aware.before == 15
    described = json.loads((run.folder / "run.json").read_text())
    assert described["settings"]["learning_rate"] == pytest.approx(0.05 * finished.preset.learning_rate)
    # Whoever taught the first run, or came before it, is behind the second one too.
    people = ["svc2004/1", *described["quantisation_aware"]["people"]]
    teacher = {"recipe": "signet", "preset": "best", "preprocessing": "0", "weights": "0123456789abcdef0123"}
    described["quantisation_aware"] |= {"people": people, "teachers": [teacher]}
    (run.folder / "run.json").write_text(json.dumps(described))
    trained = FinishedRun.read(run.folder)
    assert trained.data_names == ("svc2004", "synthetic")
    assert trained.teachers == ("signet (best) 0123456789abcdef",)
    assert "svc2004/1" in Teacher.read(run.folder).people
    assert QuantisationAware.read(run.folder, SPLIT).record().as_dict()["teachers"] == [teacher]


def test_another_recipe_preset_or_size_is_wrong_usage(finished: TrainingRun, tmp_path: Path) -> None:
    run = continued(finished, tmp_path / "second")
    with pytest.raises(UsageError, match="recipe deepsign"):
        replace(run, recipe=recipes.get("deepsign_nano"))
    with pytest.raises(UsageError, match="preset quick"):
        replace(run, preset_name="best")
    with pytest.raises(UsageError, match="tiny True"):
        replace(run, tiny=False)
    with pytest.raises(UsageError, match="not from both"):
        replace(run, weights=tmp_path / "weights.pth")


@pytest.mark.parametrize("settings", [{"steps": 0}, {"rate": 0.0}, {"rate": 1.5}])
def test_settings_out_of_range(finished: TrainingRun, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at least one step"):
        QuantisationAware.read(finished.folder, SPLIT, **settings)


def without_weights(run: Path) -> None:
    (run / "best.safetensors").unlink()


def killed(run: Path) -> None:
    described = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(described | {"steps": 60}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, "no training run"),
        (without_weights, r"best\.safetensors"),
        (killed, "unfinished, at step 12 of 60"),
    ],
    ids=["missing", "without weights", "killed"],
)
def test_a_run_that_is_not_finished(
    finished: TrainingRun, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    damage(folder)
    with pytest.raises(TrainingError, match=said):
        QuantisationAware.read(folder, SPLIT)


def test_nobody_learns_who_measures(finished: TrainingRun) -> None:
    with pytest.raises(TrainingError, match="who are test people"):
        QuantisationAware.read(finished.folder, Split(TRAIN[1:], VALIDATION, (), (), TRAIN[:1]))
    with pytest.raises(TrainingError, match=f"chosen on {VALIDATION[0]}"):
        QuantisationAware.read(finished.folder, Split((*TRAIN, VALIDATION[0]), VALIDATION[1:], (), (), ()))


def test_the_command_takes_the_runs_own_split(
    finished: TrainingRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    command = ["train", "deepsign", "--preset", "quick", "--tiny", "--data", "synthetic:6", "--out", out, "--json"]
    for half in (["--qat"], ["--from", str(finished.folder)]):
        assert main([*command, *half]) == 2
        assert "go together" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert main([*command, "--qat", "--from", str(finished.folder), "--steps", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 2
    assert Split.read(Path(out, "split.json")) == SPLIT
    assert json.loads(Path(out, "run.json").read_text())["quantisation_aware"]["steps"] == 2
