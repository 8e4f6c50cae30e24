"""Templates that no enrolment gives are refused, whatever the key says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import Verifier, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import TemplateError
from edge_sdk.runtime.binding import Binding
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.selection import Choice
from edge_sdk.runtime.template import MOST_ENROLLED, EmbeddingTemplate, GaussianMixtureTemplate

from .walked import gait_bundle, recording

Signer = Callable[..., np.ndarray]


def scaled(template: object, factor: float) -> EmbeddingTemplate:
    assert isinstance(template, EmbeddingTemplate)
    values = (template.embeddings * np.float32(factor)).tobytes()
    return msgspec.structs.replace(template, values=values)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1e-3, 50.0])
def test_a_length_that_the_network_never_gives(factor: float, signer: Signer) -> None:
    """Of the score nothing changes: it looks at directions."""
    with Verifier("deepsign_nano", engine="onnxruntime") as verifier:
        template = verifier.enroll([signer(1), signer(2)])
        assert verifier.verify(scaled(template, 1.001), signer(1))
        for use in (
            lambda: verifier.verify(scaled(template, factor), signer(1)),
            lambda: verifier.gallery({"anna": scaled(template, factor)}),
        ):
            with pytest.raises(TemplateError, match="another length than 1"):
                use()


def test_of_a_network_that_does_not_scale_no_length_is_known(signer: Signer) -> None:
    pytest.importorskip("ai_edge_litert", reason="edge-sdk[tflite]")
    with Verifier("deepsign_nano", engine="litert", precision="int8-io.tflite") as verifier:
        template = verifier.enroll(signer(1))
        assert verifier.verify(scaled(template, 2.0), signer(1))


@pytest.mark.parametrize("name", ["deepsign", "deepsign_nano", "face_lite", "mobilenetv2"])
def test_shipped_variants_refuse_other_lengths_where_they_give_one(name: str) -> None:
    """All but ``int8-io``. ``int8-sym`` is for TensorRT; ONNX Runtime computes it, too."""
    pytest.importorskip("ai_edge_litert", reason="edge-sdk[tflite]")
    bundle = Bundle.open(name)
    sample = np.random.default_rng(0).random((1, *preprocess.input_shape(bundle.manifest.preprocessing)), np.float32)
    for variant in bundle.manifest.variants:
        engine = {"onnx": "onnxruntime", "tflite": "litert"}[variant.format]
        with contextlib.closing(Model(bundle, Choice(engine, variant))) as model:
            binding = Binding(bundle, variant, model)
            output = bundle.manifest.score.embedding(bundle.manifest.interface)
            template = binding.template(model.run(sample)[output].reshape(1, -1), 1)
            assert binding.check(template) is template
            if variant.precision == "int8-io":
                binding.check(scaled(template, 2.0))
            else:
                with pytest.raises(TemplateError, match="another length than 1"):
                    binding.check(scaled(template, 2.0))


def test_embeddings_of_another_network(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        own = verifier.enroll(signer(1))
        assert isinstance(own, EmbeddingTemplate)
        longer = msgspec.structs.replace(own, dim=own.dim + 1, values=own.values + own.values[:4])
        with pytest.raises(TemplateError, match=f"embeddings of {own.dim + 1} values, its network gives {own.dim}"):
            verifier.verify(longer, signer(1))


def test_more_references_than_one_enrolment_takes() -> None:
    def of_rows(count: int, added: int = 0) -> EmbeddingTemplate:
        binding = {"embedding_space_id": "0", "variant_id": "a", "variant_sha256": "0", "bundle_name": "tiny"}
        return EmbeddingTemplate.of(np.ones((count, 2), np.float32), count=count, added=added, **binding)

    most = of_rows(MOST_ENROLLED)
    assert most.updated(np.ones((2 * MOST_ENROLLED, 2), np.float32), lambda rows: rows).count == 2 * MOST_ENROLLED
    with pytest.raises(TemplateError, match="up to 500 references, not 501"):
        of_rows(MOST_ENROLLED + 1)
    assert of_rows(10, added=9).enrolled == 1
    for count, added in ((11, 10), (7 + 8, 8), (2 * MOST_ENROLLED + 1, MOST_ENROLLED + 1)):
        with pytest.raises(TemplateError, match="no update adds"):
            of_rows(count, added)


def test_walks_of_too_few_cycles_and_updates_of_none(tmp_path: Path) -> None:
    with Verifier(gait_bundle(tmp_path / "walkers")) as verifier:
        template = verifier.enroll(recording(1))
        assert isinstance(template, GaussianMixtureTemplate)
        least = verifier.bundle.manifest.score.least_enrolled
        with pytest.raises(TemplateError, match=f"{least - 1} rows, of at least {least}"):
            verifier.verify(msgspec.structs.replace(template, count=least - 1), recording(1))
        with pytest.raises(TemplateError, match="no update adds"):
            msgspec.structs.replace(template, added=1)
