"""Distillation of reconstructions and verdicts: what is minimised, that it teaches, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional

from edge_sdk.cli import main
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data import cache
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.distillation.hook import DistillationHook, distillation_settings
from edge_sdk.export.distillation.online import online_target
from edge_sdk.export.distillation.teachers import Teacher
from edge_sdk.export.losses.distillation import (
    EmbeddingDistillation,
    LogitDistillation,
    ReconstructionDistillation,
    centred_relations,
    soft_loss,
)
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.networks.classifier import BinaryClassifier
from edge_sdk.export.networks.memory_format import batch
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun

from ..interruption import train_until

STUDENTS = {"ganomaly": ReconstructionDistillation, "spoof_lite": LogitDistillation}
FABRIC = Fabric(accelerator="cpu", devices=1)


def miniature(name: str, *, seed: int = 0, **changes: object) -> Teacher:
    """A network that nobody has trained: it has no people."""
    chosen = recipes.get(name)
    torch.manual_seed(seed)
    network = chosen.tiny().eval()
    values = {"recipe": chosen, "preset_name": "best", "network": network, "weights": "0" * 64, "people": frozenset()}
    return Teacher(**values | changes)


def teacher_of(student: str, *, seed: int = 9) -> Teacher:
    return miniature(student, seed=seed)


def a_run(name: str, faces: Dataset, folder: Path, **preset: object) -> TrainingRun:
    """Six steps of a miniature, validated every third."""
    base = recipes.get(name)
    objective = base.preset("best").objective
    objective = replace(objective, images=4)
    settings = {"objective": objective, "average": 0.0, "keep": "last", "validate_every": 3, "schedule": "constant"}
    chosen = replace(base, presets={"best": replace(base.preset("best"), **settings | preset)})
    data = faces.select(faces.subjects[:3]), faces.select(faces.subjects[3:])
    return TrainingRun(chosen, "best", folder, *data, steps=6, tiny=True)


def split_of(run: TrainingRun) -> Split:
    return Split(run.train.subjects, run.validation.subjects, (), (), ())


def images(run: TrainingRun) -> torch.Tensor:
    return batch(cache.prepared(run.train.samples, run.preset.preprocessing), torch.device("cpu"))


# --- what is minimised -----------------------------------------------------------------------------------------------


def test_relations_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(5, 1, (4, 6)), rng.normal(-3, 2, (4, 2))

    def cosine(vectors: np.ndarray, i: int, j: int) -> float:
        a, b = vectors[i] - vectors.mean(axis=0), vectors[j] - vectors.mean(axis=0)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = sum((cosine(student, i, j) - cosine(teacher, i, j)) ** 2 for i, j in pairs) / len(pairs)
    assert centred_relations(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected)
    scaled = torch.from_numpy(student * 7 - 20)
    assert centred_relations(scaled, torch.from_numpy(student)).item() == pytest.approx(0, abs=1e-9)


def test_soft_verdicts_image_by_image() -> None:
    student, teacher, temperature = [-3.0, 0.2, 8.0], [-1.0, 5.0, 6.0], 2.5
    terms = []
    for s, t in zip(student, teacher, strict=True):
        p, q = (1 / (1 + np.exp(-logit / temperature)) for logit in (t, s))
        terms.append(-p * np.log(q) - (1 - p) * np.log(1 - q))
    found = soft_loss(torch.tensor(student)[:, None], torch.tensor(teacher)[:, None], temperature)
    assert found.item() == pytest.approx(temperature**2 * np.mean(terms), rel=1e-5)


@pytest.mark.parametrize("name", ["ganomaly", "ganomaly_lite"])
def test_imitation_term_by_term(name: str) -> None:
    """With two teachers, each looking for itself, in evaluation mode."""
    teachers = [miniature(name, seed=1), miniature(name, seed=2)]
    student, x = miniature(name, seed=3).network.train(), torch.rand(3, 1, 128, 128)
    made = student(x)
    settings = ReconstructionDistillation(reconstruction=7, relation=5, features=3, labels=0.5)
    target = online_target(settings, teachers, FABRIC)
    assert target.images is None  # the loop's own
    expected = []
    with torch.no_grad():
        for teacher in teachers:
            image = teacher.network(x)
            latent = teacher.network.encoder(teacher.network.imitated(x))[1]
            seen, wanted = (teacher.network.discriminator(one)[0] for one in (made.reconstruction, image))
            term = 7 * (made.reconstruction - image).abs().mean() + 3 * ((seen - wanted) ** 2).mean()
            expected.append((term + 5 * centred_relations(made.latent, latent)).item())
    found = target.loss(made, torch.tensor(0.8))
    assert found.item() == pytest.approx(0.5 * 0.8 + np.mean(expected), rel=1e-5)


def test_a_verdicts_target_term_by_term() -> None:
    teachers = [miniature("spoof_lite", seed=1), miniature("spoof_lite", seed=2)]
    student, x = miniature("spoof_lite", seed=3).network.train(), torch.rand(3, 1, 128, 128)
    made = student(x)
    target = online_target(LogitDistillation(soft=2, temperature=3, relation=5, labels=0.5), teachers, FABRIC)
    expected = []
    with torch.no_grad():
        for teacher in teachers:
            features = teacher.network.features(x)
            soft = soft_loss(made.logit, teacher.network(x), 3)
            expected.append((2 * soft + 5 * centred_relations(made.features, features)).item())
    found = target.loss(made, torch.tensor(0.8))
    assert found.item() == pytest.approx(0.5 * 0.8 + np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_teacher_learns_nothing(name: str) -> None:
    """Neither weights nor batch norms; and the student learns by way of the teacher's discriminator."""
    teacher = teacher_of(name)
    before = {key: value.clone() for key, value in teacher.network.state_dict().items()}
    settings = ReconstructionDistillation(reconstruction=0, relation=0) if name == "ganomaly" else LogitDistillation()
    student = miniature(name).network.train()
    target = online_target(settings, [teacher], FABRIC)
    target.loss(student(torch.rand(4, 1, 128, 128)), torch.tensor(0.0)).backward()
    assert all(torch.equal(before[key], value) for key, value in teacher.network.state_dict().items())
    assert all(value.grad is None for value in teacher.network.parameters())
    moved = {key.split(".")[0] for key, value in student.named_parameters() if value.grad is not None}
    assert moved == ({"encoder", "decoder"} if name == "ganomaly" else {"features", "classifier"})


# --- that it teaches -------------------------------------------------------------------------------------------------


@torch.no_grad()
def answers(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    network.eval()
    return torch.sigmoid(network(x)) if isinstance(network, BinaryClassifier) else network(x)


class Places(nn.Module):
    """Gray by place: what a verdict learns of these in a few steps takes a miniature's batch norms hundreds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gray = functional.adaptive_avg_pool2d(x, 4).flatten(1)
        return 10 * (gray - gray.mean(dim=1, keepdim=True))


def places(**_: float) -> BinaryClassifier:
    return BinaryClassifier(Places(), 16, dropout=0)


@pytest.mark.parametrize(("name", "tiny"), [("ganomaly", None), ("spoof_lite", places)])
def test_a_student_comes_closer_to_its_teacher_than_without(
    name: str, tiny: Callable[..., nn.Module] | None, faces: Dataset, tmp_path: Path
) -> None:
    """In as many steps, with the same first weights and batches."""
    settings = {"learning_rate": 0.05, "augmentation": None, "validate_every": 16}
    alone = replace(a_run(name, faces, tmp_path / "alone", **settings), steps=16)
    teacher = teacher_of(name)
    if tiny:
        alone = replace(alone, recipe=replace(alone.recipe, tiny=tiny))
        torch.manual_seed(1)
        teacher = replace(teacher, network=tiny())
        nn.init.normal_(teacher.network.classifier[1].weight)
    else:
        nn.init.constant_(teacher.network.decoder[-2].bias, -2)  # it draws all faces dark, as nobody else would
    guide = DistillationHook(
        (teacher,), split_of(alone), distillation_settings(alone.recipe, alone.preset, {"labels": 0.2})
    )
    guided = replace(alone, folder=tmp_path / "guided", hook=guide)
    x = images(alone)
    told = answers(teacher.network, x)

    def distance(run: TrainingRun) -> float:
        network = run.network()
        checkpoint.load_network(train(run, quiet=True).checkpoint, network)
        return (answers(network, x) - told).abs().mean().item()

    torch.manual_seed(alone.seed)
    fresh = (answers(alone.network(), x) - told).abs().mean().item()
    assert distance(guided) < 0.6 * min(fresh, distance(alone))


@pytest.mark.parametrize("name", STUDENTS)
def test_an_interrupted_run_takes_the_steps_it_would_have_taken(name: str, faces: Dataset, tmp_path: Path) -> None:
    run = a_run(name, faces, tmp_path / "run")
    guided = replace(run, hook=DistillationHook((teacher_of(name),), split_of(run), STUDENTS[name]()))
    halved = replace(guided, folder=tmp_path / "halved")
    train(guided, quiet=True)
    train_until(halved, 3)
    train(halved, quiet=True)
    whole, resumed = (checkpoint.load(one.folder / "last.safetensors")[0] for one in (guided, halved))
    assert all(torch.allclose(whole[key].float(), resumed[key].float(), atol=1e-6) for key in whole)
    with pytest.raises(TrainingError, match="distillation"):
        train(run, quiet=True)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "teacher", "settings", "message"),
    [
        (
            "ganomaly_lite",
            "deepsign",
            ReconstructionDistillation(),
            "deepsign.* cannot teach this student; .* such as ganomaly",
        ),
        ("ganomaly_lite", "spoof_lite", ReconstructionDistillation(), "spoof_lite.* cannot teach"),
        ("ganomaly_lite", "dcvae", ReconstructionDistillation(), "dcvae.* cannot teach"),
        ("dcvae", "ganomaly", ReconstructionDistillation(), "dcvae cannot be a student"),
        ("spoof_lite", "ganomaly", LogitDistillation(), "ganomaly.* cannot teach"),
        ("ganomaly_lite", "ganomaly", LogitDistillation(), "ganomaly_lite cannot be distilled so"),
        ("ganomaly_lite", "ganomaly", EmbeddingDistillation(), "ganomaly_lite cannot be distilled so"),
        ("deepsign", "ganomaly", EmbeddingDistillation(), "ganomaly.* cannot teach this student"),
    ],
)
def test_impossible_pairs(student: str, teacher: str, settings: Distillation, message: str) -> None:
    chosen = recipes.get(student)
    teaching = DistillationHook((miniature(teacher),), Split((), (), (), (), ()), settings)
    with pytest.raises(UsageError, match=message):
        teaching.require(chosen, chosen.preset("best"))


def test_who_imitates_pictures_cannot_teach_to_imitate_patterns() -> None:
    student = miniature("ganomaly_lite").network.train()
    target = online_target(ReconstructionDistillation(), [miniature("ganomaly")], FABRIC)
    with pytest.raises(UsageError, match=r"imitates \(1, 128, 128\) of a face, and the student \(116,\)"):
        target.loss(student(torch.rand(3, 1, 128, 128)), torch.tensor(0.0))


@pytest.mark.parametrize("name", STUDENTS)
def test_teacher_and_student_look_at_one_picture(name: str, faces: Dataset, tmp_path: Path) -> None:
    run = a_run(name, faces, tmp_path)
    teacher = teacher_of(name)
    preset = replace(teacher.preset, preprocessing=recipes.get("deepsign").preset("best").preprocessing)
    other = replace(teacher, recipe=replace(teacher.recipe, presets={"best": preset}))
    with pytest.raises(UsageError, match="another pre-processing"):
        replace(run, hook=DistillationHook((other,), split_of(run), STUDENTS[name]()))


@pytest.mark.parametrize("name", STUDENTS)
def test_whoever_measures_the_student_has_not_taught_it(name: str, faces: Dataset, tmp_path: Path) -> None:
    run = a_run(name, faces, tmp_path)
    teacher = replace(teacher_of(name), people=frozenset(run.validation.subjects))
    with pytest.raises(TrainingError, match="blobs/3, who are validation"):
        DistillationHook((teacher,), split_of(run), STUDENTS[name]())
    with pytest.raises(UsageError, match="without labels"):
        DistillationHook((teacher_of(name),), split_of(run), STUDENTS[name](), run.train)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ReconstructionDistillation, {"reconstruction": 0, "relation": 0, "features": 0}),
        (ReconstructionDistillation, {"labels": -1}),
        (LogitDistillation, {"soft": 0}),
        (LogitDistillation, {"relation": float("nan")}),
        (LogitDistillation, {"temperature": 0}),
    ],
)
def test_settings_that_teach_nothing_are_wrong_usage(
    kind: Callable[..., Distillation], settings: dict[str, float]
) -> None:
    with pytest.raises(UsageError):
        kind(**settings)


def test_the_task_says_what_settings_there_are() -> None:
    wanted = {
        "ganomaly_lite": ({"features": 2.0}, ReconstructionDistillation(features=2.0), "views"),
        "spoof_lite": ({"temperature": 2.0}, LogitDistillation(temperature=2.0), "features"),
        "deepsign": ({"views": 3}, EmbeddingDistillation(views=3), "temperature"),
    }
    for name, (given, expected, unknown) in wanted.items():
        chosen = recipes.get(name)
        assert distillation_settings(chosen, chosen.preset("best"), given) == expected
        with pytest.raises(UsageError, match=f"the distillation of {name} has no setting {unknown}, only .*labels"):
            distillation_settings(chosen, chosen.preset("best"), {unknown: 1})


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_distills_it(faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A teacher, its student, and the same command once more."""
    data, source = tmp_path / "people", iter(faces.samples)
    for person in range(18):  # enough for a validation person
        for kind in ("live", "attack-print"):
            path = data / kind / str(person) / "1.png"
            path.parent.mkdir(parents=True)
            shutil.copy(next(source, faces.samples[0]).path, path)
    common = ["--tiny", "--steps", "1", "--data", f"spoof:{data}", "--json", "--out"]
    assert main(["train", "ganomaly_lite", *common, str(tmp_path / "teacher")]) == 0
    split = ["--split", str(tmp_path / "teacher" / "split.json")]
    taught = [*split, "--teacher", str(tmp_path / "teacher")]
    command = ["distill", "ganomaly_lite", *common, str(tmp_path / "student"), *taught, "--features", "2"]
    assert [main(command), main(command)] == [0, 0]
    described = json.loads((tmp_path / "student" / "run.json").read_text())
    assert described["distillation"]["settings"]["features"] == 2
    assert [one["recipe"] for one in described["distillation"]["teachers"]] == ["ganomaly_lite"]
    people = Teacher.read(tmp_path / "student").people
    assert people == set(Split.read(tmp_path / "teacher" / "split.json").train)
    assert main([*command, "--views", "2"]) == 2
    assert main(["distill", "spoof_lite", *common, str(tmp_path / "other"), *taught]) == 2
    assert "cannot teach this student" in capsys.readouterr().err
