"""What one kind of biometric sample is: what a source may be, how it is decoded and prepared, which flags it may get.

The only place of the package that knows a modality by name. One file a modality, ending in ``MODALITY``; to add one,
write its file and add its line to :data:`MODALITIES`.
"""

from __future__ import annotations

from edge_sdk.errors import UsageError
from edge_sdk.modalities import face, gait, signature
from edge_sdk.modalities.base import Modality, Prepared

__all__ = ["MODALITIES", "Modality", "Prepared", "get"]

MODALITIES: dict[str, Modality] = {
    one.name: one for one in (signature.MODALITY, face.MODALITY, gait.MODALITY)
}  # fmt: skip


def get(name: str) -> Modality:
    """Find a modality by its name in a manifest or a recipe. Raises UsageError if there is none."""
    if name not in MODALITIES:
        raise UsageError(f"no modality {name!r}; choose from {', '.join(MODALITIES)}")
    return MODALITIES[name]
