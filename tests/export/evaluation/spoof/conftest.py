"""A small detector that is right about recordings of faces that are drawn here."""

from __future__ import annotations

import itertools

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_sdk import SpoofDetector, preprocess
from edge_sdk.export.data.load import load
from edge_sdk.manifest import Input, Output, Rate, Reconstruction, SpoofPoint, UnsupportedPoint

SIDE, FRAMES, PEOPLE = 16, 9, 6
NOISE = {None: 4, "print": 11, "screen": 8}
"""What tells attacks from live faces here: the network blurs, and sharp pictures are far from what it makes of them."""


def network(*outputs):
    """``latent`` (batch, 16), the means of 4 x 4 pixels; ``reconstruction``, those of 3 x 3 round each; ``logit``."""
    nodes = {
        "latent": [
            helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
            helper.make_node("Flatten", ["cells"], ["latent"]),
        ],
        "reconstruction": [
            helper.make_node("AveragePool", ["image"], ["reconstruction"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        ],
        "logit": [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["logit"]),
        ],
    }
    shapes = {"latent": [16], "reconstruction": [1, SIDE, SIDE], "logit": [1]}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shapes[name]]) for name in outputs]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])
    graph = helper.make_graph([node for name in outputs for node in nodes[name]], "blur", [image], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    described = tuple(Output(name=name, shape=("batch", *shapes[name]), role=name) for name in outputs)
    return model.SerializeToString(), described


def point(name, threshold):
    rate = Rate(value=0.1, low=0.0, high=0.2, errors=1, trials=10)
    return SpoofPoint(
        name=name, threshold=threshold, target=0.1, apcer=rate, bpcer=rate, species={"print": rate}, data="made up"
    )


@pytest.fixture(scope="module")
def spoof_bundle(make_bundle):
    def make(*points, outputs=("reconstruction", "latent"), score=None):
        model, described = network(*outputs)
        pipeline = preprocess.framed(preprocess.FACE, SIDE, SIDE)
        return make_bundle(
            models={"fp32": model},
            operating_points={"fp32": points},
            task="spoof",
            modality="face",
            preprocessing=pipeline,
            inputs=(Input(name="image", shape=("batch", 1, SIDE, SIDE)),),
            outputs=described,
            score=score or Reconstruction(input="model.image", output="model.reconstruction", norm="l2"),
            embedding_space_id=None,
        )

    return make


def draw(person, attack, frame):
    """A face of 40 x 40 pixels, sharper or less so by its noise; people differ."""
    rng = np.random.default_rng((person, list(NOISE).index(attack), frame))
    picture = np.tile(np.linspace(60, 180, 40), (40, 1))
    cv2.ellipse(picture, (20, 20), (13, 17), 0, 0, 360, 150 + 5 * person, -1)
    return np.clip(picture + rng.normal(0, NOISE[attack] + person, picture.shape), 0, 255).astype(np.uint8)


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """``mine``: live, print and (not of everybody) screen, a recording each, with troubles; ``others``: live alone."""
    root = tmp_path_factory.mktemp("faces")
    mine, others = root / "mine", root / "others"
    for person, frame in itertools.product(range(PEOPLE), range(FRAMES)):
        for attack in (None, "print", "screen"):
            if attack != "screen" or person < 4:
                folder = mine / (f"attack-{attack}" if attack else "live") / f"p{person}" / "day"
                save(folder / f"{frame}.png", draw(person, attack, frame))
        if frame < 3:
            save(others / f"q{person}" / f"{frame}.png", draw(person + 1, None, frame))
    poses = [f"live/p{person}/day/{frame}.png,{12 * frame},0,-3" for person in range(2) for frame in range(4)]
    (mine / "poses.csv").write_text("\n".join(poses))
    save(mine / "live/p0/day/3.png", np.full((40, 40), 128, np.uint8))  # flat
    save(mine / "live/p1/day/4.png", draw(1, None, 3))  # the frame before once more
    whole = (mine / "attack-print/p1/day/2.png").read_bytes()
    (mine / "attack-print/p1/day/2.png").write_bytes(whole[: len(whole) // 2])
    return mine, others


@pytest.fixture(scope="module")
def data(folders):
    return load(f"spoof:{folders[0]}", f"live:{folders[1]}")


@pytest.fixture(scope="module")
def bundle(spoof_bundle, data):
    """A threshold amid the scores and one that accepts everybody."""
    with SpoofDetector(spoof_bundle(), engine="onnxruntime", faces="cropped") as detector:
        scores = [detector.examine(sample.path).score for sample in data.samples if sample.path.name == "1.png"]
    points = (point("apcer_1e-1", float(np.median(scores))), msgspec.structs.replace(point("eer", -9.0), target=None))
    return spoof_bundle(*points, UnsupportedPoint(name="apcer_1e-2", target=0.01, reason="10 attacks"))
