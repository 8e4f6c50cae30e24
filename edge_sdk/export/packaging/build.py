"""From a training run to a bundle: artifacts, thresholds for each, what each costs, golden inputs, model card."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import msgspec

import edge_sdk
from edge_sdk import manifest
from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle, BundleWriter, SigningKey, check_destination
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.quantization import onnx_int8
from edge_sdk.calibration.quantization.methods import choose_method
from edge_sdk.calibration.quantization.mixed_precision import keep_float
from edge_sdk.calibration.quantization.ranges import METHODS
from edge_sdk.errors import (
    ConversionError,
    EngineError,
    GuardrailError,
    MissingEngineError,
    ScoreError,
    UsageError,
)
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.samples import impostor_kinds
from edge_sdk.export.evaluation.artifacts import MeasuredVariant, build_evaluator
from edge_sdk.export.evaluation.spoof.artifacts import SpoofEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE, VariantKind, check, finished, kinds, require_tools
from edge_sdk.export.formats.float_onnx import GRAPH, INPUT
from edge_sdk.export.packaging import fusion
from edge_sdk.export.packaging.cross_validation import CrossValidation, Making
from edge_sdk.export.packaging.familiarity import familiarity
from edge_sdk.export.packaging.model_card import model_card
from edge_sdk.export.training.finished import FinishedRun, require_finished
from edge_sdk.runtime.operating_point import choose_points
from edge_sdk.tables import Table

VERSIONS = {
    "": ("edge-sdk", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "torch"),
    "tflite": ("ai-edge-litert", "ai-edge-quantizer", "litert-torch"),
}

Say = Callable[[str], None]

_KINDS = (manifest.VerifyPoint, manifest.SpoofPoint, manifest.BonaFidePoint, manifest.LocatePoint)


def export(
    run: Path | Sequence[Path],
    destination: Path,
    *,
    formats: Sequence[str] = ("onnx",),
    name: str | None = None,
    version: str = "1.0.0",
    enforce: bool = True,
    leave_out: bool = False,
    scores: Sequence[str] = (),
    latents: bool = False,
    rule: fusion.Rule = "sum",
    abstain: float | None = None,
    folds: Sequence[Path] = (),
    folds_decide: bool = False,
    cameras: Sequence[str] = (),
    sign_with: Sequence[SigningKey] = (),
    say: Say = print,
) -> Bundle:
    """Make a bundle of a run's weights, or of several runs fused (:mod:`edge_sdk.export.packaging.fusion`).

    Every artifact is scored by the engine that serves it: calibration methods and layers to keep float are chosen on
    the split's ``validation`` people, thresholds come from its ``thresholds`` people, and the guardrail judges on its
    ``guardrail`` people. Layers stay float only where the guardrail would not pass otherwise. The bundle replaces an
    older one as a whole, at the very end.

    Args:
        run: Folder of a training run, or of several liveness runs.
        destination: Folder, or a file ending in ``.edge``.
        formats: Keys of :data:`edge_sdk.export.formats.artifacts.FORMATS`, or ids of single artifacts.
        enforce: Raise when the guardrail does not pass; otherwise no layer stays float, and the bundle says in its
            table of accuracy what it costs.
        leave_out: Leave artifacts that do not pass, or that a converter or an engine refuses, out of the bundle and say
            so; raise only if none but the reference is left. Nothing is left out with ``enforce`` off.
        scores: Names of the recipe's scores that replace its own; several become one.
        latents: Whether the graphs give the latents too, for people who look at them.
        rule: How one score is made of several, of one run or of several runs.
        abstain: Share of the pictures like its training that each of several runs abstains from, by the rule
            ``lowest``; None for runs that never do.
        folds: Finished runs of the same recipe, preset and data, which tested other people than they learned from: the
            guardrail of the int8 artifacts judges on those people
            (:mod:`edge_sdk.export.packaging.cross_validation`) instead of the split's ``guardrail`` people. Where the
            split has fewer than 5 ``thresholds`` people, thresholds and the tables of the test people are theirs too.
        folds_decide: Whether thresholds and tables are theirs although the split has people for thresholds: those of
            all folds are more, and their rates surer.
        cameras: Data sets of cameras that a one-class network has not learned: the bundle says how well it, and it
            fitted to that camera, tells live faces from attacks there.
        sign_with: Keys that sign the bundle; without any it has no signature.

    Raises:
        UsageError: No such format or score, the score has no export yet, the runs cannot be fused, or the folds are of
            another kind than the run.
        ScoreError: The people are too few for what the score needs beside the network.
        DatasetError: The people lack what is measured by, such as attacks.
        MissingToolError: A converter is not installed.
        GuardrailError: An artifact costs more than the recipe's budget, or the people are too few to tell.
        ConversionError: A converter or quantiser refuses the network.
        TrainingError: The run or a fold is incomplete, or a fold tests people whom it knows.
    """
    wanted, runs = kinds(formats), [run] if isinstance(run, Path) else list(run)
    require_tools(wanted)
    check_destination(destination)
    if folds and len(runs) > 1:
        raise UsageError("the folds are those of one run, not of several that are fused")
    trained = fusion.read(runs, rule, scores, latents=latents, abstain=abstain)
    if folds_decide and not folds:
        raise UsageError("folds decide only where they are given: name their runs")
    if trained.preset.project and trained.record is not None:  # before the end its last layer is another
        require_finished(runs[0], trained.record)
    judge = CrossValidation.read(folds, trained, decides=folds_decide) if folds else None
    say("exporting the float graph")
    maker = _Maker(trained, enforce, say, judge)
    measured = maker.make_passing(wanted) if enforce and leave_out else maker.make(wanted)
    if differences := {one.kind.id: difference for one in measured for difference in one.accuracy}:
        if enforce:  # what is raised holds the table
            guardrail.enforce(list(differences.values()), list(differences))
        say(guardrail.table(list(differences.values()), list(differences)).plain())
    say("scoring the test people")
    tested = _tested(maker, measured)
    say(f"writing {destination}")
    elsewhere = maker.elsewhere(cameras)
    name = name or trained.recipe.name
    return _write(destination, maker, measured, tested, elsewhere, name=name, version=version, sign_with=sign_with)


class _Maker:
    """Makes and measures the artifacts of one run."""

    def __init__(self, trained: FinishedRun, enforce: bool, say: Say, judge: CrossValidation | None) -> None:
        self.trained, self.enforce, self.say, self.judge = trained, enforce, say, judge
        self.evaluator = build_evaluator(trained)
        self.graphs = self.evaluator.graphs
        model = self.graphs.onnx
        self.reference = MeasuredVariant(REFERENCE, model, self._points(model, Making(REFERENCE)))

    def make(self, wanted: Sequence[VariantKind]) -> list[MeasuredVariant]:
        """Make all artifacts, the reference first."""
        return [self.reference, *(self._made(kind) for kind in wanted if kind != REFERENCE)]

    def make_passing(self, wanted: Sequence[VariantKind]) -> list[MeasuredVariant]:
        """Make those that can be made and pass, the reference first; GuardrailError if none is but the reference."""
        made, refused = [self.reference], []
        for kind in wanted:
            if kind == REFERENCE:
                continue
            try:
                one = self._made(kind)
                guardrail.enforce(one.accuracy, [kind.id])
            except MissingEngineError:
                raise  # nothing is wrong with the artifact, and the message says what to install
            except (GuardrailError, ConversionError, EngineError) as error:
                refused.append(f"{kind.id} is left out: {error}")
                self.say(refused[-1])
            else:
                made.append(one)
        if len(made) == 1 and refused:
            raise GuardrailError("\n".join(["no variant is left but the float reference", *refused]))
        return made

    def _made(self, kind: VariantKind) -> MeasuredVariant:
        if kind.precision == "fp32":
            return self._measured(kind, self.graphs.float(kind))
        quantizable = self.graphs.quantizer(kind)

        def distance(model: bytes) -> float:
            return self.evaluator.distance(kind, model)

        model, trials = choose_method(quantizable, distance)
        for trial in trials:
            self.say(f"{kind.id} by {trial.method}: {self.evaluator.unit} {trial.error:.3g}, {trial.size / 1e6:.3f} MB")
        method = trials[0].method
        made = self._measured(kind, model, method)
        if guardrail.passes(made.accuracy) or not self.enforce or len(self.trained.split.validation) < 2:
            return made  # what does not pass stops the export
        self.say(f"{kind.id} does not pass the guardrail; keeping the layers that int8 harms most in float")
        mixed = keep_float(
            quantizable,
            lambda tried: (self.evaluator.accuracy_difference(kind, tried, "validation"),),
            distance,
            method=method,
            methods=METHODS,
        )
        self.say(f"{kind.id} by {mixed.method}: in float {', '.join(mixed.float_layers)}")
        return self._measured(kind, mixed.model, mixed.method, mixed.float_layers)

    def _measured(
        self, kind: VariantKind, model: bytes, method: str | None = None, float_nodes: tuple[str, ...] = ()
    ) -> MeasuredVariant:
        model = finished(kind, model)
        check(kind, model, self.say)
        made = Making(kind, method, float_nodes)
        measured = MeasuredVariant(kind, model, self._points(model, made))
        if self.judge and (method is not None or self.judge.decides):
            difference = self.judge.accuracy_difference(made)
        else:
            difference = self.evaluator.accuracy_difference(
                kind, model, "guardrail", self.reference.threshold, measured.threshold
            )
        calibration = None
        if method is not None:
            calibration = onnx_int8.provenance(
                self.graphs.samples,
                data=f"{self.trained.data.name}, train people",
                method=method,
                seed=self.trained.seed,
                float_nodes=float_nodes,
            )
        return replace(measured, calibration=calibration, accuracy=(difference,))

    def elsewhere(self, cameras: Sequence[str]) -> tuple[manifest.CameraSeparation, ...]:
        """What the reference reaches before cameras that it has not learned."""
        if not cameras:
            return ()
        score = self.trained.recipe.score
        if not isinstance(self.evaluator, SpoofEvaluator) or not score.one_class:
            raise UsageError(f"the score {score.kind} is not of live samples alone: --cameras is for those that are")
        return self.evaluator.cameras(cameras)

    def familiarity(self, source: manifest.Source) -> manifest.Familiarity | None:
        """Which samples are like those of the run's people; None where that cannot be told, which is said."""
        trained = self.trained
        try:
            return familiarity(
                trained.data, trained.split, trained.recipe.modality, trained.preset.preprocessing, source
            )
        except ScoreError as error:
            self.say(f"no sample will be flagged as unfamiliar: {error}")
            return None

    @property
    def by_folds(self) -> bool:
        """Whether thresholds and the tables of the test people are those of the folds."""
        return self.judge is not None and self.judge.decides

    def _points(self, model: bytes, made: Making) -> tuple[manifest.OperatingPoint, ...]:
        if self.judge and self.judge.decides:
            return self.judge.points(made)
        return self.evaluator.points(made.kind, model)

    def tested(self, one: MeasuredVariant) -> tuple[Table, ...]:
        """The tables of the test people of one artifact."""
        if self.judge and self.judge.decides:
            return self.judge.tables(one)
        return self.evaluator.test_tables(one)


def _tested(maker: _Maker, measured: Sequence[MeasuredVariant]) -> tuple[Table, ...]:
    """The tables of the test people, with all artifacts in each."""
    tables = [maker.tested(one) for one in measured]
    return tuple(
        replace(same[0], rows=[row for table in same for row in table.rows]) for same in zip(*tables, strict=True)
    )


def _write(
    destination: Path,
    maker: _Maker,
    measured: Sequence[MeasuredVariant],
    tested: Sequence[Table],
    cameras: tuple[manifest.CameraSeparation, ...],
    *,
    name: str,
    version: str,
    sign_with: Sequence[SigningKey],
) -> Bundle:
    trained, evaluator = maker.trained, maker.evaluator
    preset, interface = trained.preset, evaluator.interface()
    named_in_full = {f"{graph.name}.{output.name}" for graph in interface.further for output in graph.outputs}
    golden = {one.kind.id: evaluator.golden_score(one) for one in measured}
    training = manifest.TrainingProvenance(
        recipe=trained.recipe.name,
        preset=trained.described_preset,
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
        people=trained.record.people_digest if trained.record else "",
    )
    variants = tuple(
        manifest.Variant(
            precision=one.kind.precision,
            format=one.kind.format,
            operating_points=one.points,
            accuracy=one.accuracy,
            calibration=one.calibration,
        )
        for one in measured
    )
    (forgeries, *_) = impostor_kinds(trained.data.samples)
    with BundleWriter(destination, sign_with=sign_with) as writer:
        auxiliary = tuple(writer.add(path, data) for path, data in interface.files.items())
        bundle = manifest.Manifest(
            name=name,
            version=version,
            task=interface.task,
            modality=trained.recipe.modality,
            source=interface.source,
            preprocessing=preset.preprocessing,
            graphs=(
                manifest.Graph(
                    name=GRAPH,
                    inputs=(manifest.Input(name=INPUT, shape=("batch", *preset.input_shape)),),
                    outputs=interface.outputs,
                    files={one.kind.id: writer.add(f"{GRAPH}.{one.kind.id}", one.model) for one in measured},
                ),
                *(
                    manifest.Graph(
                        name=graph.name,
                        inputs=graph.inputs,
                        outputs=graph.outputs,
                        files={
                            one.kind.id: writer.add(f"{graph.name}.{one.kind.id}", graph.made(one.kind))
                            for one in measured
                        },
                    )
                    for graph in interface.further
                ),
            ),
            score=interface.score.renamed(  # type: ignore[arg-type]  # one of the union
                lambda tensor: tensor if tensor in named_in_full else f"{GRAPH}.{tensor}"
            ),
            variants=variants,
            training=training,
            data_license=data_license(training.data, trained.own_data),
            golden=manifest.Golden(
                inputs=tuple(writer.add(path, data) for path, data in evaluator.golden().items()),
                scores={key: score for key, (score, _) in golden.items()},
                tolerance={key: tolerance for key, (_, tolerance) in golden.items()},
            ),
            embedding_space_id=interface.embedding_space_id,
            auxiliary=auxiliary,
            default_point=_default_point(variants, skilled=forgeries == "skilled" and interface.task == "verify"),
            cameras=cameras,
            familiarity=maker.familiarity(interface.source),
        )
        card = writer.add("MODEL_CARD.md", model_card(bundle, trained.split, tested, by_folds=maker.by_folds).encode())
        return writer.finish(msgspec.structs.replace(bundle, auxiliary=(*auxiliary, card)))


def _default_point(variants: Sequence[manifest.Variant], *, skilled: bool) -> str | None:
    """``eer`` where impostors are skilled forgeries, of which a strict point would reject most genuine samples, too.

    Otherwise the point that the float reference would decide at without a name, if all variants have it.
    """
    reference = choose_points(variants[0], "eer" if skilled else None, *_KINDS)
    names = [{point.name for point in one.operating_points if isinstance(point, _KINDS)} for one in variants]
    return reference[0].name if reference and all(reference[0].name in each for each in names) else None


def _commit() -> str:
    """The commit of edge-sdk itself, or its version where it is installed from a wheel."""
    folder = Path(edge_sdk.__file__).parent
    git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return f"v{__version__}"
