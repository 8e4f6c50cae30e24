"""Recipe ``spoof_lite`` and its training: what it is, whom a batch shows, what is minimised and measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.samples import Dataset, Labels, Sample
from edge_sdk.export.data.sampling import Shares, cameras_of, evenly, kept
from edge_sdk.export.formats.artifacts import Graphs, kinds
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.losses.tasks import AttackTask
from edge_sdk.export.recipes.ganomaly_lite import GanomalyLite
from edge_sdk.export.recipes.spoof_lbp import SpoofLbp
from edge_sdk.export.recipes.spoof_lite import Details, SpoofLite
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.manifest import EmbeddingDistance


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def multiply_adds(network: nn.Module) -> int:
    """Of one frame: for each value of a layer's output (of a transposed one, its input) one filter's products."""
    found = 0

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal found
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            values = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
            found += values.numel() * layer.weight[0].numel()

    for layer in network.modules():
        layer.register_forward_hook(count)
    network.eval()(torch.zeros(1, 1, 128, 128))
    return found


@pytest.mark.parametrize(
    ("name", "build", "expected"),
    [
        ("ganomaly_lite", GanomalyLite, (8_772 + 26 * 16 + 17 * 116, 9_126_880)),
        ("spoof_lite", SpoofLite, (32_273, 18_604_160)),
        ("spoof_lite", lambda: SpoofLite(width=2.0), (118_817, 64_471_296)),
        ("spoof_lbp", SpoofLbp, (117 + 17 * 116 + 197 * 16, 17_183_313)),
    ],
    ids=["ganomaly_lite", "spoof_lite", "spoof_lite rendered_large", "spoof_lbp"],
)
def test_what_a_device_computes(name: str, build: Callable[[], nn.Module], expected: tuple[int, int]) -> None:
    network = build()
    chosen = recipes.get(name)
    score = chosen.scores.get("joint_likelihood", chosen.score)  # what ganomaly_lite is shipped with
    part = network.inference_model(score.outputs)
    unused = [network.second_encoder, network.discriminator] if name == "ganomaly_lite" else []
    assert (parameters(network) - sum(map(parameters, unused)), multiply_adds(part)) == expected


@pytest.mark.parametrize(("name", "limit"), [("ganomaly_lite", 250_000), ("spoof_lite", 60_000), ("spoof_lbp", 13_000)])
def test_int8_is_small(name: str, limit: int) -> None:
    chosen = recipes.get(name)
    part = chosen.inference_model(chosen.network().eval())
    graphs = Graphs(part, (1, 128, 128), np.zeros((1, 1, 128, 128), np.float32), chosen.outputs)
    (int8,) = (kind for kind in kinds(["int8.onnx"]) if kind.precision == "int8")
    assert len(graphs.quantizer(int8).quantize("minmax")) < limit


def test_the_verdict_is_one_logit_and_learns_from_it() -> None:
    torch.manual_seed(0)
    network = recipes.get("spoof_lite").tiny()
    x = torch.rand(4, 1, 128, 128)
    made = network.train()(x)
    assert (made.image.shape, made.logit.shape) == (x.shape, (4, 1))
    AttackClassification(images=4).loss(made.logit, torch.tensor([True, True, False, False])).backward()
    assert [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []
    network.eval()
    with torch.no_grad():
        made = network.classify(x)
        assert torch.equal(network(x), made.logit)
        assert torch.allclose(made.features @ network.classifier[1].weight.T + network.classifier[1].bias, made.logit)


def test_int8_keeps_the_first_layer_as_it_is() -> None:
    """Its filters are whole steps of int8 that sum to 0: no even brightness gets in by rounding."""
    torch.manual_seed(0)
    details = Details(64)
    x = torch.rand(2, 1, 33, 33)
    with torch.no_grad():
        plain = details.rounded()
        steps = plain.weight / plain.weight.abs().amax((1, 2, 3), keepdim=True) * 127
        assert torch.allclose(steps, steps.round(), atol=1e-4)
        assert not steps.round().sum((1, 2, 3)).any()
        naive = details.weight - details.weight.mean((2, 3), keepdim=True)
        naive = (naive / naive.abs().amax((1, 2, 3), keepdim=True) * 127).round()
        assert naive.sum((1, 2, 3)).any()
        assert torch.allclose(plain(x), details(x), atol=0.02)
        assert torch.allclose(plain(x + 100)[..., 2:-2, 2:-2], plain(x)[..., 2:-2, 2:-2], atol=1e-3)
        details.weight[3] = 0.25  # after the mean is taken off, nothing is left
        assert not details.rounded().weight[3].any()


def test_a_device_computes_what_was_trained() -> None:
    torch.manual_seed(0)
    chosen = recipes.get("spoof_lite")
    network, x = chosen.network().eval(), torch.rand(4, 1, 128, 128)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        assert torch.allclose(chosen.inference_model(network)(x), network(x), atol=0.05)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


# --- batches ---------------------------------------------------------------------------------------------------------


def shown(
    home: str, person: str, attack: str | None, session: str | None, count: int, *, rendering: str = ""
) -> list[Sample]:
    return [
        Sample(f"{rendering}{home}", f"{home}/{person}", attack is None, Path(str(k)), attack, session, modality="face")
        for k in range(count)
    ]


CROWD = [
    *shown("film", "a", None, "1", 50),
    *shown("film", "a", None, "2", 3),
    *shown("film", "b", None, "1", 7),
    *(sample for person in range(20) for sample in shown("web", str(person), None, None, 1)),
    *shown("film", "a", "print", "1", 9),
    *shown("film", "b", "print", "1", 40),
    *(s for person in range(20) for s in shown("web", str(person), "print", None, 2, rendering="print+")),
    *shown("film", "a", "print", None, 5, rendering="print+"),
    *shown("film", "a", "screen", "1", 2, rendering="screen+"),
]


def test_chances_are_shared_level_by_level() -> None:
    """Re-derived for each image from the sets of what stands beside it."""
    shares = Shares.of(CROWD)

    def expected(one: Sample, genuine: bool) -> float:
        if one.genuine != genuine:
            return 0.0

        def levels(s: Sample) -> list[str | None]:
            attack = [] if genuine else [str(s.rendered), s.attack]
            return [*attack, s.subject.split("/")[0], s.subject, s.session, f"{s.dataset} {s.path}"]

        rows = [levels(s) for s in CROWD if s.genuine == genuine]
        mine = levels(one)
        chance = 1.0
        for level in range(len(mine)):
            chance /= len({row[level] for row in rows if row[:level] == mine[:level]})
        return chance

    assert shares.live == pytest.approx([expected(one, True) for one in CROWD])
    assert shares.attacks == pytest.approx([expected(one, False) for one in CROWD])
    assert shares.live.sum() == pytest.approx(1)
    assert shares.attacks.sum() == pytest.approx(1)


def test_batches_are_half_live_and_even() -> None:
    rng = np.random.default_rng(0)
    drawn = [[CROWD[i] for i in Shares.of(CROWD).draw(64, rng)] for _ in range(200)]
    assert all([one.genuine for one in images] == [True] * 32 + [False] * 32 for images in drawn)
    images = [one for some in drawn for one in some]
    live = [one for one in images if one.genuine]
    attacks = [one for one in images if not one.genuine]
    counted = (
        (Counter(one.subject.split("/")[0] for one in live), {"film": 0.5, "web": 0.5}),
        (Counter(one.session for one in live if one.subject == "film/a"), {"1": 0.5, "2": 0.5}),
        (Counter(one.subject for one in live if "film" in one.subject), {"film/a": 0.5, "film/b": 0.5}),
        (Counter(one.rendered for one in attacks), {False: 0.5, True: 0.5}),
        (Counter(one.attack for one in attacks if one.rendered), {"print": 0.5, "screen": 0.5}),
        (Counter(one.subject for one in attacks if not one.rendered), {"film/a": 0.5, "film/b": 0.5}),
    )
    for counts, shares in counted:
        assert {key: count / counts.total() for key, count in counts.items()} == pytest.approx(shares, abs=0.05)


def test_without_levels_all_images_are_alike() -> None:
    assert evenly(np.array([True, False, True, True])) == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize(("genuine", "missing"), [(True, "attacks"), (False, "live images")])
def test_one_class_is_not_enough(genuine: bool, missing: str) -> None:
    with pytest.raises(DatasetError, match=f"no {missing} among the training people"):
        Shares.of([sample for sample in CROWD if sample.genuine == genuine])


def test_an_expert_is_shown_one_kind_of_attacks() -> None:
    everything = Shares.of(CROWD)
    for origin in ("recorded", "rendered"):
        mine = np.array([one.rendered == (origin == "rendered") and not one.genuine for one in CROWD])
        shares = Shares.of(CROWD, origin)
        assert shares.live.tolist() == everything.live.tolist()
        assert shares.attacks == pytest.approx(np.where(mine, 2 * everything.attacks, 0))
        with pytest.raises(DatasetError, match=f"no {origin} attacks among the training people"):
            Shares.of([one for one, own in zip(CROWD, mine, strict=True) if not own], origin)


def test_cameras_are_left_out_by_name() -> None:
    """A rendering goes with its own camera and with that of the picture that it was made of."""

    def of(home: str, camera: str | None, rendering: str = "", attack: str | None = None) -> Sample:
        return replace(shown(home, "a", attack, None, 1, rendering=rendering)[0], camera=camera)

    samples = [
        of("nuaa", "day 01"),
        of("nuaa", "day 02", attack="print"),
        of("lfw", None),
        of("lfw", "dim", "varied-camera+"),
        of("nuaa", "dim", "varied-print+", "print"),
        of("lfw", None, "print+", "print"),
    ]
    assert [cameras_of(sample) for sample in samples] == [
        ("nuaa", "nuaa day 01"), ("nuaa", "nuaa day 02"), ("lfw",), ("lfw", "dim"), ("nuaa", "dim"), ("lfw",),
    ]  # fmt: skip
    for without, expected in (
        ((), [1, 1, 1, 1, 1, 1]),
        (("nuaa day 02",), [1, 0, 1, 1, 1, 1]),
        (("nuaa",), [0, 0, 1, 1, 0, 1]),
        (("dim", "nuaa day 01"), [0, 1, 1, 0, 0, 1]),
    ):
        assert kept(samples, None, without).tolist() == [bool(one) for one in expected]
        objective = AttackClassification(images=2, without=without)
        assert objective.kept(samples).tolist() == [bool(one) for one in expected]
        shares = Shares.of(samples, None, without)
        assert ((shares.live + shares.attacks) > 0).tolist() == [bool(one) for one in expected]
    assert kept(samples, "rendered", ("dim",)).tolist() == [True, False, True, False, False, True]
    with pytest.raises(DatasetError, match="no live images among the training people"):
        Shares.of(samples, None, ("nuaa", "lfw day 01", "lfw"))


def test_the_loss_image_by_image() -> None:
    logits, live = [-2.0, 0.5, 3.0, 0.1], [True, True, False, False]
    probabilities = [1 / (1 + math.exp(-logit)) for logit in logits]
    expected = -sum(math.log(p if flag else 1 - p) for p, flag in zip(probabilities, live, strict=True)) / 4
    found = AttackClassification(images=4).loss(torch.tensor(logits)[:, None], torch.tensor(live))
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("images", [0, 7, -2])
def test_batches_have_two_halves(images: int) -> None:
    with pytest.raises(UsageError, match="even number"):
        AttackClassification(images=images)


# --- training --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(faces: Dataset, tmp_path: Path) -> TrainingRun:
    """Of a miniature, on three people."""
    base = recipes.get("spoof_lite")
    settings = {"learning_rate": 0.01, "schedule": "constant", "average": 0.0, "augmentation": None}
    preset = replace(base.preset("best"), objective=AttackClassification(images=16), validate_every=12, **settings)
    data = faces.select(faces.subjects[:3]), faces.select(faces.subjects[3:])
    return TrainingRun(replace(base, presets={"best": preset}), "best", tmp_path / "run", *data, steps=24, tiny=True)


def test_it_learns_to_tell_a_grid_from_a_face(run: TrainingRun) -> None:
    outcome = train(run, quiet=True)
    assert outcome.metrics.as_dict().keys() == {"auroc", "eer", "bpcer_at_apcer_0.05"}
    assert outcome.metrics.auroc > 0.9


def test_an_expert_is_validated_on_its_own_attacks(run: TrainingRun) -> None:
    learned = run.recipe.training_task(run.preset, Labels.of(run.train), run.train.samples)
    assert isinstance(learned, AttackTask)
    expert = replace(learned, objective=AttackClassification(images=16, attacks="rendered"))
    rows = [("x", None), ("x", None), ("x", "print"), ("print+x", "print")]
    samples = [
        Sample(dataset, f"x/{k}", attack is None, Path(), attack, modality="face")
        for k, (dataset, attack) in enumerate(rows)
    ]
    scores = np.array([0.8, 0.4, 0.9, 0.1])
    assert expert.measure(scores, samples).auroc == 1
    assert learned.measure(scores, samples).auroc == 0.5
    with pytest.raises(DatasetError, match="no rendered attacks among the validation"):
        expert.measure(scores[:3], samples[:3])


def test_validation_is_of_the_worst_species(run: TrainingRun) -> None:
    learned = run.recipe.training_task(run.preset, Labels.of(run.train), run.train.samples)
    species = [None] * 4 + ["print"] * 10 + ["screen"] * 2
    samples = [Sample("x", f"x/{k}", one is None, Path(), one, modality="face") for k, one in enumerate(species)]
    scores = np.array([0.9, 0.8, 0.6, 0.4] + [0.1] * 10 + [0.7, 0.1])
    found = learned.measure(scores, samples)
    pairs = [a > b for a in scores[:4] for b in scores[4:]]
    assert found.auroc == pytest.approx(sum(pairs) / len(pairs))
    assert list(found.as_dict()) == ["auroc", "eer", "bpcer_at_apcer_0.05"]
    assert found.selection_metric == found.auroc
    assert found.bpcer_at_apcer_5 == 0.5  # above 0.7, where half of the screens pass, are two live images
    with pytest.raises(DatasetError, match="no attacks among the validation"):
        learned.measure(scores[:4], samples[:4])
    with pytest.raises(DatasetError, match="no live images among the validation"):
        learned.measure(scores[4:], samples[4:])


def test_its_answer_is_the_probability_of_live(run: TrainingRun) -> None:
    learned = run.recipe.training_task(run.preset, Labels.of(run.train), run.train.samples)
    network, x = run.network().eval(), torch.rand(3, 1, 128, 128)
    with torch.no_grad():
        expected = [1 / (1 + math.exp(-logit)) for logit in network(x)[:, 0].tolist()]
        assert learned.outputs(network, x) == pytest.approx(expected, abs=1e-6)


def test_verdicts_are_no_embeddings(run: TrainingRun) -> None:
    chosen = replace(run.recipe, score=EmbeddingDistance(output="embedding", metric="cosine"))
    with pytest.raises(UsageError, match=r"spoof_lite: .*decision head"):
        chosen.training_task(run.preset, Labels.of(run.train), run.train.samples)
