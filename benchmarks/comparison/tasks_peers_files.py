"""Tasks before other libraries are measured: the networks, and the frame with its face."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from comparison.architectures import NETWORKS
from comparison.tasks import task
from comparison.tasks_faces import as_full_frame, films
from edge_sdk import Locator, Verifier
from edge_sdk.errors import UnusableSampleError


@task
def write_networks(folder: str) -> None:
    """Write each network as ``NAME.onnx``."""
    for name, make in NETWORKS.items():
        Path(folder, f"{name}.onnx").write_bytes(make())


@task
def write_frame(folder: str, nuaa: str, lfw: str, cache: str) -> None:
    """Write the first frame of a film whose face can be enrolled, and which YuNet finds too, and where it is.

    Raises:
        LookupError: There is none.
    """
    with Locator() as locator, Verifier("face_lite") as verifier:
        other = cv2.FaceDetectorYN.create(str(Path(folder, "yunet.onnx")), "", (640, 480))
        for film in films(nuaa, lfw, 10, cache):
            frame = as_full_frame(film["frames"][0])
            try:
                verifier.enroll(frame)
            except UnusableSampleError:
                continue
            if other.detect(frame)[1] is None:
                continue
            (face,) = locator(frame)
            box = [face.left, face.top, face.left + face.width, face.top + face.height]
            Path(folder, "face.json").write_text(json.dumps({"box": box, "points": face.points}), encoding="utf-8")
            np.save(Path(folder, "frame.npy"), frame)
            return
    raise LookupError("no film has a frame whose face both find")
