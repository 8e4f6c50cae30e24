"""What a run leaves behind: results of its own, and no memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.runtime.engines import ENGINES, Engine, Tensors, installed, load_engine, usable, variants

from ..growth import MOST, kept

ARTIFACTS = [
    (engine, variant)
    for engine in ENGINES
    if installed(engine)
    for variant in variants(engine)
    if usable(engine, variant) and variant in ("int8.onnx", "fp32.onnx", "int8.tflite", "int8-io.tflite")
]


@pytest.fixture(params=ARTIFACTS, ids="-".join)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    name, variant = request.param
    opened = load_engine(name, Bundle.open("deepsign_nano").read_model(variant), variant.split(".")[1])
    yield opened
    opened.close()


def samples(engine: Engine, seed: int, count: int = 1) -> Tensors:
    rng = np.random.default_rng(seed)
    return {one.name: rng.random((count, *one.shape[1:]), np.float32) for one in engine.inputs}


@pytest.mark.parametrize("count", [1, 2])
def test_a_result_is_left_alone_by_the_next_run(engine: Engine, count: int) -> None:
    first = engine.run(samples(engine, 0, count))
    before = {name: value.copy() for name, value in first.items()}
    second = engine.run(samples(engine, 1, count))
    for name, value in first.items():
        np.testing.assert_array_equal(value, before[name])
        assert not np.array_equal(value, second[name])
        assert not np.may_share_memory(value, second[name])


def test_an_input_may_be_overwritten_after_the_run(engine: Engine) -> None:
    inputs, expected = samples(engine, 0), engine.run(samples(engine, 0))
    found = engine.run(inputs)
    for value in inputs.values():
        value.fill(1)
    engine.run(samples(engine, 1))
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_result_outlives_its_engine(engine: Engine) -> None:
    found = engine.run(samples(engine, 0))
    before = {name: value.copy() for name, value in found.items()}
    engine.close()
    gc.collect()
    for name, value in found.items():
        np.testing.assert_array_equal(value, before[name])


def test_a_run_leaves_no_memory_and_no_cycles(engine: Engine) -> None:
    inputs = samples(engine, 0)
    assert kept(lambda: engine.run(inputs)) < MOST
