"""The FaceNet essay's figures beside ours, on made-up faces with miniatures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import main
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.pair_lists import load_pairs
from edge_sdk.export.reproduction.facenet import PRINTED, FacenetRequest, Measured, read, reproduce, table


def quiet(_line: str) -> None:
    """Nobody listens."""


def faces(root: Path, outside: int) -> Path:
    """LFW's layout: three folds of two people, and so many people in no fold."""
    rng = np.random.default_rng(0)
    names = [*(f"In_{fold}{which}" for fold in (1, 2, 3) for which in "ab"), *(f"Out_{k}" for k in range(outside))]
    for name in names:
        coarse = rng.uniform(0, 255, (3, 3)).astype(np.float32)
        (root / name).mkdir(parents=True)
        for number in (1, 2, 3):
            noisy = (coarse + rng.normal(0, 9, coarse.shape)).clip(0, 255).astype(np.uint8)
            picture = cv2.resize(noisy, (40, 40), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / name / f"{name}_{number:04d}.jpg"), picture)
    lines = []
    for fold in (1, 2, 3):
        one, other = f"In_{fold}a", f"In_{fold}b"
        lines += [f"{fold}\t{one}\t1\t2", f"{fold}\t{other}\t1\t3", f"{fold}\t{one}\t1\t{other}\t1"]
        lines += [f"{fold}\t{one}\t2\t{other}\t3"]
    (root / "pairs_by_fold.txt").write_text("\n".join(lines) + "\n")
    return root


def test_people_in_no_fold_train_and_every_fold_is_decided_by_the_others(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_metric_learning", reason="triplets are mined with the export extra")
    root = faces(tmp_path / "lfw", outside=20)
    request = FacenetRequest(tmp_path / "out", ("best",), (f"lfw:{root}",), steps=2, tiny=True)
    first = reproduce(request, quiet)
    (found,) = read(request.out)
    assert (found.preset, found.steps, found.people, found.images, found.folds, found.pairs) == (
        "best",
        2,
        18,
        54,
        3,
        12,
    )
    record = json.loads(next(request.out.glob("runs/*/run.json")).read_text())
    everybody = [*record["train"], *record["validation"]]
    assert sorted(everybody) == sorted(f"lfw/Out_{k}" for k in range(20))
    assert not set(everybody) & load_pairs(request.data[0]).people([1, 2, 3])
    assert 0 < found.threshold <= 4
    assert reproduce(request, quiet).as_dict() == first.as_dict()
    assert first.table.rows[len(PRINTED)][0] == "ours, best, 2 steps"


def test_the_command_prints_the_essays_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "facenet", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for figure in ("98.87 +- 0.15", "1.242", "99.63", "95.12 +- 0.39", "2,600,000", "76.3", "85.1", "86.2"):
        assert figure in text
    measured = Measured("best", 9, 8, 70, 8, 4480, 0.81, 0.006, 1.1, 0.2, 0.9, 0.19)
    line = table([measured]).table.rows[-1]
    assert line == ("ours, best, 9 steps", "LFW, 8 folds", "70", "81.00 +- 0.60", "1.100", "20.0", "0.900", "19.0")


def test_what_is_no_reproduction(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no preset"):
        reproduce(FacenetRequest(tmp_path, ("fast",)), quiet)
    for data in ((), ("cfp:x",), ("lfw:a", "lfw:b")):
        with pytest.raises(UsageError, match="--data lfw:PATH"):
            reproduce(FacenetRequest(tmp_path, ("best",), data), quiet)
    root = faces(tmp_path / "lfw", outside=0)
    with pytest.raises(DatasetError, match="nobody is left"):
        reproduce(FacenetRequest(tmp_path, ("best",), (f"lfw:{root}",)), quiet)
