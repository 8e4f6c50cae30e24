"""The guardrail by cross-validation, where the people of one split are too few to decide.

Folds are finished runs of the recipe and preset that is exported, each trained without the people whom it tests. Every
int8 artifact is made of each fold's network too: by the same method, with the same layers in float, calibrated on
pictures of the fold's own training people. Both models of a fold score its ``test`` people, the scores of all folds are
pooled, and the people resampled. So all people judge, each by a network that never saw them; what is judged is what
int8 costs networks of this recipe and data, of which the shipped one is another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics import verification
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export.data.samples import IMPOSTORS
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind
from edge_sdk.export.training.finished import FinishedRun, Learned, require_embeddings, require_finished
from edge_sdk.manifest import AccuracyDifference, EmbeddingDistance


@dataclass(frozen=True)
class CrossValidation:
    """Folds, whose test people share nobody."""

    folds: tuple[VerificationEvaluator, ...]

    @classmethod
    def read(cls, runs: Sequence[Path], exported: FinishedRun) -> CrossValidation:
        """Read the folders of the folds.

        Raises:
            UsageError: Fewer than two; another recipe, preset or data than those of the exported run; or the recipe
                does not compare embeddings.
            TrainingError: A fold is unfinished or has learned from people whom it tests, or two folds test a person.
            DatasetError: A fold has no split.
        """
        if len(runs) < 2:
            raise UsageError(f"cross-validation takes at least 2 folds, not {len(runs)}")
        require_embeddings(exported.recipe)
        tested: set[str] = set()
        folds = []
        for run in runs:
            fold = FinishedRun.read(run)
            record = fold.record
            assert record is not None, "it was read from a folder"
            require_finished(run, record)
            _require_alike(run, fold, exported)
            people = set(fold.split.test)
            known = Learned.of(record, fold.pretrained_on).people.union(record.validation)
            if not people or people & known:
                found = ", ".join(sorted(people & known)[:5]) or "nobody"
                raise TrainingError(f"{run} tests {found}; its test people must be new to it")
            if twice := sorted(people & tested):
                raise TrainingError(f"{run} tests {', '.join(twice[:5])}, as another fold does; give each person once")
            tested |= people
            folds.append(_evaluator(fold))
        return cls(tuple(folds))

    def accuracy_difference(
        self, kind: VariantKind, method: str, keep_float: Collection[str] = ()
    ) -> AccuracyDifference:
        """What an int8 artifact that is made so costs the test people of all folds."""
        expected, found = [], []
        for fold in self.folds:
            model = fold.graphs.quantizer(kind).quantize(method, keep_float)
            expected.append(fold.scores(REFERENCE, fold.graphs.onnx, "test"))
            found.append(fold.scores(kind, model, "test"))
        pooled, trained = verification.concatenate(found), self.folds[0].trained
        impostors = IMPOSTORS[self.folds[0].impostors[0]]
        steps = " and ".join(map(str, sorted({fold.trained.steps for fold in self.folds})))
        return guardrail.compare(
            verification.concatenate(expected),
            pooled,
            data=f"{trained.data.name}, cross-validation, {pooled.subject_count} people, {len(self.folds)} trainings "
            f"of {steps} steps, {impostors}, on {kind.engine}",
            budget=trained.recipe.budget,
        )


def _evaluator(fold: FinishedRun) -> VerificationEvaluator:
    recipe = fold.recipe
    assert isinstance(recipe.score, EmbeddingDistance), "require_embeddings looked at it"
    network = recipe.inference_model(fold.network)
    graphs = Graphs(network, fold.preset.input_shape, fold.calibration_images(), recipe.outputs)
    return VerificationEvaluator(fold, graphs, recipe.score)


def _require_alike(run: Path, fold: FinishedRun, exported: FinishedRun) -> None:
    tiny, expected = (one.record is not None and one.record.tiny for one in (fold, exported))
    for what, one, other in (
        ("recipe", fold.recipe.name, exported.recipe.name),
        ("preset", fold.preset_name, exported.preset_name),
        ("tiny", tiny, expected),
        ("data", ", ".join(fold.data_names), ", ".join(exported.data_names)),
        ("quantisation-aware training", bool(fold.quantisation_aware), bool(exported.quantisation_aware)),
    ):
        if one != other:
            raise UsageError(f"{run} is no fold of the exported run: its {what} is {one}, that of the run {other}")
