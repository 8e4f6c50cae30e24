"""What the owners of the data sets allow; a bundle carries the strictest of what it was trained on.

The licence of a data set stands in its row (:class:`edge_sdk.export.data.modality_data.DataSource`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from edge_sdk.errors import DatasetError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.load import original
from edge_sdk.export.data.modality_data import OWN, Licence, research
from edge_sdk.manifest import DataLicense

PRETRAINED = {
    "imagenet": research("ImageNet (pretrained weights)"),
    "dlib": Licence(commercial_use=False, statement="dlib's face network: in the public domain, its pictures are not"),
    "faceplugin": Licence(commercial_use=False, statement="Faceplugin's face network: MIT, its pictures are not named"),
    "sface": Licence(commercial_use=False, statement="OpenCV Zoo's SFace: Apache-2.0, its pictures are not named"),
}
"""Of what is behind weights of others that networks start from (``Network.pretrained_on``) or learn from."""


def data_license(datasets: Iterable[str], own: Collection[str] = ()) -> DataLicense:
    """The licence of a model that was trained on these data sets.

    Args:
        datasets: Their names, with or without what stands before a ``+``.
        own: The names among them that are a user's own folders.

    Raises:
        DatasetError: A name that is neither a known data set nor a folder of the user.
    """
    found = [(name, _licence(name, own)) for name in sorted({original(name) for name in datasets})]
    return DataLicense(
        commercial_use=bool(found) and all(licence.commercial_use for _, licence in found),
        statement="; ".join(licence.statement.format(name=name) for name, licence in found),
    )


def find_licence(name: str) -> Licence | None:
    """That of a data set by its name, with or without what stands before a ``+``; None if it is not known."""
    row = catalogue.find(original(name))
    return row[1].licence if row else PRETRAINED.get(original(name))


def _licence(name: str, own: Collection[str]) -> Licence:
    if name in own:  # a folder may be called as a data set is, and is still the user's
        return OWN
    if known := find_licence(name):
        return known
    raise DatasetError(
        f"the licence of the data set {name} is not known: it has no row in edge_sdk/export/data/, and "
        "is no folder that was given as folder:, live: or spoof:"
    )
