"""``calibrate``: exit codes, JSON and text; tests/export/packaging/test_recalibrate.py tests what it computes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.bundle import Bundle, SigningKey, Trust
from edge_sdk.cli import main

pytestmark = pytest.mark.usefixtures("only_onnxruntime")
Capture = pytest.CaptureFixture[str]


def test_a_copy_with_the_thresholds_of_these_people(bundle: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "mine.edge"
    command = ["calibrate", bundle, "--data", "synthetic:6", "--precision", "fp32", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    written = Bundle.open(out)
    assert (said["bundle"], said["id"]) == (str(out.resolve()), written.id)
    assert said["previous_bundle"] == Bundle.open(bundle).id
    (variant,) = said["variants"]
    assert (variant["id"], variant["engine"]) == ("fp32.onnx", "onnxruntime")
    names = ["fmr_1e-1", "fmr_5e-2", "fmr_1e-2", "fmr_1e-3", "eer", "best_balanced_accuracy"]
    expected = list(itertools.product((1, 3, 5, 10), names))
    assert [(point["references"], point["name"]) for point in variant["operating_points"]] == expected
    assert said["thresholds"]["subjects"] == 6
    assert said["unusable"] == said["left_out"] == []
    assert said["signed"] is False
    key = SigningKey.create(tmp_path / "vendor.pem")
    assert main([*command, "--sign-key", str(tmp_path / "vendor.pem")]) == 0
    assert Bundle.open(out, trust=Trust(keys=[key.public_pem()])).sha256 == written.sha256
    printed = capsys.readouterr()
    assert "no target error rate" not in printed.err
    shown = printed.out
    assert "thresholds fitted on synthetic: 6 people, skilled forgeries" in shown
    lines = shown.splitlines()
    points = [line.split() for line in lines if line.split()[:1] and line.split()[0] in names]
    assert [point[0] for point in points].count("eer") == 4  # for each number of references
    assert len(points) == len(expected)
    assert [line.split()[0] for line in lines if line.split()[1:2] in (["reference"], ["references"])] == [*"135", "10"]
    assert any(line.startswith("  fmr_1e-3  ") and "not supported: " in line for line in lines)
    assert main(["inspect", str(out)]) == 0
    assert "thresholds       fitted again on synthetic: 6 people" in capsys.readouterr().out


def test_too_few_people_are_an_error_and_nothing_is_written(bundle: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "people.txt").write_text("synthetic/0-0\nsynthetic/0-1\n")
    command = ["calibrate", bundle, "--data", "synthetic:6", "--subjects-file", str(tmp_path / "people.txt")]
    assert main([*command, "--out", str(tmp_path / "mine"), "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "DatasetError"
    assert "2 people" in error["message"]
    assert not (tmp_path / "mine").exists()


def test_counts_that_support_no_target_are_a_warning(
    bundle: str, tmp_path: Path, signer: Callable[..., np.ndarray], capsys: Capture
) -> None:
    for writer in range(5):
        for number, name in enumerate(("genuine/0.png", "genuine/1.png", "forged/0.png")):
            path = tmp_path / "mine" / str(writer) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), signer(3 * writer + number))
    out = str(tmp_path / "out")
    data = f"folder:{tmp_path / 'mine'}"
    assert main(["calibrate", bundle, "--data", data, "--precision", "fp32", "--out", out, "--json"]) == 0
    printed = capsys.readouterr()
    assert "fp32.onnx: the data supports no target error rate" in printed.err
    (variant,) = json.loads(printed.out)["variants"]
    assert [point["kind"] for point in variant["operating_points"]] == [
        *["unsupported"] * 4, *["verify"] * 2, *["unsupported"] * 18,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--out", "mine", "--in-place"],
        ["--in-place", "--leave-out"],
        ["--out", "mine", "--faces", "cropped"],
        ["--out", "mine", "--engine", "nonesuch"],
        ["--in-place", "--precision", "fp32"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(
    arguments: list[str], bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", bundle, "--data", "synthetic:6", *arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"
    assert not (tmp_path / "mine").exists()


def test_pictures_of_another_modality_are_refused(bundle: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "faces" / "0" / "0.png"
    path.parent.mkdir(parents=True)
    assert cv2.imwrite(str(path), np.zeros((9, 9), np.uint8))
    for command in ("calibrate", "evaluate"):
        data = f"live:{tmp_path / 'faces'}"
        assert main([command, bundle, "--data", data, "--out", str(tmp_path / "out"), "--json"]) == 2
        assert "of the modality signature; faces holds face" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_a_shipped_bundle_stays_as_it_is(capsys: Capture) -> None:
    assert main(["calibrate", "deepsign", "--data", "synthetic:6", "--in-place", "--json"]) == 2
    assert "shipped" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_people_of_the_training_data_are_a_warning(tmp_path: Path, capsys: Capture) -> None:
    command = ["calibrate", "deepsign_nano", "--data", "synthetic:5", "--precision", "int8.onnx", "--out", "mine"]
    assert main([*command[:-1], str(tmp_path / "mine")]) == 0
    assert "the model was trained on people of synthetic" in capsys.readouterr().err
