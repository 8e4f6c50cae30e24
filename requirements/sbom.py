"""``make sbom``: bills of materials (CycloneDX 1.6, JSON) of the wheel and of the bundles in it.

    python requirements/sbom.py OUT

``OUT/edge-sdk.cdx.json`` names the wheel and the packages of ``runtime.lock`` with which it was tested, their licences
and who needs whom, as cyclonedx-py reads them from an environment that holds nothing else; and the models in the wheel,
each with a link to ``OUT/NAME.cdx.json``, which is what ``edge-sdk bom NAME`` writes. The same tree gives the same
bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from edge_sdk import files
from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle, shipped
from edge_sdk.export.packaging.bom import SPEC_VERSION, bill_of_materials, summary

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write bills of materials of the wheel and of the shipped bundles.")
    parser.add_argument("out", type=Path, help="the folder to write to")
    out = parser.parse_args().out
    bundles = [Bundle.open(name) for name in shipped()]
    for bundle in bundles:
        files.write_bytes(out / f"{bundle.manifest.name}.cdx.json", bill_of_materials(bundle))
    with tempfile.TemporaryDirectory() as scratch:
        wheel = json.loads(of_the_wheel(Path(scratch)))
    wheel["metadata"]["component"]["components"] = [summary(bundle) for bundle in bundles]
    files.write_text(out / "edge-sdk.cdx.json", json.dumps(wheel, indent=2) + "\n")


def of_the_wheel(scratch: Path) -> bytes:
    """Build it, install it beside the locked packages and list what is there."""
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(scratch), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = scratch.glob("*.whl")
    environment = venv.EnvBuilder(symlinks=os.name != "nt")
    environment.create(scratch / "device")
    python = environment.ensure_directories(scratch / "device").env_exe
    lock = ["--requirement", str(ROOT / "requirements" / "runtime.lock")]
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", *lock, str(wheel)], check=True)
    project = scratch / "pyproject.toml"  # cyclonedx-py takes no version from where Hatch keeps it
    text = (ROOT / "pyproject.toml").read_text()
    project.write_text(re.sub(r'^dynamic = \["version"\]$', f'version = "{__version__}"', text, flags=re.MULTILINE))
    command = [sys.executable, "-m", "cyclonedx_py", "environment", python, "--pyproject", str(project)]
    options = ["--mc-type", "library", "--spec-version", SPEC_VERSION, "--output-reproducible", "--validate"]
    return subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
