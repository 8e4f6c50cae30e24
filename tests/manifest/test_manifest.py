from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from edge_sdk import manifest as schema
from edge_sdk.errors import ManifestError, SchemaVersionError, UnsafePathError
from edge_sdk.manifest import (
    Accelerometer,
    AccuracyDifference,
    Artifact,
    CalibrationProvenance,
    DataTerms,
    DecisionHead,
    Embedding,
    EmbeddingDistance,
    FileEntry,
    Fusion,
    Golden,
    Image,
    Input,
    LatentDistance,
    LatentLikelihood,
    LogLikelihoodRatio,
    Lowest,
    Manifest,
    Output,
    Rate,
    Reconstruction,
    SpoofPoint,
    Training,
    UnsupportedPoint,
    VerifyPoint,
    decode,
    embedding_space_id,
    encode,
)
from edge_sdk.preprocess import PAPER


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
DRIFT = AccuracyDifference(
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
    "training": Training(
        recipe="r", preset="best", data=("cedar",), seed=1, steps=10, commit="abc", versions={"torch": "2.13.0"}
    ),
    "data_terms": DataTerms(commercial_use=False, statement="research only"),
}


def artifacts(*points: schema.OperatingPoint) -> tuple[Artifact, ...]:
    return (
        Artifact(format="onnx", precision="fp32", file=entry("model.fp32.onnx"), operating_points=points),
        Artifact(
            format="onnx",
            precision="int8",
            file=entry("model.int8.onnx"),
            operating_points=points,
            calibration=CalibrationProvenance(
                data="cedar", count=100, digest="d", method="minmax", seed=3, float_nodes=("stem",)
            ),
            drift=(DRIFT,),
        ),
    )


def golden(*paths: str) -> Golden:
    return Golden(
        inputs=tuple(map(entry, paths)),
        scores={"fp32.onnx": 0.8, "int8.onnx": 0.79},
        tolerance={"fp32.onnx": 1e-5, "int8.onnx": 0.02},
    )


PIXELS = ("batch", 1, 190, 300)

# Embedding distance over signatures, with a pre-processing.
SIGNATURE = Manifest(
    name="deepsign",
    task="verify",
    modality="signature",
    inputs=(Input(name="image", shape=PIXELS, source=Image(), preprocessing=PAPER),),
    outputs=(Output(name="embedding", shape=("batch", 128), role="embedding"),),
    score=EmbeddingDistance(output="embedding", metric="euclidean"),
    embedding_space_id=embedding_space_id(PAPER, b"weights"),
    artifacts=artifacts(VERIFY_POINT, UnsupportedPoint(name="fmr_1e-3", target=0.001, reason="800 impostor pairs")),
    golden=golden("golden/a.png", "golden/b.png"),
    **COMMON,
)
FACE = ("batch", 3, 64, 64)
# GANomaly: reconstruction and distance of two latents, fused.
FUSED_SPOOF = Manifest(
    name="ganomaly",
    task="spoof",
    modality="face",
    inputs=(Input(name="face", shape=FACE, source=Image(color="rgb")),),
    outputs=(
        Output(name="generated", shape=FACE, role="reconstruction"),
        Output(name="z", shape=("batch", 100), role="latent"),
        Output(name="z_hat", shape=("batch", 100), role="latent"),
        Output(name="seen", shape=("batch", 100), role="features"),
        Output(name="seen_again", shape=("batch", 100), role="features"),
    ),
    score=Fusion(
        members=(
            Reconstruction(input="face", output="generated", norm="l1"),
            LatentDistance(first="z", second="z_hat"),
        ),
        weights=(0.7, 0.3),
        bias=0.1,
    ),
    artifacts=artifacts(SPOOF_POINT),
    golden=golden("golden/face.png"),
    **COMMON,
)
# A variational autoencoder with a Gaussian mixture over its latent space.
LATENT_SPOOF = replace(
    FUSED_SPOOF,
    name="resvae",
    score=Fusion(
        members=(
            Reconstruction(input="face", output="generated", norm="l2"),
            LatentLikelihood(output="z", density="gmm.npz"),
        ),
        weights=(1.0, 0.05),
    ),
    auxiliary=(entry("gmm.npz"),),
)
# A GAN whose discriminator looks at the image and at its reconstruction.
FEATURE_SPOOF = replace(FUSED_SPOOF, score=LatentDistance(first="seen", second="seen_again"))
# A siamese network: two images in, one logit out.
TWO_IMAGES = Manifest(
    name="person_verification",
    task="verify",
    modality="face",
    inputs=(
        Input(name="enrolled", shape=FACE, source=Image(color="bgr"), role="reference"),
        Input(name="seen", shape=FACE, source=Image(color="bgr")),
    ),
    outputs=(Output(name="logit", shape=("batch", 1), role="logit"),),
    score=DecisionHead(output="logit", activation="sigmoid"),
    artifacts=artifacts(VERIFY_POINT),
    golden=golden("golden/a.png", "golden/b.png"),
    **COMMON,
)
# The same decision from stored embeddings, two classes.
TWO_EMBEDDINGS = replace(
    TWO_IMAGES,
    name="head",
    inputs=(
        Input(name="enrolled", shape=("batch", 128), source=Embedding(dim=128), role="reference"),
        Input(name="seen", shape=("batch", 128), source=Embedding(dim=128)),
    ),
    outputs=(Output(name="classes", shape=("batch", 2), role="logit"),),
    score=DecisionHead(output="classes", activation="softmax", genuine_index=1),
    embedding_space_id="facenet-1",
)
SPOOF_HEAD = replace(FUSED_SPOOF, outputs=TWO_EMBEDDINGS.outputs, score=TWO_EMBEDDINGS.score)
# Experts of different attacks.
EXPERTS_SPOOF = replace(
    FUSED_SPOOF,
    outputs=tuple(Output(name=name, shape=("batch", 1), role="logit") for name in ("prints.logit", "screens.logit")),
    score=Lowest(
        members=tuple(DecisionHead(output=name, activation="identity") for name in ("prints.logit", "screens.logit")),
        weights=(1.0, 0.5),
        biases=(2.0, -1.0),
    ),
)
# Gait: features of accelerometer windows against a background model, adapted per person.
WALK = Accelerometer(axes=("x", "y", "z"), rate_hz=50.0, window_s=2.56, hop_s=1.28)
GAIT_MAP = Manifest(
    name="gait",
    task="verify",
    modality="gait",
    inputs=(Input(name="window", shape=("batch", 3, 128), source=WALK),),
    outputs=(Output(name="features", shape=("batch", "time", 32), role="features"),),
    score=LogLikelihoodRatio(output="features", background="ubm.npz", adaptation="map"),
    embedding_space_id="gait-1",
    artifacts=artifacts(VERIFY_POINT),
    auxiliary=(entry("ubm.npz"),),
    golden=golden("golden/enrolment.csv", "golden/walk.csv"),
    **COMMON,
)
GAIT_FLOW = replace(
    GAIT_MAP,
    inputs=(Input(name="window", shape=("batch", 3, "time"), source=WALK),),
    outputs=(Output(name="log_p", shape=("batch",), role="log_likelihood"),),
    score=LogLikelihoodRatio(output="log_p", background="ubm.npz", adaptation="flow"),
)

EVERY = {
    "signature": SIGNATURE,
    "fused spoof": FUSED_SPOOF,
    "latent spoof": LATENT_SPOOF,
    "feature spoof": FEATURE_SPOOF,
    "spoof head": SPOOF_HEAD,
    "experts spoof": EXPERTS_SPOOF,
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


def test_artifacts_are_found_by_id() -> None:
    assert SIGNATURE.artifact("int8.onnx").file.path == "model.int8.onnx"
    with pytest.raises(ManifestError, match=r"fp32\.onnx, int8\.onnx"):
        SIGNATURE.artifact("int8.tflite")


def test_files_are_all_but_the_manifest() -> None:
    paths = [file.path for file in GAIT_MAP.files]
    assert paths == ["model.fp32.onnx", "model.int8.onnx", "golden/enrolment.csv", "golden/walk.csv", "ubm.npz"]


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

    monkeypatch.setattr(schema, "_MIGRATIONS", {-1: from_minus_1, 0: from_0})
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
        (("inputs", 0, "preprocessing", 0, "op"), "astrology", "astrology"),
        (("inputs", 0, "source", "kind"), "smell", "smell"),
        (("inputs", 0, "dtype"), "float64", "float64"),
        (("artifacts", 0, "precision"), "int3", "int3"),
        (("artifacts", 0, "operating_points", 0, "threshold"), None, "float"),
        (("artifacts", 0, "operating_points", 0, "threshold"), "0.5", "float"),
        (("artifacts", 0, "file", "size"), -1, "size"),
        (("artifacts", 0, "file", "size"), 2**40, "size"),
        (("artifacts", 0, "file", "sha256"), "A" * 64, "sha256"),
        (("artifacts", 1, "file", "path"), "model.fp32.onnx", "given twice"),
        (("artifacts", 1, "file", "path"), "MODEL.fp32.onnx", "given twice"),
        (("artifacts", 1, "precision"), "fp32", "given twice"),
        (("golden", "scores", "int8.tflite"), 0.5, "different artifacts"),
        (("name",), "Deep Sign", "name"),
        (("name",), "../deepsign", "name"),
        (("task",), "identify", "identify"),
    ],
)
def test_edited_manifests_are_refused_with_the_reason(path: tuple[str | int, ...], value: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        decode(edited(*path, value=value))


def test_unlimited_numbers_are_refused() -> None:
    data = edited("artifacts", 0, "operating_points", 0, "threshold", value=12345.5).replace(b"12345.5", b"1e999")
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
        decode(edited("artifacts", 0, "file", "path", value=path))


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
            replace(DRIFT, delta=bad)
        with pytest.raises(ManifestError, match="finite"):
            replace(golden("a.png"), scores={"fp32.onnx": bad, "int8.onnx": 0.0})


def test_wrong_types_do_not_reach_the_disk() -> None:
    with pytest.raises(ManifestError):
        encode(replace(SIGNATURE, data_terms=replace(COMMON["data_terms"], commercial_use="no")))
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
        ({"low": -0.1}, "interval"),
        ({"high": 1.1}, "interval"),
        ({"high": float("nan")}, "interval"),
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
            replace(DRIFT, **changes)
        assert replace(DRIFT, verdict="undecidable", **changes).verdict == "undecidable"


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (SIGNATURE, {"score": EmbeddingDistance(output="nope", metric="cosine")}, "unknown output 'nope'"),
        (SIGNATURE, {"outputs": (Output(name="embedding", shape=("batch", 128), role="latent"),)}, "role latent"),
        (SIGNATURE, {"embedding_space_id": None}, "space id"),
        (SIGNATURE, {"task": "spoof", "artifacts": artifacts()}, "task verify"),
        (SIGNATURE, {"artifacts": artifacts(SPOOF_POINT)}, "does not fit task"),
        (SIGNATURE, {"artifacts": ()}, "no artifacts"),
        (SIGNATURE, {"artifacts": artifacts(VERIFY_POINT)[:1]}, "unknown artifacts: int8"),
        (SIGNATURE, {"inputs": ()}, "no query input"),
        (SIGNATURE, {"outputs": (Output(name="image", shape=("batch", 2), role="embedding"),)}, "given twice"),
        (SIGNATURE, {"schema_version": 2}, "schema_version"),
        (SIGNATURE, {"auxiliary": (entry("model.fp32.onnx"),)}, "given twice"),
        (FUSED_SPOOF, {"artifacts": artifacts(VERIFY_POINT)}, "does not fit task"),
        (FUSED_SPOOF, {"task": "verify", "artifacts": artifacts()}, "task spoof"),
        (FUSED_SPOOF, {"score": LatentDistance(first="z", second="generated")}, "role reconstruction"),
        (FUSED_SPOOF, {"score": LatentDistance(first="z", second="seen")}, "shapes or roles"),
        (FUSED_SPOOF, {"score": Reconstruction(input="x", output="generated", norm="l1")}, "unknown input 'x'"),
        (
            FUSED_SPOOF,
            {"inputs": (Input(name="face", shape=("batch", 3, 32, 32), source=Image()),)},
            "another shape than face",
        ),
        (
            FUSED_SPOOF,
            {"outputs": (*FUSED_SPOOF.outputs[:2], Output(name="z_hat", shape=("batch", 9), role="latent"))},
            "different shapes",
        ),
        (LATENT_SPOOF, {"auxiliary": ()}, "gmm.npz"),
        (TWO_IMAGES, {"inputs": TWO_IMAGES.inputs[1:]}, "reference input"),
        (TWO_IMAGES, {"score": DecisionHead(output="logit", activation="softmax")}, "softmax"),
        (TWO_IMAGES, {"score": DecisionHead(output="logit", activation="sigmoid", genuine_index=1)}, "sigmoid"),
        (TWO_EMBEDDINGS, {"score": DecisionHead(output="classes", activation="softmax", genuine_index=2)}, "class 2"),
        (TWO_EMBEDDINGS, {"score": DecisionHead(output="classes", activation="sigmoid")}, "one logit"),
        (TWO_EMBEDDINGS, {"embedding_space_id": None}, "space id"),
        (SPOOF_HEAD, {"inputs": TWO_IMAGES.inputs}, "reference input"),
        (GAIT_MAP, {"auxiliary": ()}, "ubm.npz"),
        (GAIT_MAP, {"embedding_space_id": None}, "space id"),
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
        (lambda: Input(name="x", shape=(), source=Image()), "empty"),
        (lambda: Input(name="x", shape=(1, "batch"), source=Image()), "batch"),
        (lambda: Input(name="x", shape=(0, 3), source=Image()), "dimension 0"),
        (lambda: Output(name="", shape=(1,), role="logit"), "output name"),
        (lambda: Input(name="x", shape=("batch", 127), source=Embedding(dim=128)), "does not end in 128"),
        (lambda: Input(name="x", shape=("batch", 3, 100), source=WALK), "3 axes x 128 samples"),
        (lambda: Input(name="x", shape=("batch", 2, 128), source=WALK), "3 axes x 128 samples"),
        (lambda: replace(WALK, axes=("x", "x", "y")), "given twice"),
        (lambda: replace(WALK, rate_hz=0.0), "positive"),
        (lambda: replace(WALK, hop_s=3.0), "skips"),
        (lambda: replace(SIGNATURE.artifacts[0], operating_points=(VERIFY_POINT,) * 2), "given twice"),
        (lambda: replace(golden("a.png"), tolerance={}), "different artifacts"),
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
