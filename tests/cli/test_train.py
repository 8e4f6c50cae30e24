"""The workstation's commands: what they refuse, and that looking them up costs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import main

from ..paths import ROOT


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


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out.edge"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "TrainingError"
    assert list(tmp_path.iterdir()) == []


def test_distill_trains_what_its_teacher_may_teach(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["deepsign", "--preset", "quick", "--tiny", "--steps", "1", "--json"]
    teacher, student = str(tmp_path / "teacher"), str(tmp_path / "student")
    assert main(["train", *common, "--data", "synthetic:18", "--out", teacher]) == 0
    distill = ["distill", *common, "--data", "synthetic:18", "--teacher", teacher, "--views", "1", "--out", student]
    assert main([*distill, "--seed", "1"]) == 3  # another seed, other test people
    assert "student's split" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]
    assert not Path(student).exists()
    assert main([*distill, "--unlabeled", "synthetic:2@5", "--unlabeled-batch", "3", "--relation", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 1
    described = json.loads(Path(student, "run.json").read_text())["distillation"]
    assert (described["relation"], described["views"], described["unlabeled"]) == (2, 1, 3)
    assert [one["recipe"] for one in described["teachers"]] == ["deepsign"]
    assert Path(student, "split.json").read_text() == Path(teacher, "split.json").read_text()


def test_faces_are_trained_on_and_without_attacks_nothing_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for person in range(10):
        folder = tmp_path / "faces" / str(person)
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "0.png"), rng.integers(0, 256, (40, 40), np.uint8))
    run = str(tmp_path / "run")
    data = f"live:{tmp_path / 'faces'}"
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("edge_sdk.export.training.progress.PLAIN_SECONDS", 0)
    assert main(["train", "ganomaly", "--tiny", "--steps", "2", "--data", data, "--out", run]) == 0
    said = capsys.readouterr().out
    assert "2 steps" in said
    assert "edge-sdk export" in said
    assert main(["export", run, "--out", str(tmp_path / "out.edge")]) == 3
    assert "validation people of faces have no attacks" in capsys.readouterr().err
    attacks = f"print+{data}"
    other = str(tmp_path / "other")
    assert main(["train", "ganomaly", "--tiny", "--steps", "2", "--data", data, attacks, "--out", other]) == 0
    assert "rendering print+faces: 10/10" in capsys.readouterr().err
    assert not (tmp_path / "out.edge").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["train", "deepsign", "--data", "synthetic:1", "--out", "run"],
        ["distill", "deepsign", "--teacher", "run", "--data", "synthetic:1", "--out", "student"],
        ["export", "run", "--out", "bundle"],
        ["evaluate", "deepsign", "--data", "synthetic:1"],
        ["demo"],
        ["reproduce", "deepsign-table4", "--out", "tables"],
    ],
    ids=lambda command: command[0],
)
def test_without_the_extra_a_command_names_package_and_extra(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, matplotlib=None); from edge_sdk.cli import main; sys.exit(main())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    package = "matplotlib" if command[0] == "evaluate" else "torch"
    assert f'MissingToolError: {package} is not installed; run: pip install "edge-sdk[export]"' in done.stderr


def test_help_needs_no_torch() -> None:
    code = "import sys; from edge_sdk.cli import main; main(['--help']); print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"
    assert all(
        f"    {command} " in done.stdout for command in ("train", "distill", "export", "evaluate", "demo", "verify")
    )
