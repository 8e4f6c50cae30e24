"""People told apart by likelihood ratios: a person's density of features against everybody's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import manifest, modalities
from edge_sdk.calibration.metrics.groups import SAMPLES, RowCounts, build_groups, enrolments
from edge_sdk.calibration.metrics.resampling import bootstrap_all
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.calibration.thresholds import rate
from edge_sdk.errors import ScoreError, UsageError
from edge_sdk.export.data.cache import PreparedRows, prepared_rows
from edge_sdk.export.data.samples import IMPOSTORS
from edge_sdk.export.evaluation.artifact_protocol import FurtherGraph, MeasuredVariant, TaskInterface, interval
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.evaluation.verification.comparers import DensityModel, enrolling
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind
from edge_sdk.export.formats.float_onnx import GRAPH, INPUT
from edge_sdk.export.formats.inference import output
from edge_sdk.export.networks.likelihood import LikelihoodSettings
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.export.training.likelihood import FittedLikelihood, Latent, features_of, fit_likelihood
from edge_sdk.runtime.operating_point import point_for
from edge_sdk.scoring.likelihood import LogLikelihoodRatio
from edge_sdk.tables import Table

GOLDEN_TOLERANCE: dict[manifest.Precision, float] = {"fp32": 1e-3, "int8": 0.05, "int8-io": 0.05, "int8-sym": 0.05}
"""How much of the clip another processor's kernels may move the score of the golden trial."""
_USEFUL = 0.5
DENSITY, LATENT = "density", "latent"


@dataclass(frozen=True, eq=False)
class LikelihoodEvaluator(VerificationEvaluator):
    """As its base, but for samples of many rows each: some rows enrol a person, rows of other samples are compared.

    Projection and densities are fitted on the float network's features of the training people; each model computes
    the features of each row once.
    """

    score: LogLikelihoodRatio
    unit: str = "share of the features' variance that int8 changes"
    likelihood: FittedLikelihood = field(kw_only=True)

    @classmethod
    def of(cls, trained: FinishedRun) -> LikelihoodEvaluator:
        """Fit what the score needs.

        Raises:
            UsageError: The recipe does not say how.
            ScoreError, TrainingError: The training people are too few for the density.
        """
        recipe, preset = trained.recipe, trained.preset
        settings = recipe.likelihood
        if settings is None or not isinstance(recipe.score, LogLikelihoodRatio):
            raise UsageError(f"{recipe.name}: a score of likelihood ratios and the recipe's `likelihood` go together")
        score = msgspec.structs.replace(recipe.score, enrolment=settings.protocols[0].enrolment)
        network = recipe.inference_model(trained.network)
        rows, held_out = (
            prepared_rows(trained.people(role).samples, preset.preprocessing) for role in ("train", "validation")
        )
        likelihood = fit_likelihood(
            features_of(network, rows.tensors),
            [sample.subject for sample in rows.samples],
            settings,
            score,
            held_out=features_of(network, held_out.tensors) if settings.flow else None,
            seed=trained.seed,
        )
        if likelihood.flow is not None:
            score = msgspec.structs.replace(score, output=f"{DENSITY}.{LATENT}")
        graphs = Graphs(likelihood.model(network), preset.input_shape, trained.calibration_images(), recipe.outputs)
        return cls(trained, graphs, score, likelihood=likelihood)

    def distance(self, kind: VariantKind, model: bytes) -> float:
        expected = self._embed(REFERENCE, self.graphs.onnx, "validation")
        changed = self._embed(kind, model, "validation") - expected
        return float((changed**2).sum() / ((expected - expected.mean(axis=0)) ** 2).sum())

    def tables(self, measured: MeasuredVariant, scores: Callable[[RowCounts], ScoreSet]) -> tuple[Table, ...]:
        found: dict[RowCounts, ScoreSet] = {}
        for counts in self.protocols:
            with contextlib.suppress(ScoreError):  # too few people or rows for so many
                found[counts] = scores(counts)
        variant, row = measured.kind.id, self._settings.row
        ranks = Table(
            ("variant", f"enrolment {row}", f"test {row}", "people", "comparisons", "AUROC", "EER"),
            [
                (variant, *map(str, counts), str(one.subject_count), str(len(one)), *_ranks(one))
                for counts, one in found.items()
            ],
            text=("variant",),
            note=f"Random impostors. Enrolment and test {row} are never of one sample.",
        )
        points = [point for point in measured.points if isinstance(point, manifest.VerifyPoint) and point.target]
        rates = Table(
            ("variant", "point", f"enrolment {row}", f"test {row}", "FMR", "FNMR"),
            [
                (variant, point.name, *map(str, counts), *_rates(one, point.threshold))
                for counts, one in found.items()
                for name in dict.fromkeys(point.name for point in points)
                for point in [point_for([other for other in points if other.name == name], counts.enrolment)]
                if point.fnmr.value < _USEFUL
            ],
            text=("variant", "point"),
            note=f"At the bundle's thresholds that accept half of the genuine tests at least; they are fitted with as "
            f"many enrolment {row}, or the next fewer, and {self.protocols[0].test} test {row}.",
        )
        return ranks, rates

    def golden_score(self, measured: MeasuredVariant) -> tuple[float, float]:
        modality, pipeline = modalities.get(self.trained.recipe.modality), self.trained.preset.preprocessing
        source = self.trained.recipe.source(self.trained.preset)
        both = [modality.prepare(pipeline, modality.decode(data), source).rows for data in self.golden().values()]
        enrolled, tested = (self._features(measured.kind, measured.model, rows) for rows in both)
        score = self.score.compare(self.score.enroll(enrolled, self._model), tested, self._model).score
        return score, GOLDEN_TOLERANCE[measured.kind.precision] * self.score.clip

    def interface(self) -> TaskInterface:
        files, shape = self.likelihood.files, ("batch", self.likelihood.projection.dims)
        further: tuple[FurtherGraph, ...] = ()
        if self._flow is not None:
            (features,) = self.trained.recipe.outputs
            density = FurtherGraph(
                name=DENSITY,
                inputs=(manifest.Input(name=INPUT, shape=shape, feed=f"{GRAPH}.{features}"),),
                outputs=(manifest.Output(name=LATENT, shape=shape, role="features"),),
                made=self._flow.float,
            )
            further = (density,)
        return TaskInterface(
            task="verify",
            source=self.trained.recipe.source(self.trained.preset),
            outputs=tuple(
                manifest.Output(name=name, shape=shape, role="features") for name in self.trained.recipe.outputs
            ),
            score=self.score,
            # A density that was adapted from others says nothing beside these.
            embedding_space_id=manifest.embedding_space_id(
                self.trained.preset.preprocessing,
                self.graphs.onnx,
                *files.values(),
                *(one.made(REFERENCE) for one in further),
            ),
            files=files,
            further=further,
        )

    @cached_property
    def protocols(self) -> tuple[RowCounts, ...]:
        return self._settings.protocols

    @property
    def by_references(self) -> dict[int, RowCounts]:
        return {one.enrolment: one for one in enrolments(self.protocols[0], self.protocols)}

    def compared(self, protocol: RowCounts) -> str:
        row = self._settings.row
        enrolled = f"{protocol.enrolment} enrolment {row} of up to {SAMPLES} samples"
        return f"{IMPOSTORS['random']}, {enrolled}, {protocol.test} test {row} of another"

    def scores(self, kind: VariantKind, model: bytes, role: str, protocol: RowCounts | None = None) -> ScoreSet:
        counts, samples = protocol or self.protocols[0], self._rows(role).samples
        plan = build_groups(
            [sample.subject for sample in samples],
            [str(sample.path) for sample in samples],
            enrolment=counts.enrolment,
            test=counts.test,
        )
        return plan.scores(enrolling(self.score, self._embed(kind, model, role), self._model.densities))

    @property
    def _settings(self) -> LikelihoodSettings:
        settings = self.trained.recipe.likelihood
        assert settings is not None, "`of` looked at it"
        return settings

    @cached_property
    def _model(self) -> DensityModel:
        return DensityModel(self.likelihood.densities)

    def _rows(self, role: str) -> PreparedRows:
        return prepared_rows(self.trained.people(role).samples, self.trained.preset.preprocessing)

    def _embed(self, kind: VariantKind, model: bytes, role: str) -> NDArray[np.float32]:
        """``(R, D)``: what densities are of, of a group's rows, in their order."""
        return self._outputs.get(model, role, lambda: self._features(kind, model, self._rows(role).tensors))

    def _features(self, kind: VariantKind, model: bytes, rows: NDArray[Any]) -> NDArray[np.float32]:
        """``(R, D)``: what densities are of, of prepared rows."""
        made = output(model, rows, engine=kind.engine, format=kind.format)
        if self._flow is None:
            return made
        return output(self._flow.float(kind), made, engine=kind.engine, format=kind.format)

    @cached_property
    def _flow(self) -> Graphs | None:
        """The graph behind that of the features, which is float in every variant: it has few multiplications."""
        if self.likelihood.flow is None:
            return None
        dims = self.likelihood.projection.dims
        return Graphs(Latent(self.likelihood.flow), (dims,), np.zeros((1, dims), np.float32), (LATENT,))


def _ranks(scores: ScoreSet) -> tuple[str, ...]:
    """AUROC and EER, of 2 people at least."""
    return tuple(map(interval, bootstrap_all(scores, [Curves.auroc, Curves.eer])))


def _rates(scores: ScoreSet, threshold: float) -> Iterator[str]:
    """FMR and FNMR."""
    wrong = (scores.scores >= threshold) != scores.mated
    for chosen in (~scores.mated, scores.mated):
        yield interval(rate(wrong[chosen], scores.subjects[chosen]))
