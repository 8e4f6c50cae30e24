"""``deepface`` on TensorFlow: its FaceNet with random weights, which it would download; no detection."""

from __future__ import annotations

import os

import cv2
import numpy as np

from comparison.tasks_peer import Answer, Given, Parts

os.environ["DEEPFACE_BACKEND_ENGINE"] = "tensorflow"


def recognise(given: Given) -> Answer:
    """The network on a face that is cut out already, as the library calls it."""
    import tensorflow as tf
    from deepface import DeepFace  # what an application imports
    from deepface.models.facial_recognition.tf import Facenet

    assert DeepFace
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = Facenet.InceptionResNetV1()
    left, top, right, bottom = given.box.astype(int)

    def answer(frame: np.ndarray) -> object:
        face = cv2.resize(frame[top:bottom, left:right], (160, 160)).astype(np.float32)[np.newaxis]
        return network(face / 127.5 - 1, training=False).numpy()

    return answer


PARTS: Parts = {"recognise": recognise}
