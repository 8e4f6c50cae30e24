"""``train``: what it refuses before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli import main


def test_unknown_recipe_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "nothing", "--data", "synthetic:20", "--out", str(tmp_path / "run"), "--json"])
    assert code == 2
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["type"] == "UsageError"
    assert "deepsign" in said["error"]["message"]
    assert not (tmp_path / "run").exists()


def test_missing_data_is_an_error_that_names_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "deepsign", "--data", f"cedar:{tmp_path / 'none'}", "--out", str(tmp_path / "run")])
    assert code == 3
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_split_with_somebody_who_is_not_in_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The test people are needed only by the export; it would be a pity to hear of it after the training."""
    people = [f"synthetic/0-{number}" for number in range(18)]
    roles = ("train", "validation", "thresholds", "guardrail")
    split = {role: people[first : first + 4] for role, first in zip(roles, (0, 4, 8, 12), strict=True)}
    split["test"] = ["synthetic/nobody"]
    (tmp_path / "split.json").write_text(json.dumps(split))
    arguments = ["deepsign", "--preset", "quick", "--tiny", "--steps", "1", "--data", "synthetic:18"]
    code = main(["train", *arguments, "--split", str(tmp_path / "split.json"), "--out", str(tmp_path / "run")])
    assert code == 3
    assert "synthetic/nobody" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--published-folds", "--same-people"])
def test_how_folds_are_dealt_needs_a_fold(tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["deepsign", "--data", "synthetic:18", "--out", str(tmp_path / "run"), option, "lfw:PATH"]
    assert main(["train", *arguments]) == 2
    assert "--fold K/N" in capsys.readouterr().err
