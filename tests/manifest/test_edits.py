"""Edits of the shipped manifests that know the schema: refused with a typed error, or what opens prepares samples."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_sdk import preprocess, sensors
from edge_sdk.bundle import Bundle, shipped
from edge_sdk.errors import BundleError
from edge_sdk.manifest import decode, encode

from ..conftest import draw

NUMBERS = (0, -1, -0.0, 2, 0.5, 256, 31_623, 10**9, 2**63, 2**64, 10**400, 1e308, -1e308, 1e-308, True, None, "1", [])
TEXTS = ("", "é" * 50, "x" * 20_000, "\0", "../..", "rgb", "cosine", "l1", "softmax", "uint8", "batch", 1, None, [])
OPERATIONS: tuple[dict[str, Any], ...] = (
    {"op": "to_color", "order": "rgb"},
    {"op": "threshold", "at": 0},
    {"op": "median_blur", "size": 7, "iterations": 3},
    {"op": "limit_size", "side": 1},
    {"op": "crop_to_ink", "tail": 0.499, "margin": 1.0},
    {"op": "standardize", "mean": 0.01, "std": 0.01},
    {"op": "resample", "rate_hz": 1e6, "samples": 65_536, "channels": 64},
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values within a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def edit(plain: Any, rng: random.Random) -> None:
    """Change one value; an edit in two is one of the pre-processing."""
    found = list(places(plain))
    path = rng.choice([one for one in found if one[0] == "preprocessing"] if rng.random() < 0.5 else found)
    parent = plain
    for key in path[:-1]:
        parent = parent[key]
    value = parent[path[-1]]
    if rng.random() < 0.1:
        del parent[path[-1]]
    elif path[0] == "preprocessing" and isinstance(value, dict):
        changes = (
            lambda: rng.shuffle(parent),
            lambda: parent.insert(path[1], rng.choice(OPERATIONS)),
            lambda: parent.__setitem__(path[1], rng.choice(OPERATIONS)),
            lambda: parent.extend(parent * rng.choice((1, 3000))),
        )
        rng.choice(changes)()
    elif isinstance(value, dict):
        rng.choice((value.clear, lambda: value.update(surprise=1)))()
    elif isinstance(value, list):
        rng.choice((value.clear, value.reverse, lambda: value.extend(value * rng.choice((1, 3000)))))()
    else:
        parent[path[-1]] = rng.choice(TEXTS if isinstance(value, str) else NUMBERS)


@pytest.mark.parametrize("name", shipped())
def test_edited_manifests_are_refused_or_still_prepare_samples(name: str) -> None:
    bundle = Bundle.open(name)
    data = encode(bundle.manifest)
    rng = random.Random(name)
    picture, refused, opened = draw(1), 0, 0
    walk = bundle.read(bundle.manifest.golden.inputs[0])
    for _ in range(120):
        plain = json.loads(data)
        edit(plain, rng)
        try:
            manifest = decode(json.dumps(plain).encode())
        except BundleError:
            refused += 1
            continue
        opened += 1
        recording = preprocess.is_recording(manifest.preprocessing)
        tensor = preprocess.apply(manifest.preprocessing, sensors.load(walk) if recording else picture)
        sample = manifest.sample_shape[1:]
        assert tensor.shape == (sample if not recording else (len(tensor), *sample))  # a row for each gait cycle
        assert np.isfinite(tensor).all()
        low = manifest.score.range[0]
        points = [point for variant in manifest.variants for point in variant.operating_points]
        assert all(getattr(point, "threshold", np.inf) > low for point in points)
    assert refused > 60
    assert opened > 0
