"""``insightface``: its recogniser around ArcFace's ResNet-50, whose weights it would download; no detection."""

from __future__ import annotations

import insightface.model_zoo.arcface_onnx
from insightface.app.common import Face
from insightface.model_zoo.arcface_onnx import ArcFaceONNX

from comparison.peer_one_thread import OneThread
from comparison.tasks_peer import Answer, Given, Parts

insightface.model_zoo.arcface_onnx.onnxruntime.InferenceSession = OneThread


def recognise(given: Given) -> Answer:
    """Alignment on points that are known, and embedding."""
    network = ArcFaceONNX(str(given.models / "arcface_resnet50.onnx"))
    face = Face(kps=given.points)
    return lambda frame: network.get(frame, face)


PARTS: Parts = {"recognise": recognise}
