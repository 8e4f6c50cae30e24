"""A model of several graphs, from the writer to the decision: written, read, sliced, replayed, compared, refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper, numpy_helper

from edge_sdk import SpoofDetector, preprocess
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.errors import BundleError, EngineError, IntegrityError, ScoreError, TemplateError, UsageError
from edge_sdk.manifest import (
    DataLicense,
    DecisionHead,
    EmbeddingDistance,
    Golden,
    Graph,
    Image,
    Input,
    LatentLikelihood,
    LogLikelihoodRatio,
    Manifest,
    Output,
    Rate,
    Score,
    SpoofPoint,
    TrainingProvenance,
    Variant,
    VerifyPoint,
)
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.selection import choose
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.runtime.template import EmbeddingTemplate, GaussianMixtureTemplate
from edge_sdk.scoring.base import Comparison
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.slicing import slice_bundle

SIDE, DIM = 8, 4
PIPELINE = (preprocess.ToGray(), preprocess.Resize(height=SIDE, width=SIDE, interpolation="area"))
RNG = np.random.default_rng(0)
EMBED = RNG.normal(size=(SIDE * SIDE, DIM)).astype(np.float32)
FIRST, SECOND = (RNG.normal(size=(DIM, 1)).astype(np.float32) for _ in range(2))
BACKGROUND = GaussianMixture(np.array([0.4, 0.6]), RNG.normal(size=(2, DIM)), RNG.uniform(0.5, 2, (2, DIM)))
PERSON = GaussianMixture(BACKGROUND.weights, BACKGROUND.means + 0.5, BACKGROUND.variances)
PICTURES = [RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8) for _ in range(4)]


def network(nodes: list[Any], inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], **weights: Any) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def embedder(scale: float = 1.0) -> bytes:
    """(batch, 1, 8, 8) to its 64 pixels times :data:`EMBED`."""
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["embedding"])]
    return network(nodes, {"image": ["batch", 1, SIDE, SIDE]}, {"embedding": ["batch", DIM]}, w=EMBED * scale)


def head(flatten: bool = False) -> bytes:
    """``first @ FIRST + second @ SECOND``: who comes first has a say, so the score must ask both ways."""
    nodes, names = [], ["enrolled", "presented"]
    if flatten:  # of pictures, after the embedder
        for name in names:
            nodes += [
                helper.make_node("Flatten", [name], [f"{name}_flat"]),
                helper.make_node("MatMul", [f"{name}_flat", "w"], [f"{name}_embedding"]),
            ]
        names = [f"{name}_embedding" for name in names]
    nodes += [
        helper.make_node("MatMul", [names[0], "a"], ["left"]),
        helper.make_node("MatMul", [names[1], "b"], ["right"]),
        helper.make_node("Add", ["left", "right"], ["logit"]),
    ]
    shape = [1, SIDE, SIDE] if flatten else [DIM]
    inputs = {name: ["batch", *shape] for name in ("enrolled", "presented")}
    weights = {"a": FIRST, "b": SECOND} | ({"w": EMBED} if flatten else {})
    return network(nodes, inputs, {"logit": ["batch", 1]}, **weights)


RATE = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
VERIFY = VerifyPoint(name="eer", threshold=0.5, target=None, fmr=RATE, fnmr=RATE, data="made up", subjects=9)
SPOOF = SpoofPoint(
    name="eer", threshold=-1e9, target=None, apcer=RATE, bpcer=RATE, species={"print": RATE}, data="made up"
)
IMAGE = Input(name="image", shape=("batch", 1, SIDE, SIDE))
EMBEDDING = Output(name="embedding", shape=("batch", DIM), role="embedding")
LOGIT = Output(name="logit", shape=("batch", 1), role="logit")


def pair(shape: tuple[int | str, ...], feed: str) -> tuple[Input, Input]:
    return (
        Input(name="enrolled", shape=shape, feed=feed, role="reference"),
        Input(name="presented", shape=shape, feed=feed),
    )


def write(
    path: Path,
    graphs: dict[str, tuple[tuple[Input, ...], tuple[Output, ...], dict[str, bytes]]],
    score: Score,
    golden: dict[str, float] | None = None,
    files: dict[str, bytes] | None = None,
    **changes: Any,
) -> Bundle:
    (_, _, models), *_ = graphs.values()
    point = changes.pop("point", VERIFY)
    with BundleWriter(path) as writer:
        manifest = Manifest(
            **{
                "name": "several",
                "version": "1.0",
                "task": "verify",
                "modality": "face",
                "source": Image(),
                "preprocessing": PIPELINE,
                "graphs": tuple(
                    Graph(
                        name=name,
                        inputs=inputs,
                        outputs=outputs,
                        files={key: writer.add(f"{name}.{key}", model) for key, model in made.items()},
                    )
                    for name, (inputs, outputs, made) in graphs.items()
                ),
                "score": score,
                "variants": tuple(
                    Variant(precision=precision, format="onnx", operating_points=(point,))  # type: ignore[arg-type]
                    for precision in (key.partition(".")[0] for key in models)
                ),
                "training": TrainingProvenance(
                    recipe="tiny", preset="none", data=(), seed=0, steps=0, commit="none", versions={}
                ),
                "data_license": DataLicense(commercial_use=True, statement="made up"),
                "golden": Golden(
                    inputs=tuple(
                        writer.add(f"golden/{i}.png", png(picture)) for i, picture in enumerate(PICTURES[:2]) if golden
                    ),
                    scores=golden or {},
                    tolerance=dict.fromkeys(golden or {}, 1e-5),
                ),
                "embedding_space_id": "space",
                "auxiliary": tuple(writer.add(name, data) for name, data in (files or {}).items()),
                **changes,
            }
        )
        return writer.finish(manifest)


def png(picture: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(".png", picture)[1].tobytes()


def embedded(picture: np.ndarray, scale: float = 1.0) -> np.ndarray:
    return preprocess.apply(PIPELINE, picture).reshape(1, -1) @ (EMBED * np.float32(scale))


def probability(first: np.ndarray, second: np.ndarray) -> float:
    (logit,) = (first @ FIRST + second @ SECOND).ravel()
    return 1 / (1 + math.exp(-logit))


def expected(references: list[np.ndarray], query: np.ndarray, scale: float = 1.0) -> float:
    total, asked = 0.0, embedded(query, scale)
    for reference in references:
        known = embedded(reference, scale)
        total += (probability(known, asked) + probability(asked, known)) / 2
    return total / len(references)


Made = Callable[..., Bundle]
PAIRED = DecisionHead(output="head.logit", activation="sigmoid")


@pytest.fixture
def paired(tmp_path: Path) -> Made:
    """An embedder and a head, as fp32 and as an "int8" whose embeddings are shorter."""

    def make(name: str = "paired", golden: dict[str, float] | None = None, **changes: Any) -> Bundle:
        graphs = {
            "embedder": ((IMAGE,), (EMBEDDING,), {"fp32.onnx": embedder(), "int8.onnx": embedder(0.1)}),
            "head": (
                pair(("batch", DIM), "embedder.embedding"),
                (LOGIT,),
                {"fp32.onnx": head(), "int8.onnx": head()},
            ),
        }
        # The head's two files may be the same bytes: they are files of their own.
        return write(tmp_path / name, graphs, PAIRED, golden, **changes)

    return make


@pytest.mark.parametrize("name", ["paired", "paired.edge"])
def test_every_graph_of_a_variant_is_written_read_and_replayed(paired: Made, name: str) -> None:
    golden = {
        "fp32.onnx": expected(PICTURES[:1], PICTURES[1]),
        "int8.onnx": expected(PICTURES[:1], PICTURES[1], 0.1),
    }
    bundle = paired(name, golden)
    opened = Bundle.open(bundle.path)
    assert opened.manifest == bundle.manifest
    assert opened.read_graphs("int8.onnx") == {"embedder": embedder(0.1), "head": head()}
    with pytest.raises(BundleError, match="several graphs, embedder, head"):
        opened.read_model("int8.onnx")
    replays = selftest(opened, engine="onnxruntime")
    assert [replay.variant_id for replay in replays] == ["fp32.onnx", "int8.onnx"]
    assert passed(replays), replays
    wrong = paired("wrong", golden | {"int8.onnx": golden["int8.onnx"] + 1e-3})
    assert not passed(selftest(wrong, engine="onnxruntime"))


def test_a_pair_is_asked_both_ways_and_references_are_averaged(paired: Made) -> None:
    *references, query = PICTURES
    with Verifier(paired(), precision="fp32", engine="onnxruntime") as verifier:
        for given in (references[:1], references):
            result = verifier.verify(given, query)
            assert result.score == result.raw_score == pytest.approx(expected(given, query), abs=1e-6)
            assert result.decision is (result.score >= 0.5)
        assert verifier.verify(references[0], query).score == verifier.verify(query, references[0]).score
        np.testing.assert_allclose(verifier.embed(query), embedded(query), rtol=1e-5)


def test_embeddings_are_compared_by_the_head_and_not_without_it(paired: Made) -> None:
    *references, query = PICTURES
    bundle = paired()
    with Verifier(bundle, precision="fp32", engine="onnxruntime") as verifier:
        values = verifier.embed(references), verifier.embed(query)
        assert verifier.compare(*values) == Comparison(*[verifier.verify(references, query).score] * 2)
    with pytest.raises(ScoreError, match="decision_head compares only with an opened model, pair by pair"):
        bundle.manifest.score.matrix(*values)


def test_pairs_are_compared_in_their_places(paired: Made) -> None:
    bundle = paired()
    model = Model(bundle, choose(bundle, "onnxruntime", "fp32"))
    score, made = bundle.manifest.score, np.concatenate([embedded(picture) for picture in PICTURES])
    first, second = made[[0, 1, 3]], made[[2, 1, 0]]
    found = score.pairs(first, second, model)
    for one, other, value in zip(first, second, found, strict=True):
        assert value == score.compare(one[None], other[None], model).score
        both = (probability(one[None], other[None]) + probability(other[None], one[None])) / 2
        assert value == pytest.approx(both, abs=1e-6)
    model.close()


def test_a_template_is_what_the_embedder_gives(paired: Made, tmp_path: Path) -> None:
    bundle = paired()
    *references, query = PICTURES
    with Verifier(bundle, precision="int8", engine="onnxruntime") as verifier:
        template = verifier.enroll(references)
        assert isinstance(template, EmbeddingTemplate)
        np.testing.assert_allclose(template.embeddings[0], embedded(references[0], 0.1)[0], rtol=1e-4)
        score = verifier.verify(template, query).score
        assert score == verifier.verify(references, query).score
    with Verifier(bundle, precision="fp32", engine="onnxruntime") as verifier:
        with pytest.raises(TemplateError, match=r"made by int8\.onnx"):
            verifier.verify(template, query)
        with pytest.raises(TemplateError, match=r"another embedding space .*: enroll again"):
            verifier.verify(replace(template, embedding_space_id="other"), query)
        elsewhere = replace(template, embedding_space_id="other", bundle_name="face_lite")
        with pytest.raises(
            TemplateError, match=f"open the bundle face_lite, or enroll again with {bundle.manifest.name}"
        ):
            verifier.verify(elsewhere, query)
    sliced = slice_bundle(bundle, tmp_path / "sliced.edge", precision="int8")
    assert sliced.manifest.variant_files("int8.onnx") == bundle.manifest.variant_files("int8.onnx")
    assert sliced.read_graphs("int8.onnx") == bundle.read_graphs("int8.onnx")
    with Verifier(sliced, engine="onnxruntime") as verifier:
        assert verifier.verify(template, query).score == score


@pytest.mark.parametrize("siamese", [False, True])
def test_a_measured_pass_runs_every_graph(paired: Made, tmp_path: Path, siamese: bool) -> None:
    graphs = {"model": (pair(IMAGE.shape, "sample"), (LOGIT,), {"fp32.onnx": head(flatten=True)})}
    score = DecisionHead(output="model.logit", activation="sigmoid")
    bundle = write(tmp_path / "siamese", graphs, score, embedding_space_id=None) if siamese else paired()
    model = Model(bundle, choose(bundle, "onnxruntime", "fp32"))
    sample = preprocess.apply(PIPELINE, PICTURES[0])[None]
    tensors = model.run_every_graph(sample)
    logit = tensors["model.logit" if siamese else "head.logit"]
    assert 1 / (1 + math.exp(-logit.item())) == pytest.approx(expected(PICTURES[:1], PICTURES[0]), abs=1e-5)
    inputs = model.graph_inputs(tensors)
    assert {name: list(fed) for name, fed in inputs.items()} == (
        {"model": ["enrolled", "presented"]} if siamese else {"embedder": ["image"], "head": ["enrolled", "presented"]}
    )
    model.close()


def test_a_damaged_graph_is_found_before_an_engine_sees_any(paired: Made) -> None:
    bundle = paired()
    file = bundle.path / "head.int8.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match=r"head\.int8\.onnx"):
        Verifier(bundle, precision="int8", engine="onnxruntime")
    assert Verifier(bundle, precision="fp32", engine="onnxruntime").variant.id == "fp32.onnx"


def test_a_graph_that_the_engine_refuses_closes_the_others(paired: Made, tmp_path: Path) -> None:
    graphs = {
        "embedder": ((IMAGE,), (EMBEDDING,), {"fp32.onnx": embedder()}),
        "head": (pair(("batch", DIM), "embedder.embedding"), (LOGIT,), {"fp32.onnx": b"no model"}),
    }
    with pytest.raises(EngineError):
        Verifier(write(tmp_path / "broken", graphs, PAIRED), engine="onnxruntime")
    with Verifier(paired(), engine="onnxruntime") as verifier:
        pass
    with pytest.raises(EngineError, match="closed"):
        verifier.verify(PICTURES[0], PICTURES[1])


def test_pictures_may_be_compared_without_an_embedder(tmp_path: Path) -> None:
    graphs = {"model": (pair(IMAGE.shape, "sample"), (LOGIT,), {"fp32.onnx": head(flatten=True)})}
    score = DecisionHead(output="model.logit", activation="sigmoid")
    bundle = write(tmp_path / "siamese", graphs, score, embedding_space_id=None)
    *references, query = PICTURES
    with Verifier(bundle, engine="onnxruntime") as verifier:
        assert verifier.verify(references, query).score == pytest.approx(expected(references, query), abs=1e-6)
        with pytest.raises(UsageError, match="keep the references"):
            verifier.enroll(references)
        template = EmbeddingTemplate.of(
            np.ones((1, DIM), np.float32),
            embedding_space_id="space",
            variant_id="fp32.onnx",
            variant_sha256=bundle.manifest.variant_sha256("fp32.onnx"),
            bundle_name="siamese",
            count=1,
        )
        with pytest.raises(TemplateError):
            verifier.verify(template, query)


def test_logits_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    graphs = {
        "embedder": ((IMAGE,), (EMBEDDING,), {"fp32.onnx": embedder(np.nan)}),
        "head": (pair(("batch", DIM), "embedder.embedding"), (LOGIT,), {"fp32.onnx": head()}),
    }
    with Verifier(write(tmp_path / "nan", graphs, PAIRED), engine="onnxruntime", threshold=0.5) as verifier:
        for call in (
            lambda: verifier.verify(PICTURES[0], PICTURES[1]),
            lambda: verifier.enroll(PICTURES[0]),
            lambda: verifier.embed(PICTURES[0]),
        ):
            with pytest.raises(EngineError, match="not finite"):
                call()


def test_a_modality_that_nobody_knows_is_refused(paired: Made) -> None:
    with pytest.raises(BundleError, match="no modality 'palm'"):
        Verifier(paired(modality="palm"), engine="onnxruntime")


# --- densities ---


def mixture_template(bundle: Bundle, **changes: Any) -> GaussianMixtureTemplate:
    binding = {
        "embedding_space_id": "space",
        "variant_id": "fp32.onnx",
        "variant_sha256": bundle.manifest.variant_sha256("fp32.onnx"),
        "bundle_name": "several",
        "count": 3,
    }
    return GaussianMixtureTemplate.of(PERSON, **binding | changes)


def ratio_bundle(path: Path) -> Bundle:
    """An embedder whose features a CNN behind it doubles, compared by densities."""
    doubled = network(
        [helper.make_node("Add", ["embedding", "embedding"], ["features"])],
        {"embedding": ["batch", DIM]},
        {"features": ["batch", DIM]},
    )
    graphs = {
        "embedder": ((IMAGE,), (EMBEDDING,), {"fp32.onnx": embedder()}),
        "cnn": (
            (Input(name="embedding", shape=("batch", DIM), feed="embedder.embedding"),),
            (Output(name="features", shape=("batch", DIM), role="features"),),
            {"fp32.onnx": doubled},
        ),
    }
    score = LogLikelihoodRatio(output="cnn.features", background="ubm.npy", relevance=2.0, clip=1e6)
    return write(path, graphs, score, files={"ubm.npy": BACKGROUND.encode()}, point=replace(VERIFY, threshold=0.0))


def log_density(mixture: GaussianMixture, row: list[float]) -> float:
    total = 0.0
    for weight, mean, variance in zip(mixture.weights, mixture.means, mixture.variances, strict=True):
        value = float(weight)
        for x, m, v in zip(row, mean, variance, strict=True):
            value *= math.exp(-((x - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
        total += value
    return math.log(total)


def test_a_persons_density_is_compared_with_the_background(tmp_path: Path) -> None:
    bundle = ratio_bundle(tmp_path / "ratio")
    with Verifier(bundle, engine="onnxruntime") as verifier:
        template = mixture_template(bundle)
        for query in PICTURES:
            row = (2 * embedded(query)[0]).astype(float).tolist()
            result = verifier.verify(template, query)
            background = GaussianMixture.decode(BACKGROUND.encode())  # float32, as the bundle has it
            assert result.score == pytest.approx(log_density(PERSON, row) - log_density(background, row), abs=1e-4)
            assert result.decision is (result.score >= 0)
        enrolled = verifier.enroll(PICTURES[:3])
        rows = np.concatenate([2 * embedded(picture) for picture in PICTURES[:3]])
        for part in ("weights", "means", "variances"):
            expected = getattr(background.adapted(rows, 2.0), part)
            np.testing.assert_allclose(getattr(enrolled.content, part), expected, rtol=1e-4)
        assert enrolled.count == 3
        assert verifier.verify(enrolled, PICTURES[3]).score == verifier.verify(PICTURES[:3], PICTURES[3]).score
        other = EmbeddingTemplate.of(
            np.ones((1, DIM), np.float32),
            embedding_space_id="space",
            variant_id="fp32.onnx",
            variant_sha256=bundle.manifest.variant_sha256("fp32.onnx"),
            bundle_name="several",
            count=1,
        )
        with pytest.raises(TemplateError, match="holds embeddings, the score llr compares gaussian"):
            verifier.verify(other, PICTURES[0])
        with pytest.raises(TemplateError, match="another embedding space"):
            verifier.verify(mixture_template(bundle, embedding_space_id="other"), PICTURES[0])


def test_a_density_of_other_rows_is_an_error(tmp_path: Path) -> None:
    bundle = ratio_bundle(tmp_path / "ratio")
    wide = GaussianMixture(np.ones(1), np.zeros((1, DIM + 1)), np.ones((1, DIM + 1)))
    template = mixture_template(bundle)
    wrong = GaussianMixtureTemplate.of(
        wide, **{name: getattr(template, name) for name in ("embedding_space_id", "variant_id", "variant_sha256")},
        bundle_name="several", count=1,
    )  # fmt: skip
    with Verifier(bundle, engine="onnxruntime") as verifier:
        for call in (
            lambda: verifier.verify(wrong, PICTURES[0]),
            lambda: verifier.identify(PICTURES[0], {"a": template, "b": wrong}),
        ):
            with pytest.raises(TemplateError, match=r"not enrolled with this bundle: \(1, 5\) modes"):
                call()


def test_embeddings_are_not_compared_with_densities(tmp_path: Path) -> None:
    graphs = {"model": ((IMAGE,), (EMBEDDING,), {"fp32.onnx": embedder()})}
    bundle = write(tmp_path / "plain", graphs, EmbeddingDistance(output="model.embedding", metric="cosine"))
    with Verifier(bundle, engine="onnxruntime") as verifier, pytest.raises(TemplateError, match="gaussian_mixture"):
        verifier.verify(mixture_template(bundle), PICTURES[0])


def test_a_graph_behind_another_gives_the_latent_of_a_live_face(tmp_path: Path) -> None:
    graphs = {
        "cnn": (
            (IMAGE,),
            (Output(name="embedding", shape=("batch", DIM), role="features"),),
            {"fp32.onnx": embedder()},
        ),
        "density": (
            (Input(name="x", shape=("batch", DIM), feed="cnn.embedding"),),
            (Output(name="latent", shape=("batch", DIM), role="latent"),),
            {
                "fp32.onnx": network(
                    [helper.make_node("Neg", ["x"], ["latent"])], {"x": ["batch", DIM]}, {"latent": ["batch", DIM]}
                )
            },
        ),
    }
    bundle = write(
        tmp_path / "spoof",
        graphs,
        LatentLikelihood(output="density.latent", density="gmm.npy"),
        files={"gmm.npy": BACKGROUND.encode()},
        task="spoof",
        embedding_space_id=None,
        point=SPOOF,
    )
    frame = np.tile(np.linspace(40, 220, 64), (64, 1)).astype(np.uint8)
    with SpoofDetector(bundle, engine="onnxruntime", faces=lambda _: (Box(0, 0, 64, 64),)) as detector:
        result, scored = detector.detect(frame), detector.examine(frame)
    row = (-embedded(frame)[0]).astype(float).tolist()
    assert result.score == scored.score == pytest.approx(log_density(BACKGROUND, row), abs=1e-3)
    assert scored.tensors.keys() == {"sample", "cnn.image", "cnn.embedding", "density.x", "density.latent"}
    np.testing.assert_allclose(scored.tensors["density.latent"][0], row, atol=1e-5)
