"""Compiled engines: only the one that was built for exactly this model and device is used."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec
import pytest

from edge_sdk.errors import ForeignEngineError
from edge_sdk.runtime.engines.tensorrt.cache import Cache, EngineKey, read, write

KEY = EngineKey(
    model="ab" * 32,
    builder="tensorrt 10.7.0",
    gpu="Orin",
    compute_capability="8.7",
    driver="12.6",
    options="fp16",
)


class Builder:
    """Counts how often it is asked; each engine is another one."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bytes:
        self.count += 1
        return b"engine %d" % self.count


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "deep" / "cache")


@pytest.fixture
def build() -> Builder:
    return Builder()


def test_built_once_and_read_from_then_on(cache: Cache, build: Builder) -> None:
    assert [cache.get(KEY, build) for _ in range(3)] == [b"engine 1"] * 3
    assert build.count == 1
    assert [path.name for path in cache.folder.iterdir()] == [cache.path(KEY).name]  # no temporary files


@pytest.mark.parametrize("name", ["builder", "gpu", "compute_capability", "driver"])
def test_another_device_builds_its_own_and_replaces_the_file(cache: Cache, build: Builder, name: str) -> None:
    cache.get(KEY, build)
    other = msgspec.structs.replace(KEY, **{name: "another"})
    with pytest.raises(ForeignEngineError, match=f"{name} {getattr(KEY, name)}, not another.*build it here"):
        read(cache.path(other), other)
    assert cache.get(other, build) == b"engine 2"
    assert cache.get(other, build) == b"engine 2"
    assert len(list(cache.folder.iterdir())) == 1


@pytest.mark.parametrize("name", ["model", "options"])
def test_models_and_options_live_side_by_side(cache: Cache, build: Builder, name: str) -> None:
    other = msgspec.structs.replace(KEY, **{name: "cd" * 32})
    assert cache.get(KEY, build) != cache.get(other, build)
    assert (cache.get(KEY, build), cache.get(other, build)) == (b"engine 1", b"engine 2")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:40],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-1] + b"x",
        lambda data: data.replace(b'"driver"', b'"drivel"'),
        lambda data: b"plan" + data,
        lambda data: data[:27] + b"\xff" * 4 + data[31:],
    ],
    ids=["empty", "magic", "header", "short", "long", "payload", "field", "foreign", "length"],
)
def test_a_damaged_file_is_refused_and_built_anew(cache: Cache, build: Builder, damage) -> None:
    cache.get(KEY, build)
    path = cache.path(KEY)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ForeignEngineError, match="build it here"):
        read(path, KEY)
    assert cache.get(KEY, build) == b"engine 2"
    assert read(path, KEY) == b"engine 2"


def test_an_engine_that_tensorrt_refuses_is_built_anew(cache: Cache, build: Builder) -> None:
    cache.get(KEY, build)
    assert cache.get(KEY, build, usable=lambda payload: payload != b"engine 1") == b"engine 2"


def test_where_nothing_can_be_stored_the_engine_is_used_all_the_same(
    tmp_path: Path, build: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache")  # like a read-only system, but true for root too
    with caplog.at_level(logging.WARNING):
        assert cache.get(KEY, build) == b"engine 1"
    assert "EDGE_SDK_CACHE" in caplog.text


def test_a_writer_that_fails_leaves_the_old_file(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cache.path(KEY), KEY, b"old")

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(cache.path(KEY), KEY, b"new")
    assert read(cache.path(KEY), KEY) == b"old"
    assert len(list(cache.folder.iterdir())) == 1


def test_a_failing_build_leaves_nothing(cache: Cache) -> None:
    def fail() -> bytes:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError):
        cache.get(KEY, fail)
    assert not cache.folder.exists()


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "own"))
    assert Cache().path(KEY).parent == tmp_path / "own" / "tensorrt"


def test_without_a_home_the_engine_is_used_all_the_same(
    monkeypatch: pytest.MonkeyPatch, build: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    def nobody() -> Path:
        raise FileNotFoundError("the user has no home folder")

    monkeypatch.setattr("edge_sdk.files.cache_folder", nobody)
    assert Cache().get(KEY, build) == b"engine 1"
    assert "no home folder" in caplog.text
