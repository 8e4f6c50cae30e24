"""``distill``: a student of its teachers' people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_sdk.cli import main


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
    settings = described["settings"]
    assert (settings["relation"], settings["views"], settings["unlabeled"]) == (2, 1, 3)
    assert [one["recipe"] for one in described["teachers"]] == ["deepsign"]
    assert Path(student, "split.json").read_text() == Path(teacher, "split.json").read_text()
