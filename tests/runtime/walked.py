"""A small bundle of gait: the cycles of made-up walkers, a random projection of them, and a mixture fitted to it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_sdk import preprocess, sensors
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.export.data.gait.synthetic import SyntheticWalker
from edge_sdk.manifest import (
    DataLicense,
    Golden,
    Graph,
    Input,
    LogLikelihoodRatio,
    Manifest,
    Output,
    Rate,
    TrainingProvenance,
    Variant,
    VerifyPoint,
)
from edge_sdk.modalities import get
from edge_sdk.preprocess import GaitCycles
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

CYCLES = GaitCycles(axes="gravity", least=5)
DIM = 6
PROJECTION = np.random.default_rng(0).standard_normal((4 * CYCLES.samples, DIM)).astype(np.float32)
SCORE = LogLikelihoodRatio(output="model.features", background="ubm.npy", relevance=4.0, clip=5.0, enrolment=10)


@cache
def csv(person: int, number: int = 0, seconds: float = 20.0) -> bytes:
    """A walk of a made-up person."""
    return SyntheticWalker(person).walk(number, seconds)


def recording(person: int, number: int = 0, seconds: float = 20.0) -> sensors.Recording:
    return sensors.load(csv(person, number, seconds))


def features(cycles: np.ndarray) -> np.ndarray:
    return cycles.reshape(len(cycles), -1) @ PROJECTION


def network() -> bytes:
    """:func:`features` as ONNX."""
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["cycles"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["features"])],
        "walkers",
        [helper.make_tensor_value_info("cycles", TensorProto.FLOAT, ["batch", *CYCLES.shape])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", DIM])],
        [numpy_helper.from_array(PROJECTION, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@cache
def background() -> GaussianMixture:
    """One Gaussian of 12 walkers."""
    cycles = [preprocess.apply((CYCLES,), recording(person)) for person in range(100, 112)]
    rows = features(np.concatenate(cycles)).astype(np.float64)
    return GaussianMixture(np.ones(1), rows.mean(axis=0)[None], rows.var(axis=0)[None]).rounded()


def models() -> Any:
    """What a score asks of an opened model."""
    return SimpleNamespace(densities={"ubm.npy": background()})


def gait_bundle(path: Path, golden: float | None = None, **changes: Any) -> Bundle:
    """Accepts from 1 on; ``golden`` is the score of two walks of one person."""
    rate = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
    point = VerifyPoint(name="eer", threshold=1.0, target=None, fmr=rate, fnmr=rate, data="made up", subjects=9)
    walks = () if golden is None else (csv(1, 0), csv(1, 1))
    with BundleWriter(path) as writer:
        fields = {
            "name": "walkers",
            "version": "1.0",
            "task": "verify",
            "modality": "gait",
            "source": get("gait").source((CYCLES,), None),
            "preprocessing": (CYCLES,),
            "graphs": (
                Graph(
                    name="model",
                    inputs=(Input(name="cycles", shape=("batch", *CYCLES.shape)),),
                    outputs=(Output(name="features", shape=("batch", DIM), role="features"),),
                    files={"fp32.onnx": writer.add("model.fp32.onnx", network())},
                ),
            ),
            "score": SCORE,
            "variants": (Variant(precision="fp32", format="onnx", operating_points=(point,)),),
            "training": TrainingProvenance(
                recipe="tiny", preset="none", data=(), seed=0, steps=0, commit="none", versions={}
            ),
            "data_license": DataLicense(commercial_use=True, statement="made up"),
            "golden": Golden(
                inputs=tuple(writer.add(f"golden/{i}.csv", walk) for i, walk in enumerate(walks)),
                scores={} if golden is None else {"fp32.onnx": golden},
                tolerance={} if golden is None else {"fp32.onnx": 1e-4},
            ),
            "embedding_space_id": "space",
            "auxiliary": (writer.add("ubm.npy", background().encode()),),
        }
        return writer.finish(Manifest(**(fields | changes)))
