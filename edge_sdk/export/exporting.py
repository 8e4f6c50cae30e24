"""From a training run to a bundle: artifacts, thresholds for each, what each costs, golden inputs, model card."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import cv2
import msgspec
import numpy as np

import edge_sdk
from edge_sdk import images, manifest
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.calibration import guardrail, quantize
from edge_sdk.calibration.metrics import Curves, bootstrap
from edge_sdk.calibration.mixed import cure
from edge_sdk.calibration.pairs import Forgeries
from edge_sdk.calibration.quantizable import choose
from edge_sdk.calibration.thresholds import operating_points
from edge_sdk.export.artifacts import REFERENCE, Graphs, Kind, check, kinds
from edge_sdk.export.card import TestRow, model_card
from edge_sdk.export.datasets.synthetic import SyntheticWriter
from edge_sdk.export.datasets.terms import terms
from edge_sdk.export.float_onnx import INPUT, OUTPUT
from edge_sdk.export.scoring import Panel, embed
from edge_sdk.export.trained import Trained
from edge_sdk.preprocess import apply
from edge_sdk.scores import embedding_scores

VERSIONS = {
    "": ("edge-sdk", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "torch"),
    "tflite": ("ai-edge-litert", "ai-edge-quantizer", "litert-torch"),
}
GOLDEN_WRITER = 2004
FORGERIES: tuple[Forgeries, ...] = ("skilled", "random")
Say = Callable[[str], None]

# The same file on another processor's kernels: float rounding, and for int8 a rounding step here and there.
GOLDEN_TOLERANCE: dict[manifest.Precision, float] = {"fp32": 1e-3, "int8": 0.02, "int8-io": 0.02, "int8-sym": 0.02}


@dataclass(frozen=True)
class Measured:
    """One artifact with everything that was measured on it."""

    kind: Kind
    model: bytes
    points: tuple[manifest.OperatingPoint, ...]
    calibration: manifest.CalibrationProvenance | None = None
    drift: tuple[manifest.Drift, ...] = ()

    @property
    def threshold(self) -> float:
        """At the equal error rate."""
        return next(p.threshold for p in self.points if isinstance(p, manifest.VerifyPoint) and p.name == "eer")


def export(
    run: Path,
    destination: Path,
    *,
    formats: Sequence[str] = ("onnx",),
    name: str | None = None,
    version: str = "1.0.0",
    enforce: bool = True,
    say: Say = print,
) -> Bundle:
    """Make a bundle of a run's weights.

    Every artifact is scored by the engine that serves it: calibration methods and layers to keep float are chosen on
    the split's ``validation`` people, thresholds come from its ``thresholds`` people, and the guardrail judges on its
    ``guardrail`` people. Layers stay float only where the guardrail would not pass otherwise. The bundle replaces an
    older one as a whole, at the very end.

    Args:
        run: Folder of a training run.
        destination: Folder, or a file ending in ``.edge``.
        formats: Keys of :data:`edge_sdk.export.artifacts.FORMATS`, or ids of single artifacts.
        enforce: Raise when the guardrail does not pass; otherwise no layer stays float, and the bundle says in its
            drift table what it costs.

    Raises:
        UsageError: No such format.
        MissingToolError: A converter is not installed.
        GuardrailError: An artifact costs more than the recipe's budget, or the people are too few to tell.
        TrainingError: The run is incomplete.
    """
    wanted = kinds(formats)
    trained = Trained.read(run)
    say("exporting the float graph")
    measured = _Maker(trained, enforce, say).make(wanted)
    if drifts := {one.kind.id: drift for one in measured for drift in one.drift}:
        if enforce:  # what is raised holds the table
            guardrail.enforce(list(drifts.values()), list(drifts))
        say(guardrail.table(list(drifts.values()), list(drifts)))
    say("scoring the test people")
    panel = Panel(trained)
    rows = [row for one in measured for row in _test_rows(one, panel)]
    say(f"writing {destination}")
    return _write(destination, trained, measured, rows, name=name or trained.recipe.name, version=version)


class _Maker:
    """Makes and measures the artifacts of one run."""

    def __init__(self, trained: Trained, enforce: bool, say: Say) -> None:
        self.trained, self.enforce, self.say = trained, enforce, say
        self.panel = Panel(trained)
        self.graphs = Graphs(trained.network, trained.preset.input_shape, trained.calibration_images())
        self.reference = Measured(REFERENCE, self.graphs.onnx, self._points(REFERENCE, self.graphs.onnx))

    def make(self, wanted: Sequence[Kind]) -> list[Measured]:
        """Make all artifacts, the reference first."""
        return [self.reference, *(self._made(kind) for kind in wanted if kind != REFERENCE)]

    def _made(self, kind: Kind) -> Measured:
        if kind.precision == "fp32":
            return self._measured(kind, self.graphs.float(kind))
        quantizable = self.graphs.quantizable(kind)
        expected = self.panel.embed(REFERENCE, self.graphs.onnx, "validation")

        def error(model: bytes) -> float:
            return float(1 - (self.panel.embed(kind, model, "validation") * expected).sum(axis=1).mean())

        model, trials = choose(quantizable, error)
        for trial in trials:
            self.say(
                f"{kind.id} by {trial.method}: mean cosine distance to float {trial.error:.5f}, "
                f"{trial.size / 1e6:.3f} MB"
            )
        method = trials[0].method
        made = self._measured(kind, model, method)
        if guardrail.passes(made.drift) or not self.enforce or len(self.trained.split.validation) < 2:
            return made  # what does not pass stops the export
        self.say(f"{kind.id} does not pass the guardrail; keeping the layers that int8 harms most in float")
        cured = cure(quantizable, lambda tried: (self._drift(kind, tried, "validation"),), error, method=method)
        self.say(f"{kind.id}: in float {', '.join(cured.float_layers)}")
        return self._measured(kind, cured.model, method, cured.float_layers)

    def _measured(
        self, kind: Kind, model: bytes, method: str | None = None, float_nodes: tuple[str, ...] = ()
    ) -> Measured:
        check(kind, model, self.say)
        measured = Measured(kind, model, self._points(kind, model))
        drift = self._drift(kind, model, "guardrail", self.reference.threshold, measured.threshold)
        calibration = None
        if method is not None:
            calibration = quantize.provenance(
                self.graphs.samples,
                data=f"{self.trained.data.name}, train people",
                method=method,
                seed=self.trained.seed,
                float_nodes=float_nodes,
            )
        return replace(measured, calibration=calibration, drift=(drift,))

    def _drift(self, kind: Kind, model: bytes, role: str, *thresholds: float) -> manifest.Drift:
        """Against the reference; with both thresholds, also how many decisions are equal."""
        expected, found = thresholds or (None, None)
        return guardrail.compare(
            self.panel.scores(REFERENCE, self.graphs.onnx, role),
            self.panel.scores(kind, model, role),
            data=f"{self.panel.describe(role)}, on {kind.engine}",
            budget=self.trained.recipe.budget,
            threshold_float=expected,
            threshold_quantised=found,
        )

    def _points(self, kind: Kind, model: bytes) -> tuple[manifest.OperatingPoint, ...]:
        return operating_points(self.panel.scores(kind, model, "thresholds"), data=self.panel.describe("thresholds"))


def _test_rows(measured: Measured, panel: Panel) -> list[TestRow]:
    rows = []
    for forgeries in FORGERIES:
        scores = panel.scores(measured.kind, measured.model, "test", forgeries)
        intervals = (bootstrap(scores, statistic) for statistic in (Curves.auroc, Curves.eer))
        rows.append(TestRow(measured.kind.id, forgeries, len(scores), scores.subject_count, *intervals))
    return rows


def _write(
    destination: Path,
    trained: Trained,
    measured: Sequence[Measured],
    rows: Sequence[TestRow],
    *,
    name: str,
    version: str,
) -> Bundle:
    preset, pngs = trained.preset, (_golden_png(0), _golden_png(1))
    training = manifest.Training(
        recipe=trained.recipe.name,
        preset=trained.preset_name,
        data=trained.data_names,
        seed=trained.seed,
        steps=trained.steps,
        commit=_commit(),
        versions={
            package: metadata.version(package)
            for form in sorted({"", *(one.kind.format for one in measured)})
            for package in VERSIONS.get(form, ())
        },
        teachers=trained.teachers,
        quantisation_aware=trained.quantisation_aware,
    )
    with BundleWriter(destination) as writer:
        inputs = tuple(
            writer.add(f"golden/{file}.png", png) for file, png in zip(("reference", "query"), pngs, strict=True)
        )
        bundle = manifest.Manifest(
            name=name,
            version=version,
            task="verify",
            modality=trained.recipe.modality,
            inputs=(
                manifest.Input(
                    name=INPUT,
                    shape=("batch", *preset.input_shape),
                    source=manifest.Image(color="gray"),
                    preprocessing=preset.preprocessing,
                ),
            ),
            outputs=(manifest.Output(name=OUTPUT, shape=("batch", trained.recipe.embedding_size), role="embedding"),),
            score=trained.score,
            artifacts=tuple(
                manifest.Artifact(
                    format=one.kind.format,
                    precision=one.kind.precision,
                    file=writer.add(f"model.{one.kind.id}", one.model),
                    operating_points=one.points,
                    calibration=one.calibration,
                    drift=one.drift,
                )
                for one in measured
            ),
            training=training,
            data_terms=terms(training.data),
            golden=manifest.Golden(
                inputs=inputs,
                scores={one.kind.id: _golden_score(one, pngs, trained) for one in measured},
                tolerance={one.kind.id: GOLDEN_TOLERANCE[one.kind.precision] for one in measured},
            ),
            embedding_space_id=manifest.embedding_space_id(preset.preprocessing, measured[0].model),
        )
        card = writer.add("MODEL_CARD.md", model_card(bundle, trained.split, rows).encode())
        return writer.finish(msgspec.structs.replace(bundle, auxiliary=(card,)))


def _golden_png(repetition: int) -> bytes:
    return cv2.imencode(".png", SyntheticWriter(GOLDEN_WRITER).genuine(repetition))[1].tobytes()


def _golden_score(measured: Measured, pngs: Sequence[bytes], trained: Trained) -> float:
    pair = [np.rint(apply(trained.preset.preprocessing, images.load(png))[0] * 255).astype(np.uint8) for png in pngs]
    kind = measured.kind
    embeddings = embed(measured.model, np.stack(pair), engine=kind.engine, format=kind.format)
    return float(embedding_scores(embeddings[:1], embeddings[1:], trained.score.metric)[1][0, 0])


def _commit() -> str:
    """The commit of edge-sdk itself, or its version where it is installed from a wheel."""
    folder = Path(edge_sdk.__file__).parent
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return f"v{edge_sdk.__version__}"
