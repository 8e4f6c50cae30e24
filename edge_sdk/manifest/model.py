"""The manifest as a whole: one record, and its JSON."""

import hashlib
import json
from collections import Counter
from typing import Annotated, Any

import msgspec

from edge_sdk.errors import BundleError, ManifestError, SchemaVersionError, UsageError
from edge_sdk.manifest.cameras import CameraSeparation
from edge_sdk.manifest.familiarity import Familiarity
from edge_sdk.manifest.files import FileEntry
from edge_sdk.manifest.graphs import MAX_VARIANTS, Graph, GraphInterface
from edge_sdk.manifest.inputs import SAMPLE, Input, Source
from edge_sdk.manifest.migrations import SCHEMA_VERSION, migrate
from edge_sdk.manifest.operating_points import UnsupportedPoint
from edge_sdk.manifest.over_time import DecisionOverTime, KOfNRule
from edge_sdk.manifest.provenance import DataLicense, Golden, ThresholdProvenance, TrainingProvenance
from edge_sdk.manifest.scores import AnyScore
from edge_sdk.manifest.variants import Variant
from edge_sdk.preprocess import Operation, digest
from edge_sdk.schema import IDENTIFIER, NAME, Dimension, Name, Strict, require, require_unique
from edge_sdk.scoring.base import Role, Task

MAX_OPERATIONS = 64
MAX_GRAPHS = 16
MAX_AUXILIARY = 1000
MAX_CAMERAS = 100
MAX_KINDS, MAX_PAIRS = 20, 1000
ROUNDING = 1e-6
"""How far rounding may take a score out of its range."""

_Order = Annotated[tuple[tuple[Name, Name], ...], msgspec.Meta(max_length=MAX_PAIRS)]


def embedding_space_id(preprocessing: tuple[Operation, ...], *weights: bytes) -> str:
    """Name the space that embeddings live in: 32 hex digits over the pre-processing and the float graphs' bytes."""
    parts = (hashlib.sha256(graph).digest() for graph in weights)
    return hashlib.sha256(digest(preprocessing).encode() + b"".join(parts)).hexdigest()[:32]


class Manifest(Strict, frozen=True, kw_only=True):
    """Everything the runtime needs to know about a bundle; see the package's page for the rules.

    ``source`` is what a sample is before, and ``preprocessing`` what is done to it before the graphs that take it.
    ``default_point`` names the operating point that decides unless an application names another; without it the choice
    goes by the rates (:func:`edge_sdk.runtime.operating_point.choose_points`).
    ``thresholds`` says on whom they were fitted again, None where they are still the exporter's. ``over_time`` is how
    the frames of a stream are decided, None where that was not tuned. ``cameras`` is what a one-class bundle reached
    before others than those it learned from, as far as that was measured. ``familiarity`` says which samples are like
    those that the bundle was made with, None where that was not measured. ``fastest`` holds, by kind of processor
    (:data:`edge_sdk.runtime.device.ProcessorKind`), the engines and variants as they were measured, the fastest first.
    """

    name: Name
    version: Name
    task: Task
    modality: Name
    source: Source
    preprocessing: Annotated[tuple[Operation, ...], msgspec.Meta(max_length=MAX_OPERATIONS)]
    graphs: Annotated[tuple[Graph, ...], msgspec.Meta(max_length=MAX_GRAPHS)]
    score: AnyScore
    variants: Annotated[tuple[Variant, ...], msgspec.Meta(max_length=MAX_VARIANTS)]
    training: TrainingProvenance
    data_license: DataLicense
    golden: Golden
    embedding_space_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    auxiliary: Annotated[tuple[FileEntry, ...], msgspec.Meta(max_length=MAX_AUXILIARY)] = ()
    default_point: Name | None = None
    thresholds: ThresholdProvenance | None = None
    cameras: Annotated[tuple[CameraSeparation, ...], msgspec.Meta(max_length=MAX_CAMERAS)] = ()
    over_time: DecisionOverTime | None = None
    familiarity: Familiarity | None = None
    fastest: Annotated[dict[Name, _Order], msgspec.Meta(max_length=MAX_KINDS)] = msgspec.field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.schema_version == SCHEMA_VERSION, f"schema_version is not {SCHEMA_VERSION}")
        require(bool(NAME.fullmatch(self.name)), f"bad bundle name {self.name!r}")
        require(bool(IDENTIFIER.fullmatch(self.version)) and "/" not in self.version, f"bad version {self.version!r}")
        require(bool(NAME.fullmatch(self.modality)), f"bad modality {self.modality!r}")
        self._check_variants()
        self.interface.check_feeds()
        for score in self.score.members:
            require(self.task in score.tasks, f"the score {score.kind} is for task {' or '.join(score.tasks)} only")
            score.check(self.interface, self.task)
        self._check_samples()
        self._check_scores()
        require(self.over_time is None or self.task == "spoof", f"over_time is for task spoof, not {self.task}")

    def _check_samples(self) -> None:
        """Whatever a source is, the pre-processing makes of it what the graphs take."""
        require(bool(self._samples()), "no graph takes the sample")
        for tensor in self._samples():
            same = tensor.shape == self.sample_shape
            require(same, f"{tensor.name} takes the sample in another shape than others do")
            require(tensor.dtype == "float32", f"{tensor.name} takes the sample, which is float32, as {tensor.dtype}")
            try:
                self.source.check(tensor.shape, self.preprocessing)
            except UsageError as error:
                raise ManifestError(f"input {tensor.name} and the pre-processing: {error}") from error

    def _check_scores(self) -> None:
        """Thresholds and golden scores are scores that can come, and no threshold accepts everything."""
        low, high = self.score.range
        for variant in self.variants:
            for point in variant.operating_points:
                name = f"operating point {point.name} of {variant.id}"
                require(point.name != "custom", "results call a user's own threshold custom: no point has that name")
                require(point.task in (None, self.task), f"{name} does not fit task {self.task}")
                threshold = None if isinstance(point, UnsupportedPoint) else point.threshold
                accepts = threshold is not None and threshold <= low
                require(not accepts, f"{name} accepts everything: no score is below {low:g}, its threshold {threshold}")
            usable = {one.name for one in variant.operating_points if not isinstance(one, UnsupportedPoint)}
            named = self.default_point is None or self.default_point in usable
            require(named, f"{variant.id} has no threshold for {self.default_point}, the default operating point")
            self._check_over_time(variant, low)
        pair = self.task != "verify" or len(self.golden.inputs) != 1
        require(pair, "the golden trial of a comparison takes references and a query")
        for variant_id, score in self.golden.scores.items():
            fits = low - ROUNDING <= score <= high + ROUNDING
            require(fits, f"the golden score of {variant_id} is {score}, not in [{low:g}, {high:g}]")
            tolerance = self.golden.tolerance[variant_id]
            require(tolerance <= high - low, f"within {tolerance:g} of the golden score of {variant_id} is every score")

    def _check_over_time(self, variant: Variant, low: float) -> None:
        """The operating point that a rule of K of N was tuned at does not accept everything with its margin."""
        tuned = self.over_time
        if tuned is None or not isinstance(tuned.rule, KOfNRule):
            return
        for point in variant.operating_points:
            if not isinstance(point, UnsupportedPoint) and point.name == tuned.tuned.operating_point:
                name = f"operating point {point.name} of {variant.id} with the margin of over_time"
                require(point.threshold + tuned.rule.margin > low, f"{name} accepts everything: no score is lower")

    def _check_variants(self) -> None:
        require(len(self.graphs) > 0, "no graphs")
        require(len(self.variants) > 0, "no variants")
        require_unique((variant.id for variant in self.variants), "variant")
        require_unique((entry.path for entry in self.files), "file")
        ids = {variant.id for variant in self.variants}
        for graph in self.graphs:
            difference = graph.files.keys() ^ ids
            require(not difference, f"graph {graph.name} and the variants differ in {', '.join(sorted(difference))}")
        unknown = self.golden.scores.keys() - ids
        require(not unknown, f"golden scores of unknown variants: {', '.join(sorted(unknown))}")

    def _samples(self) -> list[Input]:
        return [tensor for graph in self.graphs for tensor in graph.inputs if tensor.feed == SAMPLE]

    @property
    def sample_shape(self) -> tuple[Dimension, ...]:
        """The shape ``(batch, ...)`` in which graphs take the pre-processed sample."""
        return self._samples()[0].shape

    @property
    def interface(self) -> GraphInterface:
        """Where tensors are looked up by ``graph.tensor``."""
        return GraphInterface(self.graphs, self.embedding_space_id, tuple(entry.path for entry in self.auxiliary))

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the bundle but the manifest."""
        models = (entry for graph in self.graphs for entry in graph.files.values())
        return (*models, *self.golden.inputs, *self.auxiliary)

    def outputs(self, role: Role) -> tuple[str, ...]:
        """The outputs of a role, as ``graph.output``."""
        return tuple(f"{graph.name}.{one.name}" for graph in self.graphs for one in graph.outputs if one.role == role)

    def variant(self, variant_id: str) -> Variant:
        """Return the variant of that id (``int8.onnx``); raise ``ManifestError`` with those there are."""
        for variant in self.variants:
            if variant.id == variant_id:
                return variant
        there = ", ".join(variant.id for variant in self.variants)
        raise ManifestError(f"{self.name} has no variant {variant_id!r}; it has {there}")

    def variant_files(self, variant_id: str) -> dict[str, FileEntry]:
        """The files of a variant by the name of the graph, in the order in which they run."""
        self.variant(variant_id)
        return {graph.name: graph.files[variant_id] for graph in self.graphs}

    def variant_size(self, variant_id: str) -> int:
        """Bytes of all graphs of a variant."""
        return sum(entry.size for entry in self.variant_files(variant_id).values())

    def variant_sha256(self, variant_id: str) -> str:
        """What a template is bound to: the SHA-256 of the variant's file; of several graphs, one over all of theirs."""
        files = self.variant_files(variant_id)
        if len(files) == 1:
            return next(iter(files.values())).sha256
        return hashlib.sha256("".join(f"{name} {entry.sha256}\n" for name, entry in files.items()).encode()).hexdigest()


class _Version(msgspec.Struct):
    schema_version: int


# Made once, at import: see edge_sdk.schema.
_VERSION_DECODER, _DECODER = msgspec.json.Decoder(_Version), msgspec.json.Decoder(Manifest)


def decode(data: bytes) -> Manifest:
    """Decode and check ``manifest.json``; see the package's page for the errors."""
    try:
        return _decoded(data)
    except RecursionError as error:
        raise ManifestError("bad manifest: lists and objects within each other, too deep to be one") from error
    except (msgspec.MsgspecError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        if b'"artifacts"' in data and b'"graphs"' not in data:  # before 0.1.0 was released
            raise ManifestError("the manifest is older than 0.1.0, without graphs: export the run again") from error
        kind = type(error.__cause__) if isinstance(error.__cause__, BundleError) else ManifestError
        raise kind(f"bad manifest: {error}") from error


def _decoded(data: bytes) -> Manifest:
    version = _VERSION_DECODER.decode(data).schema_version
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"the bundle has manifest version {version}, this edge-sdk reads up to {SCHEMA_VERSION}: upgrade it"
        )
    if version == SCHEMA_VERSION:
        manifest = _DECODER.decode(data)
    else:
        manifest = msgspec.convert(migrate(msgspec.json.decode(data), version), type=Manifest)
    # Last, when every count is known to be within its bounds.
    json.loads(data.decode(), object_pairs_hook=_without_duplicates)
    return manifest


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object with a key twice, of which msgspec would take the last without a word."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        twice = sorted(key for key, count in Counter(keys).items() if count > 1)
        raise ManifestError(f"bad manifest: the keys {', '.join(twice)} are given twice in one object")


def encode(manifest: Manifest) -> bytes:
    """Encode as indented JSON; raise ``ManifestError`` if it would not decode to an equal manifest."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    if decode(data) != manifest:
        raise ManifestError("the manifest holds values of a wrong type (lists for tuples, for instance)")
    return data
