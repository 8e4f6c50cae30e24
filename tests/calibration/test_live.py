"""A bundle fitted to one camera by live pictures alone; expected values are counted with loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import SpoofDetector, preprocess
from edge_sdk.bundle import Bundle, BundleWriter, pack
from edge_sdk.calibration.live import ALONE, calibrate_live
from edge_sdk.calibration.live_pictures import LivePicture
from edge_sdk.calibration.rewriting import CARD
from edge_sdk.errors import DatasetError, EngineError, UsageError
from edge_sdk.manifest import (
    AccuracyDifference,
    BonaFidePoint,
    DecisionHead,
    Domain,
    Golden,
    Graph,
    Image,
    Input,
    LatentLikelihood,
    Lowest,
    Output,
    Rate,
    SpoofPoint,
    UnsupportedPoint,
    Variant,
)
from edge_sdk.runtime import selftest
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

from ..conftest import png
from ..fake_engine import FakeModel
from ..fake_engine import load as load_fake

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]

PIPELINE = preprocess.framed(preprocess.FACE, 16, 16)
SIZE, DENSITY = 4, "latent.npy"
MODELS = {"fp32.onnx": FakeModel(shape=(1, 16, 16), dim=SIZE, output="latent"),
          "int8.onnx": FakeModel(shape=(1, 16, 16), dim=SIZE, output="latent", seed=1)}  # fmt: skip
BEFORE = GaussianMixture(np.array([0.25, 0.75]), np.array([[-3.0] * SIZE, [1.0] * SIZE]), np.full((2, SIZE), 2.0))
PEOPLE, EACH = 6, 20


def crop(seed: int, person: int = 0) -> np.ndarray:
    """A made-up crop of a face, ``uint8 (40, 40)``: what a person has in common, and noise."""
    common = np.random.default_rng(1000 + person).normal(0, 30, (40, 40))
    return np.clip(128 + common + np.random.default_rng(seed).normal(0, 25, (40, 40)), 0, 255).astype(np.uint8)


def taken(people: int = PEOPLE, each: int = EACH) -> list[LivePicture]:
    """Pictures in turns: each person's first, then each one's second."""
    return [
        LivePicture(f"p{person}", f"p{person}/{k}", crop(100 * person + k, person))
        for k in range(each)
        for person in range(people)
    ]


def spoof_point(threshold: float) -> SpoofPoint:
    few = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
    return SpoofPoint(
        name="apcer_5e-2", threshold=threshold, target=0.05, apcer=few, bpcer=few, species={"print": few}, data="old"
    )


ONE_CLASS = LatentLikelihood(output="model.latent", density=DENSITY)


@pytest.fixture(scope="module")
def bundle(make_bundle: Maker, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One-class, two variants, a golden trial and a model card."""
    difference = AccuracyDifference(
        metric="eer", budget=0.01, delta=0.0, upper90=0.0, subjects=9, verdict="pass", data="old"
    )
    with BundleWriter(tmp_path_factory.mktemp("live") / "before") as writer:
        plain = make_bundle().manifest
        graph = Graph(
            name="model",
            inputs=(Input(name="image", shape=("batch", 1, 16, 16)),),
            outputs=(Output(name="latent", shape=("batch", SIZE), role="latent"),),
            files={name: writer.add(f"model.{name}", msgspec.json.encode(model)) for name, model in MODELS.items()},
        )
        golden = [crop(1), crop(2)]
        manifest = msgspec.structs.replace(
            plain,
            name="oneclass",
            task="spoof",
            modality="face",
            source=Image(),
            preprocessing=PIPELINE,
            graphs=(graph,),
            score=ONE_CLASS,
            embedding_space_id=None,
            variants=tuple(
                Variant(precision=name.split(".")[0], format="onnx", operating_points=(spoof_point(-5.0),),  # type: ignore[arg-type]
                        accuracy=(difference,))
                for name in MODELS
            ),
            golden=Golden(
                inputs=tuple(writer.add(f"golden/{k}.png", png(picture)) for k, picture in enumerate(golden)),
                scores={name: float(BEFORE.log_likelihood(latents(name, golden)).mean()) for name in MODELS},
                tolerance=dict.fromkeys(MODELS, 1e-4),
            ),
            auxiliary=(writer.add(DENSITY, BEFORE.encode()), writer.add(CARD, b"# one-class\n")),
        )  # fmt: skip
        return writer.finish(manifest)


def latents(variant: str, pictures: list[np.ndarray]) -> np.ndarray:
    """``(N, SIZE)`` of one variant, by the engine itself."""
    engine = load_fake(msgspec.json.encode(MODELS[variant]), threads=1)
    return np.concatenate(
        [engine.run({"image": preprocess.apply(PIPELINE, one)[np.newaxis]})["latent"] for one in pictures]
    ).astype(np.float64)


def gaussian(rows: np.ndarray) -> GaussianMixture:
    """Mean and variance of each value, counted; the least variance is a tenth of that of the old density."""
    means, variances = [], []
    for column, middle in zip(rows.T, BEFORE.weights @ BEFORE.means, strict=True):
        mean = sum(column) / len(column)
        old = sum(
            weight * (variance[0] + (one[0] - middle) ** 2)
            for weight, one, variance in zip(BEFORE.weights, BEFORE.means, BEFORE.variances, strict=True)
        )
        means.append(mean)
        variances.append(max(sum((value - mean) ** 2 for value in column) / len(column), 0.1 * old))
    return GaussianMixture(np.ones(1), np.array([means]), np.array([variances])).rounded()


def fitted(bundle: Bundle, destination: Path | None, pictures: list[LivePicture] | None = None, **settings: object):  # type: ignore[no-untyped-def]
    options = {"engine": "fake", "faces": "cropped", "data": "mine"} | settings
    return calibrate_live(bundle, taken() if pictures is None else pictures, destination, **options)  # type: ignore[arg-type]


def test_thresholds_are_of_scores_without_the_person(bundle: Bundle, tmp_path: Path) -> None:
    found = fitted(bundle, tmp_path / "after.edge")
    pictures = taken()
    people = [one.person for one in pictures]
    reference = latents("fp32.onnx", [one.picture for one in pictures])
    for one in found.fitted:
        own = latents(one.variant, [each.picture for each in pictures])
        scores = []
        for k, person in enumerate(people):
            others = [row for row, name in zip(reference, people, strict=True) if name != person]
            scores.append(gaussian(np.array(others)).log_likelihood(own[k : k + 1])[0])
        tenth, twentieth, hundredth = one.points
        for point, rank in ((tenth, 12), (twentieth, 6)):  # floor(121 t)
            assert isinstance(point, BonaFidePoint)
            assert point.threshold == pytest.approx(sorted(scores)[rank - 1], abs=1e-6)
            assert point.bpcer.errors == rank - 1
            assert (point.subjects, point.data) == (PEOPLE, "mine, 6 people, 120 pictures")
        assert isinstance(hundredth, UnsupportedPoint)
    assert found.fitted[0].points != found.fitted[1].points


def test_the_density_is_that_of_all_pictures_and_models_stay(bundle: Bundle, tmp_path: Path) -> None:
    after = fitted(bundle, tmp_path / "after").bundle
    entries = {entry.path: entry for entry in after.manifest.auxiliary}
    density = GaussianMixture.decode(after.read(entries[DENSITY]))
    expected = gaussian(latents("fp32.onnx", [one.picture for one in taken()]))
    assert density.weights.tolist() == [1.0]
    assert density.means == pytest.approx(expected.means, rel=1e-6)
    assert density.variances == pytest.approx(expected.variances, rel=1e-6)
    old, new = bundle.manifest, after.manifest
    assert (new.graphs, new.score, new.training, new.preprocessing) == (
        old.graphs, old.score, old.training, old.preprocessing,
    )  # fmt: skip
    assert [variant.accuracy for variant in new.variants] == [(), ()], "int8's cost was measured of the old density"
    assert "no figure above holds" in after.read(entries[CARD]).decode()
    with SpoofDetector(after, engine="fake", precision="int8.onnx", faces="cropped") as detector:
        score = float(density.log_likelihood(latents("int8.onnx", [crop(7)]))[0])
        assert detector.examine(crop(7)).score == pytest.approx(score, abs=1e-6)
        assert detector.detect(crop(7)).operating_point == "bpcer_1e-1"


def test_golden_scores_are_those_of_the_new_density(bundle: Bundle, tmp_path: Path) -> None:
    after = fitted(bundle, tmp_path / "after").bundle
    assert selftest.passed(selftest.selftest(after, engine="fake"))
    for variant in MODELS:
        assert after.manifest.golden.scores[variant] != pytest.approx(bundle.manifest.golden.scores[variant], abs=1e-3)
        assert after.manifest.golden.tolerance[variant] >= bundle.manifest.golden.tolerance[variant]


def test_the_bundle_says_to_what_it_was_fitted(bundle: Bundle, tmp_path: Path) -> None:
    pictures = [*taken(), LivePicture("p0", "again", taken()[0].picture), LivePicture("p1", "lost", None)]
    found = fitted(bundle, tmp_path / "after", pictures)
    said = found.bundle.manifest.thresholds
    assert said is not None
    assert (said.data, said.impostors, said.subjects, said.pictures) == ("mine", ALONE, PEOPLE, PEOPLE * EACH)
    assert (said.unusable, said.densities, said.previous_bundle) == (2, (DENSITY,), bundle.id)
    assert [(one.path, one.reasons) for one in found.unusable] == [("again", ("frozen",)), ("lost", ("corrupt",))]
    other = fitted(bundle, tmp_path / "other", taken()[1:]).bundle.manifest.thresholds
    assert other is not None
    assert said.digest != other.digest
    assert len(said.digest) == 64


def test_of_one_person_the_others_of_five_parts_give_the_density(bundle: Bundle, tmp_path: Path) -> None:
    pictures = taken(people=1, each=60)
    found = fitted(bundle, tmp_path / "after", pictures, precision="fp32")
    assert found.one_person
    assert not fitted(bundle, tmp_path / "six", precision="fp32").one_person
    rows = latents("fp32.onnx", [one.picture for one in pictures])
    scores = []
    for k in range(60):
        part = k // 12
        others = np.array([row for j, row in enumerate(rows) if j // 12 != part])
        scores.append(gaussian(others).log_likelihood(rows[k : k + 1])[0])
    assert found.fitted[0].points[0].threshold == pytest.approx(sorted(scores)[5], abs=1e-6)  # floor(6.1) = 6th


def test_a_few_pictures_of_others_do_not_make_a_density(bundle: Bundle, tmp_path: Path) -> None:
    pictures = taken(people=1, each=60) + [LivePicture("p9", str(k), crop(9000 + k, 9)) for k in range(3)]
    found = fitted(bundle, tmp_path / "after", pictures, precision="fp32")
    assert (found.subjects, found.one_person) == (2, True)


def test_a_score_without_a_density_gets_thresholds_alone(bundle: Bundle, tmp_path: Path) -> None:
    (graph,) = bundle.manifest.graphs
    outputs = (Output(name="latent", shape=("batch", SIZE), role="logit"),)
    score = DecisionHead(output="model.latent", activation="softmax", genuine_index=2)
    with BundleWriter(tmp_path / "softmax") as writer:
        for entry in bundle.manifest.files:
            writer.add(entry.path, bundle.read(entry))
        changed = msgspec.structs.replace(graph, outputs=outputs)
        variants = tuple(
            msgspec.structs.replace(one, operating_points=(spoof_point(0.5),)) for one in bundle.manifest.variants
        )
        golden = msgspec.structs.replace(
            bundle.manifest.golden, scores=dict.fromkeys(MODELS, 0.5), tolerance=dict.fromkeys(MODELS, 0.1)
        )
        before = writer.finish(
            msgspec.structs.replace(bundle.manifest, graphs=(changed,), score=score, variants=variants, golden=golden)
        )
    found = fitted(before, tmp_path / "after", precision="fp32")
    values = latents("fp32.onnx", [one.picture for one in taken()])
    shares = [np.exp(row[2]) / sum(np.exp(row)) for row in values - values.max(axis=1, keepdims=True)]
    assert found.fitted[0].points[0].threshold == pytest.approx(sorted(shares)[11], abs=1e-8)
    manifest = found.bundle.manifest
    assert manifest.thresholds is not None
    assert (manifest.thresholds.densities, manifest.score, manifest.variants[0].accuracy) == (
        (), score, before.manifest.variants[0].accuracy,
    )  # fmt: skip


def test_a_fused_density_keeps_its_level() -> None:
    """A typical live picture of the new camera weighs as one of the old cameras did."""
    rng = np.random.default_rng(0)
    tensors = {"m.latent": rng.normal(50, 3, (4000, SIZE)), "m.logit": rng.normal(size=(4000, 1))}
    members = DecisionHead(output="m.logit", activation="identity"), LatentLikelihood(output="m.latent", density="d")
    before = GaussianMixture(np.ones(1), np.zeros((1, SIZE)), np.ones((1, SIZE)))
    lowest = Lowest(members=members, weights=(1.0, 0.5), biases=(0.0, 7.0))
    score, densities = lowest.refitted(tensors, {"d": before})
    assert score.weights == lowest.weights
    assert score.biases[0] == 0.0
    old = before.log_likelihood(rng.normal(size=(4000, SIZE))).mean() * 0.5 + 7.0
    new = densities["d"].log_likelihood(tensors["m.latent"]).mean() * 0.5 + score.biases[1]
    assert new == pytest.approx(old, abs=0.1)


def test_in_place_and_from_a_generator(bundle: Bundle, tmp_path: Path) -> None:
    mine = pack(bundle, tmp_path / "mine.edge")

    def camera() -> Iterator[LivePicture]:
        yield from taken()
        raise AssertionError("enough pictures were taken")

    found = fitted(mine, None, camera(), wanted=100)  # type: ignore[arg-type]
    assert Bundle.open(tmp_path / "mine.edge").id == found.bundle.id != bundle.id
    assert found.pictures == 100


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([], "0 usable live pictures of 0"),
        (taken(people=1, each=49), "49 usable live pictures of 49"),
        ([LivePicture("p", str(k), crop(1)) for k in range(200)], r"1 usable .* 199 pictures cannot.*frozen"),
        ([LivePicture("p", str(k), np.zeros((40, 40), np.uint8)) for k in range(60)], "too_dark"),
        ([LivePicture("p", "x.png", b"no picture") for _ in range(60)], "Error"),
    ],
    ids=["none", "few", "a hung camera", "a covered lens", "no pictures"],
)
def test_pictures_that_fit_nothing_are_refused(
    pictures: list[LivePicture], words: str, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=words):
        fitted(bundle, tmp_path / "after", pictures)
    assert not (tmp_path / "after").exists()


def test_what_is_no_bundle_for_it_is_refused(bundle: Bundle, tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="task verify: live pictures fit bundles of task spoof"):
        fitted(tiny_bundle, tmp_path / "after")
    with pytest.raises(UsageError, match="the bundle itself"):
        fitted(bundle, bundle.path)
    with pytest.raises(EngineError, match="2 of 2 variants cannot be measured here"):
        fitted(bundle, tmp_path / "after", engine="litert")
    assert not (tmp_path / "after").exists()


def test_domains_stay_where_an_expert_knows_the_camera_and_widen_where_none_does() -> None:
    rng = np.random.default_rng(0)
    tensors = {f"m.{name}": rng.normal(9.0, 1.0, (200, 2)) for name in ("near", "far")}
    tensors |= {f"m.{name}_logit": rng.normal(size=(200, 1)) for name in ("near", "far")}
    densities = {
        "near.npy": GaussianMixture(np.ones(1), np.full((1, 2), 9.0), np.ones((1, 2))),
        "far.npy": GaussianMixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2))),
    }

    def experts(least: float) -> Lowest:
        return Lowest(
            members=tuple(DecisionHead(output=f"m.{name}_logit", activation="identity") for name in ("near", "far")),
            weights=(1.0, 1.0),
            biases=(0.0, 0.0),
            domains=tuple(
                Domain(likelihood=LatentLikelihood(output=f"m.{name}", density=f"{name}.npy"), least=least)
                for name in ("near", "far")
            ),
        )

    one_knows = experts(least=-12.0)
    assert one_knows.refitted(tensors, densities) == (one_knows, {})
    none_knows = experts(least=0.0)
    assert none_knows.unfamiliar(tensors, densities).all()
    widened, changed = none_knows.refitted(tensors, densities)
    assert (changed, widened.biases) == ({}, none_knows.biases)
    for domain in widened.domains:
        assert domain is not None
        assert np.count_nonzero(domain.knows(tensors, densities)) == 190
    assert np.count_nonzero(widened.unfamiliar(tensors, densities)) <= 10


def test_a_folder_whose_name_is_no_text_is_named_escaped(bundle: Bundle, tmp_path: Path) -> None:
    found = calibrate_live(bundle, taken(), tmp_path / "mine", data="caf\udce9", engine="fake", faces="cropped")
    assert found.bundle.manifest.thresholds is not None
    assert found.bundle.manifest.thresholds.data == r"caf\udce9"
