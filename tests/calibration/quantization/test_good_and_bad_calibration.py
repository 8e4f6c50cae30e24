"""The shipped float model, calibrated with signatures and with noise, before the same guardrail and budget."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="int8 models are made with the export extra")
pytest.importorskip("onnxruntime", reason="int8 models are made with the export extra")

from edge_sdk import preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.errors import GuardrailError
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.runtime.engines import onnxruntime

WRITERS, EACH = 72, 3


def signatures(writers, each):
    """Pre-processed genuine signatures: float32 (N, 1, 150, 180)."""
    pictures = [SyntheticWriter(seed).genuine(k) for seed in writers for k in range(each)]
    return np.stack([preprocess.apply(preprocess.INK, picture) for picture in pictures]).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return Bundle.open("deepsign").read_model("fp32.onnx")


@pytest.fixture(scope="module")
def difference(model):
    """What an int8 model adds to the equal error rate on made-up writers."""
    images = signatures(range(100, 100 + WRITERS), EACH)
    people = np.repeat(np.arange(WRITERS), EACH)

    def scores(candidate):
        engine = onnxruntime.load(candidate, threads=1)
        embeddings = np.concatenate([engine.run({"image": image[None]})["embedding"] for image in images])
        return verification_scores(embeddings, people, np.ones(len(people), bool), forgeries="random")

    reference = scores(model)
    return lambda candidate: guardrail.compare(reference, scores(candidate), data="made-up writers", budget=0.005)


@pytest.mark.parametrize("symmetric", [False, True])
def test_signatures_pass_and_noise_is_stopped(model, difference, symmetric):
    good = signatures(range(900, 908), 2)  # other writers
    # What a forgotten lamp or a closed shutter gives: hardly anything, so every real activation is clipped.
    noise = (0.02 * np.random.default_rng(0).random((8, *good.shape[1:]))).astype(np.float32)
    passed = difference(quantize(model, good, symmetric=symmetric))
    guardrail.enforce([passed])
    failed = difference(quantize(model, noise, symmetric=symmetric))
    with pytest.raises(GuardrailError, match=r"(?s)upper 90 %.*made-up writers.*fail"):
        guardrail.enforce([failed])
    assert passed.budget == failed.budget
