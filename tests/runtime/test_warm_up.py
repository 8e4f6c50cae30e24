"""``warm_up=True``: everything has run once before the constructor returns, and nothing of it is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge_sdk import Locator, SpoofDetector, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, UsageError
from edge_sdk.manifest import Golden
from edge_sdk.results import Timings
from edge_sdk.runtime import detector as detector_module
from edge_sdk.runtime.engines import OwnedEngine, Tensors
from edge_sdk.runtime.faces import Cascade

from ..fake_engine import FakeEngine, FakeModel
from .test_detector import WITH_FACE, detector, live_frames, spoof_bundle, stamped

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]
NO_TIME = Timings(0, 0, 0, 0, 0)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Tensors]:
    """The inputs of every run of every engine, in their order."""
    seen = []
    run = OwnedEngine.run

    def noted(engine: OwnedEngine, inputs: Tensors) -> Tensors:
        seen.append(inputs)
        return run(engine, inputs)

    monkeypatch.setattr(OwnedEngine, "run", noted)
    return seen


EVEN = 2  # samples by which a verifier learns what embeddings look like


def fake(**settings: object) -> dict[str, bytes]:
    return {"fp32": msgspec.json.encode(FakeModel(shape=(1, 150, 180), dim=8, **settings))}  # type: ignore[arg-type]


def test_a_verifier_compares_its_golden_pictures(make_bundle: Maker, runs: list[Tensors]) -> None:
    bundle = make_bundle(models=fake(), golden={"fp32.onnx": 0.5})  # whose score does not matter here
    with Verifier(bundle, engine="fake"):
        assert not runs
    with Verifier(bundle, engine="fake", warm_up=True):
        assert len(runs) == len(bundle.manifest.golden.inputs) + EVEN == 4


def test_without_golden_pictures_the_graphs_run_on_a_blank_sample(tiny_bundle: Bundle, runs: list[Tensors]) -> None:
    with Verifier(tiny_bundle, warm_up=True):
        blank, *even = (sample for inputs in runs for sample in inputs.values())
        assert blank.shape == (1, 1, 150, 180)
        assert not blank.any()
        assert len(even) == EVEN


def test_what_templates_are_checked_by_is_known_before_the_first(
    tiny_bundle: Bundle, runs: list[Tensors], signer: Callable[..., np.ndarray]
) -> None:
    with Verifier(tiny_bundle, warm_up=True) as verifier:
        template = verifier.enroll(signer(1))
        runs.clear()
        assert verifier.verify(template, signer(1))
        assert len(runs) == 1


def test_every_graph_of_a_shipped_bundle_has_run(runs: list[Tensors]) -> None:
    with Verifier("face_lite", warm_up=True) as verifier:
        manifest = verifier.bundle.manifest
        located = Bundle.open("face_locator").manifest
        wanted = [name for one in (located, manifest) for graph in one.graphs for name in [graph.inputs[0].name]]
        assert {name for inputs in runs for name in inputs} == set(wanted)
    runs.clear()
    with Locator(warm_up=True):
        assert runs


def test_a_detector_searches_once(runs: list[Tensors], monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[tuple[int, ...]] = []
    monkeypatch.setattr(Cascade, "__call__", lambda _, image: searched.append(image.shape) or ())
    for faces, search, graphs in (("cascade", [detector_module.BLANK], 1), ("locator", [], 2), ("cropped", [], 1)):
        searched.clear()
        runs.clear()
        with SpoofDetector("liveness", faces=faces, warm_up=True):  # type: ignore[arg-type]
            assert searched == search
            assert len({tuple(inputs) + next(iter(inputs.values())).shape for inputs in runs}) == graphs


def test_a_locator_of_ones_own_is_not_called(make_bundle: Maker, runs: list[Tensors]) -> None:
    def never(_: np.ndarray) -> tuple[()]:
        raise AssertionError("searched")

    with detector(spoof_bundle(make_bundle), faces=never, warm_up=True):
        assert len(runs) == 1


def test_a_stream_remembers_nothing_of_it(make_bundle: Maker) -> None:
    bundle = spoof_bundle(make_bundle)
    pictures = [np.zeros(detector_module.BLANK, np.uint8), *live_frames(3), WITH_FACE, WITH_FACE]
    found = []
    for warm in (False, True):
        with detector(bundle, warm_up=warm) as opened:
            results = list(opened.stream(stamped(pictures)))  # type: ignore[arg-type]
        found.append([replace(one, frame=replace(one.frame, timings=NO_TIME)) for one in results])
    assert repr(found[0]) == repr(found[1])  # NaN is not equal to itself


def test_results_are_those_of_a_cold_one(
    tiny_bundle: Bundle, signature: np.ndarray, other_signature: np.ndarray
) -> None:
    found = []
    for warm in (False, True):
        with Verifier(tiny_bundle, warm_up=warm) as verifier:
            found.append(replace(verifier.verify(signature, other_signature), timings=NO_TIME))
    assert found[0] == found[1]


@pytest.mark.parametrize("golden", [{}, {"fp32.onnx": 0.5}])
def test_a_failure_closes(make_bundle: Maker, golden: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def close(engine: FakeEngine) -> None:
        closed.append(engine)

    monkeypatch.setattr(FakeEngine, "close", close)
    bundle = make_bundle(models=fake(failure="error"), golden=golden)
    with pytest.raises(EngineError, match="asked to fail"):
        Verifier(bundle, engine="fake", warm_up=True)
    assert len(closed) == 1


def test_a_golden_trial_is_no_need(tiny_bundle: Bundle) -> None:
    assert tiny_bundle.manifest.golden == Golden()
    with Verifier(tiny_bundle, warm_up=True) as verifier:
        assert verifier.threshold


@pytest.mark.parametrize("kind", [Verifier, SpoofDetector, Locator])
@pytest.mark.parametrize("name", ["warm_up", "selftest"])
def test_switches_are_true_or_false(kind: type, name: str) -> None:
    for value in ("no", None, 0, 1.0):
        with pytest.raises(UsageError, match=f"{name} is {value!r}; it must be True or False"):
            kind("deepsign", **{name: value})
