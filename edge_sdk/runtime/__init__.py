"""What runs on the device: numpy, OpenCV and one inference engine, loaded only when a bundle is opened."""

from __future__ import annotations

if __name__ != "edge_sdk.runtime":  # loaded through the link at the top of a checkout
    raise ImportError(f"import edge_sdk.runtime, not {__name__}: the folder runtime at the top is a link for people")

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk.runtime.detector import SpoofDetector
    from edge_sdk.runtime.gallery import TemplateGallery
    from edge_sdk.runtime.locator import Locator
    from edge_sdk.runtime.shots import Shots
    from edge_sdk.runtime.template import Template
    from edge_sdk.runtime.verifier import Verifier
else:
    from edge_sdk import lazy

    __getattr__ = lazy.names(
        __name__,
        {
            "detector": ("SpoofDetector",),
            "gallery": ("TemplateGallery",),
            "locator": ("Locator",),
            "shots": ("Shots",),
            "template": ("Template",),
            "verifier": ("Verifier",),
        },
    )

__all__ = ["Locator", "Shots", "SpoofDetector", "Template", "TemplateGallery", "Verifier"]
