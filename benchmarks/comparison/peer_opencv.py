"""OpenCV's own pipeline: YuNet, SFace and the cosine, with the weights of OpenCV Zoo."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from comparison.tasks_peer import Answer, Given, Parts

cv2.setNumThreads(1)


def locate(given: Given) -> Answer:
    """Faces with five points."""
    detector: Any = cv2.FaceDetectorYN.create(str(given.models / "yunet.onnx"), "", (640, 480))
    return lambda frame: detector.detect(frame)[1]


def recognise(given: Given) -> Answer:
    """Detection, alignment, embedding and cosine."""
    detector: Any = locate(given)
    network: Any = cv2.FaceRecognizerSF.create(str(given.models / "sface.onnx"), "")

    def embed(frame: Any) -> Any:
        return network.feature(network.alignCrop(frame, detector(frame)[0])).copy()

    known = embed(np.load(given.models / "frame.npy"))
    return lambda frame: network.match(known, embed(frame), cv2.FaceRecognizerSF_FR_COSINE)


PARTS: Parts = {"locate": locate, "recognise": recognise}
