"""The random search: what is drawn, what a trial trains with, and what comes of a search that goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_sdk.cli import main
from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.hyperparameters import UNCHANGED, Hyperparameters
from edge_sdk.export.training.optimization import build_optimizer
from edge_sdk.export.training.records import RunRecord
from edge_sdk.export.training.search import SearchSpace, ValueRange

SPACE = SearchSpace(
    learning_rates={"sgd": ValueRange(1e-2, 1), "adam": ValueRange(1e-5, 1e-3)},
    penalty=ValueRange(1e-4, 1e-2),
    dropout=ValueRange(0, 0.4, logarithmic=False),
)
WORDS = ["deepsign", "--preset", "quick", "--tiny", "--steps", "2", "--data", "synthetic:18"]


def test_draws_are_the_papers_and_a_trials_own() -> None:
    """Section 5.1: L2 evenly on a logarithmic scale of 1e-4 to 1e-2, dropout evenly from 0 to 0.4."""
    drawn = [SPACE.draw(7, number) for number in range(1, 401)]
    decades = [math.log10(one.penalty) for one in drawn if one.penalty is not None]
    assert len(decades) == 400
    assert (min(decades), max(decades), np.mean(decades)) == (
        pytest.approx(-4, abs=0.03),
        pytest.approx(-2, abs=0.03),
        pytest.approx(-3, abs=0.09),  # three standard errors: a width of 2, by sqrt(12 * 400)
    )
    dropouts = [one.dropout for one in drawn if one.dropout is not None]
    assert 0 <= min(dropouts) < 0.01
    assert 0.39 < max(dropouts) <= 0.4
    assert np.mean(dropouts) == pytest.approx(0.2, abs=0.018)
    rates = {name: [one.learning_rate for one in drawn if one.optimizer == name] for name in ("adam", "sgd")}
    assert 150 < len(rates["adam"]) < 250
    assert 1e-5 <= min(rates["adam"]) < max(rates["adam"]) <= 1e-3 < 1e-2 <= min(rates["sgd"]) < max(rates["sgd"]) <= 1
    assert SPACE.draw(7, 0) == UNCHANGED
    assert SPACE.draw(7, 3) == drawn[2] != SPACE.draw(8, 3)
    assert all(float(f"{one.penalty:g}") == one.penalty for one in drawn), "a command line repeats it exactly"


def test_what_cannot_be_drawn_or_trained_with() -> None:
    for low, high in ((0.0, 1.0), (1.0, 0.1), (-1.0, 1.0), (1.0, math.inf), (math.nan, 1.0)):
        with pytest.raises(UsageError, match="logarithmic scale"):
            ValueRange(low, high)
    with pytest.raises(UsageError, match="at least one"):
        SearchSpace()
    for bad in ({"learning_rate": 0.0}, {"penalty": -1.0}, {"dropout": 1.0}, {"weight_decay": math.nan}):
        with pytest.raises(UsageError, match="cannot be trained with"):
            Hyperparameters(**bad)
        with pytest.raises(UsageError, match="cannot be trained with"):
            Hyperparameters.of(bad)
    with pytest.raises(UsageError, match="optimisers are adam, adamw"):
        Hyperparameters.of({"optimizer": "lion"})
    with pytest.raises(UsageError, match="no L2 penalty"):
        Hyperparameters(penalty=1e-3).changed(recipes.get("deepsign").preset("best"))
    with pytest.raises(UsageError, match="signet has no rate of dropout"):
        Hyperparameters(dropout=0.1).require(recipes.get("signet").network, "signet")
    Hyperparameters(dropout=0.1).require(recipes.get("deepsign_nano").network, "deepsign_nano")


def test_settings_reach_the_optimiser_the_loss_and_the_network() -> None:
    chosen = recipes.get("mobilenetv2")
    drawn = Hyperparameters(optimizer="sgd", learning_rate=0.25, weight_decay=0.5, penalty=0.003, dropout=0.125)
    preset = drawn.changed(chosen.preset("paper"))
    optimizer = build_optimizer(preset, [torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.SGD)
    assert (optimizer.param_groups[0]["weight_decay"], optimizer.param_groups[0]["momentum"]) == (0.5, 0.9)
    assert preset.learning_rate == 0.25
    assert preset.penalty == {"dense.weight": 0.003, "embedding.weight": 0.003}
    assert chosen.tiny(**preset.network).dropout.p == 0.125
    assert str(drawn) == "optimizer sgd, learning rate 0.25, weight decay 0.5, penalty 0.003, dropout 0.125"
    assert UNCHANGED.changed(chosen.preset("paper")) == chosen.preset("paper")
    betas = recipes.get("ganomaly").preset("best")
    assert betas.betas is not None
    assert Hyperparameters(optimizer="rmsprop").changed(betas).betas is None
    assert Hyperparameters(learning_rate=1e-3).changed(betas).betas == betas.betas


def test_a_search_goes_on_and_its_trials_are_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranges = ["--optimizer", "sgd", "1e-3", "1e-1", "--dropout", "0", "0.4", "--out", str(tmp_path / "s")]
    assert main(["search", *WORDS, *ranges, "--trials", "1", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["trials"]
    kept = (tmp_path / "s" / "trial-01" / "last.safetensors").stat().st_mtime_ns
    assert main(["search", *WORDS, *ranges, "--trials", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("contract_version") == 1
    assert found == json.loads((tmp_path / "s" / "search.json").read_text())
    assert (tmp_path / "s" / "trial-01" / "last.safetensors").stat().st_mtime_ns == kept
    by_number = {one["trial"]: one for one in found["trials"]}
    assert sorted(by_number) == [0, 1, 2]
    assert [by_number[one["trial"]]["validation"] for one in first] == [one["validation"] for one in first]
    aurocs = [one["validation"]["auroc"] for one in found["trials"]]
    assert aurocs == sorted(aurocs, reverse=True)
    assert by_number[0]["settings"] == {}

    # The same by `train`, which does not go on with a run of other settings; and what its bundle would say.
    folder = tmp_path / "s" / "trial-02"
    record, options = RunRecord.read(folder), by_number[2]["settings"]
    assert record.hyperparameters == Hyperparameters(**options)
    assert record.described_preset == f"quick, {record.hyperparameters}"
    assert FinishedRun.read(folder).described_preset == record.described_preset
    words = str(record.hyperparameters.options).split()
    assert main(["train", *WORDS, *words, "--out", str(tmp_path / "again"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auroc"] == by_number[2]["validation"]["auroc"]
    assert main(["train", *WORDS, "--out", str(folder)]) == 3
    assert "hyperparameters differ" in capsys.readouterr().err


def test_a_trial_that_diverges_does_not_end_the_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranges = ["--optimizer", "sgd", "1e30", "1e30", "--trials", "1", "--out", str(tmp_path / "s")]
    assert main(["search", *WORDS, *ranges]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["0", "1"]
    assert "diverged" in lines[3]
    assert lines[-1] == "the best at another length: edge-sdk train deepsign --preset quick"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "at least one setting"),
        (["--optimizer", "lion", "1", "2"], "optimisers are"),
        (["--optimizer", "sgd", "low", "2"], "two learning rates"),
        (["--penalty", "1", "2"], "no L2 penalty"),
        (["--dropout", "0", "0.4", "--trials", "0"], "at least one trial"),
    ],
)
def test_wrong_usage_is_known_before_anything_is_trained(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *WORDS, *words, "--out", str(tmp_path / "s")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
