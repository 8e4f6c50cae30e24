"""A modality that only this file knows, with its data set, its recipe and its score: from files to a decision.

Nothing else is touched but the tables that everything is found in: one line each.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk import Verifier, manifest, modalities, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import ImageDecodeError, InputError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.layouts import Entry, matched, order
from edge_sdk.export.data.modality_data import DataSource, Licence, ModalityData
from edge_sdk.export.losses.metric import MinedMetric
from edge_sdk.export.networks.network import Network
from edge_sdk.export.packaging.build import export
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import model as manifest_model
from edge_sdk.manifest.scores import AnyScore
from edge_sdk.modalities import Prepared
from edge_sdk.preprocess.crop import FaceCrop
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.base import Array, Comparison, ComparisonModel, ModelInterface, Rename, Role, Score, Task

SIDE, PEOPLE, EACH = 12, 20, 4


# --- edge_sdk/modalities/emblem.py: text files, a line of colour words a row of the picture --------------------------


@dataclass(frozen=True)
class Emblem:
    """Pictures that are written as rows of hexadecimal colours."""

    name: str = "emblem"
    suffixes: frozenset[str] = frozenset({".emblem"})
    flags: tuple[str, ...] = ("one_colour",)
    blocking: tuple[str, ...] = ("one_colour",)
    measures: tuple[str, ...] = ("mean",)

    def source(self, operations: Sequence[preprocess.Operation], crop: FaceCrop | None) -> manifest.Image:
        return manifest.Image(color=preprocess.color_order(operations), face=crop)

    def decode(self, source: Any) -> np.ndarray:
        text = source if isinstance(source, bytes) else Path(source).read_bytes()
        try:
            rows = [[int(word, 16) for word in line.split()] for line in text.decode().splitlines()]
            colors = np.array(rows, np.uint32)
        except ValueError as error:
            raise ImageDecodeError(f"no emblem: {error}") from error
        if colors.ndim != 2 or not colors.size:
            raise ImageDecodeError("no emblem: an empty or uneven one")
        return np.stack([colors >> shift & 255 for shift in (0, 8, 16)], axis=2).astype(np.uint8)

    def prepare(self, operations: Sequence[preprocess.Operation], raw: np.ndarray, source: manifest.Image) -> Prepared:
        flags = self.flags if len(np.unique(raw.reshape(-1, 3), axis=0)) == 1 else ()
        return Prepared(preprocess.apply(operations, raw), flags, flags)

    def measure(self, prepared: Prepared) -> tuple[float, ...] | None:
        return (float(prepared.tensor.mean()),)


# --- edge_sdk/scoring/agreement.py -----------------------------------------------------------------------------------


class Agreement(Score, frozen=True, kw_only=True, tag="agreement"):
    """The share of an embedding's values that have the sign of the reference's, the mean over the references."""

    tasks: ClassVar[tuple[Task, ...]] = ("verify",)
    template_kind: ClassVar[str] = "embeddings"

    output: str

    @property
    def roles(self) -> Mapping[str, Role]:
        return {self.output: "embedding"}

    def check(self, interface: ModelInterface, task: Task) -> None:
        interface.output(self.output, "embedding")

    def renamed(self, tensors: Rename, files: Rename = str) -> Agreement:
        return msgspec.structs.replace(self, output=tensors(self.output))

    def embedding(self, interface: ModelInterface) -> str:
        return self.output

    def enroll(self, values: np.ndarray, model: ComparisonModel) -> np.ndarray:
        return np.asarray(values, np.float32)

    def compare(self, reference: np.ndarray, values: np.ndarray, model: ComparisonModel) -> Comparison:
        score = float(np.mean((reference > 0) == (values > 0)).round(6))
        return Comparison(score, score)

    def matrix(self, references: np.ndarray, queries: np.ndarray, model: ComparisonModel | None = None) -> Array:
        return ((references[:, None] > 0) == (queries[None] > 0)).mean(axis=2).round(6)

    @property
    def worst(self) -> Comparison:
        return Comparison(0.0, 0.0)


class ToyManifest(manifest.Manifest, frozen=True, kw_only=True):
    """The manifest with one more line in the union of scores."""

    score: AnyScore | Agreement  # type: ignore[assignment]


# --- edge_sdk/export/data/emblems/ -----------------------------------------------------------------------------------


def emblem(person: int, number: int) -> bytes:
    """A checkerboard of two colours a person, with noise."""
    first, second = np.random.default_rng(person).uniform(20, 230, (2, 3))
    board = np.indices((SIDE, SIDE)).sum(axis=0)[..., None] // 3 % 2
    noise = np.random.default_rng((person, number)).normal(0, 5, (SIDE, SIDE, 3))
    picture = np.clip(np.where(board, first, second) + noise, 0, 255).astype(np.uint32)
    colors = picture[..., 0] | picture[..., 1] << 8 | picture[..., 2] << 16
    return "\n".join(" ".join(f"{value:06x}" for value in row) for row in colors.tolist()).encode()


@dataclass(frozen=True)
class EmblemFiles:
    description: str = "PERSON/K.emblem"

    def entries(self, root: Path) -> list[Entry]:
        found = matched(root, self.description, r"(?P<person>\w+)/\d+", suffixes=Emblem().suffixes)
        return sorted((Entry(match["person"], True, path) for match, path in found), key=order)


DATA = ModalityData(
    modality="emblem",
    sources={"heraldry": DataSource(EmblemFiles(), Licence(True, "Heraldry: public domain"))},
    impostors=("random",),
    golden={"verify": lambda: {f"{name}.emblem": emblem(99, k) for k, name in enumerate(("reference", "query"))}},
    limits={"verify": "- A toy.\n"},
    view=lambda raw: raw,
)


# --- edge_sdk/export/recipes/emblem_net.py ---------------------------------------------------------------------------


class EmblemNetwork(Network):
    """Colours ``(N, 3, 12, 12)`` to unit embeddings ``(N, 16)``."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 12, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.embedding = nn.Linear(48, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.embedding(self.features(x)).float(), dim=1)


RECIPE = Recipe(
    name="emblem_net",
    task="verify",
    modality="emblem",
    network=EmblemNetwork,
    tiny=EmblemNetwork,
    embedding_size=16,
    score=Agreement(output="embedding"),
    presets={
        "best": Preset(
            preprocessing=(preprocess.ToColor(order="rgb"), preprocess.Fit(height=SIDE, width=SIDE, stretch=1.0)),
            objective=MinedMetric(writers=4, genuine=3, forged=0),
            steps=2,
            learning_rate=1e-2,
            validate_every=1,
        )
    },
)


# --- the tables ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line in each: modalities, data, scores. A recipe is found by the name of its module."""
    monkeypatch.setitem(modalities.MODALITIES, "emblem", Emblem())
    monkeypatch.setitem(catalogue.DATA, "emblem", DATA)
    monkeypatch.setattr(manifest_model, "Manifest", ToyManifest)
    monkeypatch.setattr(manifest_model, "_DECODER", msgspec.json.Decoder(ToyManifest))
    monkeypatch.setattr(manifest, "Manifest", ToyManifest)
    module = ModuleType("edge_sdk.export.recipes.emblem_net")
    module.RECIPE = RECIPE  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("edge_sdk.export.recipes.names", lambda: ("emblem_net",))


@pytest.mark.usefixtures("tables")
def test_from_files_to_a_decision(tmp_path: Path) -> None:
    for person in range(PEOPLE):
        for k in range(EACH):
            path = tmp_path / "people" / f"p{person}" / f"{k}.emblem"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(emblem(person, k))
    run = tmp_path / "run"
    assert main(["train", "emblem_net", "--data", f"heraldry:{tmp_path / 'people'}", "--out", str(run)]) == 0
    made = export(run, tmp_path / "emblem.edge", enforce=False, say=lambda _: None)
    bundle = Bundle.open(made.path)
    assert (bundle.manifest.modality, bundle.manifest.score.kind) == ("emblem", "agreement")
    assert bundle.manifest.data_license.statement == "Heraldry: public domain"
    assert bundle.manifest.data_license.commercial_use
    assert passed(selftest(bundle))
    with Verifier(bundle, operating_point="eer") as verifier:
        own, other = (tmp_path / "people" / name / "0.emblem" for name in ("p0", "p1"))
        assert verifier.verify(own, own).score == 1
        assert verifier.verify(own, own).decision
        assert 0 <= verifier.verify(own, other).score <= 1
        assert verifier.verify(verifier.enroll([own, own]), own).score == 1
        plain = verifier.verify(own, b"101010 101010\n101010 101010")
        assert (plain.decision, plain.score, plain.quality) == (False, 0.0, ("one_colour",))
        with pytest.raises(InputError):
            verifier.verify(own, b"no emblem")


@pytest.mark.usefixtures("tables")
def test_it_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert [row.specification for row in catalogue.rows() if row.modality == "emblem"] == ["heraldry:PATH"]
    assert main(["recipes"]) == 0
    assert "emblem_net" in capsys.readouterr().out


def test_nothing_else_knows_it() -> None:
    """The tables are as they were: the tests above added to them for themselves alone."""
    assert "emblem" not in modalities.MODALITIES
    assert "emblem" not in catalogue.DATA
