from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from edge_sdk import manifest as schema
from edge_sdk.errors import ManifestError, SchemaVersionError, UnsafePathError
from edge_sdk.manifest import (
    AccuracyDifference,
    CalibrationProvenance,
    DataLicense,
    DecisionHead,
    Domain,
    EmbeddingDistance,
    EvidenceLowerBound,
    FileEntry,
    Fusion,
    Golden,
    Graph,
    Image,
    Input,
    KlDivergence,
    LatentDistance,
    LatentLikelihood,
    LogLikelihoodRatio,
    Lowest,
    Manifest,
    Output,
    Rate,
    Reconstruction,
    SensorStream,
    SpoofPoint,
    TrainingProvenance,
    UnsupportedPoint,
    Variant,
    VerifyPoint,
    decode,
    embedding_space_id,
    encode,
)
from edge_sdk.preprocess import PAPER, Fit, MedianBlur, Resample, ToColor


def entry(path: str) -> FileEntry:
    return FileEntry(path=path, sha256="0" * 64, size=10)


def rate(errors: int, trials: int = 1000) -> Rate:
    value = errors / trials
    return Rate(value=value, low=value / 2, high=min(1.0, value * 2), errors=errors, trials=trials)


VERIFY_POINT = VerifyPoint(
    name="fmr_1e-2", threshold=0.61, target=0.01, fmr=rate(9), fnmr=rate(120), data="cedar/validation", subjects=11
)
SPOOF_POINT = SpoofPoint(
    name="apcer_5e-2",
    threshold=-0.2,
    target=0.05,
    apcer=rate(48),
    bpcer=rate(31),
    species={"print": rate(48), "replay": rate(7)},
    data="synthetic",
)
DIFFERENCE = AccuracyDifference(
    metric="eer",
    budget=0.005,
    delta=0.001,
    upper90=0.004,
    subjects=30,
    verdict="pass",
    data="cedar/development",
    agreement=0.995,
    agreement_band=0.01,
)
COMMON: dict[str, Any] = {
    "version": "1.0",
    "training": TrainingProvenance(
        recipe="r", preset="best", data=("cedar",), seed=1, steps=10, commit="abc", versions={"torch": "2.13.0"}
    ),
    "data_license": DataLicense(commercial_use=False, statement="research only"),
}


def variants(*points: schema.OperatingPoint) -> tuple[Variant, ...]:
    return (
        Variant(format="onnx", precision="fp32", operating_points=points),
        Variant(
            format="onnx",
            precision="int8",
            operating_points=points,
            calibration=CalibrationProvenance(
                data="cedar", count=100, digest="d", method="minmax", seed=3, float_nodes=("stem",)
            ),
            accuracy=(DIFFERENCE,),
        ),
    )


def graph(inputs: tuple[Input, ...], outputs: tuple[Output, ...], name: str = "model") -> Graph:
    files = {key: entry(f"{name}.{key}") for key in ("fp32.onnx", "int8.onnx")}
    return Graph(name=name, inputs=inputs, outputs=outputs, files=files)


def with_graph(manifest: Manifest, **changes: Any) -> dict[str, Any]:
    """The manifest's only graph changed, as a change of the manifest."""
    return {"graphs": (replace(manifest.graphs[0], **changes),)}


def golden(*paths: str, score: float = 0.8) -> Golden:
    return Golden(
        inputs=tuple(map(entry, paths)),
        scores={"fp32.onnx": score, "int8.onnx": score - 0.01},
        tolerance={"fp32.onnx": 1e-5, "int8.onnx": 0.02},
    )


PIXELS = ("batch", 1, 300, 360)

# Embedding distance over signatures, with a pre-processing.
SIGNATURE = Manifest(
    name="deepsign",
    task="verify",
    modality="signature",
    source=Image(),
    preprocessing=PAPER,
    graphs=(
        graph(
            (Input(name="image", shape=PIXELS),),
            (Output(name="embedding", shape=("batch", 128), role="embedding"),),
        ),
    ),
    score=EmbeddingDistance(output="model.embedding", metric="euclidean"),
    embedding_space_id=embedding_space_id(PAPER, b"weights"),
    variants=variants(VERIFY_POINT, UnsupportedPoint(name="fmr_1e-3", target=0.001, reason="800 impostor pairs")),
    golden=golden("golden/a.png", "golden/b.png"),
    **COMMON,
)
FACE = ("batch", 3, 64, 64)
FACE_RGB = (ToColor(order="rgb"), Fit(height=64, width=64, stretch=1.0))
# GANomaly: reconstruction and distance of two latents, fused.
FUSED_SPOOF = Manifest(
    name="ganomaly",
    task="spoof",
    modality="face",
    source=Image(color="rgb"),
    preprocessing=FACE_RGB,
    graphs=(
        graph(
            (Input(name="face", shape=FACE),),
            (
                Output(name="generated", shape=FACE, role="reconstruction"),
                Output(name="z", shape=("batch", 100), role="latent"),
                Output(name="z_hat", shape=("batch", 100), role="latent"),
                Output(name="of_image", shape=("batch", 100), role="features"),
                Output(name="of_generated", shape=("batch", 100), role="features"),
            ),
        ),
    ),
    score=Fusion(
        members=(
            Reconstruction(input="model.face", output="model.generated", norm="l1"),
            LatentDistance(first="model.z", second="model.z_hat"),
        ),
        weights=(0.7, 0.3),
        bias=0.1,
    ),
    variants=variants(SPOOF_POINT),
    golden=golden("golden/face.png", score=-0.1),
    **COMMON,
)
# A variational autoencoder with a Gaussian mixture over its latent space.
LATENT_SPOOF = replace(
    FUSED_SPOOF,
    name="resvae",
    score=Fusion(
        members=(
            Reconstruction(input="model.face", output="model.generated", norm="l2"),
            LatentLikelihood(output="model.z", density="gmm.npz"),
        ),
        weights=(1.0, 0.05),
    ),
    auxiliary=(entry("gmm.npz"),),
)
# A GAN whose discriminator looks at the image and at its reconstruction.
FEATURE_SPOOF = replace(FUSED_SPOOF, score=LatentDistance(first="model.of_image", second="model.of_generated"))
# The same by what it is trained by.
BOUND_SPOOF = replace(
    FUSED_SPOOF,
    name="dcvae",
    score=EvidenceLowerBound(
        input="model.face", output="model.generated", mean="model.z", log_variance="model.log_variance"
    ),
    graphs=(
        graph(
            (Input(name="face", shape=FACE),),
            (
                Output(name="generated", shape=FACE, role="reconstruction"),
                Output(name="z", shape=("batch", 100), role="latent"),
                Output(name="log_variance", shape=("batch", 100), role="log_variance"),
            ),
        ),
    ),
)
# A siamese network: two images in, one logit out.
TWO_IMAGES = Manifest(
    name="person_verification",
    task="verify",
    modality="face",
    source=Image(color="bgr"),
    preprocessing=(ToColor(order="bgr"), FACE_RGB[1]),
    graphs=(
        graph(
            (Input(name="enrolled", shape=FACE, role="reference"), Input(name="presented", shape=FACE)),
            (Output(name="logit", shape=("batch", 1), role="logit"),),
        ),
    ),
    score=DecisionHead(output="model.logit", activation="sigmoid"),
    variants=variants(VERIFY_POINT),
    golden=golden("golden/a.png", "golden/b.png"),
    **COMMON,
)
# The same decision from embeddings, two classes: an embedder, and a head that compares what it gives.
EMBEDDER = graph(
    (Input(name="face", shape=FACE),), (Output(name="embedding", shape=("batch", 128), role="embedding"),), "embedder"
)
HEAD = graph(
    (
        Input(name="enrolled", shape=("batch", 128), feed="embedder.embedding", role="reference"),
        Input(name="presented", shape=("batch", 128), feed="embedder.embedding"),
    ),
    (Output(name="classes", shape=("batch", 2), role="logit"),),
    "head",
)
TWO_EMBEDDINGS = replace(
    TWO_IMAGES,
    graphs=(EMBEDDER, HEAD),
    score=DecisionHead(output="head.classes", activation="softmax", genuine_index=1),
    embedding_space_id="facenet-1",
)
SPOOF_HEAD = replace(
    FUSED_SPOOF,
    **with_graph(FUSED_SPOOF, outputs=HEAD.outputs),
    score=DecisionHead(output="model.classes", activation="softmax", genuine_index=1),
    variants=variants(replace(SPOOF_POINT, threshold=0.6)),
    golden=golden("golden/face.png"),
)
# Experts of different attacks.
EXPERT_LOGITS = ("prints.logit", "screens.logit")
EXPERTS_SPOOF = replace(
    FUSED_SPOOF,
    **with_graph(
        FUSED_SPOOF,
        outputs=tuple(Output(name=name, shape=("batch", 1), role="logit") for name in EXPERT_LOGITS),
    ),
    score=Lowest(
        members=tuple(DecisionHead(output=f"model.{name}", activation="identity") for name in EXPERT_LOGITS),
        weights=(1.0, 0.5),
        biases=(2.0, -1.0),
    ),
)
# The same, each knowing the pictures like those of its training.
KNOWING_SPOOF = replace(
    EXPERTS_SPOOF,
    **with_graph(
        EXPERTS_SPOOF,
        outputs=(
            *EXPERTS_SPOOF.graphs[0].outputs,
            *(Output(name=name, shape=("batch", 8), role="latent") for name in ("prints.look", "screens.look")),
        ),
    ),
    score=replace(
        EXPERTS_SPOOF.score,
        domains=tuple(
            Domain(likelihood=LatentLikelihood(output=f"model.{name}.look", density=f"{name}.npy"), least=-30.0)
            for name in ("prints", "screens")
        ),
    ),
    auxiliary=(entry("prints.npy"), entry("screens.npy")),
)
# Gait: features of accelerometer windows against a background model, adapted per person.
WALK = SensorStream(channels=("x", "y", "z"), rate_hz=50.0, window_s=2.56, hop_s=1.28)
STEPS = Resample(rate_hz=50.0, samples=128, channels=3)
GAIT_MAP = Manifest(
    name="gait",
    task="verify",
    modality="gait",
    source=WALK,
    preprocessing=(),
    graphs=(
        graph(
            (Input(name="window", shape=("batch", 3, 128)),),
            (Output(name="features", shape=("batch", "time", 32), role="features"),),
            "cnn",
        ),
    ),
    score=LogLikelihoodRatio(output="cnn.features", background="ubm.npz", relevance=16.0, clip=50.0),
    embedding_space_id="gait-1",
    variants=variants(VERIFY_POINT),
    auxiliary=(entry("ubm.npz"),),
    golden=golden("golden/enrolment.csv", "golden/walk.csv"),
    **COMMON,
)
GAIT_FLOW = replace(
    GAIT_MAP,
    **with_graph(
        GAIT_MAP,
        inputs=(Input(name="window", shape=("batch", 3, "time")),),
        outputs=(Output(name="latent", shape=("batch", 32), role="features"),),
    ),
    score=LogLikelihoodRatio(output="cnn.latent", background="ubm.npz", relevance=4.0, clip=1.5),
)

EVERY = {
    "signature": SIGNATURE,
    "fused spoof": FUSED_SPOOF,
    "latent spoof": LATENT_SPOOF,
    "feature spoof": FEATURE_SPOOF,
    "bound spoof": BOUND_SPOOF,
    "spoof head": SPOOF_HEAD,
    "experts spoof": EXPERTS_SPOOF,
    "knowing spoof": KNOWING_SPOOF,
    "two images": TWO_IMAGES,
    "two embeddings": TWO_EMBEDDINGS,
    "gait map": GAIT_MAP,
    "gait flow": GAIT_FLOW,
}


@pytest.mark.parametrize("manifest", EVERY.values(), ids=EVERY)
def test_every_kind_of_model_survives_a_round_trip(manifest: Manifest) -> None:
    data = encode(manifest)
    assert decode(data) == manifest
    assert encode(decode(data)) == data
    plain = json.loads(data)
    assert plain["schema_version"] == schema.SCHEMA_VERSION
    assert plain["score"]["kind"] == type(manifest.score).__struct_config__.tag


def test_variants_are_found_by_id() -> None:
    assert SIGNATURE.variant("int8.onnx").precision == "int8"
    with pytest.raises(ManifestError, match=r"fp32\.onnx, int8\.onnx"):
        SIGNATURE.variant("int8.tflite")


def test_a_variant_has_a_file_of_each_graph() -> None:
    files = TWO_EMBEDDINGS.variant_files("int8.onnx")
    assert {name: file.path for name, file in files.items()} == {
        "embedder": "embedder.int8.onnx",
        "head": "head.int8.onnx",
    }
    assert TWO_EMBEDDINGS.variant_size("int8.onnx") == 20
    assert SIGNATURE.variant_sha256("int8.onnx") == SIGNATURE.graphs[0].files["int8.onnx"].sha256
    other = replace(HEAD, files=HEAD.files | {"int8.onnx": replace(HEAD.files["int8.onnx"], sha256="1" * 64)})
    changed = replace(TWO_EMBEDDINGS, graphs=(EMBEDDER, other))
    assert changed.variant_sha256("int8.onnx") != TWO_EMBEDDINGS.variant_sha256("int8.onnx")
    assert changed.variant_sha256("fp32.onnx") == TWO_EMBEDDINGS.variant_sha256("fp32.onnx")


def test_outputs_are_found_by_role() -> None:
    assert FUSED_SPOOF.outputs("latent") == ("model.z", "model.z_hat")
    assert TWO_EMBEDDINGS.outputs("embedding") == ("embedder.embedding",)
    assert SIGNATURE.outputs("logit") == ()


def test_scores_know_what_they_are_made_of() -> None:
    assert FUSED_SPOOF.score.outputs == ("model.generated", "model.z", "model.z_hat")
    assert FUSED_SPOOF.score.described == "fusion of reconstruction, latent_distance"
    assert BOUND_SPOOF.score.described == "elbo"
    assert LATENT_SPOOF.score.density_outputs == {"gmm.npz": "model.z"}
    renamed = LATENT_SPOOF.score.renamed(lambda name: f"a.{name}", lambda path: f"b/{path}")
    assert renamed.outputs == ("a.model.generated", "a.model.z")
    assert renamed.density_outputs == {"b/gmm.npz": "a.model.z"}
    assert renamed.members[0].input == "a.model.face"
    assert renamed.renamed(lambda name: name[2:], lambda path: path[2:]) == LATENT_SPOOF.score
    for manifest in EVERY.values():
        assert manifest.score.renamed(str) == manifest.score
        assert decode(encode(manifest)).score.roles == manifest.score.roles


def test_files_are_all_but_the_manifest() -> None:
    paths = [file.path for file in GAIT_MAP.files]
    assert paths == ["cnn.fp32.onnx", "cnn.int8.onnx", "golden/enrolment.csv", "golden/walk.csv", "ubm.npz"]


def test_window_length_comes_from_rate_and_time() -> None:
    assert WALK.samples == 128


def test_space_id_depends_on_pre_processing_and_weights() -> None:
    ids = {embedding_space_id(p, w) for p in (PAPER, PAPER[:-1]) for w in (b"a", b"b")}
    assert len(ids) == 4
    assert embedding_space_id(PAPER, b"a") in ids


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused_before_its_fields_are_read() -> None:
    data = json.dumps({"schema_version": schema.SCHEMA_VERSION + 1, "unheard_of": {}}).encode()
    with pytest.raises(SchemaVersionError, match="upgrade"):
        decode(data)


def test_older_manifests_migrate_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def from_minus_1(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "schema_version": 0, "name": raw["name"] + "_b"}

    def from_0(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "schema_version": 1, "name": raw["name"] + "_c"}

    for version, step in ((-1, from_minus_1), (0, from_0)):
        monkeypatch.setitem(schema.MIGRATIONS, version, step)
    old = json.loads(encode(SIGNATURE)) | {"schema_version": -1, "name": "a"}
    assert decode(json.dumps(old).encode()) == replace(SIGNATURE, name="a_b_c")
    old["surprise"] = 1
    with pytest.raises(ManifestError, match="surprise"):
        decode(json.dumps(old).encode())


@pytest.mark.parametrize("version", [0, -5, -(2**62)])
def test_versions_nobody_wrote_are_refused(version: int) -> None:
    with pytest.raises(ManifestError, match="unknown manifest version"):
        decode(json.dumps({"schema_version": version}).encode())


# --- damaged JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"schema_version": "1"}',
        b'{"schema_version": true}',
        b'{"schema_version": 1}',
        b'{"schema_version": 1, "name": "\xff"}',
        b'{"schema_version": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_damaged_json_is_a_manifest_error(data: bytes) -> None:
    with pytest.raises(ManifestError):
        decode(data)


def edited(*path: str | int, value: Any) -> bytes:
    plain = json.loads(encode(SIGNATURE))
    place = plain
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(plain).encode()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("surprise",), 1, "surprise"),
        (("score", "surprise"), 1, "surprise"),
        (("score", "kind"), "astrology", "astrology"),
        (("score", "metric"), "manhattan", "manhattan"),
        (("preprocessing", 0, "op"), "astrology", "astrology"),
        (("source", "kind"), "smell", "smell"),
        (("graphs", 0, "inputs", 0, "dtype"), "float64", "float64"),
        (("variants", 0, "precision"), "int3", "int3"),
        (("variants", 0, "operating_points", 0, "threshold"), None, "float"),
        (("variants", 0, "operating_points", 0, "threshold"), "0.5", "float"),
        (("graphs", 0, "files", "fp32.onnx", "size"), -1, "size"),
        (("graphs", 0, "files", "fp32.onnx", "size"), 2**40, "size"),
        (("graphs", 0, "files", "fp32.onnx", "sha256"), "A" * 64, "sha256"),
        (("graphs", 0, "files", "int8.onnx", "path"), "model.fp32.onnx", "given twice"),
        (("graphs", 0, "files", "int8.onnx", "path"), "MODEL.fp32.onnx", "given twice"),
        (("variants", 1, "precision"), "fp32", "given twice"),
        (("golden", "scores", "int8.tflite"), 0.5, "different variants"),
        (("graphs", 0, "name"), "Model", "graph name"),
        (("graphs", 0, "name"), "a.b", "graph name"),
        (("graphs", 0, "surprise"), 1, "surprise"),
        (("graphs", 0, "inputs", 0, "feed"), "nobody.embedding", "no earlier graph"),
        (("graphs", 0, "files"), {}, r"differ in fp32\.onnx, int8\.onnx"),
        (("modality",), "Face", "modality"),
        (("name",), "Deep Sign", "name"),
        (("name",), "../deepsign", "name"),
        (("task",), "identify", "identify"),
    ],
)
def test_edited_manifests_are_refused_with_the_reason(path: tuple[str | int, ...], value: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        decode(edited(*path, value=value))


def test_unlimited_numbers_are_refused() -> None:
    data = edited("variants", 0, "operating_points", 0, "threshold", value=12345.5).replace(b"12345.5", b"1e999")
    with pytest.raises(ManifestError):
        decode(data)


UNSAFE = [
    "",
    ".",
    "..",
    "../model.onnx",
    "a/../b",
    "a/./b",
    "a//b",
    "/etc/passwd",
    "a/",
    "C:/model.onnx",
    "C:model.onnx",
    "a\\..\\b",
    "model.onnx:stream",
    ".hidden",
    "trailing.",
    "nul\0byte",
    "new\nline",
    "model.onnx\n",
    "ünïcode",
    "x" * 201,
]


@pytest.mark.parametrize("path", UNSAFE, ids=repr)
def test_unsafe_paths_are_refused_when_built_and_when_read(path: str) -> None:
    with pytest.raises(UnsafePathError):
        entry(path)
    with pytest.raises(UnsafePathError, match="unsafe path"):
        decode(edited("graphs", 0, "files", "fp32.onnx", "path", value=path))


@pytest.mark.parametrize("path", ["a", "golden/a.png", "a/b/c_d-e.f", "x" * 200])
def test_ordinary_paths_pass(path: str) -> None:
    assert entry(path).path == path


@pytest.mark.parametrize("path", ["manifest.json", "Manifest.JSON"])
def test_the_manifest_cannot_list_itself(path: str) -> None:
    with pytest.raises(ManifestError, match="itself"):
        entry(path)


# --- combinations that make no sense ---------------------------------------------------------------------------------


def test_numbers_that_json_cannot_hold_are_refused_when_built() -> None:
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ManifestError, match="finite"):
            replace(VERIFY_POINT, threshold=bad)
        with pytest.raises(ManifestError, match="finite"):
            replace(FUSED_SPOOF.score, weights=(bad, 1.0))
        with pytest.raises(ManifestError, match="finite"):
            replace(FUSED_SPOOF.score, bias=bad)
        with pytest.raises(ManifestError, match="finite"):
            replace(DIFFERENCE, delta=bad)
        with pytest.raises(ManifestError, match="finite"):
            replace(golden("a.png"), scores={"fp32.onnx": bad, "int8.onnx": 0.0})


def test_wrong_types_do_not_reach_the_disk() -> None:
    with pytest.raises(ManifestError):
        encode(replace(SIGNATURE, data_license=replace(COMMON["data_license"], commercial_use="no")))
    with pytest.raises(ManifestError, match="wrong type"):
        encode(replace(SIGNATURE, training=replace(COMMON["training"], data=["cedar"])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": 0.5}, "value"),
        ({"errors": -1}, "errors"),
        ({"errors": 1001}, "errors"),
        ({"errors": 0, "trials": 0}, "trials"),
        ({"low": 0.9, "high": 0.1}, "interval"),
        ({"low": -0.1}, "low is -0.1; it must be at least 0 and at most 1"),
        ({"high": 1.1}, "high is 1.1"),
        ({"high": float("nan")}, "finite"),
        ({"trials": 2**53 + 1}, "trials is 9007199254740993; it must be at least 1 and at most"),
    ],
)
def test_impossible_rates_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        replace(rate(10), **changes)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, float("nan")])
def test_targets_are_rates(target: float) -> None:
    for build in (
        lambda: replace(VERIFY_POINT, target=target),
        lambda: replace(SPOOF_POINT, target=target),
        lambda: UnsupportedPoint(name="x", target=target, reason="few"),
    ):
        with pytest.raises(ManifestError, match=r"target|finite"):
            build()


def test_apcer_is_the_worst_species() -> None:
    with pytest.raises(ManifestError, match="species"):
        replace(SPOOF_POINT, apcer=rate(7))
    with pytest.raises(ManifestError, match="species"):
        replace(SPOOF_POINT, species={})


def test_no_pass_over_the_budget() -> None:
    for changes in ({"upper90": 0.0051}, {"budget": 0.003}):
        with pytest.raises(ManifestError, match="budget"):
            replace(DIFFERENCE, **changes)
        assert replace(DIFFERENCE, verdict="undecidable", **changes).verdict == "undecidable"


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (SIGNATURE, {"score": EmbeddingDistance(output="model.no", metric="cosine")}, "unknown output 'model.no'"),
        (SIGNATURE, {"score": EmbeddingDistance(output="embedding", metric="cosine")}, "unknown output 'embedding'"),
        (
            SIGNATURE,
            with_graph(SIGNATURE, outputs=(Output(name="embedding", shape=("batch", 128), role="latent"),)),
            "role latent",
        ),
        (SIGNATURE, {"embedding_space_id": None}, "space id"),
        (SIGNATURE, {"task": "spoof", "variants": variants()}, "task verify only"),
        (SIGNATURE, {"variants": variants(SPOOF_POINT)}, "does not fit task"),
        (SIGNATURE, {"variants": ()}, "no variants"),
        (SIGNATURE, {"graphs": ()}, "no graphs"),
        (SIGNATURE, {"variants": variants(VERIFY_POINT)[:1]}, r"differ in int8\.onnx"),
        (
            SIGNATURE,
            {"variants": variants(VERIFY_POINT)[:1], **with_graph(SIGNATURE, files={"fp32.onnx": entry("m")})},
            "unknown variants: int8",
        ),
        (SIGNATURE, {"source": Image(color="rgb")}, "gives gray images, the source says rgb"),
        (SIGNATURE, {"preprocessing": ()}, "to_gray"),
        (SIGNATURE, {"preprocessing": PAPER[:-2]}, "fixed size"),
        (SIGNATURE, {"preprocessing": (*PAPER, Fit(height=300, width=361, stretch=1.0))}, r"\(1, 300, 361\)"),
        (SIGNATURE, {"preprocessing": (ToColor(order="rgb"), *PAPER)}, "to_gray takes gray or BGR"),
        (SIGNATURE, {"preprocessing": (MedianBlur(size=3, iterations=32),) * 2 + PAPER}, "84 times"),
        (SIGNATURE, {"preprocessing": (STEPS, *PAPER)}, "pipeline by itself"),
        (SIGNATURE, {"preprocessing": (STEPS,)}, "pipeline by itself"),
        (SIGNATURE, with_graph(SIGNATURE, inputs=(Input(name="image", shape=PIXELS, dtype="uint8"),)), "is float32"),
        (SIGNATURE, {"schema_version": 2}, "schema_version"),
        (SIGNATURE, {"auxiliary": (entry("model.fp32.onnx"),)}, "given twice"),
        (FUSED_SPOOF, {"variants": variants(VERIFY_POINT)}, "does not fit task"),
        (FUSED_SPOOF, {"task": "verify", "variants": variants()}, "task spoof"),
        (FUSED_SPOOF, {"score": LatentDistance(first="model.z", second="model.generated")}, "role reconstruction"),
        (FUSED_SPOOF, {"score": LatentDistance(first="model.z", second="model.of_image")}, "shapes or roles"),
        (FUSED_SPOOF, {"score": LatentDistance(first="model.z", second="model.z")}, "always 0"),
        (
            FUSED_SPOOF,
            {"score": Reconstruction(input="model.x", output="model.generated", norm="l1")},
            "unknown input 'model.x'",
        ),
        (
            FUSED_SPOOF,
            with_graph(FUSED_SPOOF, inputs=(Input(name="face", shape=("batch", 3, 32, 32)),)),
            "another shape than model.face",
        ),
        (
            FUSED_SPOOF,
            with_graph(
                FUSED_SPOOF,
                outputs=(
                    *FUSED_SPOOF.graphs[0].outputs[:2],
                    Output(name="z_hat", shape=("batch", 9), role="latent"),
                ),
            ),
            "different shapes",
        ),
        (LATENT_SPOOF, {"auxiliary": ()}, "gmm.npz"),
        (BOUND_SPOOF, {"score": KlDivergence(mean="model.z", log_variance="model.z")}, "needs log_variance"),
        (
            BOUND_SPOOF,
            with_graph(
                BOUND_SPOOF,
                outputs=(
                    *BOUND_SPOOF.graphs[0].outputs[:2],
                    Output(name="log_variance", shape=("batch", 9), role="log_variance"),
                ),
            ),
            "another shape than model.log_variance",
        ),
        (
            BOUND_SPOOF,
            with_graph(BOUND_SPOOF, inputs=(Input(name="face", shape=("batch", 3, 32, 32)),)),
            "another shape than model.face",
        ),
        (TWO_IMAGES, with_graph(TWO_IMAGES, inputs=TWO_IMAGES.graphs[0].inputs[1:]), "reference input"),
        (TWO_IMAGES, {"score": DecisionHead(output="model.logit", activation="softmax")}, "softmax"),
        (
            TWO_IMAGES,
            {"score": DecisionHead(output="model.logit", activation="sigmoid", genuine_index=1)},
            "sigmoid",
        ),
        (
            TWO_EMBEDDINGS,
            {"score": DecisionHead(output="head.classes", activation="softmax", genuine_index=2)},
            "class 2",
        ),
        (TWO_EMBEDDINGS, {"score": DecisionHead(output="head.classes", activation="sigmoid")}, "one logit"),
        (TWO_EMBEDDINGS, {"embedding_space_id": None}, "space id"),
        (TWO_EMBEDDINGS, {"graphs": (HEAD, EMBEDDER)}, "no earlier graph"),
        (TWO_EMBEDDINGS, {"graphs": (EMBEDDER, EMBEDDER, HEAD)}, "given twice"),
        (TWO_EMBEDDINGS, {"graphs": (HEAD,)}, "no earlier graph"),
        (
            TWO_EMBEDDINGS,
            {
                "graphs": (
                    EMBEDDER,
                    HEAD,
                    graph((Input(name="x", shape=("batch", 2), feed="head.classes"),), HEAD.outputs, "after"),
                )
            },
            "which compares a pair",
        ),
        (
            TWO_EMBEDDINGS,
            {
                "graphs": (
                    EMBEDDER,
                    graph(tuple(replace(tensor, shape=("batch", 64)) for tensor in HEAD.inputs), HEAD.outputs, "head"),
                )
            },
            r"fed with embedder\.embedding",
        ),
        (
            TWO_EMBEDDINGS,
            {"graphs": (replace(EMBEDDER, files=EMBEDDER.files | {"int8.onnx": entry("head.int8.onnx")}), HEAD)},
            "file given twice",
        ),
        (SPOOF_HEAD, with_graph(SPOOF_HEAD, inputs=TWO_IMAGES.graphs[0].inputs), "reference input"),
        (GAIT_MAP, {"auxiliary": ()}, "ubm.npz"),
        (GAIT_MAP, {"embedding_space_id": None}, "space id"),
        (GAIT_MAP, with_graph(GAIT_MAP, inputs=(Input(name="x", shape=("batch", 3, 100)),)), "does not hold"),
        (GAIT_MAP, with_graph(GAIT_MAP, inputs=(Input(name="x", shape=("batch", 2, 128)),)), "does not hold"),
        (GAIT_MAP, {"preprocessing": (STEPS,)}, "does not hold what the pre-processing gives"),
        (GAIT_MAP, {"preprocessing": (replace(STEPS, samples=64),)}, "a window of the source is"),
        (GAIT_MAP, {"preprocessing": (STEPS, STEPS)}, "pipeline by itself"),
    ],
)
def test_cross_checks(base: Manifest, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        replace(base, **changes)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Fusion(members=(), weights=()), "one weight per member"),
        (lambda: replace(EXPERTS_SPOOF.score, members=EXPERTS_SPOOF.score.members[:1]), "two members"),
        (lambda: replace(EXPERTS_SPOOF.score, biases=(1.0,)), "two members"),
        (lambda: replace(EXPERTS_SPOOF.score, weights=(1.0, 0.0)), "weights must be finite and positive"),
        (lambda: replace(EXPERTS_SPOOF.score, weights=(1.0, float("inf"))), "weights must be finite and positive"),
        (lambda: replace(EXPERTS_SPOOF.score, biases=(1.0, float("nan"))), "biases must be finite"),
        (lambda: replace(FUSED_SPOOF.score, weights=(1.0,)), "one weight per member"),
        (lambda: replace(FUSED_SPOOF.score, weights=(0.0, 0.0)), "not all zero"),
        (lambda: Input(name="x", shape=()), "empty"),
        (lambda: Input(name="x", shape=(1, "batch")), "batch"),
        (lambda: Input(name="x", shape=(0, 3)), "dimension 0"),
        (lambda: Output(name="", shape=(1,), role="logit"), "output name"),
        (lambda: replace(HEAD, inputs=()), "no query input"),
        (lambda: replace(HEAD, inputs=HEAD.inputs[:1]), "no query input"),
        (lambda: replace(HEAD, inputs=(*HEAD.inputs, EMBEDDER.inputs[0])), "one query with one reference"),
        (lambda: replace(HEAD, inputs=(HEAD.inputs[0], replace(HEAD.inputs[1], feed="sample"))), "different things"),
        (lambda: replace(HEAD, inputs=(HEAD.inputs[0], replace(HEAD.inputs[1], name="classes"))), "given twice"),
        (lambda: replace(WALK, channels=("x", "x", "y")), "given twice"),
        (lambda: replace(WALK, rate_hz=0.0), "rate_hz is 0.0; it must be at least 0.001"),
        (lambda: replace(WALK, hop_s=3.0), "skips"),
        (lambda: replace(SIGNATURE.variants[0], operating_points=(VERIFY_POINT,) * 2), "given twice"),
        (lambda: replace(golden("a.png"), tolerance={}), "different variants"),
        (lambda: replace(golden("a.png"), inputs=()), "come together"),
        (lambda: replace(golden("a.png"), tolerance={"fp32.onnx": -1.0, "int8.onnx": 1.0}), "tolerance"),
    ],
)
def test_parts_refuse_impossible_values(build: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        build()


def test_structs_are_frozen_and_strict() -> None:
    for name, kind in vars(schema).items():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not name.startswith("_"):
            assert kind.__struct_config__.frozen, name
            assert kind.__struct_config__.forbid_unknown_fields, name
    with pytest.raises(TypeError):
        FileEntry("a", "0" * 64, 1)  # type: ignore[misc]  # named arguments only


def test_a_manifest_from_before_graphs_says_what_to_do() -> None:
    old = b'{"schema_version": 1, "name": "old", "inputs": [], "outputs": [], "artifacts": []}'
    with pytest.raises(ManifestError, match="export the run again"):
        decode(old)
