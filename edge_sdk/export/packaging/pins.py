"""``make pins``: digests of the shipped bundles, beside their manifests, in the package's code and for the wheel.

After a shipped bundle was exported anew or its manifest edited. What it writes is compared with the tree by the tests,
and by a person in the commit's difference.
"""

from __future__ import annotations

from pathlib import Path

from edge_sdk import files
from edge_sdk.bundle import SHIPPED, Bundle, digests, pins
from edge_sdk.export.packaging.bom import bundles_in_wheel
from edge_sdk.manifest import DIGEST_PATH, MANIFEST_PATH


def pin(folder: Path) -> dict[str, str]:
    """Write the digest of each bundle in a folder; return those of the manifests by name.

    Raises:
        BundleError: A manifest is not what the schema says, or a file is not what its manifest says.
    """
    found = {}
    for manifest in sorted(folder.glob(f"*/{MANIFEST_PATH}")):
        digest = digests.digest_file(manifest.read_bytes())
        files.write_bytes(manifest.with_name(DIGEST_PATH), digest)
        bundle = Bundle.open(manifest.parent)
        for entry in bundle.manifest.files:
            bundle.read(entry)
        found[manifest.parent.name] = digest.decode().split()[0]
    return found


def source(found: dict[str, str]) -> str:
    """The module :mod:`edge_sdk.bundle.pins` for these digests."""
    lines = [
        '"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""',
        "",
        "from __future__ import annotations",
        "",
        "PINS = {",
        *(f'    "{name}": "{digest}",' for name, digest in found.items()),
        "}",
        "",
    ]
    return "\n".join(lines)


def bill_of_materials() -> bytes:
    """What the wheel says of the bundles in it: the checkout's ``sboms/bundles.cdx.json``."""
    return bundles_in_wheel([Bundle.open(manifest.parent) for manifest in sorted(SHIPPED.glob(f"*/{MANIFEST_PATH}"))])


if __name__ == "__main__":
    files.write_text(pins.__file__, source(pin(SHIPPED)))
    files.write_bytes(SHIPPED.parents[1] / "sboms" / "bundles.cdx.json", bill_of_materials())
