"""Recipes that tell live faces from attacks: the thesis' tables, what is exported, and how they train."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_sdk.cli import main
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.faces.augmentation import FaceAugmentation
from edge_sdk.export.data.faces.filters import Filter
from edge_sdk.export.data.layouts import Pose
from edge_sdk.export.data.samples import Dataset, Labels
from edge_sdk.export.formats.float_onnx import to_onnx
from edge_sdk.export.losses.task import ValidationMetrics
from edge_sdk.export.networks.autoencoder import Autoencoder, InferenceModel
from edge_sdk.export.recipes.dcvae import Dcvae
from edge_sdk.export.recipes.ganomaly import GANomaly
from edge_sdk.export.recipes.resvae import ResVae
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.optimization import schedule_factor
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.manifest import LatentDistance
from edge_sdk.runtime.engines import load_engine

from ..interruption import train_until

ONE_CLASS = [name for name in recipes.names() if isinstance(recipes.get(name).tiny(), Autoencoder)]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def shapes(layers: nn.Sequential, *example: int) -> list[tuple[int, ...]]:
    """What the layers put out for one input, on no device and so in no time: as a table prints it."""
    found, x = [], torch.zeros(1, *example, device="meta")
    for layer in layers.eval():
        x = layer(x)
        found.append(tuple(x.shape[1:]))
    return found


def rows(*table: tuple[int, int, int], times: int = 1) -> list[tuple[int, ...]]:
    """Channels and side, each for so many layers."""
    return [(channels, side, side) for channels, side, repeats in table for _ in range(repeats * times)]


def weights(layers: Iterable[tuple[int, int, int]]) -> int:
    """Parameters of convolutions, transposed ones and dense layers of a table: inputs, outputs, kernel."""
    return sum(inputs * outputs * kernel**2 + outputs for inputs, outputs, kernel in layers)


def test_ganomaly_is_table_3_4() -> None:
    with torch.device("meta"):
        network = GANomaly()
    # Convolution, leaky ReLU, batch norm; the last map is padded, convolved, and has no norm.
    halves = rows((128, 64, 3), (256, 32, 3), (512, 16, 3), (1024, 8, 3), (2048, 4, 3))
    for encoder in (network.encoder, network.second_encoder, network.discriminator):
        assert shapes(encoder.features, 1, 128, 128) == [*halves, (2048, 7, 7), (512, 4, 4), (512, 4, 4)]
    doubles = rows((2048, 4, 3), (1024, 8, 3), (512, 16, 3), (256, 32, 3), (128, 64, 3), (1, 128, 2))
    assert shapes(network.decoder, 512) == [(512, 1, 1), *doubles]
    assert [network.encoder.dense.out_features, network.discriminator.dense.out_features] == [512, 1]

    norms = 2 * (128 + 256 + 512 + 1024 + 2048)
    chain = [(1, 128, 4), (128, 256, 4), (256, 512, 4), (512, 1024, 4), (1024, 2048, 4), (2048, 512, 4)]
    assert parameters(network.encoder) == weights([*chain, (512 * 16, 512, 1)]) + norms
    assert parameters(network.discriminator) == weights([*chain, (512 * 16, 1, 1)]) + norms
    chain = [(512, 2048, 4), (2048, 1024, 4), (1024, 512, 4), (512, 256, 4), (256, 128, 4), (128, 1, 3)]
    assert parameters(network.decoder) == weights(chain) + norms


def test_dcvae_is_table_3_2() -> None:
    with torch.device("meta"):
        network = Dcvae()
    encoder = rows((32, 128, 2), (64, 128, 2), (64, 64, 1), (128, 64, 2), (128, 32, 1), (256, 32, 2), (256, 16, 1))
    encoder += rows((512, 16, 2), (512, 8, 1))
    assert shapes(network.encoder, 1, 128, 128) == [*encoder, (512 * 64,), (1024,)]
    decoder = rows((8, 8, 1), (8, 16, 1), (512, 16, 2), (512, 32, 1), (256, 32, 2), (256, 64, 1), (128, 64, 2))
    decoder += rows((128, 128, 1), (64, 128, 2), (32, 128, 2), (1, 128, 1))
    assert shapes(network.decoder, 512) == decoder
    chain = [(1, 32, 3), (32, 64, 3), (64, 128, 3), (128, 256, 3), (256, 512, 3), (512 * 64, 1024, 1)]
    chain += [(8, 512, 3), (512, 256, 3), (256, 128, 3), (128, 64, 3), (64, 32, 3), (32, 1, 1)]
    assert parameters(network) == weights(chain)


def test_resvae_is_table_3_3() -> None:
    with torch.device("meta"):
        network = ResVae()
    encoder = rows((32, 128, 1), (64, 128, 1), (64, 64, 1), (128, 64, 1), (128, 32, 1), (256, 32, 1), (256, 16, 1))
    encoder += rows((512, 16, 1), (512, 8, 2), (512, 4, 1))
    assert shapes(network.encoder, 1, 128, 128) == [*encoder, (512 * 16,), (1024,)]
    # The print has 256 channels behind the block at 32 x 32, and 128 behind the up-sampling after it.
    decoder = rows((32, 4, 1), (32, 8, 1), (512, 8, 1), (512, 16, 1), (256, 16, 1), (256, 32, 1), (128, 32, 1))
    decoder += rows((128, 64, 1), (64, 64, 1), (64, 128, 1), (32, 128, 2), (1, 128, 1))
    assert shapes(network.decoder, 512) == decoder
    assert isinstance(network.decoder[-2], nn.LeakyReLU)

    def block(inputs: int, outputs: int) -> int:
        return weights([(inputs, outputs, 3), (outputs, outputs, 3), (inputs, outputs, 1)])

    blocks = [(32, 64), (64, 128), (128, 256), (256, 512), (512, 512)]
    blocks += [(32, 512), (512, 256), (256, 128), (128, 64), (64, 32)]
    plain = weights([(1, 32, 3), (512 * 16, 1024, 1), (32, 1, 1)])
    assert parameters(network) == plain + sum(block(*one) for one in blocks)


@pytest.mark.parametrize("name", [name for name in ONE_CLASS if "reconstruction" in recipes.get(name).scores])
def test_a_device_sees_one_reconstruction_in_the_images_range(name: str) -> None:
    network = recipes.get(name).tiny().eval()
    x = torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        first, second = network(x), network(x)
        one = network(x[:1])
    assert torch.equal(first, second)
    assert torch.allclose(first[:1], one, atol=1e-5)
    assert first.shape == x.shape
    assert 0 <= first.min() < first.max() <= 1
    with pytest.raises(UsageError, match="no output nothing"):
        network.outputs(x, ["nothing"])


@pytest.mark.parametrize("name", ONE_CLASS)
def test_the_loss_reaches_every_weight(name: str) -> None:
    chosen = recipes.get(name)
    network = chosen.tiny().train()
    next(iter(chosen.presets.values())).objective.criterion(network(torch.rand(4, 1, 128, 128))).backward()
    learned = {key: value for key, value in network.named_parameters() if value.requires_grad}
    assert [key for key, value in learned.items() if value.grad is None or not value.grad.any()] == []


def test_variational_networks_sample_in_training() -> None:
    network = Dcvae(width=1 / 256).train()
    x = torch.rand(2, 1, 128, 128)
    assert not torch.equal(network(x).logits, network(x).logits)
    assert torch.equal(network(x).mean, network.eval().outputs(x, ["latent"])[0])


def test_only_what_bears_on_the_score_is_exported() -> None:
    network = recipes.get("ganomaly").tiny().eval()
    generator = parameters(network.encoder) + parameters(network.decoder)

    def size(*names: str) -> int:
        graph = onnx.load_from_string(to_onnx(InferenceModel(network, names), (1, 128, 128), names)).graph
        assert tuple(output.name for output in graph.output) == names
        return sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)

    # Fresh batch norms may fold into less than they had.
    slack = 300
    assert abs(size("reconstruction") - generator) < slack
    assert abs(size("latent") - parameters(network.encoder)) < slack


@pytest.mark.parametrize(
    "score",
    [
        LatentDistance(first="latent", second="latent_reconstructed"),
        LatentDistance(first="features", second="features_reconstructed"),
    ],
    ids=["latents", "features"],
)
def test_scores_of_several_outputs_agree_between_network_and_onnx(score: LatentDistance) -> None:
    chosen = replace(recipes.get("ganomaly"), score=score)
    network = chosen.tiny().eval()
    part = chosen.inference_model(network)
    x = torch.rand(4, 1, 128, 128)
    with torch.no_grad():
        expected = dict(zip(chosen.outputs, (part(x)), strict=True))
    distance = (expected[score.first] - expected[score.second]).norm(dim=1)
    engine = load_engine("onnxruntime", to_onnx(part, (1, 128, 128), chosen.outputs), "onnx")
    found = score.score(engine.run({"image": x.numpy()}))
    engine.close()
    assert distance.min() > 0
    assert found == pytest.approx(-distance.numpy(), rel=1e-4)


# --- training --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(faces: Dataset, tmp_path: Path) -> TrainingRun:
    """Eight steps of a miniature, validated every second."""
    base = recipes.get("ganomaly")
    objective = replace(base.preset("best").objective, images=4)
    chosen = replace(base, presets={"best": replace(base.preset("best"), objective=objective, validate_every=2)})
    people = faces.subjects
    return TrainingRun(
        chosen, "best", tmp_path / "run", faces.select(people[:3]), faces.select(people[3:]), steps=8, tiny=True
    )


def alive(data: Dataset, *, genuine: bool = True) -> Dataset:
    return Dataset(data.name, tuple(sample for sample in data.samples if sample.genuine == genuine))


def test_an_interrupted_run_takes_the_steps_it_would_have_taken(run: TrainingRun, tmp_path: Path) -> None:
    train(run, quiet=True)
    halved = replace(run, folder=tmp_path / "halved")
    train_until(halved, 4)
    assert train(halved, quiet=True).steps == 8
    whole, resumed = (checkpoint.load(folder / "last.safetensors")[0] for folder in (run.folder, halved.folder))
    assert whole.keys() == resumed.keys()
    assert {name.split("/")[0] for name in whole} == {"model", "average", "optimizer", "averaged"}
    for name, value in whole.items():  # also Adam's moments, of generator and discriminator
        assert torch.allclose(value.float(), resumed[name].float(), atol=1e-6), name


def test_nothing_is_learned_from_attacks(run: TrainingRun, tmp_path: Path) -> None:
    """The same weights come out of a training set without them."""
    learned = run.recipe.training_task(run.preset, Labels.of(run.train), run.train.samples)
    drawn = np.concatenate([learned.batch(np.random.default_rng(seed)) for seed in range(50)])
    assert set(drawn.tolist()) == {k for k, sample in enumerate(run.train.samples) if sample.genuine}
    train(run, quiet=True)
    alone = replace(run, folder=tmp_path / "alone", train=alive(run.train))
    train(alone, quiet=True)
    first, second = (checkpoint.load(folder / "last.safetensors")[0] for folder in (run.folder, alone.folder))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_only_training_images_are_filtered(
    run: TrainingRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A turned head in each part: the one among the training people is left out, as if it had never been there."""

    def turned(data: Dataset) -> Dataset:
        first, *others = data.samples
        return Dataset(data.name, (replace(first, pose=Pose(0, 45, 0)), *others))

    filtering = replace(run.recipe, presets={"best": replace(run.preset, filter=Filter())})
    run = replace(run, recipe=filtering, train=turned(run.train), validation=turned(run.validation), steps=2)
    outcome = train(run)
    assert "left out 1 of 24 training images: 1 heads turned away, 0 darker" in capsys.readouterr().err
    described = json.loads((run.folder / "run.json").read_text())
    assert described["left_out"] == {"turned": 1, "uneven": 0}
    assert described["settings"]["filter"] == {"pose": 10.0, "brightness": 1.0}

    without = Dataset(run.train.name, run.train.samples[1:])
    other = train(replace(run, folder=tmp_path / "without", train=without), quiet=True)
    first, second = (checkpoint.load(path)[0] for path in (outcome.checkpoint, other.checkpoint))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert outcome.metrics == other.metrics


def test_the_thesis_augments_and_filters_what_its_tables_say() -> None:
    presets = {name: recipes.get(name).presets for name in ("ganomaly", "dcvae", "resvae")}
    used = {
        (name, preset): (chosen.augmentation, chosen.filter)
        for name in presets
        for preset, chosen in presets[name].items()
        if preset.startswith("paper")
    }
    assert used == {
        ("ganomaly", "paper"): (None, None),  # section 4.4 names neither
        ("dcvae", "paper_baseline"): (None, None),  # section 4.1.1, table 4.2
        ("dcvae", "paper"): (None, Filter()),  # section 4.1.2
        ("dcvae", "paper_augmented"): (FaceAugmentation(), Filter()),  # section 4.1.3, table 4.5
        ("resvae", "paper"): (FaceAugmentation(), Filter()),  # section 4.2.1, table 4.7
    }


def test_validation_ranks_live_above_attack(run: TrainingRun) -> None:
    """By the orientation that is fixed: also where the network likes attacks better."""
    learned = run.recipe.training_task(run.preset, Labels.of(run.train), run.train.samples)
    samples = run.validation.samples
    live = np.array([sample.genuine for sample in samples])
    assert learned.measure(np.where(live, -0.1, -0.2), samples) == ValidationMetrics(
        auroc=1.0, eer=0.0, live_score=-0.1
    )
    assert learned.measure(np.where(live, -0.3, -0.2), samples).auroc == 0.0

    network = run.network().eval()
    images = torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        made = network(images)
    errors = [float(np.mean([(a - b) ** 2 for a, b in zip(x, y, strict=True)]))
              for x, y in zip(images.flatten(1).tolist(), made.flatten(1).tolist(), strict=True)]  # fmt: skip
    with torch.no_grad():
        assert learned.outputs(network, images) == pytest.approx(-np.array(errors), abs=1e-6)


@pytest.mark.usefixtures("curves")
def test_without_attacks_the_reconstructions_choose_the_weights(run: TrainingRun) -> None:
    outcome = train(replace(run, validation=alive(run.validation)), quiet=True)
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert all("auroc" not in line and line["score"] < 0 for line in lines)
    assert outcome.metrics == ValidationMetrics(live_score=max(line["score"] for line in lines))
    assert (run.folder / "curves.png").stat().st_size > 1000


def test_no_live_images_are_a_clear_error(run: TrainingRun) -> None:
    with pytest.raises(DatasetError, match="no live images among the training"):
        train(replace(run, train=alive(run.train, genuine=False)), quiet=True)
    with pytest.raises(DatasetError, match="no live images among the validation"):
        train(replace(run, validation=alive(run.validation, genuine=False)), quiet=True)


def test_the_rate_decays_over_the_second_half(run: TrainingRun) -> None:
    assert [schedule_factor("decay", step, 8) for step in range(8)] == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_betas_are_adams(run: TrainingRun) -> None:
    with pytest.raises(UsageError, match="Adam"):
        replace(run.preset, optimizer="rmsprop")


def test_the_command_trains_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, folder = tmp_path / "people", tmp_path / "run"
    for person in range(18):  # enough for a validation person
        for kind in ("genuine", "forged"):
            path = data / str(person) / kind / "1.png"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), np.random.default_rng(person).integers(0, 255, (16, 16), np.uint8))
    command = ["train", "ganomaly", "--tiny", "--steps", "2", "--data", f"folder:{data}", "--out", str(folder)]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {
        "contract_version",
        "run",
        "steps",
        "auroc",
        "eer",
        "score",
        "seconds",
    }
