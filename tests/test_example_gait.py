"""The example ``gait_unlock.py``: whom it enrols, whom it takes for the owner, and that errors accept nobody."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import UnusableSampleError
from edge_sdk.runtime import template_keys

from .paths import ROOT
from .runtime.walked import csv, gait_bundle, recording

EXAMPLE = ROOT / "examples" / "gait_unlock.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gait_unlock", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return gait_bundle(tmp_path_factory.mktemp("gait") / "walkers")


def rows(person: int, seconds: float = 45.0) -> Iterator[tuple[float, ...]]:
    walk = recording(person, 0, seconds)
    for time, values in zip(walk.times_ms.tolist(), walk.values.tolist(), strict=True):
        yield time, *values


def test_the_owner_is_enrolled_and_known_again(example: ModuleType, bundle: Bundle) -> None:
    with Verifier(bundle) as verifier:
        template = example.enrol(rows(1), verifier)
        assert 30 <= template.count < 40
        own = list(example.watch(rows(1, 40.0), template, verifier))
        assert len(own) > 4, "also when the newest cycles are as many as are kept"
        assert all(own)
        others = list(example.watch(rows(2, 40.0), template, verifier))
        assert others
        assert not any(others)
        assert list(example.watch(rows(1, 4.0), template, verifier)) == []
        with pytest.raises(UnusableSampleError):
            example.enrol(rows(1, 8.0), verifier)


def test_as_a_person_runs_it(bundle: Bundle, tmp_path: Path) -> None:
    template, key = tmp_path / "owner.template", tmp_path / "device.key"
    template_keys.create(key)

    def run(command: str, walk: bytes) -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, str(EXAMPLE), command, str(template), str(bundle.path)]
        environment = os.environ | {template_keys.VARIABLE: str(key)}
        return subprocess.run(words, input=walk, capture_output=True, env=environment, timeout=120, check=False)

    enrolled = run("enrol", csv(1, 0, 45.0))
    assert (enrolled.returncode, enrolled.stdout[:8]) == (0, b"enrolled"), enrolled.stderr
    own = run("watch", csv(1, 1))
    assert (own.returncode, own.stdout[:5]) == (0, b"owner")
    assert run("watch", csv(1, 1) + b"no numbers\n").returncode == 3, "an error is the end of it"
