"""Starting from weights of others: the body that torchvision publishes, and files that are not it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_sdk.cli import main
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.splits import split_subjects
from edge_sdk.export.networks.pretrained import load_pretrained
from edge_sdk.export.recipes.deepsign import DeepSign
from edge_sdk.export.recipes.mobilenetv2 import MobileNetV2
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A miniature's body, and a classifier, as torchvision would save them."""
    torch.manual_seed(5)
    body = {f"features.{name}": value for name, value in MobileNetV2(width=0.02).features.state_dict().items()}
    path = tmp_path / "body.pth"
    torch.save({**body, "classifier.1.bias": torch.zeros(1000)}, path)
    return path


@pytest.fixture
def run(tmp_path: Path, weights: Path) -> TrainingRun:
    data = load("synthetic:6")
    first, second = split_subjects(data, (0.5, 0.5))
    chosen = recipes.get("mobilenetv2")
    folder = tmp_path / "run"
    return TrainingRun(
        chosen, "paper", folder, data.select(first), data.select(second), steps=2, tiny=True, weights=weights
    )


def test_the_body_is_filled_and_the_rest_is_not(weights: Path) -> None:
    torch.manual_seed(6)
    network = MobileNetV2(width=0.02)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_pretrained(network, weights)
    saved = torch.load(weights, weights_only=True)
    for name, value in network.state_dict().items():
        assert torch.equal(value, saved.get(name, before[name])), name


def test_torchvisions_file() -> None:
    path = os.environ.get("EDGE_SDK_MOBILENETV2")
    if not path:
        pytest.skip("EDGE_SDK_MOBILENETV2 names no mobilenet_v2-b0353104.pth")
    network = MobileNetV2().eval()
    load_pretrained(network, Path(path))
    saved = torch.load(path, weights_only=True)
    body = {name: value for name, value in network.state_dict().items() if name.startswith("features.")}
    assert body.keys() | {"classifier.1.weight", "classifier.1.bias"} == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in body.items())
    with torch.no_grad():
        maps = network.features(torch.zeros(1, 3, 224, 224))
    # The classifier's bias and weights were trained for maps like these: a gray image is none of ImageNet's classes.
    logits = maps.mean(dim=(2, 3)) @ saved["classifier.1.weight"].T + saved["classifier.1.bias"]
    assert logits.softmax(dim=1).max() < 0.5


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "no pretrained weights at"),
        (lambda path: path.write_bytes(b""), "holds no PyTorch weights"),
        (lambda path: path.write_bytes(b"not a file of torch"), "holds no PyTorch weights"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "holds no PyTorch weights"),
        (lambda path: torch.save([torch.zeros(2)], path), "state dict"),
        (lambda path: torch.save({"features": 3}, path), "state dict"),
        (lambda path: torch.save({}, path), "another network"),
        (lambda path: torch.save(MobileNetV2(width=0.1).state_dict(), path), "another network"),
        (lambda path: torch.save(MobileNetV2(width=0.02), path), "holds no PyTorch weights"),
    ],
    ids=["missing", "empty", "text", "truncated", "list", "not tensors", "no body", "other shapes", "pickled module"],
)
def test_files_that_are_no_such_weights(weights: Path, damage: Damage, said: str) -> None:
    damage(weights)
    with pytest.raises(TrainingError, match=said) as caught:
        load_pretrained(MobileNetV2(width=0.02), weights)
    assert str(weights) in str(caught.value)


def test_a_recipe_without_pretrained_weights(run: TrainingRun, weights: Path) -> None:
    with pytest.raises(UsageError, match="DeepSign takes no pretrained weights"):
        load_pretrained(DeepSign(width=0.08), weights)
    with pytest.raises(UsageError, match="takes no pretrained"):
        train(replace(run, recipe=recipes.get("deepsign")), quiet=True)


def test_a_run_starts_from_them_and_is_resumed_with_the_same_only(run: TrainingRun, weights: Path) -> None:
    train(run, quiet=True)
    described = json.loads((run.folder / "run.json").read_text())
    assert described["weights"] == run.weights_digest
    assert str(weights) not in (run.folder / "run.json").read_text()
    with pytest.raises(TrainingError, match="weights differ"):
        train(replace(run, weights=None), quiet=True)
    train(run, quiet=True)  # it is complete
    torch.save({**torch.load(weights), "classifier.1.bias": torch.ones(1000)}, weights)
    with pytest.raises(TrainingError, match="weights differ"):
        train(replace(run), quiet=True)


def test_what_is_exported_says_where_it_comes_from(tmp_path: Path, weights: Path) -> None:
    folders = tmp_path / "plain", tmp_path / "pretrained"
    options: tuple[list[str], ...] = ([], ["--weights", str(weights)])
    for folder, more in zip(folders, options, strict=True):
        command = ["train", "mobilenetv2", "--preset", "paper", "--tiny", "--steps", "1", "--data", "synthetic:20"]
        assert main([*command, "--out", str(folder), *more]) == 0
    assert [FinishedRun.read(folder).data_names for folder in folders] == [("synthetic",), ("imagenet", "synthetic")]
