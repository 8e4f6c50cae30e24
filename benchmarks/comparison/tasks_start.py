"""Tasks before fresh processes are measured."""

from __future__ import annotations

from pathlib import Path

from comparison.tasks import task
from edge_sdk import Bundle
from edge_sdk.runtime.selection import candidates


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


@task
def keep_compiled(bundle: str, engine: str, precision: str) -> bool:
    """Keep what an engine compiles, as ``edge-sdk tune`` does of the fastest; whether this build keeps anything."""
    try:
        from edge_sdk.runtime.model import Model
    except ImportError:
        return False
    opened = Bundle.open(bundle)
    choice = candidates(opened, engine, precision)[0]
    Model(opened, choice, threads=1, keep=True).close()
    return True
