"""What the owners of the data sets allow; a bundle carries the strictest of what it was trained on."""

from __future__ import annotations

from collections.abc import Iterable

from edge_sdk.export.data.load import original
from edge_sdk.manifest import DataLicense

_TERMS = {
    "synthetic": (True, "rendered by edge-sdk, no terms"),
    "cedar": (False, "CEDAR offline signatures: research use, as its owner states"),
    "sigcomp2011": (False, "SigComp2011: research use, as its owner states"),
    "svc2004": (False, "SVC2004: research use, as its owner states"),
    "imagenet": (False, "ImageNet (pretrained weights): research use, as its owner states"),
    "nuaa": (False, "NUAA faces: research use, as its owner states"),
    "lfw": (False, "LFW faces: research use, as its owner states"),
    "cfp": (False, "CFP faces: research use, as its owner states"),
    "bhsig260": (False, "BHSig260: research use, as its owner states"),
}
_OWN = (False, "{name}: the user's own data, terms not known to edge-sdk")


def terms(datasets: Iterable[str]) -> DataLicense:
    """The terms of a model trained on these data sets. Unknown data is taken as not for commercial use."""
    found = [
        (allowed, text.format(name=name))
        for name in sorted({original(name) for name in datasets})
        for allowed, text in [_TERMS.get(name, _OWN)]
    ]
    return DataLicense(
        commercial_use=bool(found) and all(allowed for allowed, _ in found),
        statement="; ".join(text for _, text in found),
    )
