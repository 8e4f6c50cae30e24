"""What a bundle says of the samples that it was made with: their measures, as the device takes them.

    python -m edge_sdk.export.packaging.familiarity BUNDLE DATA [DATA ...] --split SPLIT

measures them for a bundle that has been exported already, and writes its manifest anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge_sdk import modalities
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.calibration.familiarity import fit
from edge_sdk.errors import InputError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.manifest import Familiarity, Source
from edge_sdk.preprocess import Operation

ROLES = ("train", "validation")
"""The people whose samples are familiar; those of all other roles are left to measure how rare the flag is."""


def familiarity(
    data: Dataset, split: Split, modality: str, operations: Sequence[Operation], source: Source
) -> Familiarity | None:
    """Of the samples of a run's people of :data:`ROLES`; None where the modality measures nothing.

    Samples that cannot be used are passed over, as on the device.

    Raises:
        ScoreError: The people are too few.
    """
    kind = modalities.get(modality)
    if not kind.measures:
        return None
    values: list[tuple[float, ...]] = []
    people: list[str] = []
    for sample in data.select({person for role in ROLES for person in getattr(split, role)}).samples:
        try:
            prepared = kind.prepare(operations, kind.decode(sample.path), source)
        except InputError:
            continue
        measured = None if prepared.blocking else kind.measure(prepared)
        if measured is not None:
            values.append(measured)
            people.append(sample.subject)
    described = f"{data.name}, {' and '.join(ROLES)} people"
    return fit(kind.measures, np.array(values).reshape(-1, len(kind.measures)), people, data=described)


def add_familiarity(bundle: Bundle, data: Dataset, split: Split, destination: Path | None = None) -> Bundle:
    """Write a bundle again with what its run's people say, into a copy or in its own place.

    Raises:
        ScoreError: As :func:`familiarity` does.
        DatasetError: The split holds people that the data lack.
    """
    manifest = bundle.manifest
    found = familiarity(data, split, manifest.modality, manifest.preprocessing, manifest.source)
    changed = msgspec.structs.replace(manifest, familiarity=found)
    with BundleWriter(bundle.path if destination is None else destination) as writer:
        for entry in manifest.files:
            writer.add(entry.path, bundle.read(entry))
        return writer.finish(changed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Add it to the bundle that is named, as ``make pins`` needs it next if it is a shipped one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("data", metavar="DATA", nargs="+")
    parser.add_argument("--split", metavar="SPLIT", type=Path, help="split.json of the run; default: drawn by seed 0")
    given = parser.parse_args(arguments)
    data = load(*given.data)
    split = Split.read(given.split) if given.split else Split.draw(data, 0)
    add_familiarity(Bundle.open(given.bundle), data, split)


if __name__ == "__main__":
    main()
