"""A bundle's model, opened: one engine a graph, run in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError
from edge_sdk.manifest import SAMPLE, Graph
from edge_sdk.runtime.engines import OwnedEngine, Tensors, load_engine
from edge_sdk.runtime.selection import Choice
from edge_sdk.scoring.background import Background
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

# Samples per call of the engine, where the model's batch is free. Two at once were no faster on ONNX Runtime and took
# 14 MB more (DeepSign, one thread, processor time of a pair: fp32 22.2 ms one by one, 22.8 together; int8 24.8, 24.7).
BATCH = 1


class Model:
    """The graphs of one variant of a bundle on one engine, and the densities and backgrounds that its score names.

    Tensors are called ``graph.tensor``, as in the manifest; inputs are among them. With ``keep`` engines store what
    they compile (:mod:`edge_sdk.runtime.engines.compiled`).

    Raises:
        EngineError: The engine refuses a graph; ``MissingEngineError`` if it is not installed, ``BrokenEngineError`` if
            it cannot be loaded.
        BundleError: A file is damaged.
    """

    def __init__(self, bundle: Bundle, choice: Choice, *, threads: int = 1, keep: bool = False) -> None:
        from edge_sdk.runtime.engines.compiled import CompiledStore  # as engines, only where one is opened

        manifest = bundle.manifest
        self.variant_id = choice.variant.id
        self._alone = [graph for graph in manifest.graphs if graph.reference is None]
        self._pairs = [graph for graph in manifest.graphs if graph.reference is not None]
        front = manifest.sample_shape[0]
        self._batch = BATCH if isinstance(front, str) else front
        files = {entry.path: entry for entry in manifest.auxiliary}
        self.densities: Mapping[str, GaussianMixture] = {
            path: GaussianMixture.decode(bundle.read(files[path])) for path in sorted(manifest.score.density_outputs)
        }
        self.backgrounds: Mapping[str, Background] = {
            path: Background.decode(bundle.read(files[path])) for path in manifest.score.background_files
        }
        with contextlib.ExitStack() as opened:
            self._engines: dict[str, OwnedEngine] = {}
            entries = manifest.variant_files(choice.variant.id)
            for name, data in bundle.read_graphs(choice.variant.id).items():
                self._engines[name] = load_engine(
                    choice.engine,
                    data,
                    choice.variant.format,
                    threads=threads,
                    compiled=CompiledStore(entries[name].sha256, keep),
                )
                opened.callback(self._engines[name].close)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Free the engines; whatever needs them raises ``EngineError`` afterwards."""
        self._opened.close()

    def check_process(self) -> None:
        """Raise ``EngineError`` in a fork of the process that opened the model."""
        for engine in self._engines.values():
            engine.check_process()

    def run(self, samples: NDArray[np.float32]) -> Tensors:
        """Run the graphs that look at one sample at a time.

        Args:
            samples: ``(N, ...)``, pre-processed.

        Returns:
            By name, :data:`~edge_sdk.manifest.SAMPLE` among them, ``(N, ...)`` each.

        Raises:
            EngineError: An engine failed, or did not give an output that the manifest names, a row a sample.
        """
        if len(samples) == 1:
            return self._run(samples)
        chunks = [self._run(samples[start : start + self._batch]) for start in range(0, len(samples), self._batch)]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def pair(self, references: NDArray[Any], queries: NDArray[Any]) -> Tensors:
        """Run the graphs that compare references with queries, ``(N, ...)`` each, one pair at a time."""
        rows = [self._compare(references[i : i + 1], queries[i : i + 1]) for i in range(len(references))]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def run_every_graph(self, sample: NDArray[np.float32]) -> Tensors:
        """Run all graphs once on ``(1, ...)``, those that compare pairs on the sample twice: to measure a model."""
        tensors = self.run(sample)
        for graph in self._pairs:
            tensors |= self.pair(tensors[graph.query.feed], tensors[graph.query.feed])
        return tensors

    def graph_inputs(self, tensors: Tensors) -> dict[str, Tensors]:
        """What :meth:`run_every_graph` fed to each graph, by the names of the graph's own inputs."""
        graphs = (*self._alone, *self._pairs)
        return {graph.name: {one.name: tensors[one.feed] for one in graph.inputs} for graph in graphs}

    def _run(self, samples: NDArray[np.float32]) -> Tensors:
        tensors = {SAMPLE: samples}
        for graph in self._alone:
            inputs = {one.name: tensors[one.feed] for one in graph.inputs}
            tensors |= {f"{graph.name}.{name}": values for name, values in inputs.items()}
            tensors |= self._outputs(graph, inputs, len(samples))
        return tensors

    def _compare(self, reference: NDArray[Any], query: NDArray[Any]) -> Tensors:
        tensors: Tensors = {}
        for graph in self._pairs:
            assert graph.reference is not None
            inputs = {graph.query.name: query, graph.reference.name: reference}
            tensors |= self._outputs(graph, inputs, 1)
        return tensors

    def _outputs(self, graph: Graph, inputs: Tensors, count: int) -> Tensors:
        made = self._engines[graph.name].run(inputs)
        for output in graph.outputs:
            if output.name not in made:
                raise EngineError(f"{graph.name} of {self.variant_id} has no output {output.name!r}")
            if len(made[output.name]) != count:
                raise EngineError(f"{graph.name} of {self.variant_id} gave no row of {output.name} a sample")
        return {f"{graph.name}.{output.name}": made[output.name] for output in graph.outputs}
