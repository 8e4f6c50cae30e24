"""What the runtime answers: frozen results that an application can log as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.results.base import Timings

if TYPE_CHECKING:
    from edge_sdk.results.identification import Candidate, IdentifyResult
    from edge_sdk.results.location import LocateResult
    from edge_sdk.results.spoof import SpoofDecision, SpoofResult, StreamDecision, StreamResult
    from edge_sdk.results.verification import VerifyResult
else:
    from edge_sdk import lazy

    __getattr__ = lazy.names(
        __name__,
        {
            "identification": ("Candidate", "IdentifyResult"),
            "location": ("LocateResult",),
            "spoof": ("SpoofDecision", "SpoofResult", "StreamDecision", "StreamResult"),
            "verification": ("VerifyResult",),
        },
    )

__all__ = [
    "Candidate", "IdentifyResult", "LocateResult", "SpoofDecision", "SpoofResult", "StreamDecision", "StreamResult",
    "Timings", "VerifyResult",
]  # fmt: skip
