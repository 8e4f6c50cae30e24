"""What a bundle says of the samples that it was made with: their measures, as the device takes them.

    python -m edge_sdk.export.packaging.familiarity BUNDLE DATA [DATA ...] --split SPLIT [--sign-key KEY ...]

reads a bundle that has been exported already and the data of its run, measures the samples, and writes the bundle with
what it found in its manifest: in its own place, or with --out elsewhere. A signature of the bundle does not hold for
another manifest: without --sign-key what is written has none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge_sdk import modalities
from edge_sdk.bundle import Bundle, BundleWriter, SigningKey
from edge_sdk.calibration.familiarity import fit
from edge_sdk.calibration.rewriting import check_opens_afterwards
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


def add_familiarity(
    bundle: Bundle,
    data: Dataset,
    split: Split,
    destination: Path | None = None,
    sign_with: Sequence[SigningKey] = (),
) -> Bundle:
    """Write a bundle again with what its run's people say, into a copy or in its own place.

    ``sign_with`` are keys that sign what is written; without any it has no signature.

    Raises:
        UsageError: In its own place this device could not open it any more: nobody would sign it, or nobody whom the
            device trusts.
        ScoreError: As :func:`familiarity` does.
        DatasetError: The split holds people that the data lack.
    """
    if destination is None:
        check_opens_afterwards(bundle, sign_with)
    manifest = bundle.manifest
    found = familiarity(data, split, manifest.modality, manifest.preprocessing, manifest.source)
    changed = msgspec.structs.replace(manifest, familiarity=found)
    with BundleWriter(bundle.path if destination is None else destination, sign_with=sign_with) as writer:
        for entry in manifest.files:
            writer.add(entry.path, bundle.read(entry))
        return writer.finish(changed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Add it to the bundle that is named, as ``make pins`` needs it next if it is a shipped one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="a folder, or a .edge file")
    parser.add_argument("data", metavar="DATA", nargs="+", help="the data sets of its run, each as KIND:PATH")
    parser.add_argument("--split", metavar="SPLIT", type=Path, help="split.json of the run; default: drawn by seed 0")
    parser.add_argument("--out", metavar="OUT", type=Path, help="the bundle to write; default: BUNDLE is replaced")
    parser.add_argument("--sign-key", metavar="KEY", nargs="+", type=Path, default=[], help="private keys that sign it")
    given = parser.parse_args(arguments)
    keys, bundle = [SigningKey.read(path) for path in given.sign_key], Bundle.open(given.bundle)
    if given.out is None:
        check_opens_afterwards(bundle, keys)  # before the work
    data = load(*given.data)
    split = Split.read(given.split) if given.split else Split.draw(data, 0)
    written = add_familiarity(bundle, data, split, given.out, keys)
    sys.stdout.write(f"{written.id} in {written.path}: {'signed' if keys else 'not signed'}\n")


if __name__ == "__main__":
    main()
