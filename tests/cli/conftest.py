"""What the tests of several commands need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.runtime import Verifier, template_keys

Maker = Callable[..., Bundle]


@pytest.fixture
def pictures(tmp_path: Path, signer: Callable[..., np.ndarray]) -> tuple[str, str]:
    """Paths of two different signatures."""
    paths = tmp_path / "one.png", tmp_path / "two.png"
    for seed, path in enumerate(paths, start=1):
        assert cv2.imwrite(str(path), signer(seed))
    return str(paths[0]), str(paths[1])


@pytest.fixture(autouse=True)
def template_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a key, which the environment names: commands encrypt by it, and tests read what they wrote."""
    path = tmp_path_factory.mktemp("key") / "device.key"
    template_keys.create(path)
    monkeypatch.setenv(template_keys.VARIABLE, str(path))
    return path


@pytest.fixture
def bundle(tiny_bundle: Bundle) -> str:
    return str(tiny_bundle.path)


@pytest.fixture(scope="module")
def golden_bundle(make_bundle: Maker, tiny_bundle: Bundle, signer: Callable[..., np.ndarray]) -> Bundle:
    """A bundle that says what fp32.onnx scores."""
    with Verifier(tiny_bundle, engine="onnxruntime", precision="fp32") as verifier:
        return make_bundle(golden={"fp32.onnx": verifier.verify(signer(1), signer(2)).score})
