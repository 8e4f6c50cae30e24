"""edge-sdk itself: its locator, ``face_lite`` and ``liveness``, int8 on ONNX Runtime."""

from __future__ import annotations

from comparison.tasks_peer import Answer, Given, Parts
from edge_sdk import Locator, SpoofDetector, Verifier


def locate(_given: Given) -> Answer:
    """Faces with five points."""
    return Locator(engine="onnxruntime", precision="int8.onnx")


def recognise(given: Given) -> Answer:
    """A whole verification of the frame against a template."""
    import numpy as np

    verifier = Verifier("face_lite", engine="onnxruntime", precision="int8.onnx")
    template = verifier.enroll(np.load(given.models / "frame.npy"))
    return lambda frame: verifier.verify(template, frame)


def live(_given: Given) -> Answer:
    """A whole decision on the frame."""
    return SpoofDetector("liveness", engine="onnxruntime", precision="int8.onnx", faces="locator").detect


PARTS: Parts = {"locate": locate, "recognise": recognise, "live": live}
