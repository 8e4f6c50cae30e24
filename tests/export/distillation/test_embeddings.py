"""Distillation: what is minimised, that it teaches, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from edge_sdk.errors import DatasetError, TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data import cache
from edge_sdk.export.data.augmentation import Views
from edge_sdk.export.data.load import load, load_unlabeled
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.signatures.augmentation import SignatureAugmentation, Warp
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.export.data.splits import Split, split_subjects
from edge_sdk.export.distillation import teachers
from edge_sdk.export.distillation.embeddings import EmbeddingTargets, principal
from edge_sdk.export.distillation.hook import DistillationHook
from edge_sdk.export.distillation.teachers import EmbeddingCache, Teacher, embed_all
from edge_sdk.export.losses.distillation import EmbeddingDistillation, aligned, relational
from edge_sdk.export.networks.network import Network
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.hooks import Student
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.progress import ProgressDisplay
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.preprocess import INK, apply

from ..interruption import train_until

DATA = load("synthetic:6")
TRAIN, VALIDATION = split_subjects(DATA, (0.5, 0.5))
SPLIT = Split(TRAIN, VALIDATION, (), (), ())
STILL = SignatureAugmentation(
    image=Warp(0, 0, 0), shift=0, bend=0, stroke=0, erase=0
)  # writers are changed, and nothing else


def units(*shape: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a miniature that was trained for a few steps."""
    folder = tmp_path_factory.mktemp("teacher") / "run"
    run = TrainingRun(
        recipes.get("deepsign"),
        "quick",
        folder,
        DATA.select(TRAIN),
        DATA.select(VALIDATION),
        ("synthetic:6",),
        seed=7,
        steps=2,
        tiny=True,
    )
    train(run, quiet=True)
    SPLIT.write(folder / "split.json")
    return folder


@pytest.fixture(scope="module")
def teacher(taught: Path) -> Teacher:
    return Teacher.read(taught)


@pytest.fixture
def student(tmp_path: Path) -> TrainingRun:
    """A miniature with other first weights than the teacher's, without guide."""
    base = recipes.get("deepsign")
    chosen = replace(base, presets={"quick": replace(base.preset("quick"), validate_every=3, average=0.0, keep="last")})
    data = DATA.select(TRAIN), DATA.select(VALIDATION)
    return TrainingRun(chosen, "quick", tmp_path / "run", *data, ("synthetic:6",), steps=6, tiny=True)


def targets(run: TrainingRun, hook: DistillationHook) -> EmbeddingTargets:
    student = Student(run.folder, run.recipe, run.preset, run.seed, run.train)
    return hook.prepare(student, Fabric(accelerator="cpu", devices=1), ProgressDisplay(quiet=True))


def test_the_relational_loss_pair_by_pair() -> None:
    student, teacher = units(5, 8), units(5, 3, seed=1)
    differences = [
        (float(student[i] @ student[j]) - float(teacher[i] @ teacher[j])) ** 2
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    found = relational(torch.from_numpy(student), torch.from_numpy(teacher))
    assert found.item() == pytest.approx(sum(differences) / 20, rel=1e-5)


def test_the_embedding_loss_image_by_image() -> None:
    student, teacher = units(5, 8), units(5, 8, seed=1)
    expected = sum(1 - float(a @ b) for a, b in zip(student, teacher, strict=True)) / 5
    assert aligned(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected, rel=1e-5)


def test_fewer_coordinates_keep_the_cosines_that_fit_into_them() -> None:
    flat = units(50, 4) @ np.linalg.qr(np.random.default_rng(3).standard_normal((9, 9)))[0][:4]  # 4 of 9 dimensions
    basis = principal(flat.reshape(10, 5, 9).astype(np.float32), 4)
    assert np.allclose(basis.T @ basis, np.eye(4), atol=1e-5)
    assert np.allclose((flat @ basis) @ (flat @ basis).T, flat @ flat.T, atol=1e-5)


def test_as_many_or_more_coordinates_keep_the_embedding() -> None:
    wide = units(6, 3) @ principal(units(6, 3), 5)
    assert np.array_equal(wide, np.pad(units(6, 3), ((0, 0), (0, 2))))
    assert np.array_equal(principal(units(6, 3), 3), np.eye(3))


def test_a_view_is_always_the_same_and_no_two_are() -> None:
    image = np.rint(apply(INK, SyntheticWriter(1).genuine(0))[0] * 255).astype(np.uint8)
    made = {
        (seed, number, writer, view): Views(SignatureAugmentation(), seed, 8)(image, number, writer, view)
        for seed in (0, 1)
        for number in (0, 1)
        for writer in (0, 1)
        for view in (0, 1)
    }
    for (seed, *which), one in made.items():
        assert np.array_equal(one, Views(SignatureAugmentation(), seed, 8)(image, *which))
    assert len({one.tobytes() for one in made.values()}) == len(made)
    assert Views(None, 0, 1)(image, 0, 0, 0) is image


def test_a_writers_images_are_warped_alike_in_one_view() -> None:
    image = np.rint(apply(INK, SyntheticWriter(1).genuine(0))[0] * 255).astype(np.uint8)
    views = Views(STILL, 0, 8)
    assert np.array_equal(views(image, 0, 5, 2), views(image, 1, 5, 2))
    assert not np.array_equal(views(image, 0, 5, 2), views(image, 0, 6, 2))
    assert not np.array_equal(views(image, 0, 5, 2), views(image, 0, 5, 3))


def test_another_frame_is_changed_alike() -> None:
    small = np.rint(apply(INK, SyntheticWriter(1).genuine(0))[0] * 255).astype(np.uint8)
    large = np.asarray(cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.uint8)
    views = Views(SignatureAugmentation(stroke=0), 0, 8)
    for view in range(8):
        shrunk = cv2.resize(views(large, 0, 0, view), (180, 150), interpolation=cv2.INTER_AREA)
        blurred = [cv2.GaussianBlur(one, (0, 0), 2).ravel() for one in (shrunk, views(small, 0, 0, view))]
        assert np.corrcoef(*blurred)[0, 1] > 0.95


class Patches(torch.nn.Module):
    """Ink by place, and one matrix: learns in a few steps what takes DeepSign's miniature hundreds."""

    def __init__(self, **_: float) -> None:
        super().__init__()
        self.matrix = torch.nn.Linear(30, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ink = torch.nn.functional.adaptive_avg_pool2d(x, (5, 6)).flatten(1)
        ink = ink - ink.mean(dim=1, keepdim=True)
        return torch.nn.functional.normalize(self.matrix(10 * ink).float(), dim=1)


def test_a_student_comes_closer_to_its_teacher_than_without(student: TrainingRun) -> None:
    preset = replace(student.preset, schedule="constant", learning_rate=0.03, network={}, augmentation=None)
    learner = replace(student.recipe, tiny=Patches, presets={"quick": preset})
    torch.manual_seed(3)
    network = Patches()
    with torch.no_grad():  # any random matrix keeps the cosines of what it is given; one that weighs places does not
        network.matrix.weight *= torch.logspace(1, -1, 30)
    teacher = Teacher(learner, "quick", network, "0" * 64, frozenset())
    alone = replace(student, recipe=learner, folder=student.folder.with_name("alone"), steps=24)
    guided = replace(
        alone, folder=student.folder, hook=DistillationHook((teacher,), SPLIT, EmbeddingDistillation(labels=0.1))
    )
    images = torch.from_numpy(cache.prepared(student.train.samples, INK) / np.float32(255))

    @torch.no_grad()
    def distances(network: torch.nn.Module) -> tuple[float, float]:
        found, told = network(images), teacher.network(images)
        return relational(found, told).item(), aligned(found, told).item()

    def trained(run: TrainingRun) -> torch.nn.Module:
        network = run.network()
        checkpoint.load_network(train(run, quiet=True).checkpoint, network)
        return network

    torch.manual_seed(student.seed)
    fresh, without, with_teacher = map(distances, (guided.network(), trained(alone), trained(guided)))
    assert all(taught < 0.5 * min(other) for taught, *other in zip(with_teacher, fresh, without, strict=True))


def test_an_interrupted_run_takes_the_steps_it_would_have_taken(
    student: TrainingRun, teacher: Teacher, tmp_path: Path
) -> None:
    guided = replace(student, hook=DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=2)))
    halved = replace(guided, folder=tmp_path / "halved")
    train(guided, quiet=True)
    train_until(halved, 3)
    train(halved, quiet=True)
    whole, resumed = (checkpoint.load(run.folder / "last.safetensors")[0] for run in (guided, halved))
    assert all(torch.allclose(whole[name].float(), resumed[name].float(), atol=1e-6) for name in whole)


def test_answers_are_asked_for_once_and_go_on_after_a_kill(
    student: TrainingRun, teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teachers, "CHUNK", 16)
    ask: Callable[..., np.ndarray] = EmbeddingCache._compute
    asked: list[tuple[int, int]] = []

    def counted(
        self: EmbeddingCache, network: torch.nn.Module, images: np.ndarray, numbers: range, view: int
    ) -> np.ndarray:
        if len(asked) == 5:
            asked.clear()
            raise KeyboardInterrupt
        asked.append((view, numbers[0]))
        return ask(self, network, images, numbers, view)

    monkeypatch.setattr(EmbeddingCache, "_compute", counted)
    teaching = DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=2))
    with pytest.raises(KeyboardInterrupt):
        targets(student, teaching)
    resumed = targets(student, teaching)
    assert asked == [(1, 16), (1, 32), (1, 48)]  # 60 images are four chunks
    assert np.array_equal(targets(student, teaching).embeddings, resumed.embeddings)
    assert len(asked) == 3
    monkeypatch.setattr(EmbeddingCache, "_compute", ask)
    elsewhere = targets(replace(student, folder=student.folder.with_name("elsewhere")), teaching)
    assert np.array_equal(elsewhere.embeddings, resumed.embeddings)
    assert np.array_equal(elsewhere.basis, resumed.basis)


def test_a_teacher_sees_its_own_picture_in_the_students_view(student: TrainingRun) -> None:
    base = recipes.get("deepsign")
    torch.manual_seed(0)
    network = base.tiny(batch_norm=False).eval()
    other = Teacher(base, "paper", network, "0" * 64, frozenset())  # 300 x 360 pixels, where the student has 150 x 180
    few = replace(student, train=Dataset("few", student.train.samples[:4]))
    made = targets(few, DistillationHook((other,), SPLIT, EmbeddingDistillation(views=2)))
    pictures = cache.prepared(few.train.samples, base.preset("paper").preprocessing)
    for image in range(4):
        for view in range(2):
            seen = made.views(pictures[image], image, int(made.persons[image]), view)
            assert seen.shape == (1, 300, 360)
            with torch.no_grad():
                expected = network(torch.from_numpy(seen[None] / np.float32(255)))[0]
            assert np.allclose(made.embeddings[image, view], expected, atol=1e-4)
    assert made(np.array([0, 1]), np.random.default_rng(0)).images.shape == (2, 1, 150, 180)


class ByBrightness(Network):
    """Embeds a picture by its mean and a direction: enough to tell teachers apart."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.direction = torch.from_numpy(units(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ones = torch.ones(1, len(self.direction)) / len(self.direction) ** 0.5
        return torch.nn.functional.normalize(self.direction + 8 * x.mean(dim=(1, 2, 3))[:, None] * ones, dim=1)


def test_an_ensemble_has_the_mean_of_the_similarities(student: TrainingRun, tmp_path: Path) -> None:
    base = recipes.get("deepsign")
    ensemble = [Teacher(base, "quick", ByBrightness(size), str(size) * 64, frozenset()) for size in (5, 3)]
    samples = student.train.samples[:3]
    fabric = Fabric(accelerator="cpu", devices=1)
    answers = EmbeddingCache(tmp_path, samples, np.zeros(3, np.int64), Views(SignatureAugmentation(), 0, 2), fabric)
    single = [embed_all([one], answers, ProgressDisplay(quiet=True)) for one in ensemble]
    both = embed_all(ensemble, answers, ProgressDisplay(quiet=True))
    assert both.shape == (3, 2, 8)
    for view in range(2):
        mean = sum(one[:, view] @ one[:, view].T for one in single) / 2
        assert np.allclose(both[:, view] @ both[:, view].T, mean, atol=1e-6)
    made = targets(student, DistillationHook(tuple(ensemble), SPLIT, EmbeddingDistillation(views=2)))
    target = made(np.arange(4), np.random.default_rng(0)).target
    assert target.shape == (4, 128)
    assert torch.allclose(target.norm(dim=1), torch.ones(4))


def test_a_step_shows_each_writer_in_one_view(student: TrainingRun, teacher: Teacher) -> None:
    made = targets(student, DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=3)))
    rng = np.random.default_rng(0)
    indices = np.arange(len(made.persons))
    seen: set[tuple[int, int]] = set()
    for _ in range(4):
        target = made(indices, rng)
        for writer in range(3):
            mine = np.flatnonzero(made.persons == writer)
            fits = [
                view for view in range(3) if np.array_equal(target.teacher[mine].numpy(), made.embeddings[mine, view])
            ]
            assert len(fits) == 1
            shown = [made.views(made.images[i], int(i), writer, fits[0]) for i in mine[:3]]
            assert np.array_equal(target.images[mine[:3]], np.stack(shown))
            seen.add((writer, fits[0]))
    assert len(seen) > 3


def test_pictures_without_labels_take_part_in_the_teachers_terms_alone(
    student: TrainingRun, teacher: Teacher, tmp_path: Path, signer: Callable[..., np.ndarray]
) -> None:
    (tmp_path / "scans" / "deeper").mkdir(parents=True)
    for k, name in enumerate(("a.png", "b.png", "deeper/c.png")):
        cv2.imwrite(str(tmp_path / "scans" / name), signer(k))
    (tmp_path / "scans" / "notes.txt").write_text("no picture")
    pictures = load_unlabeled(str(tmp_path / "scans"), modality="signature")
    assert [sample.subject for sample in pictures.samples] == ["scans/unknown"] * 3
    teaching = DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=2, unlabeled=2), pictures)
    made = targets(student, teaching)
    target = made(np.array([0, 1, 2]), np.random.default_rng(0))
    assert len(target.images) == 5
    assert made.labelled == 60
    assert len(set(made.persons[60:].tolist())) == 3  # nobody knows whether two are of one person
    embeddings = torch.from_numpy(units(5, 128))
    objective = torch.tensor(0.7)
    expected = 0.7 + 10 * relational(embeddings, target.teacher) + aligned(embeddings, target.target)
    assert target.loss(embeddings, objective).item() == pytest.approx(expected.item(), rel=1e-5)
    outcome = train(replace(student, steps=2, hook=teaching), quiet=True)
    assert checkpoint.load(outcome.checkpoint.with_name("last.safetensors"))[0]["bank"].shape == (60, 128)
    described = json.loads((student.folder / "run.json").read_text())
    assert described["train"] == list(TRAIN)
    assert "scans/unknown" in described["distillation"]["people"]


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no samples"):
        load_unlabeled(str(tmp_path), modality="signature")
    with pytest.raises(DatasetError, match="no such folder"):
        load_unlabeled(str(tmp_path / "none"), modality="signature")


def test_a_data_set_can_be_unlabeled() -> None:
    assert load_unlabeled("synthetic:2@5", modality="signature").samples == load("synthetic:2@5").samples


@pytest.mark.parametrize("role", ["validation", "thresholds", "guardrail", "test"])
def test_whoever_measures_the_student_has_not_taught_it(role: str, teacher: Teacher) -> None:
    groups = dict.fromkeys(("validation", "thresholds", "guardrail", "test"), ()) | {role: TRAIN[:1]}
    with pytest.raises(TrainingError, match=f"{TRAIN[0]}, who are {role}"):
        DistillationHook((teacher,), Split(train=TRAIN[1:], **groups))
    stranger = replace(teacher, people=frozenset())
    with pytest.raises(TrainingError, match="unlabeled"):
        DistillationHook((stranger,), Split(train=TRAIN[1:], **groups), unlabeled=DATA)


def test_a_student_keeps_the_last_layer_that_its_teacher_taught(student: TrainingRun, teacher: Teacher) -> None:
    projecting = replace(student.recipe, presets={"quick": replace(student.preset, project=True)})
    hook = DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=1))
    outcome = train(replace(student, recipe=projecting, steps=1, hook=hook), quiet=True)
    network = student.network()
    checkpoint.load_network(outcome.checkpoint, network)
    assert network.get_parameter("embedding.bias").any()


def test_what_a_teachers_teacher_saw_counts_too(student: TrainingRun, teacher: Teacher) -> None:
    old = replace(teacher, people=frozenset({"cedar/1"}))
    train(replace(student, steps=1, hook=DistillationHook((old,), SPLIT, EmbeddingDistillation(views=1))), quiet=True)
    assert Teacher.read(student.folder).people == {"cedar/1", *TRAIN}


def test_a_distilled_run_is_read_as_any_other_and_names_its_teachers(student: TrainingRun, teacher: Teacher) -> None:
    old = replace(teacher, people=frozenset({"cedar/1"}))
    train(replace(student, steps=1, hook=DistillationHook((old,), SPLIT, EmbeddingDistillation(views=1))), quiet=True)
    SPLIT.write(student.folder / "split.json")
    trained = FinishedRun.read(student.folder)
    assert trained.teachers == (f"deepsign (quick) {teacher.weights[:16]}",)
    assert trained.data_names == ("cedar", "synthetic")  # whose terms bind the student as well


def test_a_teacher_needs_a_run_weights_and_a_known_recipe(taught: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training run"):
        Teacher.read(tmp_path)
    shutil.copy(taught / "run.json", tmp_path)
    with pytest.raises(TrainingError, match=r"best\.safetensors"):
        Teacher.read(tmp_path)
    described = json.loads((taught / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**described, "recipe": "nothing"}))
    with pytest.raises(UsageError, match="nothing"):
        Teacher.read(tmp_path)


def test_a_folder_of_another_teacher_or_of_none_is_refused(student: TrainingRun, teacher: Teacher) -> None:
    guided = replace(student, steps=1, hook=DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=1)))
    train(guided, quiet=True)
    for guide in (
        None,
        DistillationHook((replace(teacher, weights="0" * 64),), SPLIT, EmbeddingDistillation(views=1)),
        DistillationHook((teacher,), SPLIT, EmbeddingDistillation(views=2)),
    ):
        with pytest.raises(TrainingError, match="distillation"):
            train(replace(guided, hook=guide), quiet=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"relation": 0, "embedding": 0},
        {"relation": -1},
        {"labels": float("nan")},
        {"views": 0},
        {"unlabeled": 0},
    ],
)
def test_settings_that_teach_nothing_are_wrong_usage(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        EmbeddingDistillation(**settings)


def test_no_teacher_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="teacher"):
        DistillationHook((), SPLIT)
