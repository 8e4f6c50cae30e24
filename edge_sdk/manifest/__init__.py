"""The manifest: what a bundle holds, and how an application turns its outputs into a decision.

``manifest.json`` is strict JSON of the structs below. Unknown keys, unknown kinds and combinations that make no sense
are refused with :class:`~edge_sdk.errors.ManifestError`; a newer ``schema_version`` with
:class:`~edge_sdk.errors.SchemaVersionError`; older ones migrate step by step through pure functions.
Scores are always oriented *higher = more genuine*, and a sample is accepted iff ``score >= threshold``.

Constructors check values and cross-references; :func:`encode` and :func:`decode` also check every type, because
msgspec does so only when it decodes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from edge_sdk.errors import BundleError, ManifestError, SchemaVersionError, UnsafePathError
from edge_sdk.preprocess import Operation, digest
from edge_sdk.preprocess.crop import FaceCrop

SCHEMA_VERSION = 1
MANIFEST_PATH = "manifest.json"
MAX_FILE_BYTES = 512 * 2**20

Dimension = int | str
# "int8-io": int8 input and output tensors too; "int8-sym": symmetric ranges (zero points 0).
Precision = Literal["fp32", "int8", "int8-io", "int8-sym"]
Format = Literal["onnx", "tflite"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A whitelist: no "..", no leading "/", no "\" or ":" (Windows drives), no trailing dot (Windows drops it).
_SEGMENT = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def check_path(path: str) -> str:
    """Return ``path`` if it is relative, stays inside the bundle and is portable; else raise ``UnsafePathError``."""
    if len(path) > 200 or not _PATH.fullmatch(path):
        raise UnsafePathError(f"unsafe path in bundle: {path[:200]!r}")
    return path


def embedding_space_id(preprocessing: tuple[Operation, ...], weights: bytes) -> str:
    """Name the space that embeddings live in: 32 hex digits over the pre-processing and the float artifact's bytes."""
    return hashlib.sha256(digest(preprocessing).encode() + hashlib.sha256(weights).digest()).hexdigest()[:32]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ManifestError(message)


def _require_finite(struct: msgspec.Struct) -> None:
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        _require(not isinstance(value, float) or math.isfinite(value), f"{field} is {value}; it must be finite")


def _require_unique(names: Iterable[str], what: str) -> None:
    seen = [name.casefold() for name in names]
    twice = {name for name in seen if seen.count(name) > 1}
    _require(not twice, f"{what} given twice: {', '.join(sorted(twice))}")


def _require_shape(shape: tuple[Dimension, ...]) -> None:
    for size in shape:
        fits = bool(_NAME.fullmatch(size)) if isinstance(size, str) else size > 0
        _require(fits, f"dimension {size!r} is neither positive nor a lower-case name")
    _require(len(shape) > 0 and "batch" not in shape[1:], f'shape {shape} is empty or has "batch" behind the front')


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every struct: frozen, named arguments only, unknown keys refused, numbers finite."""

    def __post_init__(self) -> None:
        _require_finite(self)


# --- inputs and outputs ----------------------------------------------------------------------------------------------


class Image(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A camera image; ``color`` is the channel order that the pre-processing hands to the model.

    ``face`` says how a face is cut out of a frame where the pre-processing expects it cut out already.
    """

    color: Literal["gray", "bgr", "rgb"] = "gray"
    face: FaceCrop | None = None


class Accelerometer(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="accelerometer"):
    """A stream cut into windows of ``window_s`` seconds every ``hop_s`` seconds, sampled at ``rate_hz``.

    ``axes`` gives the order of the channels. Gravity is part of the signal (a phone at rest reads 9.81 m/s^2).
    """

    axes: tuple[str, ...]
    rate_hz: float
    window_s: float
    hop_s: float
    unit: Literal["m/s^2", "g"] = "m/s^2"

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(len(self.axes) > 0, "an accelerometer needs axes")
        _require_unique(self.axes, "axis")
        _require(self.rate_hz > 0 and self.window_s > 0 and self.hop_s > 0, "rate_hz, window_s and hop_s are positive")
        _require(self.hop_s <= self.window_s, "hop_s beyond window_s skips part of the stream")

    @property
    def samples(self) -> int:
        """Samples per axis in one window."""
        return round(self.rate_hz * self.window_s)


class Embedding(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="embedding"):
    """An embedding of ``dim`` values from the space ``embedding_space_id``: a head that compares stored templates."""

    dim: int

    def __post_init__(self) -> None:
        _require(self.dim > 0, "dim must be positive")


Source = Image | Accelerometer | Embedding


class Input(_Strict, frozen=True, kw_only=True):
    """One named input tensor.

    ``shape`` may hold names for free sizes; ``"batch"`` only in front. A model with one ``"query"`` input embeds
    references through it too; a two-input head has a ``"reference"`` input as well.
    """

    name: str
    shape: tuple[Dimension, ...]
    source: Source
    dtype: Literal["float32", "int8", "uint8"] = "float32"
    role: Literal["query", "reference"] = "query"
    preprocessing: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        _require_shape(self.shape)
        _require(bool(_IDENTIFIER.fullmatch(self.name)), f"bad input name {self.name!r}")
        source, inner = self.source, self.shape[1:]
        if isinstance(source, Embedding):
            _require(self.shape[-1] == source.dim, f"input {self.name}: {self.shape} does not end in {source.dim}")
        if isinstance(source, Accelerometer) and not self.preprocessing:
            fits = len(source.axes) in inner and any(isinstance(d, str) or d == source.samples for d in inner)
            wanted = f"{len(source.axes)} axes x {source.samples} samples"
            _require(fits, f"input {self.name}: shape {self.shape} does not hold {wanted}")


class Output(_Strict, frozen=True, kw_only=True):
    """One named output tensor; ``role`` says what the numbers mean."""

    name: str
    shape: tuple[Dimension, ...]
    role: Literal["embedding", "reconstruction", "latent", "features", "logit", "log_likelihood"]
    dtype: Literal["float32", "int8", "uint8"] = "float32"

    def __post_init__(self) -> None:
        _require_shape(self.shape)
        _require(bool(_IDENTIFIER.fullmatch(self.name)), f"bad output name {self.name!r}")


# --- scores ----------------------------------------------------------------------------------------------------------


class EmbeddingDistance(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="embedding_distance"):
    """Distance of L2-normalised embeddings; ``references`` says how scores of several references are combined."""

    output: str
    metric: Literal["euclidean", "cosine"]
    references: Literal["mean_score", "max_score", "mean_embedding"] = "mean_score"


class DecisionHead(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="decision_head"):
    """Probability of "genuine" from a logit output; for ``softmax``, class ``genuine_index`` of the last axis.

    For ``identity`` the logit itself, the logarithm of the odds.
    """

    output: str
    activation: Literal["sigmoid", "softmax", "identity"]
    genuine_index: int = 0


class Reconstruction(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="reconstruction"):
    """Minus the mean absolute (``l1``) or mean squared (``l2``) difference of an input and its reconstruction."""

    input: str
    output: str
    norm: Literal["l2", "l1"]


class LatentDistance(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="latent_distance"):
    """Minus the Euclidean distance of two outputs: latents (encoder, and encoder of the reconstruction) or features.

    The features are those of a discriminator, of the input and of its reconstruction.
    """

    first: str
    second: str


class LatentLikelihood(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="latent_likelihood"):
    """Log-likelihood of a latent output under the density in the auxiliary file ``density``."""

    output: str
    density: str


class LogLikelihoodRatio(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="log_likelihood_ratio"):
    """Mean over windows of log p(x | person) - log p(x | background).

    The background density is the auxiliary file ``background``; the person's is adapted from it at enrolment by
    ``map`` (GMM-UBM relevance MAP) or ``flow`` (a normalising flow).
    """

    output: str
    background: str
    adaptation: Literal["map", "flow"]


SingleScore = EmbeddingDistance | DecisionHead | Reconstruction | LatentDistance | LatentLikelihood | LogLikelihoodRatio


class Fusion(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="fusion"):
    """``bias + sum(weights[i] * members[i])``."""

    members: tuple[SingleScore, ...]
    weights: tuple[float, ...]
    bias: float = 0.0

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(len(self.members) == len(self.weights) > 0, "a fusion needs one weight per member")
        _require(all(map(math.isfinite, self.weights)) and any(self.weights), "weights must be finite and not all zero")


class Lowest(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="lowest"):
    """``min(weights[i] * members[i] + biases[i])``: of experts of different attacks, each must call a picture live."""

    members: tuple[SingleScore, ...]
    weights: tuple[float, ...]
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = len(self.members), len(self.weights), len(self.biases)
        _require(min(counts) == max(counts) > 1, "the lowest takes two members or more, and a weight and bias of each")
        _require(all(map(math.isfinite, self.biases)), "biases must be finite")
        _require(all(0 < weight < math.inf for weight in self.weights), "weights must be finite and positive")


Score = SingleScore | Fusion | Lowest


# --- artifacts -------------------------------------------------------------------------------------------------------


class FileEntry(_Strict, frozen=True, kw_only=True):
    """A file of the bundle: portable relative path, SHA-256 (64 lower-case hex digits) and size in bytes."""

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        check_path(self.path)
        _require(self.path.casefold() != MANIFEST_PATH, f"{MANIFEST_PATH} cannot list itself")
        _require(bool(_SHA256.fullmatch(self.sha256)), f"{self.path}: bad sha256")
        _require(0 <= self.size <= MAX_FILE_BYTES, f"{self.path}: size {self.size} is not in 0..{MAX_FILE_BYTES}")


class Rate(_Strict, frozen=True, kw_only=True):
    """An error rate ``errors / trials`` with its 95 % interval, all in [0, 1].

    A percentile interval over few subjects need not contain ``value``, so that is not required.
    """

    value: float
    low: float
    high: float
    errors: int
    trials: int

    def __post_init__(self) -> None:
        _require(0 <= self.errors <= self.trials and self.trials > 0, "a rate needs 0 <= errors <= trials, trials > 0")
        _require(0 <= self.low <= self.high <= 1, f"interval [{self.low}, {self.high}] is not ordered in [0, 1]")
        _require(abs(self.value - self.errors / self.trials) < 1e-6, "value is not errors / trials")


class VerifyPoint(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="verify"):
    """A threshold with the false match and false non-match rates measured at it; ``target`` is the FMR asked for."""

    name: str
    threshold: float
    target: float | None
    fmr: Rate
    fnmr: Rate
    data: str
    subjects: int

    def __post_init__(self) -> None:
        _require_finite(self)
        _require_target(self.target)
        _require(self.subjects > 0, "subjects must be positive")


class SpoofPoint(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="spoof"):
    """A threshold with APCER and BPCER (ISO/IEC 30107-3); ``target`` is the APCER asked for.

    ``species`` holds the APCER of each attack species and ``apcer`` is its maximum.
    """

    name: str
    threshold: float
    target: float | None
    apcer: Rate
    bpcer: Rate
    species: dict[str, Rate]
    data: str

    def __post_init__(self) -> None:
        _require_finite(self)
        _require_target(self.target)
        worst = max((rate.value for rate in self.species.values()), default=None)
        _require(worst == self.apcer.value, "apcer is not the maximum over the attack species")


class UnsupportedPoint(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="unsupported"):
    """An operating point that the data could not support, and why: it has no threshold, so nobody can use it."""

    name: str
    target: float
    reason: str

    def __post_init__(self) -> None:
        _require_target(self.target)


OperatingPoint = VerifyPoint | SpoofPoint | UnsupportedPoint


def _require_target(target: float | None) -> None:
    _require(target is None or 0 < target < 1, f"target {target} is not in (0, 1)")


class CalibrationProvenance(_Strict, frozen=True, kw_only=True):
    """What int8 was calibrated with: data, number and digest of the samples, method and seed.

    ``float_nodes`` names the layers that had to stay float, most harmful first.
    """

    data: str
    count: int
    digest: str
    method: str
    seed: int
    float_nodes: tuple[str, ...] = ()


class AccuracyDifference(_Strict, frozen=True, kw_only=True):
    """What quantisation cost against the float model: paired bootstrap over ``subjects`` people.

    ``delta`` and its upper 90 % bound are fractions (0.005 = 0.5 points); ``agreement`` is the share of equal
    decisions, each artifact at its own threshold; further than ``agreement_band`` from it at least 99.9 % are equal.
    Only ``upper90 <= budget`` may be called a pass.
    """

    metric: str
    budget: float
    delta: float
    upper90: float
    subjects: int
    verdict: Literal["pass", "fail", "undecidable"]
    data: str
    agreement: float | None = None
    agreement_band: float | None = None

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(self.verdict != "pass" or self.upper90 <= self.budget, "a drift over its budget is no pass")
        _require(self.agreement is None or 0 <= self.agreement <= 1, "agreement is not in [0, 1]")


class Artifact(_Strict, frozen=True, kw_only=True):
    """One model file with the operating points measured for exactly this file."""

    format: Format
    precision: Precision
    file: FileEntry
    operating_points: tuple[OperatingPoint, ...]
    calibration: CalibrationProvenance | None = None
    drift: tuple[AccuracyDifference, ...] = ()

    def __post_init__(self) -> None:
        _require_unique((point.name for point in self.operating_points), "operating point")

    @property
    def id(self) -> str:
        """Precision and format, such as ``int8.onnx``."""
        return f"{self.precision}.{self.format}"


# --- provenance ------------------------------------------------------------------------------------------------------


class Training(_Strict, frozen=True, kw_only=True):
    """How the float weights came about.

    ``teachers`` are what a distilled model learned from beside its labels: recipe, preset and start of the weights'
    SHA-256; ``data`` holds their data sets too. ``quantisation_aware`` is how many of the ``steps``, the last ones,
    were taken with int8 simulated.
    """

    recipe: str
    preset: str
    data: tuple[str, ...]
    seed: int
    steps: int
    commit: str
    versions: dict[str, str]
    teachers: tuple[str, ...] = ()
    quantisation_aware: int = 0


class DataTerms(_Strict, frozen=True, kw_only=True):
    """What the terms of the training data allow."""

    commercial_use: bool
    statement: str


class Golden(_Strict, frozen=True, kw_only=True):
    """One trial to replay on the device: raw input files, and the score and tolerance expected of each artifact.

    ``inputs`` are in the order reference, query for a comparison. For task ``spoof`` each is the crop of a face, and
    the score is the mean of theirs.
    """

    inputs: tuple[FileEntry, ...] = ()
    scores: dict[str, float] = {}
    tolerance: dict[str, float] = {}

    def __post_init__(self) -> None:
        _require(all(map(math.isfinite, self.scores.values())), "golden scores must be finite")
        _require(all(0 <= t < math.inf for t in self.tolerance.values()), "golden tolerances must be finite and >= 0")
        _require(self.scores.keys() == self.tolerance.keys(), "golden scores and tolerances name different artifacts")
        _require(bool(self.inputs) == bool(self.scores), "golden inputs and scores come together")


class Manifest(_Strict, frozen=True, kw_only=True):
    """Everything the runtime needs to know about a bundle; see the module's page for the rules."""

    name: str
    version: str
    task: Literal["verify", "spoof"]
    modality: Literal["signature", "face", "gait"]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    score: Score
    artifacts: tuple[Artifact, ...]
    training: Training
    data_terms: DataTerms
    golden: Golden
    embedding_space_id: str | None = None
    auxiliary: tuple[FileEntry, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _require(self.schema_version == SCHEMA_VERSION, f"schema_version is not {SCHEMA_VERSION}")
        _require(bool(_NAME.fullmatch(self.name)), f"bad bundle name {self.name!r}")
        _require(bool(_IDENTIFIER.fullmatch(self.version)) and "/" not in self.version, f"bad version {self.version!r}")
        _require(any(tensor.role == "query" for tensor in self.inputs), "no query input")
        _require(len(self.artifacts) > 0, "no artifacts")
        _require_unique([t.name for t in self.inputs] + [t.name for t in self.outputs], "tensor")
        _require_unique((artifact.id for artifact in self.artifacts), "artifact")
        _require_unique((entry.path for entry in self.files), "file")
        unknown = self.golden.scores.keys() - {artifact.id for artifact in self.artifacts}
        _require(not unknown, f"golden scores of unknown artifacts: {', '.join(sorted(unknown))}")
        takes_embeddings = any(isinstance(tensor.source, Embedding) for tensor in self.inputs)
        _require(not takes_embeddings or self.embedding_space_id is not None, "Embedding inputs need a space id")
        for point in (point for artifact in self.artifacts for point in artifact.operating_points):
            fits = isinstance(point, UnsupportedPoint | (VerifyPoint if self.task == "verify" else SpoofPoint))
            _require(fits, f"operating point {point.name} does not fit task {self.task}")
        for score in self.score.members if isinstance(self.score, Fusion | Lowest) else (self.score,):
            self._check_score(score)

    def _check_score(self, score: SingleScore) -> None:
        verify = self.task == "verify"
        if isinstance(score, EmbeddingDistance | LogLikelihoodRatio):
            _require(verify and self.embedding_space_id is not None, "enrolment needs task verify and a space id")
        elif isinstance(score, DecisionHead):
            compares = any(tensor.role == "reference" for tensor in self.inputs)
            _require(compares == verify, "a head has a reference input for task verify, and only there")
        else:
            _require(not verify, "reconstructions and latents compare nobody: task spoof only")
        match score:
            case EmbeddingDistance():
                self._output(score.output, "embedding")
            case DecisionHead():
                shape = self._output(score.output, "logit").shape
                classes = shape[-1] if len(shape) > 1 else 1
                if score.activation != "softmax":
                    _require(
                        classes == 1 and score.genuine_index == 0, f"{score.activation} needs one logit, not {shape}"
                    )
                else:
                    fits = isinstance(classes, int) and classes > 1 and 0 <= score.genuine_index < classes
                    _require(fits, f"class {score.genuine_index} of a softmax over {shape}")
            case Reconstruction():
                shapes = {tensor.name: tensor.shape for tensor in self.inputs}
                _require(score.input in shapes, f"score refers to unknown input {score.input!r}")
                same = self._output(score.output, "reconstruction").shape == shapes[score.input]
                _require(same, f"{score.output} has another shape than {score.input}")
            case LatentDistance():
                first, second = (self._output(name, "latent", "features") for name in (score.first, score.second))
                same = (first.shape, first.role) == (second.shape, second.role)
                _require(same, f"{score.first} and {score.second} have different shapes or roles")
            case LatentLikelihood():
                self._output(score.output, "latent")
                self._auxiliary(score.density)
            case LogLikelihoodRatio():
                self._output(score.output, "features", "log_likelihood")
                self._auxiliary(score.background)

    def _output(self, name: str, *roles: str) -> Output:
        output = next((tensor for tensor in self.outputs if tensor.name == name), None)
        if output is None:
            raise ManifestError(f"score refers to unknown output {name!r}")
        _require(output.role in roles, f"output {name} has role {output.role}, the score needs {' or '.join(roles)}")
        return output

    def _auxiliary(self, path: str) -> None:
        _require(any(entry.path == path for entry in self.auxiliary), f"score refers to {path!r}, not in auxiliary")

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the bundle but the manifest."""
        return (*(artifact.file for artifact in self.artifacts), *self.golden.inputs, *self.auxiliary)

    def artifact(self, artifact_id: str) -> Artifact:
        """Return the artifact of that id (``int8.onnx``); raise ``ManifestError`` with those there are."""
        for artifact in self.artifacts:
            if artifact.id == artifact_id:
                return artifact
        there = ", ".join(artifact.id for artifact in self.artifacts)
        raise ManifestError(f"{self.name} has no artifact {artifact_id!r}; it has {there}")


# --- encoding --------------------------------------------------------------------------------------------------------


class _Version(msgspec.Struct):
    schema_version: int


# From version N to N + 1, on plain JSON values; pure.
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def decode(data: bytes) -> Manifest:
    """Decode and check ``manifest.json``; see the module's page for the errors."""
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"the bundle has manifest version {version}, this edge-sdk reads up to {SCHEMA_VERSION}: upgrade it"
            )
        if version == SCHEMA_VERSION:
            return msgspec.json.decode(data, type=Manifest)
        raw = msgspec.json.decode(data)
        for old in range(version, SCHEMA_VERSION):
            if old not in _MIGRATIONS:
                raise ManifestError(f"unknown manifest version {version}")
            raw = _MIGRATIONS[old](raw)
        return msgspec.convert(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        kind = type(error.__cause__) if isinstance(error.__cause__, BundleError) else ManifestError
        raise kind(f"bad manifest: {error}") from error


def encode(manifest: Manifest) -> bytes:
    """Encode as indented JSON; raise ``ManifestError`` if it would not decode to an equal manifest."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    if decode(data) != manifest:
        raise ManifestError("the manifest holds values of a wrong type (lists for tuples, for instance)")
    return data
