"""Who is trained on and tested in each table, and the paper's numbers by arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.calibration.metrics.pairs import build_pairs
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset, Sample, joined
from edge_sdk.export.reproduction import protocols
from edge_sdk.export.reproduction.protocols import ALL, SIZES, PlannedTraining, by_dataset
from edge_sdk.export.reproduction.sizes import size


def people(name: str, count: int) -> Dataset:
    """Writers of whom only the names exist: a plan reads no pictures."""
    samples = [
        Sample(name, f"{name}/{writer}", genuine, Path(name, f"{writer}-{genuine}.png"), modality="signature")
        for writer in range(count)
        for genuine in (True, False)
    ]
    return Dataset(name, tuple(samples))


DATA = joined(people("cedar", 55), people("sigcomp2011", 32), people("svc2004", 20))


def count(persons: tuple[str, ...], dataset: str) -> int:
    return sum(person.startswith(f"{dataset}/") for person in persons)


def test_table_6_splits_each_data_set_by_person() -> None:
    (training,) = protocols.get("deepsign-table6").trainings(DATA)
    groups = (training.train, training.validation, training.test)
    assert sorted(person for group in groups for person in group) == sorted(DATA.subjects)
    assert [count(group, "cedar") for group in groups] == [33, 11, 11]
    assert [count(group, "svc2004") for group in groups] == [12, 4, 4]
    assert training.has_thresholds
    assert (training,) != protocols.get("deepsign-table6").trainings(DATA, seed=1)


def test_cedar_gives_the_pairs_of_table_5() -> None:
    """28,116 for training, 9,372 each for validation and test."""
    pairs = build_pairs(["w"] * 48, [True] * 24 + [False] * 24)
    assert (np.count_nonzero(pairs.mated), np.count_nonzero(~pairs.mated)) == (276, 576)
    (training,) = protocols.get("deepsign-table7").trainings(people("cedar", 55))
    counts = [len(group) * pairs.mated.size for group in (training.train, training.validation, training.test)]
    assert counts == [28_116, 9_372, 9_372]


def test_table_7_trains_on_cedar_alone_and_tests_everybody_else() -> None:
    (training,) = protocols.get("deepsign-table7").trainings(DATA)
    assert by_dataset(DATA.select(training.train + training.validation)).keys() == {"cedar"}
    assert [count(training.test, name) for name in by_dataset(DATA)] == [11, 32, 20]
    alone = protocols.get("deepsign-table7").trainings(people("cedar", 55))[0]
    assert alone.train == training.train  # what is beside CEDAR changes nothing


def test_each_data_set_is_left_out_once() -> None:
    trainings = protocols.get("leave-one-out").trainings(DATA)
    assert [training.name for training in trainings] == ["without-cedar", "without-sigcomp2011", "without-svc2004"]
    for training, (name, persons) in zip(trainings, by_dataset(DATA).items(), strict=True):
        assert training.test == persons
        assert not count(training.train + training.validation, name)
        assert len(training.train) + len(training.validation) + len(training.test) == len(DATA.subjects)
        assert training.has_thresholds


def test_cross_validation_tests_every_writer_once_and_chooses_nothing_on_them() -> None:
    trainings = protocols.get("cross-validation").trainings(DATA, folds=3)
    assert sorted(person for training in trainings for person in training.test) == sorted(DATA.subjects)
    for training in trainings:
        assert sorted(training.train + training.test) == sorted(DATA.subjects)
        assert not training.has_thresholds


def test_nobody_is_trained_on_and_tested() -> None:
    with pytest.raises(DatasetError, match="cedar/1"):
        PlannedTraining("mixed", ("cedar/1", "cedar/2"), ("cedar/3",), ("cedar/1",))


def test_what_a_table_cannot_be_made_of() -> None:
    with pytest.raises(UsageError, match=r'no table "table8"; choose from deepsign-table4, .*cross-validation'):
        protocols.get("table8")
    with pytest.raises(UsageError, match="--data cedar:PATH"):
        protocols.get("deepsign-table7").trainings(people("svc2004", 20))
    with pytest.raises(UsageError, match="at least 2 data sets, not svc2004 alone"):
        protocols.get("leave-one-out").trainings(people("svc2004", 20))
    few = joined(people("cedar", 20), people("svc2004", 4))
    with pytest.raises(DatasetError, match="would test 1 of 4 svc2004 writers, and at least 2 are needed"):
        protocols.get("deepsign-table6").trainings(few)
    with pytest.raises(DatasetError, match="too few"):
        protocols.get("deepsign-table6").trainings(people("cedar", 2))


def test_the_paper_prints_three_models_on_each_test() -> None:
    for name, tests in (("deepsign-table6", ("cedar", "bhsig260", ALL)), ("deepsign-table7", ("cedar", "bhsig260"))):
        expected = {(test, model) for test in tests for model in protocols.PAPER_MODELS}
        assert set(protocols.get(name).paper) == expected


def test_the_papers_sizes() -> None:
    assert size("deepsign", "paper").trainable == SIZES["deepsign"].parameters
    convolutions = [(11, 1, 96), (5, 96, 256), (3, 256, 384), (3, 384, 256)]  # kernel, inputs, outputs: table 1
    dense = [(3 * 5 * 256, 1024), (1024, 128)]
    layers = sum(k * k * i * o + o for k, i, o in convolutions) + sum(i * o + o for i, o in dense)
    assert layers + 2 * (96 + 256) == 6_461_568
    assert layers + 2 * (37 + 18) == SIZES["signet"].parameters
    assert SIZES["mobilenetv2"].parameters == (10 + 10) + (10 * 3 + 3) + (1280 * 512 + 512) + (512 * 128 + 128)
