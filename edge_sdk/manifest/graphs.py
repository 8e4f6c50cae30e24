"""The graphs of a model: one, or several that feed each other (embedder and head, CNN and density)."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from edge_sdk.errors import ManifestError
from edge_sdk.manifest.files import FileEntry
from edge_sdk.manifest.inputs import SAMPLE, DataType, Input
from edge_sdk.schema import IDENTIFIER, NAME, Dimension, Name, Shape, Strict, require, require_shape, require_unique
from edge_sdk.scoring.base import Role

MAX_TENSORS = 256
MAX_VARIANTS = 32


class Output(Strict, frozen=True, kw_only=True):
    """One named output tensor; ``role`` says what the numbers mean."""

    name: Name
    shape: Shape
    role: Role
    dtype: DataType = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_shape(self.shape)
        require(bool(IDENTIFIER.fullmatch(self.name)), f"bad output name {self.name!r}")


class Graph(Strict, frozen=True, kw_only=True):
    """One network, and its files by the id of the variant: ``{"int8.onnx": ...}``.

    A bundle of one graph calls it ``model``. Outside of its graph a tensor is ``graph.tensor``: ``model.embedding``.
    """

    name: Name
    inputs: Annotated[tuple[Input, ...], msgspec.Meta(max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[Output, ...], msgspec.Meta(max_length=MAX_TENSORS)]
    files: Annotated[dict[Name, FileEntry], msgspec.Meta(max_length=MAX_VARIANTS)]

    def __post_init__(self) -> None:
        super().__post_init__()
        # No dot in a name: "graph.output" is split at the first.
        require(bool(NAME.fullmatch(self.name)), f"bad graph name {self.name!r}")
        require_unique([t.name for t in self.inputs] + [t.name for t in self.outputs], f"tensor of graph {self.name}")
        queries = [tensor for tensor in self.inputs if tensor.role == "query"]
        require(bool(queries), f"graph {self.name} has no query input")
        if references := [tensor for tensor in self.inputs if tensor.role == "reference"]:
            require(len(queries) == len(references) == 1, f"graph {self.name} compares one query with one reference")
            (query,), (reference,) = queries, references
            alike = (query.shape, query.feed, query.dtype) == (reference.shape, reference.feed, reference.dtype)
            require(alike, f"{query.name} and {reference.name} of graph {self.name} take different things")

    @property
    def reference(self) -> Input | None:
        """The second input of a graph that compares a pair."""
        return next((tensor for tensor in self.inputs if tensor.role == "reference"), None)

    @property
    def query(self) -> Input:
        """The first input that takes the sample to be decided on, or what an earlier graph made of it."""
        return next(tensor for tensor in self.inputs if tensor.role == "query")


class GraphInterface(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Looks tensors up by ``graph.tensor``; what is not there, or is something else, is a ``ManifestError``."""

    graphs: Sequence[Graph]
    space: str | None = None
    paths: Sequence[str] = ()

    @property
    def has_space(self) -> bool:
        """Whether the embedding space has an id, so that templates can be bound to it."""
        return self.space is not None

    def output(self, name: str, *roles: Role) -> tuple[Dimension, ...]:
        """The shape of an output that has one of these roles."""
        found = self._output(name)
        require(
            not roles or found.role in roles,
            f"output {name} has role {found.role}, the score needs {' or '.join(roles)}",
        )
        return found.shape

    def role(self, name: str) -> Role:
        """What the numbers of an output mean."""
        return self._output(name).role

    def input(self, name: str) -> tuple[Dimension, ...]:
        """The shape of an input."""
        graph, tensor = self._graph(name)
        found = next((one for one in graph.inputs if one.name == tensor), None) if graph else None
        if found is None:
            raise ManifestError(f"score refers to unknown input {name!r}")
        return found.shape

    def reference_feed(self, name: str) -> str | None:
        """What feeds the reference input behind an output; None without one."""
        graph, _ = self._graph(name)
        return graph.reference.feed if graph and graph.reference else None

    def auxiliary(self, path: str) -> None:
        """Refuse a path that is no auxiliary file."""
        require(path in self.paths, f"score refers to {path!r}, not in auxiliary")

    def check_feeds(self) -> None:
        """Each input takes the sample, or what an earlier graph makes of one sample alone."""
        require_unique((graph.name for graph in self.graphs), "graph")
        for number, graph in enumerate(self.graphs):
            earlier = GraphInterface(self.graphs[:number])
            for tensor in graph.inputs:
                if tensor.feed == SAMPLE:
                    continue
                name = f"input {graph.name}.{tensor.name}"
                made_by, output = earlier._graph(tensor.feed)
                found = next((one for one in made_by.outputs if one.name == output), None) if made_by else None
                if made_by is None or found is None:
                    raise ManifestError(f"{name} is fed by {tensor.feed!r}, which no earlier graph gives")
                require(made_by.reference is None, f"{name} is fed by {made_by.name}, which compares a pair")
                same = (found.shape, found.dtype) == (tensor.shape, tensor.dtype)
                require(same, f"{name} is {tensor.shape}, fed with {tensor.feed} of {found.shape}")

    def _output(self, name: str) -> Output:
        graph, tensor = self._graph(name)
        found = next((one for one in graph.outputs if one.name == tensor), None) if graph else None
        if found is None:
            raise ManifestError(f"score refers to unknown output {name!r}")
        return found

    def _graph(self, name: str) -> tuple[Graph | None, str]:
        graph, _, tensor = name.partition(".")
        return next((one for one in self.graphs if one.name == graph), None), tensor
