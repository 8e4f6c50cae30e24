"""Tasks before fresh processes are measured."""

from __future__ import annotations

from pathlib import Path

from comparison.tasks import task
from edge_sdk import Bundle


@task
def write_golden(bundle: str, folder: str) -> list[str]:
    """Write the golden pictures of a bundle as files."""
    opened = Bundle.open(bundle)
    paths = []
    for number, entry in enumerate(opened.manifest.golden.inputs):
        path = Path(folder, f"{bundle}-{number}.png")
        path.write_bytes(opened.read(entry))
        paths.append(str(path))
    return paths
