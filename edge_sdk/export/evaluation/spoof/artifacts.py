"""Live faces told from presentation attacks by a score of one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_sdk import manifest, modalities
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.thresholds import rate, spoof_points, spoof_shortage
from edge_sdk.errors import DatasetError, ScoreError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.cache import compact, prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.artifact_protocol import MeasuredVariant, TaskInterface, interval
from edge_sdk.export.evaluation.model_outputs import ModelOutputs
from edge_sdk.export.evaluation.spoof.cameras import camera_separations
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind
from edge_sdk.export.formats.inference import run
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.preprocess import apply
from edge_sdk.runtime.detector import CROP
from edge_sdk.runtime.engines import load_engine
from edge_sdk.scoring.base import Array, Score
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.tables import Table

MEASURING = ("validation", "thresholds", "guardrail", "test")
APCER = 0.05
"""Where the guardrail compares BPCERs (DESIGN, section 8)."""
LIMITS = (0.05, 0.01)
"""APCERs that the model card gives the BPCER at."""
UNNAMED = "attack"
"""The species of attacks whose data set names none."""

# The same file on another processor's kernels, in standard deviations of the scores: float rounding, and for int8 a
# rounding step here and there.
GOLDEN_TOLERANCE: dict[manifest.Precision, float] = {"fp32": 0.005, "int8": 0.1, "int8-io": 0.1, "int8-sym": 0.1}
LEAST_TOLERANCE = 1e-7  # scores are rounded to eight decimals


@dataclass(frozen=True, eq=False)
class SpoofEvaluator:
    """Scores each picture of a group once with each model.

    Densities are fitted on the reference's latents of the training people's live pictures, and those of the
    validation people choose the number of modes: no attack has a say.

    Raises:
        DatasetError: A group of people has no live pictures, or no attacks.
    """

    trained: FinishedRun
    graphs: Graphs
    score: Score
    unit: str = "1 - rank correlation with the float scores"
    _outputs: ModelOutputs = field(default_factory=ModelOutputs)

    def __post_init__(self) -> None:
        for role in MEASURING:
            _require_both(self.trained.people(role), role)

    def distance(self, kind: VariantKind, model: bytes) -> float:
        """1 - Spearman's correlation: each artifact has its own thresholds, so that the order of scores alone counts.

        A shift or a scale costs nothing, nor does the end that a logit's integers have, where few thresholds lie.
        """
        expected, found = (
            _ranks(scores) - (len(scores) + 1) / 2
            for scores in (
                self._scores(REFERENCE, self.graphs.onnx, "validation"),
                self._scores(kind, model, "validation"),
            )
        )
        if not expected.any():
            raise ScoreError("the float model gives every picture the same score; its training has failed")
        return 1 - float(expected @ found / np.linalg.norm(expected) / np.linalg.norm(found)) if found.any() else 1.0

    def points(self, kind: VariantKind, model: bytes) -> tuple[manifest.OperatingPoint, ...]:
        return spoof_points(self.scores(kind, model, "thresholds"), data=self._describe("thresholds"))

    def accuracy_difference(
        self, kind: VariantKind, model: bytes, role: str, *thresholds: float
    ) -> manifest.AccuracyDifference:
        """BPCER at an APCER of 5 % of every species; the EER where the attacks are too few for that."""
        reference, scores = self.scores(REFERENCE, self.graphs.onnx, role), self.scores(kind, model, role)
        expected, found = thresholds or (None, None)
        recipe, enough = self.trained.recipe, not spoof_shortage(reference, APCER)
        return guardrail.compare(
            reference.presented,
            scores.presented,
            data=f"{self._describe(role)}, on {kind.engine}",
            budget=recipe.attack_budget if enough else recipe.budget,
            metric=f"bpcer_at_apcer_{APCER}" if enough else "eer",
            species=reference.species if enough else None,
            threshold_float=expected,
            threshold_quantised=found,
        )

    def test_tables(self, measured: MeasuredVariant) -> tuple[Table, ...]:
        scores = self.scores(measured.kind, measured.model, "test")
        counts = (scores.presented.subject_count, *(int(np.count_nonzero(each)) for each in scores.classes()))
        found = presentation_attack.bootstrap(
            scores,
            [
                lambda curves: curves.pooled.auroc(),
                lambda curves: curves.pooled.eer(),
                *(lambda curves, limit=limit: curves.bpcer_at_apcer(limit) for limit in LIMITS),
            ],
        )
        ranks = Table(
            ("variant", "people", "live", *scores.kinds, "AUROC", "EER", *(f"BPCER at APCER {t:.0%}" for t in LIMITS)),
            [(measured.kind.id, *map(str, counts), *map(interval, found))],
            text=("variant",),
            note="All attacks alike for AUROC and EER; every species for BPCER, whose thresholds are fitted on these "
            "very people here.",
        )
        points = [point for point in measured.points if isinstance(point, manifest.SpoofPoint)]
        rates = Table(
            ("variant", "point", *(f"APCER {kind}" for kind in scores.kinds), "BPCER"),
            [(measured.kind.id, point.name, *_rates(scores, point.threshold)) for point in points],
            text=("variant", "point"),
            note="At the bundle's thresholds, fitted on other people:",
        )
        return ranks, rates

    def cameras(self, specifications: Sequence[str]) -> tuple[manifest.CameraSeparation, ...]:
        """What the reference reaches on these data sets, of cameras that it has not learned."""
        found: list[manifest.CameraSeparation] = []
        for specification in specifications:
            data = load(specification)
            made = run(self.graphs.onnx, prepared(data.samples, self.trained.preset.preprocessing))
            found += camera_separations(data, list(made), self.score, self.densities)
        return tuple(found)

    def golden(self) -> Mapping[str, bytes]:
        made = catalogue.of(self.trained.recipe.modality).golden["spoof"]()
        return {f"golden/{name}": data for name, data in made.items()}

    def golden_score(self, measured: MeasuredVariant) -> tuple[float, float]:
        pipeline = self.trained.preset.preprocessing
        modality = modalities.get(self.trained.recipe.modality)
        faces = [compact(pipeline, apply(pipeline, modality.decode(data))) for data in self.golden().values()]
        score = float(self._score_pictures(measured.kind, measured.model, np.stack(faces)).mean())
        spread = float(self._scores(REFERENCE, self.graphs.onnx, "thresholds").std())
        return score, max(GOLDEN_TOLERANCE[measured.kind.precision] * spread, LEAST_TOLERANCE)

    def interface(self) -> TaskInterface:
        engine = load_engine("onnxruntime", self.graphs.onnx, "onnx", threads=1)
        shapes = {tensor.name: tensor.shape[1:] for tensor in engine.outputs}
        engine.close()
        return TaskInterface(
            task="spoof",
            source=self.trained.recipe.source(self.trained.preset, CROP),
            outputs=tuple(
                manifest.Output(name=name, shape=("batch", *shapes[name]), role=role)
                for name, role in self.trained.recipe.output_roles.items()
            ),
            score=self.score,
            files={path: mixture.encode() for path, mixture in self.densities.items()},
        )

    def scores(self, kind: VariantKind, model: bytes, role: str) -> AttackScores:
        """Scores of the people of a role."""
        samples = self.trained.people(role).samples
        species = [None if sample.genuine else sample.attack or UNNAMED for sample in samples]
        return AttackScores(self._scores(kind, model, role), species, [sample.subject for sample in samples])

    @cached_property
    def densities(self) -> Mapping[str, GaussianMixture]:
        """By path, as a device reads them."""
        fitted = self.trained.densities
        return {path: fitted.get(path) or self._fitted(name) for path, name in self.score.density_outputs.items()}

    def _fitted(self, output: str) -> GaussianMixture:
        from edge_sdk.export.networks import gaussian_mixture  # scikit-learn, which few scores need

        train, validation = (self._live_outputs(role, output) for role in ("train", "validation"))
        modes = self.trained.recipe.modes or gaussian_mixture.MODES
        mixture = gaussian_mixture.choose(train, validation, modes=modes, seed=self.trained.seed)
        return GaussianMixture.decode(mixture.encode())

    def _live_outputs(self, role: str, output: str) -> NDArray[np.float32]:
        """``(N, D)``: what the reference makes of the live pictures of a role."""
        live = [sample for sample in self.trained.people(role).samples if sample.genuine]
        pictures = prepared(live, self.trained.preset.preprocessing)
        return np.concatenate([tensors[output].reshape(1, -1) for tensors in run(self.graphs.onnx, pictures)])

    def _scores(self, kind: VariantKind, model: bytes, role: str) -> Array:
        def compute() -> Array:
            pictures = prepared(self.trained.people(role).samples, self.trained.preset.preprocessing)
            return self._score_pictures(kind, model, pictures)

        return self._outputs.get(model, role, compute)

    def _score_pictures(self, kind: VariantKind, model: bytes, pictures: NDArray[np.uint8]) -> Array:
        """``(N,)`` scores of pre-processed pictures ``(N, H, W)``."""
        made = run(model, pictures, engine=kind.engine, format=kind.format)
        return np.concatenate([self.score.score(tensors, self.densities) for tensors in made])

    def _describe(self, role: str) -> str:
        """Whose pictures were scored, for the manifest."""
        return f"{self.trained.data.name}, {role} people"


def _ranks(scores: Array) -> NDArray[np.float64]:
    """Places in rising order from 1 on; equal scores share the mean of theirs."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _rates(scores: AttackScores, threshold: float) -> Iterator[str]:
    """APCER of each species, then BPCER, with their intervals."""
    passed = scores.presented.scores >= threshold
    live, *attacks = scores.classes()
    for chosen, wrong in (*((attack, passed) for attack in attacks), (live, ~passed)):
        yield interval(rate(wrong[chosen], scores.presented.subjects[chosen]))


def _require_both(people: Dataset, role: str) -> None:
    live = {sample.genuine for sample in people.samples}
    if live != {True, False}:
        raise DatasetError(
            f"the {role} people of {people.name} have no {'attacks' if True in live else 'live pictures'}, so that "
            "nothing can be measured: train on data that has both, as spoof:PATH and nuaa:PATH do, or render attacks "
            "of the live faces, for example --data lfw:PATH print+lfw:PATH"
        )
