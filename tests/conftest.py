"""What many tests need: pictures of made-up signatures, and small real bundles."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_sdk import preprocess
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.manifest import (
    DataLicense,
    EmbeddingDistance,
    Golden,
    Graph,
    Image,
    Input,
    Manifest,
    OperatingPoint,
    Output,
    Rate,
    TrainingProvenance,
    UnsupportedPoint,
    Variant,
    VerifyPoint,
    embedding_space_id,
)
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.runtime.engines import ENGINES

from . import fake_engine as fake

SHAPE = (1, 150, 180)

# Miniatures are too small to share: a second thread waits for the first and takes up to seven times the processor time.
# Read when torch is imported, by this process and by those that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests read and write neither the cache nor the settings of the user who runs them. Set before anything is collected,
# for some modules load made-up data when they are imported.
_FOLDERS = tempfile.TemporaryDirectory(prefix="edge-sdk-tests-")
os.environ["EDGE_SDK_CACHE"] = str(Path(_FOLDERS.name, "cache"))
os.environ["EDGE_SDK_CONFIG"] = str(Path(_FOLDERS.name, "config"))

# What tests make is no more open than most users' files are: edge-sdk refuses what the group can write.
os.umask(0o022)

# A busy machine is no error of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def draw(seed: int = 0, height: int = 380, width: int = 600, ink: int = 40, paper: int = 235) -> np.ndarray:
    """A wavy line in ink on gray paper, ``uint8 (height, width)``; another seed, another line."""
    low, fast, slow = np.random.default_rng(seed).uniform([0.3, 15, 40], [0.6, 35, 90])
    x = np.arange(width // 10, width * 9 // 10)
    y = height * (0.5 + 0.35 * low * np.sin(x * 600 / width / fast) + 0.35 * (1 - low) * np.cos(x * 600 / width / slow))
    picture = np.full((height, width), paper, np.uint8)
    line = np.stack([x, y], axis=1).astype(np.int32)
    cv2.polylines(picture, [line], isClosed=False, color=ink, thickness=max(1, width // 200), lineType=cv2.LINE_AA)
    return picture


def png(picture: np.ndarray) -> bytes:
    """The picture as the bytes of a PNG file."""
    return cv2.imencode(".png", picture)[1].tobytes()


def tiny_network(seed: int = 0, batch: int | str = "batch") -> bytes:
    """A convolution to 8 channels, ReLU, 5 x 6 average pooling, flatten, L2 norm: ``embedding`` (batch, 240)."""
    weights = np.random.default_rng(seed).standard_normal((8, 1, 7, 7)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["features"], strides=[2, 2], pads=[3, 3, 3, 3]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("AveragePool", ["active"], ["pooled"], kernel_shape=[15, 15], strides=[15, 15]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("LpNormalization", ["flat"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *SHAPE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 240])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def points(threshold: float = 0.9) -> tuple[VerifyPoint | UnsupportedPoint, ...]:
    """Operating points ``fmr_1e-2`` and ``eer``, and an unsupported ``fmr_1e-3``."""
    rate = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
    return (
        VerifyPoint(name="fmr_1e-2", threshold=threshold, target=0.01, fmr=rate, fnmr=rate, data="made up", subjects=9),
        VerifyPoint(
            name="eer", threshold=threshold - 0.1, target=None, fmr=rate, fnmr=rate, data="made up", subjects=9
        ),
        UnsupportedPoint(name="fmr_1e-3", target=1e-3, reason="100 impostor trials"),
    )


@pytest.fixture(autouse=True)
def levels_of_loggers() -> Iterator[None]:
    """A test that leaves a level changed fails: pytest would keep what later tests log, which then seem to leak."""
    loggers = [logging.getLogger(name) for name in ("", "edge_sdk")]
    before = [logger.level for logger in loggers]
    yield
    after = [logger.level for logger in loggers]
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
    assert after == before


@pytest.fixture(autouse=True)
def tuning_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's tuning would be stored: no test sees what was tuned on the machine, or changes it."""
    path = tmp_path / "config" / "tuning.json"
    monkeypatch.setenv("EDGE_SDK_TUNING", str(path))
    return path


@pytest.fixture
def shared_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user is in the group of whoever runs the tests."""
    pwd = pytest.importorskip("pwd", reason="groups are POSIX")
    everybody = pwd.getpwall()
    another = pwd.struct_passwd(("another", "x", 4321, os.getegid(), "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [*everybody, another])


BundleMaker = Callable[..., Bundle]


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    """Write a bundle of ``{variant: model bytes}``, by default of :func:`tiny_network` as fp32 and as int8.

    A variant is a precision, then meaning ONNX, or an id such as ``int8.tflite``. ``inputs`` and ``outputs`` are those
    of the only graph; what else is given replaces fields of the manifest.
    """

    def make(
        destination: Path | None = None,
        *,
        models: dict[str, bytes] | None = None,
        operating_points: dict[str, tuple[OperatingPoint, ...]] | None = None,
        golden: dict[str, float] | None = None,
        tolerance: float = 1e-4,
        batch: int | str = "batch",
        inputs: tuple[Input, ...] | None = None,
        outputs: tuple[Output, ...] | None = None,
        **changes: object,
    ) -> Bundle:
        # "int8" is another float network: to the runtime it is a variant with other bytes and other scores.
        models = models or {"fp32": tiny_network(0, batch), "int8": tiny_network(1, batch)}
        destination = destination or tmp_path_factory.mktemp("bundle") / "tiny"
        with BundleWriter(destination) as writer:
            ids = {name if "." in name else f"{name}.onnx": model for name, model in models.items()}
            variants = tuple(
                Variant(
                    format=file_format,
                    precision=precision,
                    operating_points=(operating_points or {}).get(precision, points()),
                )
                for precision, file_format in (key.split(".") for key in ids)
            )
            graph = Graph(
                name="model",
                inputs=inputs or (Input(name="image", shape=(batch, *SHAPE)),),
                outputs=outputs or (Output(name="embedding", shape=(batch, 240), role="embedding"),),
                files={key: writer.add(f"model.{key}", model) for key, model in ids.items()},
            )
            pictures = (draw(1), draw(2)) if golden else ()
            settings = {
                "name": "tiny",
                "version": "1.0",
                "task": "verify",
                "modality": "signature",
                "source": Image(region=InkRegion()),
                "preprocessing": preprocess.INK,
                "graphs": (graph,),
                "score": EmbeddingDistance(output="model.embedding", metric="euclidean"),
                "variants": variants,
                "training": TrainingProvenance(
                    recipe="tiny", preset="none", data=("made up",), seed=0, steps=0, commit="none", versions={}
                ),
                "data_license": DataLicense(commercial_use=True, statement="made up"),
                "golden": Golden(
                    inputs=tuple(writer.add(f"golden/{i}.png", png(picture)) for i, picture in enumerate(pictures)),
                    scores=golden or {},
                    tolerance=dict.fromkeys(golden or {}, tolerance),
                ),
                "embedding_space_id": embedding_space_id(preprocess.INK, next(iter(models.values()))),
            }
            return writer.finish(Manifest(**settings | changes))

    return make


@pytest.fixture(scope="session")
def tiny_bundle(make_bundle: BundleMaker) -> Bundle:
    """A bundle with an fp32 and an "int8" variant on disk; do not change it."""
    return make_bundle()


@pytest.fixture(scope="session")
def signer() -> Callable[..., np.ndarray]:
    """:func:`draw`, for tests that need several pictures."""
    return draw


@pytest.fixture
def signature() -> np.ndarray:
    """A made-up signature, ``uint8 (380, 600)``."""
    return draw(1)


@pytest.fixture
def other_signature() -> np.ndarray:
    """Another one."""
    return draw(2)


@dataclass(frozen=True)
class TFLiteModels:
    """One network, ``(N, 1, 150, 180)`` to unit ``(N, 240)``, as TFLite; of ``samples`` it makes ``expected``."""

    fp32: bytes
    int8: bytes
    int8_io: bytes
    samples: np.ndarray
    expected: np.ndarray


@pytest.fixture(scope="session")
def tflite_models() -> TFLiteModels:
    """Batch norms, max pooling, a concatenation, global pooling, a dense layer and the L2 norm; sparse strokes."""
    pytest.importorskip("litert_torch", reason="converting to TFLite needs edge-sdk[tflite-export]")
    import torch

    class Unit(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(x)

    from edge_sdk.calibration.quantization.tflite_int8 import TfliteStatistics
    from edge_sdk.export.formats.float_tflite import to_tflite
    from edge_sdk.export.recipes.deepsign import Fire, convolution

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            convolution(1, 16, 3, stride=2, norm=True),
            torch.nn.MaxPool2d(3, 2),
            Fire(16, 8, 24, norm=True),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(48, 240),
            Unit(),
        )
        network(torch.rand(8, *SHAPE))  # moves the running means
    rng = np.random.default_rng(0)
    samples = (rng.random((8, *SHAPE)) * (rng.random((8, *SHAPE)) < 0.2)).astype(np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(samples)).numpy()
    model = to_tflite(network.train(), SHAPE)
    statistics = TfliteStatistics(model, samples)
    return TFLiteModels(model, statistics.quantize(), statistics.quantize(io="int8"), samples, expected)


@pytest.fixture(autouse=True)
def int8_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """``engine="auto"`` prefers int8 whatever the processor is; what engines compute stays this processor's."""
    monkeypatch.setattr("edge_sdk.runtime.selection.processor_kind", lambda: "other")


@pytest.fixture
def only_onnxruntime() -> Iterator[None]:
    """No other engine is known. Afterwards all are in their order again, by which they are preferred."""
    before = dict(ENGINES)
    for name in set(before) - {"onnxruntime"}:
        del ENGINES[name]
    yield
    ENGINES.clear()
    ENGINES.update(before)


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """List the engine ``fake``, which runs a ``FakeModel``."""
    monkeypatch.setitem(ENGINES, fake.NAME, fake.ROW)
