"""What one addition touches: a recipe its file; a data set its row; a score its file and a line of the union."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk.cli import main
from edge_sdk.export import recipes
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.load import load
from edge_sdk.export.data.modality_data import DataSource, Licence
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.data.signatures.layouts import SignatureFiles
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.scoring.base import Array, ModelInterface, Rename, Role, Score, Task, Tensors, rows
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

ROW = DataSource(
    SignatureFiles(
        "WRITER/genuine_K.png and WRITER/forged_K.png",
        genuine=r"(?P<writer>\d+)/genuine_\d+",
        forged=r"(?P<writer>\d+)/forged_\d+",
    ),
    Licence(commercial_use=True, statement="Village signatures: public domain"),
)


def test_a_data_set_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(catalogue.of("signature").sources, "village", ROW)  # type: ignore[arg-type]
    for writer in range(2):
        for kind in ("genuine", "forged"):
            path = tmp_path / str(writer) / f"{kind}_1.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), np.full((8, 8), 255, np.uint8))
    data = load(f"village:{tmp_path}")
    assert data.subjects == ("village/0", "village/1")
    assert {sample.modality for sample in data.samples} == {"signature"}
    assert data_license(["village", "photo+village"]).statement == "Village signatures: public domain"
    assert main(["train", "--help"]) == 0
    assert "village:PATH" in capsys.readouterr().out


def test_a_recipe_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = recipes.get("deepsign")
    quick = replace(base.preset("quick"), steps=2, validate_every=1)
    module = ModuleType("edge_sdk.export.recipes.village_net")
    module.RECIPE = replace(base, name="village_net", presets={"best": quick})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    there = recipes.names()
    monkeypatch.setattr(recipes, "names", lambda: (*there, "village_net"))
    command = ["train", "village_net", "--tiny", "--data", "synthetic:18", "--out", str(tmp_path / "run")]
    assert main([*command, "--json"]) == 0
    assert '"steps": 2' in capsys.readouterr().out


class Brightness(Score, frozen=True, kw_only=True, tag="brightness"):
    """The mean of an output: a toy."""

    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    output: str

    @property
    def roles(self) -> Mapping[str, Role]:
        return {self.output: "features"}

    def check(self, interface: ModelInterface, task: Task) -> None:
        interface.output(self.output, "features")

    def renamed(self, tensors: Rename, files: Rename = str) -> Brightness:
        return msgspec.structs.replace(self, output=tensors(self.output))

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        return rows(tensors, self.output).mean(axis=1)


def test_a_score_is_a_file() -> None:
    """Training validates by it without knowing it; a line in the union lets manifests name it (the toy modality)."""
    score = Brightness(output="logit")
    samples = [Sample("x", f"x/{k}", k < 2, Path(), None if k < 2 else "print", modality="face") for k in range(4)]
    labels = Labels(np.arange(4), np.array([True, True, False, False]))
    task = AttackClassification(images=4).task(labels, samples, score=score, outputs=score.outputs, embedding_size=0)
    found = task.measure(score.score({"logit": np.array([[3.0], [2.0], [1.0], [0.0]])}), samples)
    assert (found.auroc, found.eer) == (1.0, 0.0)
    assert msgspec.json.decode(msgspec.json.encode(score), type=Brightness) == score
