"""Published networks as teachers."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edge_sdk.errors import TrainingError
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.people import datasets_of
from edge_sdk.export.distillation import published
from edge_sdk.export.distillation.onnx_module import OnnxModule
from edge_sdk.export.distillation.published import FaceNetwork, PublishedTeacher, Source
from edge_sdk.opencv import cv2


def identity(side: int) -> onnx.ModelProto:
    """Gives its picture."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, side, side]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "teacher", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


SOURCE = Source("pictures", "teacher.onnx", "nobody")


def test_a_gray_picture_has_three_equal_colors_in_levels() -> None:
    picture = torch.rand(2, 1, 112, 112)
    made = FaceNetwork(SOURCE, OnnxModule(identity(112)))(picture)
    torch.testing.assert_close(made, picture.repeat(1, 3, 1, 1) * 255)


def test_each_color_is_scaled_as_the_network_wants() -> None:
    source = replace(SOURCE, mean=(10.0, 20.0, 30.0), scale=2.0)
    made = FaceNetwork(source, OnnxModule(identity(112)))(torch.ones(1, 3, 112, 112))
    torch.testing.assert_close(made[0, :, 5, 7], torch.tensor([122.5, 117.5, 112.5]))


def test_a_window_is_cut_out_and_continued_beyond_the_picture() -> None:
    picture = np.random.default_rng(3).random((112, 112)).astype(np.float32)
    left, top, side = 6.454, 20.166, 100.59
    step = side / 150  # pixel k of the window covers [left + k * step, left + (k + 1) * step)
    matrix = np.array([[step, 0, left + step / 2 - 0.5], [0, step, top + step / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(picture, matrix, (150, 150), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    network = FaceNetwork(replace(SOURCE, window=(left, top, side)), OnnxModule(identity(150)))
    made = network(torch.from_numpy(picture)[None, None]).numpy() / 255
    np.testing.assert_allclose(made[0, 0], expected, atol=1 / 32)  # OpenCV 4 rounds positions to 1/32 pixel
    np.testing.assert_array_equal(made[0, 0], made[0, 2])


def test_a_file_is_recognised_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = identity(112).SerializeToString()
    weights = hashlib.sha256(content).hexdigest()
    source = replace(SOURCE, name="sface", learned="people of nowhere")
    monkeypatch.setattr(published, "SOURCES", {weights: source})
    (tmp_path / "any.onnx").write_bytes(content)
    teacher = PublishedTeacher.read(tmp_path / "any.onnx")
    assert teacher.weights == weights
    assert teacher.people == {"sface/unknown"}
    assert not teacher.network.training
    assert not any(weight.requires_grad for weight in teacher.network.parameters())
    expected = f"sface (published) {weights[:16]}, which has learned from people of nowhere"
    assert teacher.record().described == expected


def test_another_file_is_no_teacher(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(identity(112).SerializeToString())
    with pytest.raises(TrainingError, match=r"other\.onnx is neither a run's folder nor .*fr_feature\.onnx"):
        PublishedTeacher.read(tmp_path / "other.onnx")
    with pytest.raises(TrainingError, match="cannot read the teacher"):
        PublishedTeacher.read(tmp_path / "missing.onnx")


@pytest.mark.parametrize("source", published.SOURCES.values(), ids=lambda source: source.name)
def test_every_published_network_has_a_licence(source: Source) -> None:
    people = PublishedTeacher(source, FaceNetwork(SOURCE, OnnxModule(identity(112))), "0" * 64).people
    licence = data_license(datasets_of(people))
    assert not licence.commercial_use  # the pictures behind it
    assert licence.statement
