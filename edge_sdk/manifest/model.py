"""The manifest as a whole: one record, and its JSON."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from edge_sdk.errors import BundleError, ManifestError, SchemaVersionError
from edge_sdk.manifest.files import FileEntry
from edge_sdk.manifest.graphs import Graph, GraphInterface
from edge_sdk.manifest.inputs import SAMPLE, Input, Source
from edge_sdk.manifest.migrations import SCHEMA_VERSION, migrate
from edge_sdk.manifest.provenance import DataLicense, Golden, ThresholdProvenance, TrainingProvenance
from edge_sdk.manifest.scores import AnyScore
from edge_sdk.manifest.variants import Variant
from edge_sdk.preprocess import Operation, digest
from edge_sdk.schema import IDENTIFIER, NAME, Dimension, Strict, require, require_unique
from edge_sdk.scoring.base import Role


def embedding_space_id(preprocessing: tuple[Operation, ...], *weights: bytes) -> str:
    """Name the space that embeddings live in: 32 hex digits over the pre-processing and the float graphs' bytes."""
    parts = (hashlib.sha256(graph).digest() for graph in weights)
    return hashlib.sha256(digest(preprocessing).encode() + b"".join(parts)).hexdigest()[:32]


class Manifest(Strict, frozen=True, kw_only=True):
    """Everything the runtime needs to know about a bundle; see the package's page for the rules.

    ``source`` is what a sample is before, and ``preprocessing`` what is done to it before the graphs that take it.
    ``thresholds`` says on whom they were fitted again, None where they are still the exporter's.
    """

    name: str
    version: str
    task: Literal["verify", "spoof"]
    modality: str
    source: Source
    preprocessing: tuple[Operation, ...]
    graphs: tuple[Graph, ...]
    score: AnyScore
    variants: tuple[Variant, ...]
    training: TrainingProvenance
    data_license: DataLicense
    golden: Golden
    embedding_space_id: str | None = None
    auxiliary: tuple[FileEntry, ...] = ()
    thresholds: ThresholdProvenance | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        require(self.schema_version == SCHEMA_VERSION, f"schema_version is not {SCHEMA_VERSION}")
        require(bool(NAME.fullmatch(self.name)), f"bad bundle name {self.name!r}")
        require(bool(IDENTIFIER.fullmatch(self.version)) and "/" not in self.version, f"bad version {self.version!r}")
        require(bool(NAME.fullmatch(self.modality)), f"bad modality {self.modality!r}")
        self._check_variants()
        self.interface.check_feeds()
        require(any(True for _ in self._samples()), "no graph takes the sample")
        for tensor in self._samples():
            require(
                tensor.shape == self.sample_shape, f"{tensor.name} takes the sample in another shape than others do"
            )
            fits = self.source.fits(tensor.shape, bool(self.preprocessing))
            require(fits, f"input {tensor.name}: shape {tensor.shape} does not hold the source {self.source}")
        for point in (point for variant in self.variants for point in variant.operating_points):
            require(point.name != "custom", "results call a user's own threshold custom: no point has that name")
            require(point.task in (None, self.task), f"operating point {point.name} does not fit task {self.task}")
        for score in self.score.members:
            require(self.task in score.tasks, f"the score {score.kind} is for task {' or '.join(score.tasks)} only")
            score.check(self.interface, self.task)

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


def decode(data: bytes) -> Manifest:
    """Decode and check ``manifest.json``; see the package's page for the errors."""
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise SchemaVersionError(
                f"the bundle has manifest version {version}, this edge-sdk reads up to {SCHEMA_VERSION}: upgrade it"
            )
        if version == SCHEMA_VERSION:
            return msgspec.json.decode(data, type=Manifest)
        return msgspec.convert(migrate(msgspec.json.decode(data), version), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b'"artifacts"' in data and b'"graphs"' not in data:  # before 0.1.0 was released
            raise ManifestError("the manifest is older than 0.1.0, without graphs: export the run again") from error
        kind = type(error.__cause__) if isinstance(error.__cause__, BundleError) else ManifestError
        raise kind(f"bad manifest: {error}") from error


def encode(manifest: Manifest) -> bytes:
    """Encode as indented JSON; raise ``ManifestError`` if it would not decode to an equal manifest."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    if decode(data) != manifest:
        raise ManifestError("the manifest holds values of a wrong type (lists for tuples, for instance)")
    return data
