"""edge-sdk: biometric verification on edge devices, from training to a decision.

The names below are the public surface. Each is imported when it is first used, so that ``import edge_sdk`` costs
nothing and a device never loads what only a workstation has.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk import errors as errors
    from edge_sdk.bundle import Bundle as Bundle
    from edge_sdk.bundle import Trust as Trust
    from edge_sdk.errors import EdgeSdkError as EdgeSdkError
    from edge_sdk.preprocess.crop import LocatedFace as LocatedFace
    from edge_sdk.results import Candidate as Candidate
    from edge_sdk.results import IdentifyResult as IdentifyResult
    from edge_sdk.results import LocateResult as LocateResult
    from edge_sdk.results import SpoofDecision as SpoofDecision
    from edge_sdk.results import SpoofResult as SpoofResult
    from edge_sdk.results import StreamResult as StreamResult
    from edge_sdk.results import Timings as Timings
    from edge_sdk.results import VerifyResult as VerifyResult
    from edge_sdk.runtime.audit import AuditLog as AuditLog
    from edge_sdk.runtime.detector import SpoofDetector as SpoofDetector
    from edge_sdk.runtime.gallery import TemplateGallery as TemplateGallery
    from edge_sdk.runtime.health import SessionStatus as SessionStatus
    from edge_sdk.runtime.locator import Locator as Locator
    from edge_sdk.runtime.revocation import RevocationList as RevocationList
    from edge_sdk.runtime.shots import Shots as Shots
    from edge_sdk.runtime.template import Template as Template
    from edge_sdk.runtime.template_keys import TemplateKey as TemplateKey
    from edge_sdk.runtime.verifier import Verifier as Verifier

from edge_sdk._version import __version__

_HOMES = {
    "AuditLog": "edge_sdk.runtime.audit",
    "Bundle": "edge_sdk.bundle",
    "Candidate": "edge_sdk.results",
    "EdgeSdkError": "edge_sdk.errors",
    "LocateResult": "edge_sdk.results",
    "LocatedFace": "edge_sdk.preprocess.crop",
    "Locator": "edge_sdk.runtime.locator",
    "IdentifyResult": "edge_sdk.results",
    "SessionStatus": "edge_sdk.runtime.health",
    "RevocationList": "edge_sdk.runtime.revocation",
    "Shots": "edge_sdk.runtime.shots",
    "SpoofDecision": "edge_sdk.results",
    "SpoofDetector": "edge_sdk.runtime.detector",
    "SpoofResult": "edge_sdk.results",
    "StreamResult": "edge_sdk.results",
    "Template": "edge_sdk.runtime.template",
    "TemplateGallery": "edge_sdk.runtime.gallery",
    "TemplateKey": "edge_sdk.runtime.template_keys",
    "Timings": "edge_sdk.results",
    "Trust": "edge_sdk.bundle",
    "Verifier": "edge_sdk.runtime.verifier",
    "VerifyResult": "edge_sdk.results",
}

__all__ = [
    "AuditLog", "Bundle", "Candidate", "EdgeSdkError", "IdentifyResult", "LocateResult", "LocatedFace", "Locator",
    "RevocationList", "SessionStatus", "Shots", "SpoofDecision", "SpoofDetector", "SpoofResult", "StreamResult",
    "Template", "TemplateGallery", "TemplateKey", "Timings", "Trust", "Verifier", "VerifyResult", "__version__",
    "errors",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "errors":
        return importlib.import_module("edge_sdk.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edge_sdk.extras import needs_requirements

    with needs_requirements():
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
