"""``export``: what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import main


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out.edge"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "TrainingError"
    assert list(tmp_path.iterdir()) == []


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
