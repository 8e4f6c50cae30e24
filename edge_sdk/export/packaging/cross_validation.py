"""Thresholds and guardrail by cross-validation, where the people of one split are too few to decide.

Folds are finished runs of the recipe and preset that is exported, each trained without the people whom it tests. Every
artifact is made of each fold's network too: by the same method, with the same layers in float, calibrated on samples
of the fold's own training people. The models of a fold score its ``test`` people, the scores of all folds are pooled,
and the people resampled. So all people judge, each by a network that never saw them; what is judged is networks of
this recipe and data, of which the shipped one is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.calibration.thresholds import MIN_SUBJECTS
from edge_sdk.errors import ScoreError, TrainingError, UsageError
from edge_sdk.export.evaluation.artifacts import MeasuredVariant, build_evaluator
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE, VariantKind
from edge_sdk.export.training.finished import FinishedRun, Learned, require_finished
from edge_sdk.manifest import AccuracyDifference, OperatingPoint
from edge_sdk.tables import Table


class Making(NamedTuple):
    """How an artifact is made: an int8 one by a calibration method, with layers in float."""

    kind: VariantKind
    method: str | None = None
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class CrossValidation:
    """Folds, whose test people share nobody.

    Attributes:
        decides: Whether operating points and the tables of the test people are theirs too.
    """

    folds: tuple[VerificationEvaluator, ...]
    decides: bool
    _scores: dict[Making, dict[Any, ScoreSet | ScoreError]] = field(default_factory=dict)

    @classmethod
    def read(cls, runs: Sequence[Path], exported: FinishedRun, *, decides: bool = False) -> CrossValidation:
        """Read the folders of the folds.

        Args:
            runs: Of the folds.
            exported: What they are folds of.
            decides: As the attribute; it is so anyway where the split of the exported run has too few people for
                thresholds.

        Raises:
            UsageError: Fewer than two; another recipe, preset or data than those of the exported run; or the recipe
                does not compare embeddings or densities.
            TrainingError: A fold is unfinished or has learned from people whom it tests, or two folds test a person.
            DatasetError: A fold has no split.
        """
        if len(runs) < 2:
            raise UsageError(f"cross-validation takes at least 2 folds, not {len(runs)}")
        if not exported.recipe.embedding_size and exported.recipe.likelihood is None:
            raise UsageError(
                f"{exported.recipe.name} compares neither embeddings nor densities of people, so it has no folds"
            )
        tested: set[str] = set()
        folds = []
        for run in runs:
            fold = FinishedRun.read(run)
            record = fold.record
            assert record is not None, "it was read from a folder"
            require_finished(run, record)
            _require_alike(run, fold, exported)
            fold = replace(fold, recipe=exported.recipe)  # with the score that was chosen for the bundle
            people = set(fold.split.test)
            known = Learned.of(record, fold.pretrained_on).people.union(record.validation)
            if not people or people & known:
                found = ", ".join(sorted(people & known)[:5]) or "nobody"
                raise TrainingError(f"{run} tests {found}; its test people must be new to it")
            if twice := sorted(people & tested):
                raise TrainingError(f"{run} tests {', '.join(twice[:5])}, as another fold does; give each person once")
            tested |= people
            evaluator = build_evaluator(fold)
            assert isinstance(evaluator, VerificationEvaluator), "it compares embeddings or densities"
            folds.append(evaluator)
        return cls(tuple(folds), decides=decides or len(exported.split.thresholds) < MIN_SUBJECTS)

    def accuracy_difference(self, made: Making) -> AccuracyDifference:
        """What an int8 artifact that is made so costs the test people of all folds."""
        return guardrail.compare(
            self.scores(Making(REFERENCE)),
            self.scores(made),
            data=f"{self._described(made)}, on {made.kind.engine}",
            budget=self.folds[0].trained.recipe.budget,
        )

    def points(self, made: Making) -> tuple[OperatingPoint, ...]:
        """Thresholds of the test people of all folds, for each number of references."""
        return self.folds[0].points_of(lambda protocol: self.scores(made, protocol), self._whose(made))

    def tables(self, measured: MeasuredVariant) -> tuple[Table, ...]:
        """What artifacts that are made as this one reached on the test people of all folds."""
        by = measured.calibration
        made = Making(measured.kind, by.method, by.float_nodes) if by else Making(measured.kind)
        return self.folds[0].tables(measured, lambda protocol: self.scores(made, protocol))

    def scores(self, made: Making, protocol: Any = None) -> ScoreSet:
        """Of the test people of all folds, each by the fold's own artifact.

        Args:
            protocol: One of the evaluators' ``protocols``, or of their ``by_references``; None is the first.

        Raises:
            ScoreError: The people or their samples are too few for it.
        """
        first = self.folds[0]
        protocols = (*first.protocols, *first.by_references.values()) if self.decides else first.protocols[:1]
        if made not in self._scores:
            models = [_model(fold, made) for fold in self.folds]
            self._scores[made] = {one: self._pooled(made, models, one) for one in dict.fromkeys(protocols)}
        found = self._scores[made][protocols[0] if protocol is None else protocol]
        if isinstance(found, ScoreError):
            raise found
        return found

    def _pooled(self, made: Making, models: Sequence[bytes], protocol: Any) -> ScoreSet | ScoreError:
        try:
            return verification.concatenate(
                [
                    fold.scores(made.kind, model, "test", protocol)
                    for fold, model in zip(self.folds, models, strict=True)
                ]
            )
        except ScoreError as error:
            return error

    def _described(self, made: Making) -> str:
        first = self.folds[0]
        return f"{self._whose(made)}, {first.compared(first.protocols[0])}"

    def _whose(self, made: Making) -> str:
        people, steps = self.scores(made).subject_count, sorted({fold.trained.steps for fold in self.folds})
        trainings = f"{len(self.folds)} trainings of {' and '.join(map(str, steps))} steps"
        return f"{self.folds[0].trained.data.name}, cross-validation, {people} people, {trainings}"


def _model(fold: VerificationEvaluator, made: Making) -> bytes:
    if made.method is None:
        return fold.graphs.float(made.kind)
    return fold.graphs.quantizer(made.kind).quantize(made.method, made.keep_float)


def _require_alike(run: Path, fold: FinishedRun, exported: FinishedRun) -> None:
    tiny, expected = (one.record is not None and one.record.tiny for one in (fold, exported))
    for what, one, other in (
        ("recipe", fold.recipe.name, exported.recipe.name),
        ("preset", fold.described_preset, exported.described_preset),
        ("tiny", tiny, expected),
        ("data", ", ".join(fold.data_names), ", ".join(exported.data_names)),
        ("quantisation-aware training", bool(fold.quantisation_aware), bool(exported.quantisation_aware)),
    ):
        if one != other:
            raise UsageError(f"{run} is no fold of the exported run: its {what} is {one}, that of the run {other}")
