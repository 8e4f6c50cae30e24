"""Runs that are exported before their last step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_sdk.errors import TrainingError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.splits import Split, split_subjects
from edge_sdk.export.packaging.build import export
from edge_sdk.export.training.run import TrainingRun

from ..interruption import train_until


def test_a_run_whose_last_layer_is_still_to_be_replaced_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = recipes.get("deepsign")
    quick = replace(base.preset("quick"), validate_every=2, keep="last", project=True)
    chosen = replace(base, presets={"quick": quick})
    monkeypatch.setattr(recipes, "get", lambda _: chosen)
    data = load("synthetic:6")
    train, validation = split_subjects(data, (0.5, 0.5))
    people = data.select(train), data.select(validation)
    run = TrainingRun(chosen, "quick", tmp_path / "run", *people, ("synthetic:6",), tiny=True, steps=4)
    train_until(run, 2)
    Split(train, validation, (), (), ()).write(run.folder / "split.json")
    with pytest.raises(TrainingError, match="unfinished, at step 2 of 4"):
        export(run.folder, tmp_path / "early.edge")
    assert not (tmp_path / "early.edge").exists()
