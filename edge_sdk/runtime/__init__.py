"""What runs on the device: numpy, OpenCV and one inference engine, loaded only when a bundle is opened."""

from __future__ import annotations

from edge_sdk.runtime.detector import SpoofDetector
from edge_sdk.runtime.template import Template
from edge_sdk.runtime.verifier import Verifier

__all__ = ["SpoofDetector", "Template", "Verifier"]
