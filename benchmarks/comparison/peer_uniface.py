"""``uniface``: its classes around networks of the published architecture, whose weights it would download."""

from __future__ import annotations

from typing import Any

import uniface.detection.retinaface
import uniface.recognition.mobileface
import uniface.spoofing.minifasnet

from comparison.peer_one_thread import OneThread
from comparison.tasks_peer import Answer, Given, Parts

# The library makes its sessions with a function of this module, and has no setting for threads.
uniface.onnx_utils.ort.InferenceSession = OneThread


def detector_of(given: Given) -> Any:
    """RetinaFace of a quarter of the width; the default has more channels, and so takes longer."""
    module = uniface.detection.retinaface
    module.verify_model_weights = lambda _name: str(given.models / "retinaface_quarter.onnx")
    return module.RetinaFace(providers=["CPUExecutionProvider"])


def locate(given: Given) -> Answer:
    """Faces with five points; random weights find none."""
    detect: Answer = detector_of(given).detect
    return detect


def recognise(given: Given) -> Answer:
    """Detection, then alignment on points that are known, and embedding."""
    module, detector = uniface.recognition.mobileface, detector_of(given)
    module.verify_model_weights = lambda _name: str(given.models / "mobilefacenet.onnx")
    network = module.MobileFace(providers=["CPUExecutionProvider"])
    return lambda frame: (detector.detect(frame), network.get_normalized_embedding(frame, given.points))


def live(given: Given) -> Answer:
    """Detection, then MiniFASNet on a box that is known."""
    module, detector = uniface.spoofing.minifasnet, detector_of(given)
    module.verify_model_weights = lambda _name: str(given.models / "minifasnet_v2.onnx")
    network = module.MiniFASNet(providers=["CPUExecutionProvider"])
    return lambda frame: (detector.detect(frame), network.predict(frame, given.box))


PARTS: Parts = {"locate": locate, "recognise": recognise, "live": live}
