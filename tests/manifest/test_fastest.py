"""The engines and variants that a manifest says are fastest."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge_sdk.errors import ManifestError
from edge_sdk.manifest import decode, encode
from edge_sdk.manifest.model import MAX_KINDS

from .test_manifest import SPOOF_HEAD

ORDER = (("litert", "int8.tflite"), ("onnxruntime", "int8.onnx"))


def test_it_survives_a_round_trip() -> None:
    manifest = replace(SPOOF_HEAD, fastest={"x86-64-vnni": ORDER, "aarch64": ORDER[::-1]})
    assert decode(encode(manifest)) == manifest


def test_a_manifest_of_before_has_none() -> None:
    before = encode(SPOOF_HEAD).replace(b'  "fastest": {},\n', b"")
    assert before != encode(SPOOF_HEAD)
    assert decode(before) == SPOOF_HEAD


@pytest.mark.parametrize("value", [b'{"aarch64": [["litert"]]}', b'{"aarch64": ["litert"]}', b"[]"])
def test_what_cannot_be_is_refused(value: bytes) -> None:
    with pytest.raises(ManifestError):
        decode(encode(SPOOF_HEAD).replace(b'"fastest": {}', b'"fastest": ' + value))


def test_there_are_few_kinds_of_processors() -> None:
    with pytest.raises(ManifestError, match="length above"):
        replace(SPOOF_HEAD, fastest={f"kind-{number}": ORDER for number in range(MAX_KINDS + 1)})
