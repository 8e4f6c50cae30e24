"""The links `runtime`, `calibration` and `export` at the top of a checkout are for finding files, not for importing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ..paths import ROOT


@pytest.mark.parametrize("name", ["runtime", "calibration", "export"])
@pytest.mark.parametrize("module", ["", ".thresholds", ".verifier"])
def test_a_module_loaded_through_a_link_names_the_right_spelling(name: str, module: str) -> None:
    assert (ROOT / name).is_symlink()
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}{module}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: import edge_sdk.{name}, not {name}")
