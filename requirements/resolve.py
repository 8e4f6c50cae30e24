"""``make resolve``: which wheels a device would get, for systems that are not at hand.

    python requirements/resolve.py

Asks the package index, for each engine's extra, system and CPython, for versions that fit together, all of them wheels
(uv's resolver, which judges markers for the system that is asked about; pip's judges them for its own). Nothing is
downloaded but metadata, and nothing is installed. Prints a Markdown table with the engine's version, or ``none``, and
on standard error why.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import tomllib  # type: ignore[import-not-found]  # of CPython 3.11, which the workstation has
from packaging.requirements import Requirement

from edge_sdk.tables import Table

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
SYSTEMS = {
    "Linux aarch64, glibc 2.31": "aarch64-manylinux_2_31",
    "Linux aarch64, glibc 2.35": "aarch64-manylinux_2_35",
    "Linux x86-64, glibc 2.28": "x86_64-manylinux_2_28",
    "Windows x86-64": "x86_64-pc-windows-msvc",
    "macOS 13 arm64": "aarch64-apple-darwin",
}
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
EXTRAS = ("onnx", "openvino", "tflite", "tflite-runtime")
"""Not ``tensorrt``: on a device it comes from JetPack, and the package of TensorRT for RTX is given as source alone."""


def main() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    rows = []
    for extra in EXTRAS:
        engine = Requirement(extras[extra][0]).name
        for system, platform in SYSTEMS.items():
            found = [resolved(extra, engine, platform, version) for version in VERSIONS]
            rows.append((extra, system, *found))
    print(Table(("extra", "system", *VERSIONS), rows, text=("extra", "system")).markdown())


def resolved(extra: str, engine: str, platform: str, version: str) -> str:
    """The engine's version among those that fit together; ``none`` where none do."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-build"]
    asked = ["--python-platform", platform, "--python-version", version, "--extra", extra, str(PROJECT)]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{extra}, {platform}, {version}: {done.stderr.strip()}", file=sys.stderr)
        return "none"
    found = re.search(rf"^{re.escape(engine)}==(\S+)", done.stdout, re.MULTILINE)
    return found[1] if found else "none"


if __name__ == "__main__":
    main()
