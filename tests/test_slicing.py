"""A slice is a whole bundle: it verifies, decides the same, and takes the templates of the bundle it came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, IntegrityError, UsageError
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.slicing import slice_bundle

Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def whole(make_bundle: Maker, tiny_bundle: Bundle, signer: Signer) -> Bundle:
    golden = {}
    for variant in tiny_bundle.manifest.variants:
        with Verifier(tiny_bundle, precision=variant.id) as verifier:
            golden[variant.id] = verifier.verify(signer(1), signer(2)).score
    return make_bundle(golden=golden)


@pytest.mark.parametrize("name", ["sliced", "sliced.edge"])
def test_a_slice_is_less_and_otherwise_the_same(whole: Bundle, tmp_path: Path, name: str) -> None:
    sliced = slice_bundle(whole, tmp_path / name, format="onnx", precision="int8")
    before, after = whole.manifest, sliced.manifest
    assert after.variants == (before.variant("int8.onnx"),)
    assert after.golden.inputs == before.golden.inputs
    assert after.golden.scores == {"int8.onnx": before.golden.scores["int8.onnx"]}
    for field in (
        "name",
        "version",
        "source",
        "preprocessing",
        "score",
        "training",
        "data_license",
        "auxiliary",
        "embedding_space_id",
    ):
        assert getattr(after, field) == getattr(before, field), field
    assert sliced.id != whole.id  # another manifest
    assert sliced.read_model("int8.onnx") == whole.read_model("int8.onnx")
    assert passed(selftest(tmp_path / name))
    if not name.endswith(".edge"):
        assert not (tmp_path / name / "model.fp32.onnx").exists()


def test_decisions_and_templates_stay(whole: Bundle, tmp_path: Path, signer: Signer) -> None:
    sliced = slice_bundle(whole, tmp_path / "sliced.edge", precision="int8")
    with Verifier(whole) as old, Verifier(sliced) as new:
        assert new.verify(signer(1), signer(2)).score == old.verify(signer(1), signer(2)).score
        assert new.threshold == old.threshold
        assert new.verify(old.enroll(signer(1)), signer(1))


def test_only_a_format_or_only_a_precision(whole: Bundle, tmp_path: Path) -> None:
    assert len(slice_bundle(whole, tmp_path / "a", format="onnx").manifest.variants) == 2
    assert [a.id for a in slice_bundle(whole, tmp_path / "b", precision="fp32").manifest.variants] == ["fp32.onnx"]


def test_without_its_golden_score_a_slice_has_no_golden_inputs(
    make_bundle: Maker, whole: Bundle, tmp_path: Path
) -> None:
    partial = make_bundle(golden={"fp32.onnx": whole.manifest.golden.scores["fp32.onnx"]})
    assert slice_bundle(partial, tmp_path / "sliced", precision="int8").manifest.golden.inputs == ()


def test_what_is_refused(whole: Bundle, tmp_path: Path) -> None:
    for wanted in ({"format": "tflite"}, {"precision": "int8-sym"}, {"format": "tflite", "precision": "int8"}):
        with pytest.raises(BundleError, match=r"it has fp32\.onnx, int8\.onnx"):
            slice_bundle(whole, tmp_path / "sliced", **wanted)
    with pytest.raises(UsageError, match="say which"):
        slice_bundle(whole, tmp_path / "sliced")
    assert not (tmp_path / "sliced").exists()
    (tmp_path / "link").symlink_to(whole.path)
    for itself in (whole.path, tmp_path / "link"):
        with pytest.raises(UsageError, match="somewhere else"):
            slice_bundle(whole, itself, precision="int8")
    assert len(Bundle.open(whole.path).manifest.variants) == 2


def test_a_damaged_file_is_not_copied(make_bundle: Maker, whole: Bundle, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "damaged", golden=whole.manifest.golden.scores)
    path = bundle.path / "model.int8.onnx"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(IntegrityError):
        slice_bundle(bundle.path, tmp_path / "sliced", precision="int8")
    assert not (tmp_path / "sliced").exists()
