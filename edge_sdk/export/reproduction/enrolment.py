"""What enrolments of several references reach on people who are new to the networks: by rule, threshold and artifact.

Skilled and random forgeries are kept apart. Scores of all folds are pooled by data set, and once more over all data
sets; one threshold holds for everybody in a row. Intervals are of people. Nothing is fitted or chosen on the people
whom a fold tests.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.own_thresholds import mean_subject_eer, mean_subject_eer_difference
from edge_sdk.calibration.metrics.pairs import Forgeries
from edge_sdk.calibration.metrics.resampling import Interval, bootstrap, bootstrap_difference
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.reproduction.enrolment_rules import OLD, RULES, EmbeddedPeople, rules_of
from edge_sdk.export.reproduction.fold_runs import FoldRun, fold_runs
from edge_sdk.export.reproduction.protocols import ALL, TableProtocol, by_dataset
from edge_sdk.export.reproduction.reproduce import ReproductionRequest, Say, load_data, train

COUNTS = (1, 3, 5, 10)
"""References of an enrolment, where nothing else is asked for."""

KINDS: tuple[Forgeries, ...] = ("skilled", "random")
ARTIFACTS = ("int8", "fp32")


class EnrolmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a table.

    Attributes:
        trainings: What is trained; of ``runs``, only the data, the folds and the seed that dealt people to them.
        counts: References of an enrolment.
        runs: Folders of finished runs to take instead of training.
    """

    trainings: ReproductionRequest
    counts: tuple[int, ...] = COUNTS
    runs: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 1 or len(set(self.counts)) < len(self.counts):
            raise UsageError(f"an enrolment takes 1 reference or more, each number once, not {self.counts}")
        if self.trainings.cohort is not None:
            raise UsageError("enrolments of several references are scored as a bundle does; leave --cohort out")


class RuleRates(msgspec.Struct, frozen=True):
    """Error rates of one rule.

    Attributes:
        eer: With one threshold for all people.
        own: The mean over people of each one's EER, which has a threshold of the person's own.
        eer_change, own_change: These less those of the mean score, of the same resampled people; None of that itself.
    """

    eer: Interval
    own: Interval
    eer_change: Interval | None = None
    own_change: Interval | None = None

    @classmethod
    def of(cls, scores: ScoreSet, old: ScoreSet) -> "RuleRates":
        """Of the rule's scores and those of the mean score."""
        eer, own = bootstrap(scores, Curves.eer), mean_subject_eer(scores)
        if scores is old:
            return cls(eer, own)
        return cls(eer, own, bootstrap_difference(scores, old, Curves.eer), mean_subject_eer_difference(scores, old))


class EnrolmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact on one test, with enrolments of so many references.

    Attributes:
        steps: Of each training.
        subjects: People who were enrolled.
        rates: By rule.
    """

    test: str
    model: str
    preset: str
    steps: int
    artifact: str
    forgeries: Forgeries
    references: int
    subjects: int
    mated: int
    impostors: int
    rates: dict[str, RuleRates]


Key = tuple[str, Forgeries, int, str]
"""Test, forgeries, references and artifact of a row."""


def reproduce(protocol: TableProtocol, request: EnrolmentRequest, say: Say = print) -> tuple[EnrolmentRow, ...]:
    """The rows of a table, by model, data set, forgeries, number of references and artifact.

    Trainings that are finished are not repeated, and each artifact embeds each sample once.

    Raises:
        UsageError, DatasetError, TrainingError: As :func:`edge_sdk.export.reproduction.reproduce.reproduce` and
            :func:`~edge_sdk.export.reproduction.fold_runs.fold_runs`; or nobody has as many signatures as an
            enrolment needs.
    """
    data = load_data(request.trainings)
    rows: list[EnrolmentRow] = []
    for folds in _folds(protocol, data, request, say):
        rows += _rows(folds, data, request.counts, say)
    if missing := set(request.counts).difference(row.references for row in rows):
        raise DatasetError(
            f"nobody has more than {min(missing)} genuine signatures, as {min(missing)} references and a query need"
        )
    return tuple(rows)


def _folds(
    protocol: TableProtocol, data: Dataset, request: EnrolmentRequest, say: Say
) -> Iterator[tuple[FoldRun, ...]]:
    """The folds of each model and preset."""
    wanted = request.trainings
    if request.runs:
        yield fold_runs(request.runs, protocol.trainings(data, seed=wanted.seed, folds=wanted.folds), data)
        return
    for trainings in train(protocol, data, wanted, say):
        yield tuple(FoldRun.read(run.folder, planned, data) for planned, run in trainings)


def _rows(folds: Sequence[FoldRun], data: Dataset, counts: Sequence[int], say: Say) -> Iterator[EnrolmentRow]:
    """Of one model and preset."""
    found: dict[Key, list[Mapping[str, ScoreSet]]] = {}
    for fold, artifact in itertools.product(folds, ARTIFACTS):
        say(f"{', '.join(map(str, fold.settings))} steps: {artifact} of {fold.name}")
        for test, persons in by_dataset(data).items():
            if not (tested := fold.test.select(set(persons).intersection(fold.test.subjects))).samples:
                continue
            people, rules = EmbeddedPeople.of(tested, fold.embeddings(artifact, tested)), rules_of(fold, tested)
            for forgeries, count in itertools.product(KINDS, counts):
                if scores := people.scores(rules, forgeries, count):
                    for row in (test, ALL):
                        found.setdefault((row, forgeries, count, artifact), []).append(scores)
    tests = [*by_dataset(data), ALL] if len(by_dataset(data)) > 1 else by_dataset(data)
    for key in itertools.product(tests, KINDS, counts, ARTIFACTS):
        if key in found:
            yield _row(key, folds[0].settings, found[key])


def _row(key: Key, settings: tuple[str, str, int], parts: Sequence[Mapping[str, ScoreSet]]) -> EnrolmentRow:
    """Of the scores of several folds and tests."""
    everywhere = [rule for rule in RULES if all(rule in part for part in parts)]
    pooled = {rule: verification.concatenate([part[rule] for part in parts]) for rule in everywhere}
    old = pooled[OLD]
    test, forgeries, references, artifact = key
    model, preset, steps = settings
    return EnrolmentRow(
        test=test,
        model=model,
        preset=preset,
        steps=steps,
        artifact=artifact,
        forgeries=forgeries,
        references=references,
        subjects=old.subject_count,
        mated=old.mated_count,
        impostors=old.impostor_count,
        rates={rule: RuleRates.of(scores, old) for rule, scores in pooled.items()},
    )
